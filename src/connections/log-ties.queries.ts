import { Prisma } from '../generated/prisma/client.js';
import type { Tx } from '../platform/state/database.js';
import type { KeptSession, LoggedLogin } from './log-ties.js';

/** A login in the log, with all that its session's lines say. */
export interface LoggedSession extends LoggedLogin {
  endpointId: string | null;
  database: string;
  address: string | null;
  port: number | null;
  applicationName: string | null;
  tlsVersion: string | null;
  tlsCipher: string | null;
  /** false: what stands there of TLS may be the client's own words. */
  tlsCertain: boolean;
  /** As in pg_hba.conf; null before PostgreSQL 14. */
  method: string | null;
}

/**
 * Ids are made before they are committed, and two processes may read two files of one target: what is younger waits, so that none
 * is passed over.
 */
const SETTLED = `(lpad(to_hex(floor(extract(epoch FROM clock_timestamp() - interval '5 s') * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid`;
/** Events that are tied in one go. */
const AT_ONCE = 500;

/** Targets whose log has more than was tied; who ties one keeps others from it until the end of the transaction. */
export const behind = async (db: Tx): Promise<string[]> => {
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT t.id::text AS id FROM target t LEFT JOIN connection_log_cursor c ON c.target_id = t.id
     WHERE t.deleted_at IS NULL AND EXISTS (
       SELECT 1 FROM server_log_event e WHERE e.target_id = t.id
          AND e.id > coalesce(c.event_id, '00000000-0000-0000-0000-000000000000') AND e.id < ${Prisma.raw(SETTLED)})`;
  return rows.map(({ id }) => id);
};

/** @returns the last event that was tied; undefined when another process ties this target */
export async function cursorOf(tx: Tx, targetId: string): Promise<string | undefined> {
  await tx.$executeRaw`
    INSERT INTO connection_log_cursor (target_id, event_id) VALUES (${targetId}::uuid, '00000000-0000-0000-0000-000000000000') ON CONFLICT DO NOTHING`;
  const rows = await tx.$queryRaw<{ id: string }[]>`
    SELECT event_id::text AS id FROM connection_log_cursor WHERE target_id = ${targetId}::uuid FOR UPDATE SKIP LOCKED`;
  return rows[0]?.id;
}

/** The next events, as far as they go. @returns the id of the last of them; undefined when there is none */
export async function nextEvent(tx: Tx, targetId: string, after: string): Promise<string | undefined> {
  const rows = await tx.$queryRaw<{ id: string | null }[]>`
    SELECT max(id::text) AS id FROM (
      SELECT id FROM server_log_event WHERE target_id = ${targetId}::uuid AND id > ${after}::uuid AND id < ${Prisma.raw(SETTLED)} ORDER BY id LIMIT ${AT_ONCE}) e`;
  return rows[0]?.id ?? undefined;
}

export const moveCursor = (tx: Tx, targetId: string, eventId: string): Promise<number> =>
  tx.$executeRaw`UPDATE connection_log_cursor SET event_id = ${eventId}::uuid WHERE target_id = ${targetId}::uuid`;

/** Those let in, each with the lines before it of the same process in the same file. */
export const loggedSessions = (tx: Tx, targetId: string, after: string, last: string): Promise<LoggedSession[]> =>
  tx.$queryRaw<LoggedSession[]>`
    SELECT a.id::text AS "eventId", a.endpoint_id::text AS "endpointId", a.pid, a.login, a.database, a.address, a.port, a.at, r.at AS "receivedAt",
           a.to_the_millisecond AS "toTheMillisecond", a.details->>'applicationName' AS "applicationName", a.details->'tls'->>'version' AS "tlsVersion",
           a.details->'tls'->>'cipher' AS "tlsCipher", coalesce((a.details->'tls'->>'certain')::boolean, true) AS "tlsCertain", u.method
      FROM server_log_event a
      LEFT JOIN LATERAL (SELECT x.at FROM server_log_event x WHERE x.target_id = a.target_id AND x.pid = a.pid AND x.file_id = a.file_id
         AND x.kind = 'received' AND x."offset" < a."offset" AND x.at BETWEEN a.at - interval '70 s' AND a.at ORDER BY x."offset" DESC LIMIT 1) r ON true
      LEFT JOIN LATERAL (SELECT x.details->>'method' AS method FROM server_log_event x WHERE x.target_id = a.target_id AND x.pid = a.pid AND x.file_id = a.file_id
         AND x.kind = 'authenticated' AND x.login = a.login AND x."offset" < a."offset" AND x.at BETWEEN a.at - interval '70 s' AND a.at ORDER BY x."offset" DESC LIMIT 1) u ON true
     WHERE a.target_id = ${targetId}::uuid AND a.kind = 'authorized' AND a.id > ${after}::uuid AND a.id <= ${last}::uuid ORDER BY a.id`;

/** With what of its grant decides how it should have logged in. */
export interface Kept extends KeptSession {
  grantMethod: 'iam' | 'password' | null;
  grantId: string | null;
  personId: string | null;
}

/** Sessions of these processes that began within a time. */
export const keptSessions = (
  tx: Tx,
  targetId: string,
  pids: number[],
  [from, to]: readonly [Date, Date],
): Promise<Kept[]> =>
  tx.$queryRaw<Kept[]>`
    SELECT c.id::text AS id, c.pid, c.login, c.backend_start AS "backendStart", g.method::text AS "grantMethod", g.id::text AS "grantId", c.person_id::text AS "personId"
      FROM connection c LEFT JOIN access_grant g ON g.id = c.grant_id
     WHERE c.target_id = ${targetId}::uuid AND c.pid = ANY (${pids}::int[]) AND c.backend_start BETWEEN ${from}::timestamptz AND ${to}::timestamptz`;

/** Adds what the log knows to sessions that were seen. */
export const addLogged = (tx: Tx, ties: readonly { id: string; at: Date; method: string | null }[]): Promise<number> =>
  tx.$executeRaw`
    UPDATE connection c SET logged_at = r.at, auth_method = r.method, grade = CASE WHEN c.grade = 'observed' THEN 'logged' ELSE c.grade END
      FROM jsonb_to_recordset(${JSON.stringify(ties)}::jsonb) AS r (id uuid, at timestamptz, method text) WHERE c.id = r.id`;

/** The ends that the log has: more precise than the next look, which may have come first. The log knows that a session was there until then. */
export const endLogged = (tx: Tx, targetId: string, after: string, last: string): Promise<number> =>
  tx.$executeRaw`
    WITH ends AS (
      SELECT c.id, e.at - make_interval(secs => coalesce(l.clock_ahead_ms, 0) / 1000) AS at
        FROM server_log_event e
        JOIN connection c ON c.target_id = e.target_id AND c.pid = e.pid AND c.login = e.login AND c.backend_start BETWEEN
             e.at - make_interval(secs => (e.details->>'durationMs')::float8 / 1000 + 2)
             AND e.at - make_interval(secs => (e.details->>'durationMs')::float8 / 1000 - 2)
        LEFT JOIN endpoint_look l ON l.endpoint_id = c.endpoint_id
       WHERE e.target_id = ${targetId}::uuid AND e.kind = 'disconnected' AND e.id > ${after}::uuid AND e.id <= ${last}::uuid)
    UPDATE connection c SET ended_at = greatest(c.last_seen_at, x.at), last_seen_at = greatest(c.last_seen_at, x.at)
      FROM ends x WHERE x.id = c.id AND (c.ended_at IS NULL OR c.ended_at > x.at)`;
