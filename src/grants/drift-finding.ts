import type { Prisma } from '../generated/prisma/client.js';
import type { GrantState, Mode } from '../generated/prisma/enums.js';
import type { DriftKind } from './drift.contract.js';

/** What a look for drift knows of one grant. */
export interface GrantToCompare {
  id: string;
  login: string;
  personId: string;
  state: GrantState;
  endsAt: Date;
  openedAt: Date | null;
  closedAt: Date | null;
  /** Set while a reconcile is to come: a moved end is on its way to the target, or is tried again. */
  nextAttemptAt: Date | null;
  groups: readonly string[];
  method: 'iam' | 'password';
  mode: Mode;
  principalArn: string | null;
}

/** The columns of a grant that are compared. */
export const compared = {
  ...{ id: true, login: true, personId: true, state: true, endsAt: true, openedAt: true, closedAt: true },
  ...{ nextAttemptAt: true, groups: true, method: true, mode: true, principalArn: true },
} satisfies Prisma.GrantSelect;

/** The grants of one login that count. */
export interface Given {
  live: readonly GrantToCompare[];
  moving: readonly GrantToCompare[];
}

/** What a repair does; null where only somebody else can. */
export type Repair =
  { how: 'reconcile'; login: string } | { how: 'detach'; principalArn: string; policyName: string } | null;

export interface Finding {
  kind: `${DriftKind}`;
  /** With `kind`, the same at every look. */
  subject: string;
  /** What was found, for an administrator. */
  message: string;
  /** What a repair does, or what only others can do. */
  remedy: string;
  repair: Repair;
  login: string | null;
  grantId: string | null;
}

/** Clocks may differ by so much: those of two of our own processes, and a target's, which closes leases by its own. */
const SKEW_MS = 5_000;

/** What was over before this moment was over when the look began, whoever's clock said so. */
export const settledBefore = (since: Date): Date => new Date(since.getTime() - SKEW_MS);

/**
 * Whether a grant gave access all the time from `since` to `now`. `moving` is one that a reconcile is at work on, or was:
 * what it should have at the moment of the look cannot be told, so nothing of it is held against the target.
 */
export function standing(grant: GrantToCompare, since: Date, now: Date): 'live' | 'moving' | 'none' {
  const settled = settledBefore(since);
  switch (grant.state) {
    case 'active': {
      const lives = now.getTime() + SKEW_MS < grant.endsAt.getTime();
      return lives && grant.openedAt !== null && grant.openedAt < settled ? 'live' : 'moving';
    }
    case 'opening':
    case 'closing':
      return 'moving';
    case 'closed':
    case 'failed':
      return grant.closedAt !== null && grant.closedAt < settled ? 'none' : 'moving';
    case 'scheduled':
      return 'none';
  }
}

/** By kind and subject, each once. */
export function sorted<F extends Finding>(found: readonly F[]): F[] {
  const once = new Map(found.map((finding) => [nameOf(finding), finding]));
  return [...once].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, finding]) => finding);
}

/** What a finding is known by from one look to the next. */
export const nameOf = ({ kind, subject }: { kind: string; subject: string }): string => `${kind} ${subject}`;

/** A finding about a login, mended by a reconcile of it. */
export const mendable = (
  of: { login: string; grantId?: string },
  words: Pick<Finding, 'kind' | 'subject' | 'message' | 'remedy'>,
): Finding => ({
  ...words,
  repair: { how: 'reconcile', login: of.login },
  login: of.login,
  grantId: of.grantId ?? null,
});

/** A finding that only somebody else can put right. */
export const reported = (
  login: string | null,
  words: Pick<Finding, 'kind' | 'subject' | 'message' | 'remedy'>,
): Finding => ({ ...words, repair: null, login, grantId: null });
