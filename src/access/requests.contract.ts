import { ArgsType, Field, ID, InputType, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import { ApiProperty } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsBoolean, IsDate, IsEnum, IsInt, IsOptional, IsUUID, Matches, Max, MaxLength, Min } from 'class-validator';
import { IamMode } from '../grants/grants.contract.js';
import { Json } from '../platform/http/json.scalar.js';
import { LINE, READABLE } from '../platform/printable.js';
import { ApprovalStage } from '../targets/stages.contract.js';
import { LoginMethod, Sensitivity } from '../targets/targets.contract.js';

export enum RequestState {
  pending = 'pending',
  approved = 'approved',
  denied = 'denied',
  cancelled = 'cancelled',
  expired = 'expired',
}
registerEnumType(RequestState, { name: 'RequestState' });

export enum RequestKind {
  /** Access */
  open = 'open',
  /** More time for a grant that lives */
  extend = 'extend',
}
registerEnumType(RequestKind, { name: 'RequestKind' });

export enum Verdict {
  approve = 'approve',
  deny = 'deny',
}
registerEnumType(Verdict, { name: 'Verdict' });

/** One parameter of a planned call. */
@ObjectType()
export class PlannedParameter {
  name: string;
  value: string;
}

/** A statement that Usher will run on the target, exactly. */
@ObjectType()
export class PlannedStatement {
  /** open, set_password, close or terminate */
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
  /** PostgreSQL group roles that it gives, and not one more */
  groups: string[];
  /** Sessions of the login at the same time */
  @Field(() => Int)
  connectionLimit: number;
  /** How the profile is classified; null in a plan from before profiles were */
  sensitivity: Sensitivity | null;
  /** Gives CREATEROLE, too: for those who manage the passwords of others */
  createsRoles: boolean;
  /** The end that is set, where it is known: for access it is counted from the last yes */
  endsAt: Date | null;
  /** Major version of PostgreSQL that the statements are for */
  @Field(() => Int)
  serverMajor: number;
  /** The IAM policy document, as it is sent; null for method password, which needs nothing of IAM */
  @Field(() => Json, { nullable: true })
  @ApiProperty({ type: 'object', additionalProperties: true, nullable: true })
  policy: Record<string, unknown> | null;
  /** The session that Usher assumes, or the IAM user or role that the policy is attached to; null where there is no policy */
  policyAppliesTo: string | null;
}

/** What policy says of it. */
@ObjectType()
export class AccessDecision {
  allowed: boolean;
  /** No approval is needed */
  autoApproved: boolean;
  @Field(() => Int)
  approvalsNeeded: number;
  /** Who must agree, one after the other; none where whoever policy lets may */
  stages: ApprovalStage[];
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
  /** Who gave it */
  personId: string;
  personName: string;
  /** In whose place it was given; null for their own */
  forPersonId: string | null;
  forPersonName: string | null;
  verdict: Verdict;
  comment: string | null;
  /** Of the plan that it is for: only votes for the present one count */
  @Field(() => Int)
  planRevision: number;
  /** The stage that was open, counted from 1 */
  @Field(() => Int)
  stage: number;
  at: Date;
  /** Since when it counts no more: who gave it, or in whose place, was locked or removed while the request waited */
  voidedAt: Date | null;
}

/** A stage of the approval, as the profile had it when it was asked, and how far it is. */
@ObjectType()
export class RequestStage extends ApprovalStage {
  /** People who agreed, and still count */
  @Field(() => Int)
  agreed: number;
  /** Its people decide now */
  open: boolean;
}

/** A person's ask for access, or for more time. */
@ObjectType()
export class AccessRequest {
  id: string;
  kind: RequestKind;
  targetId: string;
  profileId: string;
  personId: string;
  personName: string;
  /** The service through which it was asked for; null when the person asked */
  viaServiceId: string | null;
  viaServiceName: string | null;
  database: string;
  /** Of kind extend: what is added to the present end */
  @Field(() => Int)
  durationMinutes: number;
  reason: string;
  ticket: string | null;
  /** An emergency: opened by nobody's yes, and looked at afterwards (GET /v1/reviews) */
  breakGlass: boolean;
  startsAt: Date | null;
  method: LoginMethod;
  mode: IamMode;
  state: RequestState;
  @Field(() => Int)
  approvalsNeeded: number;
  /** One after the other. One that names nobody is for whoever policy lets; none where nobody need agree */
  stages: RequestStage[];
  votes: Vote[];
  /** Policies that allowed it */
  policies: string[];
  plan: Plan;
  /** Counts the plans that were shown for it */
  @Field(() => Int)
  planRevision: number;
  /** The grant that it led to, or gave more time */
  grantId: string | null;
  /** Of kind extend: the grant that shall live longer */
  extendsId: string | null;
  /** The request whose plan was no longer true when it should be opened */
  replacesId: string | null;
  /** The request that was made of it when its plan was no longer true */
  replacedById: string | null;
  createdAt: Date;
  /** When its requester last changed it: a yes must then name the revision that was looked at */
  editedAt: Date | null;
  /** When it expires unanswered */
  decideBy: Date;
  decidedAt: Date | null;
  /** Why it ended although nobody denied it and nobody took it back */
  closeReason: string | null;
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
  /** An emergency: opens at once without approvals, where policy lets you, and stays under review until somebody else closes that */
  @IsOptional()
  @IsBoolean()
  breakGlass?: boolean;
  /** At once when left out; at most 30 days ahead */
  @IsOptional()
  @Type(() => Date)
  @IsDate()
  startsAt?: Date;
  /** iam when left out. By password there is mode session only */
  @IsOptional()
  @IsEnum(LoginMethod)
  method?: LoginMethod;
  /** session when left out */
  @IsOptional()
  @IsEnum(IamMode)
  mode?: IamMode;
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
