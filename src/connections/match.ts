import type { TargetBackend } from '../postgres/postgres.contract.js';
import { grantIdOf } from './recipe-input.js';

/** What is known of a grant when a session is matched. */
export interface GrantPeriod {
  id: string;
  personId: string;
  login: string;
  openedAt: Date | null;
  endsAt: Date;
  closedAt: Date | null;
}

/** Clocks of target and broker may differ by so much. */
const SKEW_MS = 30_000;

/**
 * The grant under which a session was opened: of its own login and live when the session began. Among several, the one
 * that the session names, else the one opened last before it. The name alone proves nothing: any client may write it.
 */
export function matchGrant(
  backend: Pick<TargetBackend, 'login' | 'backendStart' | 'applicationName'>,
  grants: readonly GrantPeriod[],
): GrantPeriod | undefined {
  const began = backend.backendStart?.getTime();
  const fits = grants.filter((grant) => {
    if (grant.login !== backend.login || grant.openedAt === null) return false;
    if (began === undefined) return grant.closedAt === null;
    const end = Math.min(grant.endsAt.getTime(), grant.closedAt?.getTime() ?? Infinity);
    return began >= grant.openedAt.getTime() - SKEW_MS && began <= end + SKEW_MS;
  });
  const named = grantIdOf(backend.applicationName);
  const opened = (grant: GrantPeriod): number => grant.openedAt?.getTime() ?? 0;
  return fits.find(({ id }) => id === named) ?? [...fits].sort((a, b) => opened(b) - opened(a))[0];
}

/** What a session is known by for as long as it lives: pids are used again, starts are not. */
export const sessionKey = (session: { pid: number; backendStart: Date | null }): string =>
  `${session.pid}/${session.backendStart?.getTime() ?? 0}`;

/** Which sessions are new, still there, and gone. */
export function compare<Known extends { pid: number; backendStart: Date }>(
  known: readonly Known[],
  seen: readonly TargetBackend[],
): { fresh: TargetBackend[]; still: Known[]; gone: Known[] } {
  const open = new Map(known.map((row) => [sessionKey(row), row]));
  const there = new Set(seen.map(sessionKey));
  return {
    fresh: seen.filter((backend) => !open.has(sessionKey(backend))),
    still: known.filter((row) => there.has(sessionKey(row))),
    gone: known.filter((row) => !there.has(sessionKey(row))),
  };
}
