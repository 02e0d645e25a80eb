import { ArgsType, Field, Int, ObjectType } from '@nestjs/graphql';
import { Transform, Type } from 'class-transformer';
import { IsBoolean, IsInt, IsOptional, IsUUID, Max, MaxLength, Min } from 'class-validator';

/** A session seen on a target. */
@ObjectType()
export class Connection {
  id: string;
  targetId: string;
  endpointId: string;
  /** PostgreSQL role */
  login: string;
  database: string | null;
  clientAddress: string | null;
  @Field(() => Int, { nullable: true })
  clientPort: number | null;
  tls: boolean;
  tlsVersion: string | null;
  tlsCipher: string | null;
  /** Chosen by the client: a hint, not a proof */
  applicationName: string | null;
  /** Whose login it is; null when no person of Usher has it */
  personId: string | null;
  /** The grant under which it was opened; null when none fits */
  grantId: string | null;
  /** When the session began, by the target's clock */
  startedAt: Date;
  firstSeenAt: Date;
  lastSeenAt: Date;
  /** When it was first seen no more */
  endedAt: Date | null;
}

@ObjectType()
export class ConnectionPage {
  items: Connection[];
  nextCursor: string | null;
}

@ArgsType()
export class ConnectionQuery {
  @IsOptional()
  @IsUUID()
  target?: string;
  @IsOptional()
  @IsUUID()
  person?: string;
  @IsOptional()
  @IsUUID()
  grant?: string;
  /** true: only sessions that were there at the last look */
  @IsOptional()
  @Transform(({ value }: { value: unknown }) => (value === 'true' ? true : value === 'false' ? false : value))
  @IsBoolean()
  open?: boolean;
  @IsOptional()
  @MaxLength(100)
  cursor?: string;
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(200)
  @Field(() => Int, { nullable: true })
  limit?: number;
}
