import { ArgsType, Field, ID, InputType, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import { ApiProperty } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsDate, IsEnum, IsInt, IsOptional, IsUUID, Matches, Max, MaxLength, Min } from 'class-validator';
import { IamMode } from '../grants/grants.contract.js';
import { Json } from '../platform/http/json.scalar.js';
import { LoginMethod } from '../targets/targets.contract.js';

export enum RequestState {
  pending = 'pending',
  approved = 'approved',
  denied = 'denied',
  cancelled = 'cancelled',
  expired = 'expired',
}
registerEnumType(RequestState, { name: 'RequestState' });

export enum Verdict {
  approve = 'approve',
  deny = 'deny',
}
registerEnumType(Verdict, { name: 'Verdict' });

/** Printable text in one or more lines; no other control characters, and something to read in it. */
const READABLE = /^(?=[\s\S]*\S)[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*(\r?\n[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*)*$/u;
const LINE = /^(?=.*\S)[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+$/u;

/** One parameter of a planned call. */
@ObjectType()
export class PlannedParameter {
  name: string;
  value: string;
}

/** A statement that Usher will run on the target, exactly. */
@ObjectType()
export class PlannedStatement {
  /** open, close or terminate */
  call: string;
  sql: string;
  parameters: PlannedParameter[];
  /** What the guard on the target makes of it */
  effects: string[];
}

/** Exactly what will be done when this is approved, and undone at the end. */
@ObjectType()
export class Plan {
  /** The person's own PostgreSQL role */
  login: string;
  statements: PlannedStatement[];
  /** The IAM policy document, as it is sent */
  @Field(() => Json)
  @ApiProperty({ type: 'object', additionalProperties: true })
  policy: Record<string, unknown>;
  /** The session that Usher assumes, or the IAM user or role that the policy is attached to */
  policyAppliesTo: string;
}

/** What policy says of it. */
@ObjectType()
export class AccessDecision {
  allowed: boolean;
  /** No approval is needed */
  autoApproved: boolean;
  @Field(() => Int)
  approvalsNeeded: number;
  /** Ids of the policies that decided */
  policies: string[];
  /** What to do about a refusal */
  advice: string[];
}

/** What a request would come to. Nothing is stored. */
@ObjectType()
export class RequestPreview {
  decision: AccessDecision;
  /** Absent when policy refuses */
  plan: Plan | null;
}

@ObjectType()
export class Vote {
  personId: string;
  personName: string;
  verdict: Verdict;
  comment: string | null;
  at: Date;
}

/** A person's ask for access. */
@ObjectType()
export class AccessRequest {
  id: string;
  targetId: string;
  profileId: string;
  personId: string;
  personName: string;
  database: string;
  @Field(() => Int)
  durationMinutes: number;
  reason: string;
  ticket: string | null;
  startsAt: Date | null;
  method: LoginMethod;
  mode: IamMode;
  state: RequestState;
  @Field(() => Int)
  approvalsNeeded: number;
  votes: Vote[];
  /** Policies that allowed it */
  policies: string[];
  plan: Plan;
  /** The grant that it led to */
  grantId: string | null;
  createdAt: Date;
  /** When it expires unanswered */
  decideBy: Date;
  decidedAt: Date | null;
}

@ObjectType()
export class AccessRequestPage {
  items: AccessRequest[];
  nextCursor: string | null;
}

@InputType()
export class CreateRequest {
  @IsUUID()
  @Field(() => ID)
  targetId: string;
  @IsUUID()
  @Field(() => ID)
  profileId: string;
  /** Database to connect to; the first of the target when left out */
  @IsOptional()
  @Matches(LINE)
  @MaxLength(63)
  database?: string;
  @IsInt()
  @Min(1, { message: 'durationMinutes must be at least 1' })
  @Max(44640)
  @Field(() => Int)
  durationMinutes: number;
  /** Why the access is needed */
  @Matches(READABLE, { message: 'reason must say something, in printable characters' })
  @MaxLength(2000)
  reason: string;
  @IsOptional()
  @Matches(LINE)
  @MaxLength(100)
  ticket?: string;
  /** At once when left out; at most 30 days ahead */
  @IsOptional()
  @Type(() => Date)
  @IsDate()
  startsAt?: Date;
  @IsOptional()
  @IsEnum(LoginMethod)
  method?: LoginMethod;
  /** session when left out */
  @IsOptional()
  @IsEnum(IamMode)
  mode?: IamMode;
}

@InputType()
export class Comment {
  @IsOptional()
  @Matches(READABLE)
  @MaxLength(1000)
  comment?: string;
}

@ArgsType()
export class RequestQuery {
  @IsOptional()
  @IsUUID()
  target?: string;
  @IsOptional()
  @IsUUID()
  person?: string;
  @IsOptional()
  @IsEnum(RequestState)
  state?: RequestState;
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
