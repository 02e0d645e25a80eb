import type { DomainError } from '../platform/errors.js';
import { faultBehind, type InspectedLogin } from '../postgres/postgres.contract.js';
import { isOpen, leaseOf, remains, type GrantToPlan } from './plan.js';

/** Refusals of the guard that no waiting will change: the grant cannot be opened. */
const HOPELESS = new Set([
  'login_name',
  'person',
  'profile',
  'method',
  'ends_at',
  'group',
  'plan',
  'not_managed',
  'retired',
  'attributes',
  'member',
  'other_method',
  'rds_password',
  'grant_closed',
  'grant_id',
  'grant_taken',
]);

/** Why a grant's policy may still be there, in words; `forMs`, where it is known when that is over. */
export interface MayRemain {
  readonly why: string;
  readonly forMs?: number;
}

/** What was done on the way, for the record. */
export interface Done {
  /** Grants that the login was shut to, by us or by a sweep. */
  fenced: Set<string>;
  /** Grants whose IAM policy was taken off, and seen to be gone. */
  detached: Set<string>;
  /** Grants whose IAM policy is there, or may still come, and why. */
  attached: Map<string, MayRemain>;
  sessionsEnded: number;
  /** This very round made the login what its leases say: with `repair`, or by opening one of them. */
  remade: boolean;
  /** Openings, and moves of an end, that were refused. */
  refused: Map<string, DomainError>;
  /** What stopped the work on this login, beside openings. */
  failed: DomainError | undefined;
}

export const nothingDone = (): Done => ({
  fenced: new Set(),
  detached: new Set(),
  attached: new Map(),
  sessionsEnded: 0,
  remade: false,
  refused: new Map(),
  failed: undefined,
});

/** What may be said of one login after the second look. */
export interface Settlement extends Pick<Done, 'fenced' | 'detached' | 'sessionsEnded' | 'refused'> {
  /** Grants that are as they should be. */
  opened: ReadonlySet<string>;
  closed: ReadonlySet<string>;
  /** Those of `refused` that no waiting will change. */
  hopeless: ReadonlyMap<string, DomainError>;
  /** Live grants that the target gives no more, by the word of its owner: they are ended here, too. */
  withdrawn: ReadonlySet<string>;
  /** The ends that the target holds, of grants that live there. */
  ends: ReadonlyMap<string, Date>;
  /** Why the grants that are being ended are not over yet. */
  left: readonly string[];
  /** Milliseconds after which at least one of those is over; infinite where nobody can tell. */
  leftForMs: number;
}

/**
 * Who is open, who is over, and what stands in the way of the others.
 * @param elsewhere what is left on readers, in words
 */
export function conclude(
  desired: readonly GrantToPlan[],
  ending: readonly GrantToPlan[],
  after: InspectedLogin | undefined,
  elsewhere: readonly string[],
  done: Done,
): Settlement {
  const opened = desired.filter((grant) => isOpen(grant, after) && !done.refused.has(grant.id));
  const onTarget = [...(desired.length === 0 ? remains(after) : lost(desired, ending, after)), ...elsewhere];
  // nothing to be seen is no proof where a step failed: a session may hide, and an opening may be on its way
  const clean = onTarget.length === 0 && done.failed === undefined;
  const inIam = [...done.attached.values()].map(({ why }) => `the IAM policy: ${why}`);
  const hopeless = new Map([...done.refused].filter(([, error]) => isHopeless(error)));
  return {
    opened: new Set(opened.map(({ id }) => id)),
    closed: new Set(clean ? ending.map(({ id }) => id).filter((id) => !done.attached.has(id)) : []),
    refused: done.refused,
    hopeless,
    withdrawn: new Set(desired.filter((grant) => isWithdrawn(grant, after, done, hopeless)).map(({ id }) => id)),
    ends: new Map((after?.leases ?? []).map(({ grantId, endsAt }) => [grantId, endsAt])),
    left: [...(done.failed ? [done.failed.message] : []), ...onTarget, ...inIam],
    leftForMs: Math.min(...[...done.attached.values()].map(({ forMs = Infinity }) => forMs)),
    fenced: done.fenced,
    detached: done.detached,
    sessionsEnded: done.sessionsEnded,
  };
}

/**
 * Its lease is gone and is refused for ever; or the lease is there and gives not even the right to log in, although this
 * very round made the login what its leases say: the profile was disabled there, or its method taken away. Where nothing
 * was made, somebody else may have shut it between the two looks: the next round mends that.
 */
function isWithdrawn(
  grant: GrantToPlan,
  after: InspectedLogin | undefined,
  done: Done,
  hopeless: ReadonlyMap<string, DomainError>,
): boolean {
  if (grant.state !== 'active' || done.failed) return false;
  if (leaseOf(grant, after) === undefined) return hopeless.has(grant.id);
  return done.remade && after?.exists === true && !after.canLogin && !done.refused.has(grant.id);
}

/** What the ended grants still give although those that live do not. */
function lost(
  desired: readonly GrantToPlan[],
  ending: readonly GrantToPlan[],
  after: InspectedLogin | undefined,
): string[] {
  const ended = new Set(ending.map(({ id }) => id));
  const kept = new Set(desired.flatMap(({ groups }) => groups));
  const gone = new Set(ending.flatMap(({ groups }) => groups).filter((role) => !kept.has(role)));
  return [
    ...(after?.leases ?? [])
      .filter(({ grantId }) => ended.has(grantId))
      .map(({ grantId }) => `the lease of ${grantId} is live`),
    ...(after?.memberships ?? [])
      .filter(({ role }) => gone.has(role))
      .map(({ role, grantor }) => `it is still a member of ${role} (granted by ${grantor})`),
  ];
}

const isHopeless = (error: DomainError): boolean =>
  error.kind !== 'unavailable' || error.code === 'aws_denied' || HOPELESS.has(faultBehind(error)?.reason ?? '');

/** Of the target, not of one login: whatever is asked there next would meet the same. */
const OF_THE_TARGET = new Set([
  ...['55P03', '57014', '28000', '28P01', '25006'],
  // no room: on disk, in memory (also a lock table that is full), for connections; and what an administrator has cut off
  ...['53000', '53100', '53200', '53300', '53400', '57P01', '57P02', '57P03', '58000', '58030'],
]);

/** Whether a failure is of the whole target: then nothing more is asked of it for a while, on behalf of anybody. */
export function isOfTheTarget(error: DomainError): boolean {
  const { reason, fault = '' } = faultBehind(error) ?? {};
  if (reason !== undefined) return reason === 'isolation'; // the guard answers: it refuses this one thing
  return (
    ['target_unreachable', 'target_untrusted', 'target_not_ready'].includes(error.code) || OF_THE_TARGET.has(fault)
  );
}
