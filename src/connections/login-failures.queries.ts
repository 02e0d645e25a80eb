import { Prisma } from '../generated/prisma/client.js';
import type { Tx } from '../platform/state/database.js';
import type { Visibility } from '../policy/visibility.js';
import type { FailedLoginQuery } from './login-failures.contract.js';

export interface FailedLoginRow {
  id: string;
  targetId: string;
  endpointId: string | null;
  endpointKind: string | null;
  tokenHost: string | null;
  endpointPort: number | null;
  clockAheadMs: number;
  at: Date;
  login: string;
  database: string;
  clientAddress: string | null;
  personId: string | null;
  personName: string | null;
  failure: string;
  sqlstate: string | null;
}

/** A person's own failures are those of their logins; everything else is for whoever sees the target. */
const visibleTo = (seen: Visibility): Prisma.Sql =>
  seen.all
    ? Prisma.sql`true`
    : Prisma.sql`(n.person_id = ${seen.personId}::uuid OR e.target_id = ANY (${[...seen.targetIds]}::uuid[]))`;

/** Newest first. */
export function failedLogins(
  db: Tx,
  seen: Visibility,
  { target, person, login, from, to }: FailedLoginQuery,
  { before, take }: { before: string | undefined; take: number },
): Promise<FailedLoginRow[]> {
  const all = [
    Prisma.sql`e.kind = 'failed'`,
    visibleTo(seen),
    ...(target === undefined ? [] : [Prisma.sql`e.target_id = ${target}::uuid`]),
    ...(person === undefined ? [] : [Prisma.sql`n.person_id = ${person}::uuid`]),
    ...(login === undefined ? [] : [Prisma.sql`e.login = ${login}`]),
    ...(from === undefined ? [] : [Prisma.sql`e.at >= ${from}::timestamptz`]),
    ...(to === undefined ? [] : [Prisma.sql`e.at <= ${to}::timestamptz`]),
    ...(before === undefined ? [] : [Prisma.sql`e.id < ${before}::uuid`]),
  ];
  return db.$queryRaw<FailedLoginRow[]>`
    SELECT e.id::text AS id, e.target_id::text AS "targetId", e.endpoint_id::text AS "endpointId", p.kind AS "endpointKind", p.token_host AS "tokenHost",
           p.port AS "endpointPort", coalesce(l.clock_ahead_ms, 0) AS "clockAheadMs", e.at, e.login, e.database, e.address AS "clientAddress",
           n.person_id::text AS "personId", o.name AS "personName", e.details->>'failure' AS failure, e.details->>'sqlstate' AS sqlstate
      FROM server_log_event e LEFT JOIN login_name n ON n.name = CASE WHEN e.login LIKE '%\\_pw' THEN left(e.login, -3) ELSE e.login END
      LEFT JOIN person o ON o.id = n.person_id LEFT JOIN endpoint p ON p.id = e.endpoint_id LEFT JOIN endpoint_look l ON l.endpoint_id = e.endpoint_id
     WHERE ${Prisma.join(all, ' AND ')} ORDER BY e.id DESC LIMIT ${take}`;
}
