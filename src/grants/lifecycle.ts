import type { GrantState } from '../generated/prisma/enums.js';

/** Why a grant ends, as it is kept with the grant and told to the target. */
export type CloseReason = 'expired' | 'revoked' | 'could not be opened';

interface Timed {
  state: GrantState;
  startsAt: Date;
  endsAt: Date;
}

export const isOver = (state: GrantState): boolean => state === 'closed' || state === 'failed';

/** The grant should give access at this moment. */
export const isDesired = (grant: Timed, now: Date): boolean =>
  (grant.state === 'opening' || grant.state === 'active') && now >= grant.startsAt && now < grant.endsAt;

/** A token may be made: the access is there, and is not being taken away. */
export const isLive = (grant: Timed, now: Date): boolean => grant.state === 'active' && now < grant.endsAt;

/** The move that time alone demands, if any. */
export function due(grant: Timed, now: Date): GrantState | undefined {
  const ended = now >= grant.endsAt;
  switch (grant.state) {
    case 'scheduled':
      if (ended) return 'closed';
      return now >= grant.startsAt ? 'opening' : undefined;
    case 'opening':
    case 'active':
      return ended ? 'closing' : undefined;
    case 'closing':
    case 'closed':
    case 'failed':
      return undefined;
  }
}

/** Where ending it by hand leads, or undefined when there is nothing to end. */
export function endedByHand(state: GrantState): 'closing' | 'closed' | undefined {
  switch (state) {
    case 'scheduled':
      return 'closed'; // nothing was opened
    case 'opening':
    case 'active':
      return 'closing';
    case 'closing':
    case 'closed':
    case 'failed':
      return undefined;
  }
}

/** Whether waiting for a state still makes sense. */
export function mayStillReach(state: GrantState, wanted: GrantState): boolean {
  const order: readonly GrantState[] = ['scheduled', 'opening', 'active', 'closing', 'closed'];
  if (isOver(state)) return false;
  return wanted === 'failed' || order.indexOf(wanted) > order.indexOf(state);
}

const CAP_MS = 60_000;
const FIRST_MS = 500;

/**
 * Milliseconds until the next try; it never gives up, and waits at most a minute.
 * @param attempts tries that failed so far, at least 1
 * @param random 0..1: spreads those who fail together
 */
export const backoff = (attempts: number, random: number): number => {
  const full = Math.min(CAP_MS, FIRST_MS * 2 ** Math.min(attempts - 1, 10));
  return Math.round(full / 2 + (full / 2) * random);
};
