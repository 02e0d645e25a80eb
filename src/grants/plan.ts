import type { GrantState, Mode } from '../generated/prisma/enums.js';
import type { InspectedLease, InspectedLogin, InspectedMembership } from '../postgres/postgres.contract.js';

/** What a reconcile knows of one grant. */
export interface GrantToPlan {
  id: string;
  state: GrantState;
  endsAt: Date;
  /** The target once gave it: no opening can be on its way there any more. */
  opened: boolean;
  guardProfile: string;
  /** PostgreSQL group roles that the plan promised. */
  groups: readonly string[];
  /** Its profile gives CREATEROLE. */
  createsRoles: boolean;
  method: 'iam' | 'password';
  mode: Mode;
}

/** What has to be done, each step safe to repeat. A closed union: a new kind must be handled everywhere. */
export type Change =
  | { kind: 'close'; grantId: string }
  | { kind: 'repair' }
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
  /** A look for drift found something: say everything again, also what looks right from here. */
  repair?: boolean;
}

/**
 * The difference between what should be and what is, in the order in which it must be applied: the door first (NOLOGIN
 * and memberships go together inside `close`), then IAM, then the sessions; only then is anything new opened.
 *
 * - Ending a grant that the target does not know is asked for all the same: an opening that was cut off by a crash may
 *   still be on its way there, and the guard then refuses it. Not so for one that was open once and whose lease is gone:
 *   its id is used up there.
 * - `open` gives a lease, and moves the end of one that is there (an extension, a shortening).
 * - `repair` is for a login that is not what its leases say: a membership lost or won, a role attribute that appeared.
 */
export function plan(situation: Situation): Change[] {
  const { desired, ending, actual } = situation;
  return [
    ...orphans(situation).map((grantId): Change => ({ kind: 'close', grantId })),
    ...ending
      .filter((grant) => !grant.opened || leaseOf(grant, actual) !== undefined)
      .map(({ id }): Change => ({ kind: 'close', grantId: id })),
    ...(mustRepair(situation) ? [{ kind: 'repair' } as const] : []),
    ...ending.filter(attached).map(({ id }): Change => ({ kind: 'detach', grantId: id })),
    ...(mustTerminate(situation) ? [{ kind: 'terminate' } as const] : []),
    ...desired.filter((grant) => mustOpen(grant, actual)).map(({ id }): Change => ({ kind: 'open', grantId: id })),
    ...desired
      .filter((grant) => attached(grant) && (grant.state === 'opening' || situation.repair))
      .map(({ id }): Change => ({ kind: 'attach', grantId: id })),
  ];
}

/** The live lease of a grant on the target; it stays when the role is dropped, and the next role of that name would have it. */
export const leaseOf = (
  { id }: Pick<GrantToPlan, 'id'>,
  actual: InspectedLogin | undefined,
): InspectedLease | undefined => actual?.leases.find(({ grantId }) => grantId === id);

/**
 * The target gives what the grant says: its lease to the same end, the right to log in, and at the opening every group
 * that was promised. Later the target's word is final: its owner may take a group off the allow-list while the grant
 * lives, and the grant stays active with less. It never grows.
 */
export const isOpen = (grant: GrantToPlan, actual: InspectedLogin | undefined): boolean =>
  !mustOpen(grant, actual) && actual?.canLogin === true && holdsAll(actual, entrance(grant));

/** Leases that no grant asks for: left by somebody else, or by a store that was restored from an older copy. */
function orphans({ desired, ending, actual }: Situation): string[] {
  const known = new Set([...desired, ...ending].map(({ id }) => id));
  return (actual?.leases ?? [])
    .map(({ grantId }) => grantId)
    .filter((id) => !known.has(id))
    .sort();
}

function mustOpen(grant: GrantToPlan, actual: InspectedLogin | undefined): boolean {
  const lease = leaseOf(grant, actual);
  if (!actual?.exists || lease?.endsAt.getTime() !== grant.endsAt.getTime()) return true;
  return grant.state === 'opening' && !(actual.canLogin && holdsAll(actual, [...grant.groups, ...entrance(grant)]));
}

/** Asked of a role that is there; what `close` and `open` put right on their way is not asked for twice. */
function mustRepair(situation: Situation): boolean {
  const { desired, ending, actual } = situation;
  if (!actual?.exists) return false;
  if (situation.repair) return true;
  if (desired.length === 0) {
    const closes = ending.some((grant) => !grant.opened) || actual.leases.length > 0;
    return !closes && (actual.canLogin || actual.memberships.some(gives));
  }
  const lacks = desired.some(
    (grant) =>
      !mustOpen(grant, actual) && !(actual.canLogin && holdsAll(actual, [...grant.groups, ...entrance(grant)])),
  );
  return lacks || actual.attributes.some((attribute) => !mayCarry(desired, attribute));
}

/**
 * Sessions go when nothing gives access any more. Up to PostgreSQL 15 they also go when anything was lost: a session
 * that did SET ROLE into a group keeps it after the REVOKE.
 */
function mustTerminate(situation: Situation): boolean {
  const loses = situation.ending.length > 0 || orphans(situation).length > 0 || strays(situation);
  const nothingLeft = situation.desired.length === 0;
  const hasSessions = (situation.actual?.backends.length ?? 0) > 0;
  return (loses && (nothingLeft || situation.serverMajor < 16)) || (nothingLeft && hasSessions);
}

/** A repair takes away memberships that no grant gives: for the sessions that is a loss like any other. */
function strays(situation: Situation): boolean {
  const given = new Set([...situation.desired.flatMap(({ groups }) => groups), 'rds_iam']);
  return (
    mustRepair(situation) && (situation.actual?.memberships ?? []).some((held) => gives(held) && !given.has(held.role))
  );
}

/**
 * From 16 on the maker of a role is its ADMIN without INHERIT and SET, by the server's own hand: it gives no right of that
 * role, nobody but the server could take it, and only people whose profile gives CREATEROLE have it.
 */
const gives = ({ admin, inherit, set }: InspectedMembership): boolean => !(admin && inherit === false && set === false);

const attached = (grant: GrantToPlan): boolean => grant.mode === 'attached';

/** The membership by which a login comes in. */
const entrance = ({ method }: GrantToPlan): string[] => (method === 'iam' ? ['rds_iam'] : []);

const holdsAll = ({ memberships }: InspectedLogin, roles: readonly string[]): boolean => {
  const held = new Set(memberships.map(({ role }) => role));
  return roles.every((role) => held.has(role));
};

const mayCarry = (desired: readonly GrantToPlan[], attribute: string): boolean =>
  attribute === 'createrole' && desired.some(({ createsRoles }) => createsRoles);

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
  const roles = actual.memberships.filter(gives).map(({ role, grantor }) => `${role} (granted by ${grantor})`);
  if (roles.length > 0) found.push(`it is still a member of ${roles.join(', ')}`);
  return [...found, ...sessions];
}
