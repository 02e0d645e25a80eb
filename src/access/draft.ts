import { v7 } from 'uuid';
import type { Prisma } from '../generated/prisma/client.js';
import type { IamMode } from '../grants/grants.contract.js';
import type { AccessContext, Decision } from '../policy/policy.contract.js';
import type { ProfileRow } from '../targets/profile.js';
import { keptStage, type Stage } from '../targets/stages.js';
import type { TargetRow } from '../targets/target.js';
import type { LoginMethod } from '../targets/targets.contract.js';
import { keptPlan, keptStages } from './request.js';
import type { AccessDecision, CreateRequest, Plan } from './requests.contract.js';

/** A request that fits, before anybody agreed to it. */
export interface Draft {
  target: TargetRow;
  profile: ProfileRow;
  database: string;
  method: LoginMethod;
  mode: IamMode;
  principalArn: string | null;
  decision: Decision;
  skip: Decision;
  approvalsNeeded: number;
  /** Of the profile, with the owners where more people must agree; empty where whoever policy lets may agree */
  stages: Stage[];
}

/** What a plan is made of. */
export type Planned = Pick<Draft, 'target' | 'profile' | 'method' | 'mode' | 'principalArn'>;

/** What policy is told of an ask, beside the profile. */
export const contextOf = (
  { durationMinutes, ticket }: Pick<CreateRequest, 'durationMinutes' | 'ticket'>,
  { method, mode }: Pick<Draft, 'method' | 'mode'>,
): AccessContext => ({ durationMinutes, method, mode, hasTicket: Boolean(ticket) });

export const presentDecision = ({ decision, approvalsNeeded: needed, stages }: Draft): AccessDecision => ({
  allowed: decision.allowed,
  autoApproved: decision.allowed && needed === 0,
  approvalsNeeded: needed,
  stages: stages.map(keptStage),
  policies: [...decision.policies],
  advice: [...decision.advice],
});

/** Ids of the policies that allow it, and that let it pass without anybody's yes. */
export const policiesOf = ({ decision, skip, approvalsNeeded: needed }: Draft): string[] =>
  [...new Set([...decision.policies, ...(needed === 0 ? skip.policies : [])])].sort();

/** The row of a request that policy allows: approved at once where nobody need agree. */
export function newRequest(
  draft: Draft,
  input: CreateRequest,
  own: { grantId: string; personId: string; plan: Plan; now: Date; ttl: number },
): Prisma.RequestUncheckedCreateInput {
  const { target, profile, database, method, mode, principalArn } = draft;
  const auto = draft.approvalsNeeded === 0;
  return {
    id: v7(),
    grantId: own.grantId,
    targetId: target.id,
    profileId: profile.id,
    personId: own.personId,
    login: own.plan.login,
    database,
    durationMinutes: input.durationMinutes,
    reason: input.reason,
    ticket: input.ticket ?? null,
    breakGlass: input.breakGlass ?? false,
    startsAt: input.startsAt ?? null,
    method,
    mode,
    principalArn,
    state: auto ? 'approved' : 'pending',
    approvalsNeeded: draft.approvalsNeeded,
    ...keptStages(draft.stages),
    policies: policiesOf(draft),
    plan: keptPlan(own.plan),
    createdAt: own.now,
    decideBy: new Date(own.now.getTime() + own.ttl * 60_000),
    decidedAt: auto ? own.now : null,
  };
}
