import type { Tx } from '../platform/state/database.js';
import type { Settlement } from './conclusion.js';
import type { Work } from './convergence-part.js';
import type { GrantRow } from './grant.js';
import type { GrantRecord } from './ledger.js';

/** Grants that wait for their next try, and why. */
export type Waiting = Map<GrantRow, string>;

/** One transaction of a settlement. */
export interface Book {
  tx: Tx;
  now: Date;
  record: GrantRecord;
  waiting: Waiting;
  ended: Ended;
}

/** How many sessions of a login were ended in this round, by the one grant with which that is told. */
type Ended = Map<string, number>;

/** Sessions are a login's, and each is told of once: with the first of the grants that were being ended, else with the first. */
export function sessionsEnded(works: readonly Work[], found: ReadonlyMap<string, Settlement>): Ended {
  const ended: Ended = new Map();
  for (const { login, grants } of works) {
    const grant = grants.find(({ state }) => state === 'closing') ?? grants[0];
    const sessions = found.get(login)?.sessionsEnded ?? 0;
    if (grant && sessions > 0) ended.set(grant.id, sessions);
  }
  return ended;
}

export function tellEnded({ record, ended }: Book, grant: GrantRow): void {
  const sessions = ended.get(grant.id);
  if (sessions === undefined) return;
  ended.delete(grant.id);
  record.add(grant, 'grant.sessionsEnded', { details: { sessions } });
}
