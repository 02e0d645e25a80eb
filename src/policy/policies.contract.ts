import { ArgsType, Field, InputType, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import { Type } from 'class-transformer';
import { IsInt, IsOptional, IsString, Matches, Max, MaxLength, Min, MinLength } from 'class-validator';
import { READABLE } from '../platform/printable.js';

/** Decisions that are kept for dry runs, and that one can be made on. */
export const MAX_DRY_RUN = 10_000;
/** Characters of a text that comes by the API; a body may have 64 KB. */
const MAX_TEXT = 48 * 1024;

export enum PolicySource {
  /** What Usher ships with */
  shipped = 'shipped',
  /** A version that somebody activated */
  database = 'database',
  /** The file that USHER_POLICY_FILE names; nothing is changed by the API then */
  file = 'file',
}
registerEnumType(PolicySource, { name: 'PolicySource' });

export enum PolicyEffect {
  permit = 'permit',
  forbid = 'forbid',
}
registerEnumType(PolicyEffect, { name: 'PolicyEffect' });

/** One policy of a set. */
@ObjectType()
export class PolicyRule {
  /** Its @id, as refusals and the record name it */
  id: string;
  @Field(() => PolicyEffect)
  effect: PolicyEffect;
  /** What a person can do about a refusal */
  advice: string | null;
  /** How many people must agree at the least; 0: the profile says */
  @Field(() => Int)
  approvals: number;
  /** The group that its scope asks for */
  group: string | null;
  /** What it can be about */
  actions: string[];
}

/** The policies that rule now. */
@ObjectType()
export class PolicySet {
  /** Of the version; 0: what is shipped; null: a file */
  @Field(() => Int, { nullable: true })
  number: number | null;
  @Field(() => PolicySource)
  source: PolicySource;
  /** Of the text, in hex */
  sha256: string;
  /** Cedar */
  text: string;
  /** What policies may speak about, as a Cedar schema */
  schema: string;
  policies: PolicyRule[];
  activatedAt: Date | null;
  activatedBy: string | null;
}

export enum PolicyActivationReason {
  activation = 'activation',
  rollback = 'rollback',
}
registerEnumType(PolicyActivationReason, { name: 'PolicyActivationReason' });

/** When a version began to rule. */
@ObjectType()
export class PolicyActivation {
  at: Date;
  byId: string;
  by: string;
  @Field(() => PolicyActivationReason)
  reason: PolicyActivationReason;
}

@ObjectType()
export class PolicyVersion {
  id: string;
  @Field(() => Int)
  number: number;
  sha256: string;
  authorId: string;
  author: string;
  /** Why it was written */
  note: string;
  createdAt: Date;
  /** Whether it rules now */
  active: boolean;
  /** The newest first, twenty at the most */
  activations: PolicyActivation[];
}

@ObjectType()
export class PolicyVersionPage {
  items: PolicyVersion[];
  nextCursor: string | null;
}

@ObjectType()
export class PolicyVersionText extends PolicyVersion {
  text: string;
  /** Against the version before, the first against what is shipped: unified, line by line; empty when nothing differs */
  diff: string;
}

@ArgsType()
export class PolicyVersionQuery {
  @IsOptional()
  @MaxLength(100)
  cursor?: string;
  @IsOptional()
  @Field(() => Int, { nullable: true })
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(200)
  limit?: number;
}

@InputType()
export class CheckPolicies {
  /** Cedar: every policy with @id, every forbid with @advice */
  @IsString()
  @MinLength(1)
  @MaxLength(MAX_TEXT)
  text: string;
}

@InputType()
export class ActivatePolicies extends CheckPolicies {
  /** Why, for the record */
  @Matches(READABLE, { message: 'note must say something, in printable characters' })
  @MaxLength(1000)
  note: string;
  /** Number of the version that rules as you know it; 0: what is shipped */
  @Field(() => Int)
  @IsInt()
  @Min(0)
  @Max(2_147_483_647)
  basedOn: number;
}

@InputType()
export class RollBackPolicies {
  /** Version to go back to; 0: what is shipped */
  @Field(() => Int)
  @IsInt()
  @Min(0)
  @Max(2_147_483_647)
  number: number;
}

@InputType()
export class SimulatePolicies extends CheckPolicies {
  /** On how many decisions: the newest of everybody, in turns; 1,000 when nothing is said */
  @IsOptional()
  @Field(() => Int, { nullable: true })
  @IsInt()
  @Min(1)
  @Max(MAX_DRY_RUN)
  last?: number;
}

/** One thing that is wrong with a text. */
@ObjectType()
export class PolicyFlaw {
  message: string;
  /** @id of the policy */
  policy: string | null;
  /** From 1 */
  @Field(() => Int, { nullable: true })
  line: number | null;
  /** In characters, from 1 */
  @Field(() => Int, { nullable: true })
  column: number | null;
}

@ObjectType()
export class PolicyCheck {
  valid: boolean;
  problems: PolicyFlaw[];
  /** Those of a text that is valid */
  policies: PolicyRule[];
}

/** What was answered, or would be. */
@ObjectType()
export class PolicyOutcome {
  allowed: boolean;
  /** How many people must agree at the least, by those that allowed */
  @Field(() => Int)
  approvals: number;
  /** Ids of those that decided; none where nothing permits */
  policies: string[];
}

/** A decision that would be another. */
@ObjectType()
export class PolicyChange {
  at: Date;
  actorId: string;
  actor: string;
  action: string;
  /** Kind of what it was about, such as Profile or Grant */
  subjectType: string;
  subjectId: string;
  before: PolicyOutcome;
  after: PolicyOutcome;
  /** Why it could not be decided, which denies; such as a question from before an upgrade */
  faults: string[];
}

/** A dry run: what the newest decisions about everybody would be under another policy. */
@ObjectType()
export class PolicySimulation {
  /** Decisions that were tried */
  @Field(() => Int)
  decisions: number;
  /** The oldest of them */
  since: Date | null;
  @Field(() => Int)
  unchanged: number;
  /** Refused then, and allowed by this */
  @Field(() => Int)
  newlyAllowed: number;
  /** Allowed then, and refused by this */
  @Field(() => Int)
  newlyRefused: number;
  /** Allowed both times, with another number of approvals */
  @Field(() => Int)
  otherApprovals: number;
  /** The newest 500 of those that would change */
  changes: PolicyChange[];
}
