import type { Tx } from '../platform/state/database.js';

/** One login role on one target: what a reconcile is about. */
export interface LoginOnTarget {
  targetId: string;
  login: string;
}

/** What a reconcile job holds. */
export interface Reconcile extends LoginOnTarget {
  /** Only of a retry: the moment it was put off to. */
  retryAt?: string;
}

/**
 * Logins with work that is due, found by the partial indexes over what is not over yet: O(due), not O(grants).
 * Finds what a crash, a lost notification or a target that was down left behind; what waits for its retry is left to it.
 * @param late what should have been tried before this moment
 */
export const dueLogins = (db: Tx, now: Date, late: Date): Promise<LoginOnTarget[]> =>
  db.$queryRaw<LoginOnTarget[]>`
    SELECT DISTINCT target_id AS "targetId", login FROM access_grant
     WHERE (state IN ('opening', 'closing') AND (next_attempt_at IS NULL OR next_attempt_at <= ${late}))
        OR (state = 'scheduled' AND starts_at <= ${now})
        OR (state IN ('scheduled', 'active') AND ends_at <= ${now})
     LIMIT 10000`;

/** Keeps all others, also other processes, from working on this login until the end of `work`; a crash gives it back. */
export async function withLogin<T>(
  connect: () => Promise<{
    query(text: string, values: unknown[]): Promise<unknown>;
    release(destroy?: boolean): void;
    on(event: 'error', listener: () => void): unknown;
    off(event: 'error', listener: () => void): unknown;
  }>,
  { targetId, login }: LoginOnTarget,
  work: () => Promise<T>,
): Promise<T> {
  const client = await connect();
  let locked = false;
  // the server may end this session while it waits for the work: without a listener that would end the process
  const lost = (): void => void (locked = false);
  client.on('error', lost);
  try {
    await client.query(`SELECT set_config('lock_timeout', '60s', false)`, []);
    await client.query('SELECT pg_advisory_lock(hashtextextended($1, 0))', [`${targetId}/${login}`]);
    locked = true;
    return await work();
  } finally {
    if (locked)
      await client
        .query('SELECT pg_advisory_unlock_all(), set_config($1, $2, false)', ['lock_timeout', '0'])
        .catch(() => (locked = false));
    client.off('error', lost);
    client.release(!locked); // a session that may still hold the lock is thrown away, and the lock with it
  }
}

export interface Overdue {
  grants: number;
  /** Seconds since the end of the longest overdue grant; 0 when none is. */
  longest: number;
}

/** Grants that should be over and are not. */
export async function overdue(db: Tx, now: Date): Promise<Overdue> {
  const rows = await db.$queryRaw<{ grants: bigint; longest: number | null }[]>`
    SELECT count(*) AS grants, extract(epoch FROM max(${now}::timestamptz - least(ends_at, coalesce(closing_since, ends_at))))::float8 AS longest
      FROM access_grant WHERE (state IN ('scheduled', 'opening', 'active') AND ends_at <= ${now}) OR state = 'closing'`;
  const [row] = rows;
  return { grants: Number(row?.grants ?? 0), longest: Math.max(0, row?.longest ?? 0) };
}
