import { ArgsType, Field, Float, Int, ObjectType } from '@nestjs/graphql';
import { Type } from 'class-transformer';
import { IsInt, IsOptional, IsUUID, Matches, Max, Min } from 'class-validator';

/** The sealed record as it was after a batch of lines. */
@ObjectType()
export class AuditCheckpoint {
  /** Lines in the tree */
  @Field(() => Float)
  size: number;
  /** Root of the Merkle tree over them (RFC 6962), in hex */
  root: string;
  at: Date;
  /** Signed note by C2SP tlog-checkpoint: keep it where nobody of Usher's can change it. Null while it is not signed, and for ever where there was no key, or a later one was signed in its place */
  note: string | null;
}

@ObjectType()
export class AuditCheckpointPage {
  items: AuditCheckpoint[];
  nextCursor: string | null;
}

/** What checkpoints are verified with. */
@ObjectType()
export class AuditKey {
  /** Name of the record, as its checkpoints have it */
  origin: string;
  /** As tools for signed notes read it (C2SP signed-note): name+id+base64 */
  verifierKey: string;
  /** The same key as SubjectPublicKeyInfo */
  pem: string;
}

/** That a line is in the sealed record, and where. */
@ObjectType()
export class AuditInclusionProof {
  eventId: string;
  /** Its place, from 1; its leaf has the index seq - 1 */
  @Field(() => Float)
  seq: number;
  /** The line as exports have it: what the leaf is the hash of, and what opens its commitments */
  line: string;
  /** In hex */
  leaf: string;
  @Field(() => Float)
  size: number;
  root: string;
  /** From the leaf upwards, in hex (RFC 6962, 2.1.1) */
  hashes: string[];
  /** Signed note over a tree of this size; null where none was signed */
  checkpoint: string | null;
}

/** That the record of one size became that of another by appending alone. */
@ObjectType()
export class AuditConsistencyProof {
  @Field(() => Float)
  from: number;
  fromRoot: string;
  @Field(() => Float)
  to: number;
  toRoot: string;
  /** In hex (RFC 6962, 2.1.2) */
  hashes: string[];
}

@ArgsType()
export class AuditCheckpointQuery {
  @IsOptional()
  @Matches(/^[1-9]\d{0,14}$/)
  cursor?: string;
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(200)
  @Field(() => Int, { nullable: true })
  limit?: number;
}

@ArgsType()
export class AuditInclusionQuery {
  /** Id of a line of the record */
  @IsUUID()
  event: string;
  /** Lines in the tree that it is to be shown in; the newest that was signed when left out */
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(Number.MAX_SAFE_INTEGER)
  @Field(() => Float, { nullable: true })
  size?: number;
}

@ArgsType()
export class AuditConsistencyQuery {
  /** Lines in the older tree */
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(Number.MAX_SAFE_INTEGER)
  @Field(() => Float)
  from: number;
  /** Lines in the younger one; the newest that was signed when left out */
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(Number.MAX_SAFE_INTEGER)
  @Field(() => Float, { nullable: true })
  to?: number;
}
