import type { Prisma } from '../generated/prisma/client.js';
import { DomainError } from '../platform/errors.js';
import type { DelegationFacts } from '../policy/policy.contract.js';
import { DelegationState, type Delegation } from './delegations.contract.js';

export const withBoth = {
  delegator: {
    select: {
      ...{ id: true, name: true, email: true, issuer: true, subject: true },
      ...{ groups: true, locked: true, removedAt: true },
    },
  },
  delegate: { select: { name: true } },
} satisfies Prisma.DelegationInclude;
export type DelegationRow = Prisma.DelegationGetPayload<{ include: typeof withBoth }>;

/** How far ahead one may begin, in milliseconds. */
const LONGEST_LEAD = 90 * 86_400_000;
const DAY = 86_400_000;

export function stateOf(row: Pick<DelegationRow, 'startsAt' | 'endsAt' | 'endedAt'>, now: Date): DelegationState {
  if (row.endedAt !== null || row.endsAt <= now) return DelegationState.ended;
  return row.startsAt <= now ? DelegationState.live : DelegationState.scheduled;
}

/** Rows that are in this state at this moment. */
export function inState(state: DelegationState, now: Date): Prisma.DelegationWhereInput {
  const open = { endedAt: null, endsAt: { gt: now } };
  if (state === DelegationState.live) return { ...open, startsAt: { lte: now } };
  if (state === DelegationState.scheduled) return { ...open, startsAt: { gt: now } };
  return { OR: [{ endedAt: { not: null } }, { endsAt: { lte: now } }] };
}

/** Those by which somebody may vote at this moment. Of who may do nothing, nothing is handed on. */
export const liveFor = (delegateId: string, now: Date): Prisma.DelegationWhereInput => ({
  ...inState(DelegationState.live, now),
  delegateId,
  delegator: { locked: false, removedAt: null },
});

/**
 * When it begins and ends.
 * @param maxDays for which one may last
 * @throws DomainError `invalid_start`, `invalid_end`
 */
export function periodOf(
  { startsAt, endsAt }: { startsAt?: Date; endsAt: Date },
  now: Date,
  maxDays: number,
): { startsAt: Date; endsAt: Date } {
  const lead = (startsAt?.getTime() ?? now.getTime()) - now.getTime();
  if (!(lead >= -60_000 && lead <= LONGEST_LEAD))
    throw new DomainError(
      'invalid',
      'invalid_start',
      'A delegation may begin now or within 90 days.',
      'Leave startsAt out to begin at once.',
    );
  const start = startsAt !== undefined && startsAt > now ? startsAt : now;
  const length = endsAt.getTime() - start.getTime();
  if (length > 0 && length <= maxDays * DAY) return { startsAt: start, endsAt };
  throw new DomainError(
    'invalid',
    'invalid_end',
    `A delegation ends after it begins, and at most ${maxDays} days later.`,
    'Name an earlier end; a later one may follow it.',
  );
}

export const delegationFacts = ({ id, delegatorId, delegateId }: DelegationFacts): DelegationFacts => ({
  ...{ id, delegatorId, delegateId },
});

export const presentDelegation = (row: DelegationRow, now: Date): Delegation => ({
  id: row.id,
  state: stateOf(row, now),
  delegatorId: row.delegatorId,
  delegatorName: row.delegator.name,
  delegateId: row.delegateId,
  delegateName: row.delegate.name,
  reason: row.reason,
  startsAt: row.startsAt,
  endsAt: row.endsAt,
  createdAt: row.createdAt,
  endedAt: row.endedAt,
  endReason: row.endReason,
});

/** Of the record: both names, whoever acts. */
export const bothNames = (row: DelegationRow) => ({
  delegationId: row.id,
  delegator: { id: row.delegatorId, name: row.delegator.name },
  delegate: { id: row.delegateId, name: row.delegate.name },
});
