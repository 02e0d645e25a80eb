import { DomainError } from '../platform/errors.js';
import { isOfTheTarget, nothingDone, type Done } from './conclusion.js';
import type { GrantRow } from './grant.js';
import type { Change, GrantToPlan } from './plan.js';

/** One login of a round, with all its grants that are not over. */
export interface Work {
  login: string;
  grants: readonly GrantRow[];
  /** A look for drift found something. */
  repair: boolean;
}

/** One login in the middle of a round. */
export interface Part extends Work {
  byId: ReadonlyMap<string, GrantRow>;
  desired: GrantToPlan[];
  ending: GrantToPlan[];
  changes: Change[];
  /** Seen at the first look. */
  sessions: number;
  done: Done;
}

/** Milliseconds after which a closing that goes on was not begun by this round. */
const INTERRUPTED_MS = 5_000;

export function partOf(work: Work): Part {
  const { grants } = work;
  return {
    ...work,
    byId: new Map(grants.map((grant) => [grant.id, grant])),
    desired: grants.filter(({ state }) => state !== 'closing').map(toPlan),
    ending: grants.filter(({ state }) => state === 'closing').map(toPlan),
    changes: [],
    sessions: 0,
    done: nothingDone(),
  };
}

/** What fails for one login is told with it; what fails for the target goes on up. */
export async function attempt({ done }: Part, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof DomainError) || isOfTheTarget(error)) throw error;
    done.failed ??= error;
  }
}

/** A grant that is refused must not keep others from being opened, nor any from being closed. */
export async function opening({ done }: Part, { id }: GrantRow, open: () => Promise<unknown>): Promise<void> {
  if (done.refused.has(id)) return;
  try {
    await open();
  } catch (error) {
    if (!(error instanceof DomainError) || isOfTheTarget(error)) throw error;
    done.refused.set(id, error);
  }
}

/** An earlier try may have been cut off, and have left something lent. */
export const isInterrupted = ({ grants }: Part, now: Date): boolean =>
  grants.some(
    ({ attempts, closingSince }) =>
      closingSince !== null && (attempts > 0 || now.getTime() - closingSince.getTime() > INTERRUPTED_MS),
  );

const toPlan = (grant: GrantRow): GrantToPlan => ({
  id: grant.id,
  state: grant.state,
  endsAt: grant.endsAt,
  opened: grant.openedAt !== null,
  guardProfile: grant.guardProfile,
  groups: grant.groups,
  createsRoles: grant.createsRoles,
  method: grant.method,
  mode: grant.mode,
});

export const leaseToOpen = (grant: GrantRow) => ({
  login: grant.login,
  person: grant.personId,
  profile: grant.guardProfile,
  groups: grant.groups,
  connectionLimit: grant.connectionLimit,
  createsRoles: grant.createsRoles,
  grantId: grant.id,
  endsAt: grant.endsAt,
  method: grant.method,
});
