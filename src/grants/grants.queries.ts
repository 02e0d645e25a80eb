import type { Database, Tx } from '../platform/state/database.js';

type Pool = Pick<Database['pool'], 'query'>;

/** One login role on one target: what a reconcile is about. */
export interface LoginOnTarget {
  targetId: string;
  login: string;
}

/** A call for one login to be worked on. */
export interface Reconcile extends LoginOnTarget {
  /** A look for drift found something: the login is worked on even where no grant asks for it. */
  repair?: true;
}

/** What a reconcile job holds. */
export interface ReconcileJob extends Omit<Reconcile, 'login'> {
  /** Absent: every login of the target with work that is due. */
  login?: string;
  /** Only of a retry: the moment it was put off to. */
  retryAt?: string;
}

/** By which clocks something is due. */
export interface Moment {
  /** Of the grants: begins and ends. */
  now: Date;
  /** Of the tries: what should have been tried before this moment, by the clock of the job engine. */
  late: Date;
}

/**
 * Due work, each part found by a partial index that holds nothing else: O(due), however many grants there are, and however
 * many wait for targets that are down. Finds what a crash, a lost notification or an outage left behind.
 */
const due = `
  SELECT target_id, login FROM access_grant
   WHERE state IN ('opening', 'closing') AND coalesce(next_attempt_at, '-infinity') <= $2
  UNION ALL
  SELECT target_id, login FROM access_grant WHERE state = 'active' AND next_attempt_at IS NOT NULL AND next_attempt_at <= $2
  UNION ALL
  SELECT target_id, login FROM access_grant WHERE state = 'scheduled' AND starts_at <= $1
  UNION ALL
  SELECT target_id, login FROM access_grant WHERE state IN ('scheduled', 'opening', 'active') AND ends_at <= $1`;

/** Exported for the test that has the planner explain it. */
export const DUE_TARGETS = `SELECT DISTINCT target_id::text AS "targetId" FROM (${due}) AS d`;

export const dueTargets = async (pool: Pool, { now, late }: Moment): Promise<string[]> =>
  (await pool.query<{ targetId: string }>(DUE_TARGETS, [now, late])).rows.map(({ targetId }) => targetId);

/** Logins of these targets with work that is due. */
export const dueLogins = async (pool: Pool, { now, late }: Moment, targetIds: string[]): Promise<LoginOnTarget[]> =>
  (
    await pool.query<LoginOnTarget>(
      `SELECT DISTINCT target_id::text AS "targetId", login FROM (${due}) AS d WHERE target_id = ANY ($3::uuid[])`,
      [now, late, targetIds],
    )
  ).rows;

/** Retries that another try has overtaken do not come back: were they to run and fail, they would multiply while a target is down. */
export const freshRetries = async (db: Tx, retries: readonly ReconcileJob[]): Promise<ReconcileJob[]> => {
  const rows = await db.$queryRaw<{ place: number }[]>`
    SELECT r.place::int AS place
      FROM unnest(${retries.map(({ targetId }) => targetId)}::uuid[], ${retries.map(({ login }) => login ?? '')}::text[],
                  ${retries.map(({ retryAt }) => retryAt ?? '')}::timestamptz[]) WITH ORDINALITY AS r (target_id, login, at, place)
     WHERE CASE WHEN r.login = '' THEN EXISTS (SELECT 1 FROM target t WHERE t.id = r.target_id AND t.next_dial_at = r.at)
                ELSE EXISTS (SELECT 1 FROM access_grant g WHERE g.target_id = r.target_id AND g.login = r.login
                               AND g.state NOT IN ('closed', 'failed') AND g.next_attempt_at = r.at) END`;
  return rows.flatMap(({ place }) => retries[place - 1] ?? []);
};

export interface Need {
  /** Any of the logins has a grant for which the target is needed. */
  needed: boolean;
  /** Grants of theirs whose end has come, and that nobody has tried to end yet. */
  ended: number;
}

export async function needTarget(db: Tx, targetId: string, logins: readonly string[], now: Date): Promise<Need> {
  const [row] = await db.$queryRaw<Need[]>`
    SELECT count(*) > 0 AS needed, count(*) FILTER (WHERE state IN ('active', 'closing') AND ends_at <= ${now} AND attempts = 0)::int AS ended
      FROM access_grant WHERE target_id = ${targetId}::uuid AND login = ANY (${logins}) AND state NOT IN ('closed', 'failed')
       AND (state <> 'scheduled' OR (starts_at <= ${now} AND ends_at > ${now}))`;
  return row ?? { needed: false, ended: 0 };
}

interface Client {
  query(text: string, values: unknown[]): Promise<{ rows: unknown[] }>;
  release(destroy?: boolean): void;
  on(event: 'error', listener: () => void): unknown;
  off(event: 'error', listener: () => void): unknown;
}

/**
 * Keeps all others, also other processes, from working on these logins until the end of `work`; a crash gives them back.
 * Nobody is waited for: `work` gets those that nobody else works on at this moment.
 */
export async function withLogins<T>(
  connect: () => Promise<Client>,
  targetId: string,
  logins: readonly string[],
  work: (free: ReadonlySet<string>) => Promise<T>,
): Promise<T> {
  const client = await connect();
  let locked = false;
  // the server may end this session while it waits for the work: without a listener that would end the process
  const lost = (): void => void (locked = false);
  client.on('error', lost);
  try {
    const { rows } = await client.query(
      `SELECT login FROM unnest($2::text[]) AS login WHERE pg_try_advisory_lock(hashtextextended($1 || '/' || login, 0))`,
      [targetId, logins],
    );
    locked = true;
    return await work(new Set((rows as { login: string }[]).map(({ login }) => login)));
  } finally {
    if (locked) await client.query('SELECT pg_advisory_unlock_all()', []).catch(() => (locked = false));
    client.off('error', lost);
    client.release(!locked); // a session that may still hold a lock is thrown away, and the lock with it
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
    SELECT count(*) AS grants, extract(epoch FROM max(${now}::timestamptz - since))::float8 AS longest FROM (
      SELECT ends_at AS since FROM access_grant WHERE state IN ('scheduled', 'opening', 'active') AND ends_at <= ${now}
      UNION ALL
      SELECT least(ends_at, closing_since) FROM access_grant WHERE state = 'closing') AS late`;
  const [row] = rows;
  return { grants: Number(row?.grants ?? 0), longest: Math.max(0, row?.longest ?? 0) };
}
