import { v7 } from 'uuid';
import type { Database, Tx } from '../platform/state/database.js';
import { BEHIND } from './gaps.js';
import { GapKind } from './log-reading.contract.js';

/** The last look at one endpoint, by any process. */
export interface Look {
  lookedAt: Date | null;
  failingSince: Date | null;
  clockAheadMs: number;
  sameAs: string | null;
}

/** What a look found about the server itself. */
export interface Answered {
  endpointId: string;
  /** The process that looked; null when it was asked to, and did not wait for its turn. */
  heldBy: string | null;
  now: Date;
  serverStartedAt: Date;
  clockAheadMs: number;
}

/** Kinds that are looked at: custom endpoints and proxies lead to servers that are looked at under their own names. */
export const watchedKinds = ['writer', 'reader', 'instance'] as const;

/** So long a process that says nothing keeps its endpoints, as intervals, and at the least. */
export const leaseMs = (intervalMs: number): number => Math.max(20_000, 4 * intervalMs);

/**
 * Says that this process is there, and takes its share of the endpoints: as many as there are for each process that is there. What is
 * beyond the share is given up, what nobody holds is taken, what was looked at longest ago first. All by the clock of the state's
 * server, so that the clocks of processes do not matter. What a look is just writing is left as it is: its lease lasts until the next
 * time, and one look that hangs must not cost the leases of all.
 * @returns the endpoints that are this process's to look at
 */
export async function claim(db: Pick<Database, 'pool'>, me: string, milliseconds: number): Promise<string[]> {
  const seconds = milliseconds / 1_000;
  await db.pool.query({ name: 'watch-here', text: HERE, values: [me, seconds] });
  await db.pool.query({ name: 'watch-what', text: WHAT, values: [watchedKinds] });
  await db.pool.query({ name: 'watch-keep', text: KEEP, values: [me, seconds, watchedKinds] });
  await db.pool.query({ name: 'watch-take', text: TAKE, values: [me, seconds, watchedKinds] });
  const { rows } = await db.pool.query<{ id: string }>({ name: 'watch-mine', text: MINE, values: [me, watchedKinds] });
  return rows.map(({ id }) => id);
}

const HERE = `
  WITH gone AS (DELETE FROM watcher WHERE seen_at < clock_timestamp() - 3 * make_interval(secs => $2::float8))
  INSERT INTO watcher (id, seen_at) VALUES ($1, clock_timestamp()) ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at`;

const WATCHED = `endpoint e JOIN target t ON t.id = e.target_id AND t.deleted_at IS NULL`;

const WHAT = `
  INSERT INTO endpoint_look (endpoint_id, target_id)
  SELECT e.id, e.target_id FROM ${WATCHED} WHERE e.kind = ANY ($1::text[])
     AND NOT EXISTS (SELECT 1 FROM endpoint_look l WHERE l.endpoint_id = e.id) ON CONFLICT DO NOTHING`;

const SHARE = `
  watched AS (
    SELECT l.endpoint_id AS id, l.held_by FROM ${WATCHED} JOIN endpoint_look l ON l.endpoint_id = e.id WHERE e.kind = ANY ($3::text[])),
  share AS (
    SELECT ceil((SELECT count(*) FROM watched)::numeric / greatest(1,
      (SELECT count(*) FROM watcher WHERE seen_at > clock_timestamp() - make_interval(secs => $2::float8))))::int AS most),
  mine AS (SELECT w.id, row_number() OVER (ORDER BY w.id) AS place FROM watched w WHERE w.held_by = $1::uuid)`;

const KEEP = `
  WITH ${SHARE},
  idle AS MATERIALIZED (SELECT l.endpoint_id AS id FROM endpoint_look l WHERE l.held_by = $1::uuid FOR NO KEY UPDATE SKIP LOCKED)
  UPDATE endpoint_look l SET held_by = CASE WHEN m.place <= s.most THEN $1::uuid END,
         held_until = CASE WHEN m.place <= s.most THEN clock_timestamp() + make_interval(secs => $2::float8) END
    FROM idle i JOIN mine m ON m.id = i.id CROSS JOIN share s WHERE l.endpoint_id = i.id AND l.held_by = $1::uuid`;

