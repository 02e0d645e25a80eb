import type { Tx } from '../platform/state/database.js';
import type { Begun } from './begun.js';

/** A session that was there at the last look. */
export interface Open {
  id: string;
  pid: number;
  backendStart: Date;
  login: string;
  personId: string | null;
  grantId: string | null;
  firstSeenAt: Date;
  /** false: only the log has told of it so far. */
  observed: boolean;
}

export const openAt = (db: Tx, endpointId: string): Promise<Open[]> =>
  db.$queryRaw<Open[]>`
    SELECT id::text AS id, pid, backend_start AS "backendStart", login, person_id::text AS "personId", grant_id::text AS "grantId",
           first_seen_at AS "firstSeenAt", observed
      FROM connection WHERE endpoint_id = ${endpointId}::uuid AND ended_at IS NULL`;

/**
 * Any number of new sessions in one statement.
 * @returns ids of those that nobody had written before
 */
export async function insertBegun(
  tx: Tx,
  where: { targetId: string; endpointId: string },
  sessions: readonly Begun[],
): Promise<Set<string>> {
  if (sessions.length === 0) return new Set();
  const rows = await tx.$queryRaw<{ id: string }[]>`
    INSERT INTO connection (id, target_id, endpoint_id, pid, backend_start, login, login_kind, database, client_address, client_port, tls, tls_version,
                            tls_cipher, application_name, person_id, grant_id, mint_id, grade, auth_method, logged_at, observed, started_at, first_seen_at, last_seen_at)
    SELECT r.id, ${where.targetId}::uuid, ${where.endpointId}::uuid, r.pid, r."backendStart", r.login, r."loginKind", r.database, r."clientAddress",
           r."clientPort", r.tls, r."tlsVersion", r."tlsCipher", r."applicationName", r."personId", r."grantId", r."mintId", r.grade, r."authMethod",
           r."loggedAt", r.observed, r."startedAt", r."seenAt", r."seenAt"
      FROM jsonb_to_recordset(${JSON.stringify(sessions)}::jsonb) AS r (id uuid, pid int, "backendStart" timestamptz, login text, "loginKind" text,
           database text, "clientAddress" text, "clientPort" int, tls boolean, "tlsVersion" text, "tlsCipher" text, "applicationName" text, "personId" uuid,
           "grantId" uuid, "mintId" uuid, grade text, "authMethod" text, "loggedAt" timestamptz, observed boolean, "startedAt" timestamptz, "seenAt" timestamptz)
    ON CONFLICT (target_id, endpoint_id, backend_start, pid) DO NOTHING RETURNING id::text AS id`;
  return new Set(rows.map(({ id }) => id));
}

export async function insertFlags(
  tx: Tx,
  flags: readonly { connectionId: string; kind: string }[],
  now: Date,
): Promise<void> {
  if (flags.length === 0) return;
  await tx.$executeRaw`
    INSERT INTO connection_flag (connection_id, kind, raised_at)
    SELECT r."connectionId", r.kind, ${now}::timestamptz FROM jsonb_to_recordset(${JSON.stringify(flags)}::jsonb) AS r ("connectionId" uuid, kind text)
    ON CONFLICT DO NOTHING`;
}

/**
 * @param lastSeenAt the last look at which they were there
 * @returns ids of those that nobody had ended before
 */
export async function endSessions(
  tx: Tx,
  ids: readonly string[],
  lastSeenAt: Date | null,
  now: Date,
): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const rows = await tx.$queryRaw<{ id: string }[]>`
    UPDATE connection SET ended_at = greatest(${now}::timestamptz, last_seen_at, ${lastSeenAt}::timestamptz),
           last_seen_at = CASE WHEN observed THEN greatest(last_seen_at, ${lastSeenAt}::timestamptz) ELSE last_seen_at END
     WHERE id = ANY (${[...ids]}::uuid[]) AND ended_at IS NULL RETURNING id::text AS id`;
  return new Set(rows.map(({ id }) => id));
}

/** A look shows what only the log had told of. */
export const markObserved = (tx: Tx, ids: readonly string[]): Promise<number> =>
  tx.$executeRaw`UPDATE connection SET observed = true WHERE id = ANY (${[...ids]}::uuid[]) AND NOT observed`;

/** A session that goes on although its grant, and every other of its login, is over. */
export interface Outlived {
  id: string;
  targetId: string;
  grantId: string;
  personId: string | null;
  login: string;
  endsAt: Date;
}

/**
 * Only where somebody has looked since: that it ended in time and was not looked at is no finding.
 * @param graceMs what closing may take
 */
export const outlived = (db: Tx, graceMs: number): Promise<Outlived[]> =>
  db.$queryRaw<Outlived[]>`
    SELECT c.id::text AS id, c.target_id::text AS "targetId", g.id::text AS "grantId", c.person_id::text AS "personId", c.login,
           least(g.ends_at, g.closed_at) AS "endsAt"
      FROM connection c JOIN access_grant g ON g.id = c.grant_id JOIN endpoint_look l ON l.endpoint_id = c.endpoint_id
     WHERE c.ended_at IS NULL AND least(g.ends_at, g.closing_since, g.closed_at) < l.looked_at - make_interval(secs => ${graceMs / 1000}::float8)
       AND NOT EXISTS (SELECT 1 FROM connection_flag f WHERE f.connection_id = c.id AND f.kind = 'outlived')
       AND NOT EXISTS (SELECT 1 FROM access_grant o WHERE o.target_id = g.target_id AND o.login = g.login AND o.state = 'active'
                          AND o.ends_at > l.looked_at)
     LIMIT 1000`;

/** Sessions of endpoints that nobody looks at any more: they ended for us with the last look. */
export const endUnwatched = (db: Tx, now: Date): Promise<number> =>
  db.$executeRaw`
    UPDATE connection c SET ended_at = greatest(${now}::timestamptz, c.last_seen_at, l.looked_at), last_seen_at = greatest(c.last_seen_at, l.looked_at)
      FROM (SELECT o.id, (SELECT k.looked_at FROM endpoint_look k WHERE k.endpoint_id = o.endpoint_id) AS looked_at
              FROM connection o WHERE o.ended_at IS NULL AND NOT EXISTS (
                SELECT 1 FROM endpoint e JOIN target t ON t.id = e.target_id WHERE e.id = o.endpoint_id AND t.deleted_at IS NULL)) l
     WHERE c.id = l.id`;
