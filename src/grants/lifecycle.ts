import type { GrantState } from '../generated/prisma/enums.js';
import { DomainError } from '../platform/errors.js';

/** Why a grant ends, as it is kept with the grant and told to the target. */
export type CloseReason =
  | 'expired'
  | 'revoked'
  | 'could not be opened'
  | 'the person was removed'
  | 'the person was locked'
  | 'the target was removed'
  | 'the target was locked'
  | 'withdrawn by the target';

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

/** @throws DomainError `grant_closed` for a grant whose end has come or was made: it is not moved any more */
export function refuseEnded(grant: Timed, now: Date): void {
  if (endedByHand(grant.state) !== undefined && now < grant.endsAt) return;
  throw new DomainError(
    'conflict',
    'grant_closed',
    `The grant is ${isOver(grant.state) || grant.state === 'closing' ? grant.state : 'over'} already.`,
    'Ask for access anew with POST /v1/requests.',
  );
}

/** @throws DomainError `invalid_end` for an end that is not ahead, not after the beginning, or not earlier than the present one */
export function refuseLater(grant: Timed, endsAt: Date, now: Date): void {
  const refuse = (message: string, advice: string): never => {
    throw new DomainError('invalid', 'invalid_end', message, advice);
  };
  if (endsAt <= now) refuse('The end would be in the past.', 'POST /v1/grants/{id}/revoke ends it now.');
  if (endsAt <= grant.startsAt)
    refuse('The grant would end before it begins.', 'POST /v1/grants/{id}/revoke takes it back.');
  if (endsAt >= grant.endsAt)
    refuse(
      `The grant ends at ${grant.endsAt.toISOString()} already.`,
      'POST /v1/grants/{id}/extend asks for more time.',
    );
}

/** Minutes from the beginning of a grant to an end; one that has begun counts whole. */
export const minutesTo = (grant: { startsAt: Date }, endsAt: Date): number =>
  Math.ceil((endsAt.getTime() - grant.startsAt.getTime()) / 60_000);

/** Whether waiting for a state still makes sense. */
export function mayStillReach(state: GrantState, wanted: GrantState): boolean {
  const order: readonly GrantState[] = ['scheduled', 'opening', 'active', 'closing', 'closed'];
  if (isOver(state)) return false;
  return wanted === 'failed' || order.indexOf(wanted) > order.indexOf(state);
}

const CAP_MS = 60_000;
const FIRST_MS = 500;
/** A target that is back is noticed soon enough for all that waits on it to be done within a minute. */
export const DIAL_CAP_MS = 20_000;

/**
 * Milliseconds until the next try; it never gives up, and waits at most a minute.
 * @param attempts tries that failed so far, at least 1
 * @param random 0..1: spreads those who fail together
 * @param cap the longest wait, in milliseconds
 */
export const backoff = (attempts: number, random: number, cap = CAP_MS): number => {
  const full = Math.min(cap, FIRST_MS * 2 ** Math.min(attempts - 1, 10));
  return Math.round(full / 2 + (full / 2) * random);
};
