import type { Prisma } from '../generated/prisma/client.js';
import { DomainError } from '../platform/errors.js';
import type { RequestFacts } from '../policy/policy.contract.js';
import type { IamMode } from '../grants/grants.contract.js';
import { profileFacts } from '../targets/profile.js';
import { targetFacts } from '../targets/target.js';
import type { LoginMethod } from '../targets/targets.contract.js';
import type { AccessRequest, Plan, RequestState, Verdict } from './requests.contract.js';

export const withVotes = {
  person: { select: { name: true } },
  profile: true,
  target: true,
  votes: { include: { person: { select: { name: true } } }, orderBy: { id: 'asc' } },
  grant: { select: { id: true } },
} satisfies Prisma.RequestInclude;

export type RequestRow = Prisma.RequestGetPayload<{ include: typeof withVotes }>;

export const presentRequest = (row: RequestRow): AccessRequest => ({
  id: row.id,
  targetId: row.targetId,
  profileId: row.profileId,
  personId: row.personId,
  personName: row.person.name,
  database: row.database,
  durationMinutes: row.durationMinutes,
  reason: row.reason,
  ticket: row.ticket,
  startsAt: row.startsAt,
  method: row.method as LoginMethod,
  mode: row.mode as IamMode,
  state: row.state as RequestState,
  approvalsNeeded: row.approvalsNeeded,
  votes: row.votes.map(({ personId, person, verdict, comment, createdAt }) => ({
    personId,
    personName: person.name,
    verdict: verdict as Verdict,
    comment,
    at: createdAt,
  })),
  policies: row.policies,
  plan: row.plan as unknown as Plan,
  grantId: row.grant?.id ?? null,
  createdAt: row.createdAt,
  decideBy: row.decideBy,
  decidedAt: row.decidedAt,
});

export const requestFacts = (row: RequestRow): RequestFacts => ({
  id: row.id,
  requesterId: row.personId,
  profile: profileFacts(row.profile, targetFacts(row.target)),
  approverIds: approvers(row),
});

const approvers = (row: RequestRow): string[] =>
  row.votes.filter(({ verdict }) => verdict === 'approve').map(({ personId }) => personId);

/** People other than the requester who agreed; nobody counts twice. */
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

export const notFound = (): DomainError =>
  new DomainError(
    'not_found',
    'request_not_found',
    'There is no such request, or it is not yours to see.',
    'GET /v1/requests lists yours.',
  );