const TAKE = `
  WITH ${SHARE},
  free AS MATERIALIZED (
    SELECT l.endpoint_id AS id FROM endpoint_look l WHERE l.endpoint_id IN (SELECT w.id FROM watched w)
       AND l.held_by IS DISTINCT FROM $1::uuid AND (l.held_until IS NULL OR l.held_until < clock_timestamp())
     ORDER BY l.looked_at NULLS FIRST, l.endpoint_id
     LIMIT greatest(0, (SELECT most FROM share) - (SELECT count(*) FROM mine)) FOR NO KEY UPDATE OF l SKIP LOCKED)
  UPDATE endpoint_look l SET held_by = $1::uuid, held_until = clock_timestamp() + make_interval(secs => $2::float8)
    FROM free f WHERE l.endpoint_id = f.id`;

// asked anew, and not what the statements above say that they wrote: a row that somebody wrote at the same moment may be missing there
const MINE = `
  SELECT l.endpoint_id::text AS id FROM ${WATCHED} JOIN endpoint_look l ON l.endpoint_id = e.id
   WHERE e.kind = ANY ($2::text[]) AND l.held_by = $1::uuid`;

/** This process ends: others need not wait for its leases. */
export async function leave(db: Pick<Database, 'pool'>, me: string): Promise<void> {
  await db.pool.query('UPDATE endpoint_look SET held_by = NULL, held_until = NULL WHERE held_by = $1', [me]);
  await db.pool.query('DELETE FROM watcher WHERE id = $1', [me]);
}

/**
 * Keeps that an endpoint answered, and gives the look before. Where that is longer ago than `lateAfterMs`, the time between is a gap.
 * What another endpoint of the target with the same server has looked at since then is not looked at twice.
 * @returns undefined when it is not this process's any more
 */
export async function recordLook(db: Tx, found: Answered, lateAfterMs: number): Promise<Look | undefined> {
  const [before] = await db.$queryRaw<Look[]>`
    WITH before AS (
      SELECT l.*, (SELECT o.endpoint_id FROM endpoint_look o WHERE o.target_id = l.target_id AND o.same_as IS NULL AND o.endpoint_id <> l.endpoint_id
                      AND (l.same_as IS NOT NULL OR l.looked_at IS NULL OR o.endpoint_id < l.endpoint_id)
                      AND o.server_started_at = ${found.serverStartedAt}::timestamptz
                      AND o.looked_at > ${new Date(found.now.getTime() - lateAfterMs)}::timestamptz ORDER BY o.endpoint_id LIMIT 1) AS twin
        FROM endpoint_look l WHERE l.endpoint_id = ${found.endpointId}::uuid
         AND (${found.heldBy}::uuid IS NULL OR l.held_by = ${found.heldBy}::uuid) FOR UPDATE OF l),
    gap AS (
      INSERT INTO observation_gap (id, target_id, endpoint_id, kind, from_at, to_at, detail)
      SELECT ${v7()}::uuid, b.target_id, b.endpoint_id, ${GapKind.sample_missed}, b.looked_at, ${found.now}::timestamptz, coalesce(b.failure, ${BEHIND})
        FROM before b WHERE b.looked_at < ${new Date(found.now.getTime() - lateAfterMs)}::timestamptz)
    UPDATE endpoint_look l SET looked_at = greatest(l.looked_at, ${found.now}::timestamptz), failing_since = NULL, failure = NULL,
           server_started_at = ${found.serverStartedAt}::timestamptz, clock_ahead_ms = ${found.clockAheadMs}::float8, same_as = b.twin
      FROM before b WHERE l.endpoint_id = b.endpoint_id
    RETURNING b.looked_at AS "lookedAt", b.failing_since AS "failingSince", b.clock_ahead_ms AS "clockAheadMs", b.twin::text AS "sameAs"`;
  return before;
}

/** Keeps since when an endpoint does not answer; only the first failure is a write. */
export const recordFailure = (db: Tx, endpointId: string, failure: string, now: Date): Promise<number> =>
  db.$executeRaw`
    UPDATE endpoint_look SET failing_since = coalesce(failing_since, ${now}::timestamptz), failure = ${failure}
     WHERE endpoint_id = ${endpointId}::uuid AND failure IS DISTINCT FROM ${failure}`;

/** A row for what is looked at without a claim. */
export const watch = (db: Tx, endpointId: string, targetId: string): Promise<number> =>
  db.$executeRaw`INSERT INTO endpoint_look (endpoint_id, target_id) VALUES (${endpointId}::uuid, ${targetId}::uuid) ON CONFLICT DO NOTHING`;
