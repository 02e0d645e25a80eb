import type { SeenSession } from '../postgres/postgres.contract.js';

/** What the log alone tells of has its start to the second. */
const LOGGED_MS = 2_000;

interface One {
  pid: number;
  login: string;
  backendStart: Date | null;
}

/** Which sessions are new, still there, and gone. */
export function compare<Known extends One & { observed: boolean }, Seen extends One>(
  known: readonly Known[],
  seen: readonly Seen[],
): { fresh: Seen[]; still: Known[]; gone: Known[] } {
  const there = new Map(seen.map((session) => [session.pid, session]));
  const still = known.filter((row) => isSame(row, there.get(row.pid)));
  const kept = new Set(still.map(({ pid }) => pid));
  const stays = new Set(still);
  return {
    fresh: seen.filter(({ pid }) => !kept.has(pid)),
    still,
    gone: known.filter((row) => !stays.has(row)),
  };
}

/** A pid is one session's at a time, and another's later. A role may be renamed or dropped while its sessions go on. */
const isSame = (row: One & { observed: boolean }, seen: One | undefined): boolean => {
  if (seen === undefined) return false;
  const apart = Math.abs((row.backendStart?.getTime() ?? 0) - (seen.backendStart?.getTime() ?? 0));
  return row.observed ? apart === 0 : row.login === seen.login && apart <= LOGGED_MS;
};

/**
 * Logins by which AWS runs the server and copies it. Nobody is given them, and RDS has sessions of them at all times (RDS User
 * Guide, "Understanding the rds_superuser role" names rdsadmin; the others are seen in `pg_stat_activity`).
 */
const OF_AWS = new Set(['rdsadmin', 'rdsrepladmin', 'rdstopmgr', 'rdsproxyadmin', 'rdswriteforwarduser']);

/** Sessions that somebody answers for. */
export const ofSomebody = ({ login }: Pick<SeenSession, 'login'>): boolean => !OF_AWS.has(login);

/** Below this a difference of clocks is the time that an answer took. */
const CLOCK_NOISE_MS = 2_000;

/**
 * How far the target's clock is ahead of the broker's, in milliseconds. It answered somewhere between the two instants.
 * @returns 0 for what the time of the answer itself may explain
 */
export function clockAhead(clock: Date, asked: Date, answered: Date): number {
  const ahead = clock.getTime() - (asked.getTime() + answered.getTime()) / 2;
  return Math.abs(ahead) <= CLOCK_NOISE_MS + (answered.getTime() - asked.getTime()) / 2 ? 0 : ahead;
}

/** When a session began by the broker's clock; never later than it was seen. */
export const startedAt = (backendStart: Date | null, aheadMs: number, seenAt: Date): Date =>
  new Date(Math.min(seenAt.getTime(), (backendStart ?? seenAt).getTime() - (backendStart === null ? 0 : aheadMs)));
