import { Field, InputType, Int, ObjectType } from '@nestjs/graphql';
import { IsInt, IsOptional, IsString, Matches, Max, MaxLength, Min } from 'class-validator';

/** What the person has, all of it optional: the more, the nearer the answer. */
@InputType()
export class DiagnoseGrant {
  /** The error as the client wrote it. Compared with known texts, never repeated and never kept */
  @IsOptional()
  @IsString()
  @MaxLength(4_096)
  error?: string;
  /** The token that was refused, looked at and forgotten: never kept, never logged. Of one's own grant alone */
  @IsOptional()
  @IsString()
  @MaxLength(16_384)
  token?: string;
  /** Where the client connected; compared, never dialled */
  @IsOptional()
  @MaxLength(253)
  @Matches(/^[A-Za-z0-9._:-]+$/)
  host?: string;
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(65_535)
  @Field(() => Int, { nullable: true })
  port?: number;
  /** The user that the client named */
  @IsOptional()
  @IsString()
  @MaxLength(63)
  user?: string;
  /** Name and version of the client */
  @IsOptional()
  @IsString()
  @MaxLength(100)
  client?: string;
  /** Where the client runs: an address, a network, a word */
  @IsOptional()
  @IsString()
  @MaxLength(100)
  connectedFrom?: string;
}

/** What was found at one place on the way of a login. */
@ObjectType()
export class DiagnosisHop {
  /** grant, client, network, tls, resource, iam, guard, role, method, limit, database, token, clock, login or rights */
  name: string;
  /** ok, fault, unknown or skipped */
  state: string;
  finding: string;
  /** What to do, with the exact command where there is one */
  cure: string | null;
}

/** The way of a login from the grant to the first row, and the first place where it breaks. */
@ObjectType()
export class Diagnosis {
  grantId: string;
  /** The first hop with a fault, else the first that nobody could look at; null when nothing was found */
  verdict: DiagnosisHop | null;
  /** In the order of the way */
  hops: DiagnosisHop[];
  /** What a policy of IAM must allow rds-db:connect on; null for a grant by password */
  dbUserArn: string | null;
}
