import { Prisma } from '../generated/prisma/client.js';
import type { Tx } from '../platform/state/database.js';
import type { Visibility } from '../policy/visibility.js';
import { TlsConcern, type GrantUseQuery, type TlsQuery } from './connection-reports.contract.js';
import { visibleTo } from './connection-search.queries.js';

export interface TlsRow {
  targetId: string;
  login: string;
  personId: string | null;
  personName: string | null;
  applicationName: string | null;
  clientAddress: string | null;
  sessions: number;
  withTls: number;
  withoutTls: number;
  oldTls: number;
  lastSeenAt: Date;
  lastWithoutTlsAt: Date | null;
  /** Of how many groups this is one. */
  all: number;
}

/** What makes a group one to show; a session through a socket of the server itself has no need of TLS. */
const CONCERNS: Readonly<Record<TlsConcern, string>> = {
  [TlsConcern.weak]: 'count(*) FILTER (WHERE plain OR old) > 0',
  [TlsConcern.force_ssl]: 'count(*) FILTER (WHERE plain) > 0',
  [TlsConcern.ca_rotation]: `count(*) FILTER (WHERE tls AND app IS DISTINCT FROM 'usher') > 0`,
  [TlsConcern.all]: 'true',
};

/** Sessions within a time, by who, with what and from where; the index over the periods finds them. */
export const tlsClients = (
  db: Tx,
  seen: Visibility,
  { target, person, concern }: TlsQuery,
  { from, to, most }: { from: Date; to: Date; most: number },
): Promise<TlsRow[]> =>
  db.$queryRaw<TlsRow[]>`
    SELECT s.target_id::text AS "targetId", s.login, s.person_id::text AS "personId", max(p.name) AS "personName", s.app AS "applicationName",
           s.client_address AS "clientAddress", count(*)::int AS sessions, (count(*) FILTER (WHERE tls))::int AS "withTls",
           (count(*) FILTER (WHERE plain))::int AS "withoutTls", (count(*) FILTER (WHERE old))::int AS "oldTls",
           max(s.at) AS "lastSeenAt", max(s.at) FILTER (WHERE plain) AS "lastWithoutTlsAt", (count(*) OVER ())::int AS "all"
      FROM (SELECT c.*, k.at, CASE WHEN c.application_name LIKE 'usher:%' THEN 'usher' ELSE c.application_name END AS app,
                   NOT c.tls AND c.client_address IS NOT NULL AS plain, c.tls AND c.tls_version IN ('SSLv3', 'TLSv1', 'TLSv1.0', 'TLSv1.1') AS old
              FROM connection c JOIN connection_seen k ON k.id = c.id
             WHERE tstzrange(c.started_at, c.ended_at, '[]') && tstzrange(${from}::timestamptz, ${to}::timestamptz, '[]') AND ${visibleTo(seen, 'c')}
               AND (${target ?? null}::uuid IS NULL OR c.target_id = ${target ?? null}::uuid)
               AND (${person ?? null}::uuid IS NULL OR c.person_id = ${person ?? null}::uuid)) s
      LEFT JOIN person p ON p.id = s.person_id
     GROUP BY s.target_id, s.login, s.person_id, s.app, s.client_address
    HAVING ${Prisma.raw(CONCERNS[concern ?? TlsConcern.weak])}
     ORDER BY max(s.at) DESC, s.login, s.client_address LIMIT ${most}`;

export interface GrantUseRow {
  id: string;
  targetId: string;
  profileId: string;
  profileName: string;
  personId: string;
  personName: string;
  login: string;
  state: string;
  startsAt: Date;
  endsAt: Date;
  sessions: number;
  firstUsedAt: Date | null;
  lastUsedAt: Date | null;
}

/** How often, since when and when last somebody was seen by a grant: by the index of its sessions. */
const USED = Prisma.sql`
  LATERAL (SELECT count(*)::int AS sessions, min(k.started_at) AS first, max(k.at) AS last FROM connection_seen k WHERE k.grant_id = g.id) u`;

/** Newest first. Only grants that were opened: others could not be used. */
export function grantUses(
  db: Tx,
  seen: Visibility,
  { target, person, profile, unused }: GrantUseQuery,
  { before, take }: { before: string | undefined; take: number },
): Promise<GrantUseRow[]> {
  const all = [
    visibleTo(seen, 'g'),
    Prisma.sql`g.opened_at IS NOT NULL`,
    ...(target === undefined ? [] : [Prisma.sql`g.target_id = ${target}::uuid`]),
    ...(person === undefined ? [] : [Prisma.sql`g.person_id = ${person}::uuid`]),
    ...(profile === undefined ? [] : [Prisma.sql`g.profile_id = ${profile}::uuid`]),
    ...(unused === undefined ? [] : [Prisma.sql`(u.sessions = 0) = ${unused}::boolean`]),
    ...(before === undefined ? [] : [Prisma.sql`g.id < ${before}::uuid`]),
  ];
  return db.$queryRaw<GrantUseRow[]>`
    SELECT g.id::text AS id, g.target_id::text AS "targetId", g.profile_id::text AS "profileId", f.name AS "profileName", g.person_id::text AS "personId",
           p.name AS "personName", g.login, g.state::text AS state, g.starts_at AS "startsAt", g.ends_at AS "endsAt",
           u.sessions, u.first AS "firstUsedAt", u.last AS "lastUsedAt"
      FROM access_grant g JOIN profile f ON f.id = g.profile_id JOIN person p ON p.id = g.person_id CROSS JOIN ${USED}
     WHERE ${Prisma.join(all, ' AND ')} ORDER BY g.id DESC LIMIT ${take}`;
}

export interface ProfileUseRow {
  id: string;
  profileName: string;
  targetId: string;
  grants: number;
  sessions: number;
  lastGrantedAt: Date | null;
  lastUsedAt: Date | null;
}

/** Newest first, those that nobody ever asked for as well; somebody who sees only what is their own gets only what they had. */
export const profileUses = (
  db: Tx,
  seen: Visibility,
  target: string | undefined,
  { before, take }: { before: string | undefined; take: number },
): Promise<ProfileUseRow[]> =>
  db.$queryRaw<ProfileUseRow[]>`
    SELECT f.id::text AS id, f.name AS "profileName", f.target_id::text AS "targetId", count(g.id)::int AS grants, coalesce(sum(u.sessions), 0)::int AS sessions,
           max(g.opened_at) AS "lastGrantedAt", max(u.last) AS "lastUsedAt"
      FROM profile f LEFT JOIN access_grant g ON g.profile_id = f.id AND g.target_id = f.target_id AND g.opened_at IS NOT NULL AND ${visibleTo(seen, 'g')}
      LEFT JOIN ${USED} ON true
     WHERE f.deleted_at IS NULL AND (${target ?? null}::uuid IS NULL OR f.target_id = ${target ?? null}::uuid)
       AND (${before ?? null}::uuid IS NULL OR f.id < ${before ?? null}::uuid)
     GROUP BY f.id HAVING count(g.id) > 0 OR ${seen.all}::boolean OR f.target_id = ANY (${[...seen.targetIds]}::uuid[])
     ORDER BY f.id DESC LIMIT ${take}`;
