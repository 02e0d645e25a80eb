import type { GrantState, Mode } from '../generated/prisma/enums.js';
import type { InspectedLogin } from '../postgres/postgres.contract.js';

/** What a reconcile knows of one grant. */
export interface GrantToPlan {
  id: string;
  state: GrantState;
  endsAt: Date;
  guardProfile: string;
  /** PostgreSQL group roles of the profile as it stands on the target's own allow-list. */
  groups: readonly string[];
  method: 'iam' | 'password';
  mode: Mode;
}

/** What has to be done, each step safe to repeat. A closed union: a new kind must be handled everywhere. */
export type Change =
  | { kind: 'close'; grantId: string }
  | { kind: 'detach'; grantId: string }
  | { kind: 'terminate' }
  | { kind: 'open'; grantId: string }
  | { kind: 'attach'; grantId: string };

/** What should be, and what is. */
export interface Situation {
  /** Grants that should give access now. */
  desired: readonly GrantToPlan[];
  /** Grants that are being ended. */
  ending: readonly GrantToPlan[];
  /** The login role on the target; undefined when it has none. */
  actual: InspectedLogin | undefined;
  /** `server_version_num` / 10000. */
  serverMajor: number;
}

/**
 * The difference between what should be and what is, in the order in which it must be applied: the door first (NOLOGIN
 * and memberships go together inside `close`), then IAM, then the sessions; only then is anything new opened.
 * Ending a grant that the target does not know is asked for all the same: an opening that was cut off by a crash may
 * still be on its way there, and the guard then refuses it.
 */
export function plan(situation: Situation): Change[] {
  const { desired, ending } = situation;
  return [
    ...orphans(situation).map((grantId): Change => ({ kind: 'close', grantId })),
    ...ending.map(({ id }): Change => ({ kind: 'close', grantId: id })),
    ...ending.filter(attached).map(({ id }): Change => ({ kind: 'detach', grantId: id })),
    ...(mustTerminate(situation) ? [{ kind: 'terminate' } as const] : []),
    ...desired
      .filter((grant) => !isOpen(grant, situation.actual))
      .map(({ id }): Change => ({ kind: 'open', grantId: id })),
    ...desired
      .filter((grant) => attached(grant) && grant.state === 'opening')
      .map(({ id }): Change => ({ kind: 'attach', grantId: id })),
  ];
}

const attached = (grant: GrantToPlan): boolean => grant.mode === 'attached';

/** Leases that no grant asks for: left by somebody else, or by a store that was restored from an older copy. */
function orphans({ desired, ending, actual }: Situation): string[] {
  const known = new Set([...desired, ...ending].map(({ id }) => id));
  return (actual?.leases ?? [])
    .map(({ grantId }) => grantId)
    .filter((id) => !known.has(id))
    .sort();
}

/**
 * Sessions go when nothing gives access any more. Up to PostgreSQL 15 they also go when anything was lost: a session
 * that did SET ROLE into a group keeps it after the REVOKE.
 */
function mustTerminate(situation: Situation): boolean {
  const loses = situation.ending.length > 0 || orphans(situation).length > 0;
  const nothingLeft = situation.desired.length === 0;
  const hasSessions = (situation.actual?.backends.length ?? 0) > 0;
  return (loses && (nothingLeft || situation.serverMajor < 16)) || (nothingLeft && hasSessions);
}

/** The target gives what the grant says: its lease to the same end, the right to log in, every group. */
export function isOpen(grant: GrantToPlan, actual: InspectedLogin | undefined): boolean {
  const lease = actual?.leases.find(({ grantId }) => grantId === grant.id);
  if (!actual?.exists || !actual.canLogin || !lease || lease.endsAt.getTime() !== grant.endsAt.getTime()) return false;
  const roles = new Set(actual.memberships.map(({ role }) => role));
  return [...grant.groups, ...(grant.method === 'iam' ? ['rds_iam'] : [])].every((role) => roles.has(role));
}

/**
 * What of a login still gives access although nothing should, in words; empty when it is clean.
 * Asked after the changes were applied: `closed` is said only of what was looked at again.
 */
export function remains(actual: InspectedLogin | undefined): string[] {
  if (!actual) return [];
  // DROP ROLE ends no session either: they are counted for a role that is gone, too
  const sessions = actual.backends.length > 0 ? [`${actual.backends.length} sessions are live`] : [];
  if (!actual.exists) return sessions;
  const found: string[] = [];
  if (actual.canLogin) found.push('it can still log in');
  if (actual.leases.length > 0) found.push(`${actual.leases.length} leases are live`);
  const roles = actual.memberships.map(({ role, grantor }) => `${role} (granted by ${grantor})`);
  if (roles.length > 0) found.push(`it is still a member of ${roles.join(', ')}`);
  return [...found, ...sessions];
}
