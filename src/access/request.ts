import type { Prisma } from '../generated/prisma/client.js';
import { DomainError } from '../platform/errors.js';
import type { RequestFacts } from '../policy/policy.contract.js';
import type { IamMode } from '../grants/grants.contract.js';
import { profileFacts } from '../targets/profile.js';
import { targetFacts } from '../targets/target.js';
import type { LoginMethod } from '../targets/targets.contract.js';
import type { AccessRequest, Plan, RequestKind, RequestState, Verdict } from './requests.contract.js';

export const withVotes = {
  person: { select: { name: true } },
  profile: true,
  target: true,
  votes: { include: { person: { select: { name: true, locked: true, removedAt: true } } }, orderBy: { id: 'asc' } },
  grant: { select: { id: true, state: true } },
  extends: { select: { groups: true, connectionLimit: true, createsRoles: true, startsAt: true, endsAt: true } },
  replacedBy: { select: { id: true } },
} satisfies Prisma.RequestInclude;

export type RequestRow = Prisma.RequestGetPayload<{ include: typeof withVotes }>;

export const presentRequest = (row: RequestRow): AccessRequest => ({
  id: row.id,
  kind: row.kind as RequestKind,
  targetId: row.targetId,
  profileId: row.profileId,
  personId: row.personId,
  personName: row.person.name,
  database: row.database,
  durationMinutes: row.durationMinutes,
  reason: row.reason,
  ticket: row.ticket,
  breakGlass: row.breakGlass,
  startsAt: row.startsAt,
  method: row.method as LoginMethod,
  mode: row.mode as IamMode,
  state: row.state as RequestState,
  approvalsNeeded: row.approvalsNeeded,
  votes: row.votes.map(({ personId, person, verdict, comment, planRevision, createdAt }) => ({
    personId,
    personName: person.name,
    verdict: verdict as Verdict,
    comment,
    planRevision,
    at: createdAt,
  })),
  policies: row.policies,
  plan: planOf(row),
  planRevision: row.planRevision,
  grantId: row.grant?.id ?? (row.state === 'approved' ? row.extendsId : null),
  extendsId: row.extendsId,
  replacesId: row.replacesId,
  replacedById: row.replacedBy?.id ?? null,
  createdAt: row.createdAt,
  decideBy: row.decideBy,
  decidedAt: row.decidedAt,
  closeReason: row.closeReason,
});

/** The plan as it was shown; in the store its instants are text. */
export function planOf(row: Pick<RequestRow, 'plan'>): Plan {
  // what was shown before a plan named them has neither
  const plan = row.plan as unknown as Omit<Plan, 'endsAt' | 'createsRoles'> & {
    endsAt?: string | null;
    createsRoles?: boolean;
  };
  return { ...plan, createsRoles: plan.createsRoles ?? false, endsAt: plan.endsAt ? new Date(plan.endsAt) : null };
}

/** A plan as the store keeps it. */
export const keptPlan = (plan: Plan): Prisma.InputJsonObject =>
  ({ ...plan, endsAt: plan.endsAt?.toISOString() ?? null }) as unknown as Prisma.InputJsonObject;

export const requestFacts = (row: RequestRow): RequestFacts => ({
  id: row.id,
  requesterId: row.personId,
  profile: profileFacts(row.profile, targetFacts(row.target)),
  approverIds: approvers(row),
});

/** A vote is for one plan: those for a plan that was renewed since say nothing of the present one. */
const present = (row: RequestRow): RequestRow['votes'] =>
  row.votes.filter(({ planRevision }) => planRevision === row.planRevision);

export const hasVoted = (row: RequestRow, personId: string): boolean =>
  present(row).some((vote) => vote.personId === personId);

const approvers = (row: RequestRow): string[] =>
  present(row)
    .filter(({ verdict, person }) => verdict === 'approve' && person.removedAt === null && !person.locked)
    .map(({ personId }) => personId);

/** People other than the requester who agreed to the present plan; nobody counts twice, and nobody who was removed or is locked. */
export const approvals = (row: RequestRow): number => new Set(approvers(row).filter((id) => id !== row.personId)).size;

/** When access begins and ends, counted from the moment of the last yes. */
export function period(
  ask: { startsAt: Date | null; durationMinutes: number },
  now: Date,
): { startsAt: Date; endsAt: Date } {
  const startsAt = ask.startsAt !== null && ask.startsAt > now ? ask.startsAt : now;
  return { startsAt, endsAt: new Date(startsAt.getTime() + ask.durationMinutes * 60_000) };
}

export const alreadyVoted = (): DomainError =>
  new DomainError(
    'conflict',
    'already_voted',
    'You have decided on this request already.',
    'Somebody else must decide now.',
  );

export const notPending = (state: string): DomainError =>
  new DomainError(
    'conflict',
    'request_not_pending',
    `The request is ${state} already.`,
    'Only a pending request can be decided or cancelled.',
  );
