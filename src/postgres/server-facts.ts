/**
 * What any login may learn about a server without the guard: its settings, its slots, its clock, and who reaches `rds_iam`.
 * Plain types, no type of `pg`.
 */

/** By PostgreSQL's and RDS's own names. */
export const serverSettings = [
  'rds.force_ssl',
  'rds.restrict_password_commands',
  'rds.accepted_password_auth_method',
  'password_encryption',
  'log_connections',
  'log_disconnections',
  'ssl',
  'shared_preload_libraries',
  'max_connections',
  'superuser_reserved_connections',
  'reserved_connections',
  'server_version_num',
  'TimeZone',
] as const;
export type ServerSetting = (typeof serverSettings)[number];

/** One role that was asked for. */
export interface RoleReach {
  role: string;
  exists: boolean;
  /**
   * The roles on a shortest way from this one to `rds_iam`, both ends included; null when there is none. Every membership
   * counts, one that gives only ADMIN too: so reads `+rds_iam` in pg_hba.conf, and such a role is shut out of password logins.
   */
  iamPath: string[] | null;
}

/** One database that was asked for. */
export interface DatabaseFact {
  name: string;
  exists: boolean;
  /** Of the roles that were asked for and exist: those that may CONNECT. */
  admits: string[];
}

export interface ServerFacts {
  /**
   * As `pg_settings` writes values, without units. Null where this server has no such setting (`reserved_connections` before
   * 16, `rds.*` outside RDS), and for `shared_preload_libraries` where the login may not read it (pg_read_all_settings).
   */
  settings: Record<ServerSetting, string | null>;
  /**
   * Sessions of clients on this instance now. Without pg_read_all_stats the kind of others' backends is hidden: then
   * everything that is in a database counts, workers too.
   */
  connections: number;
  iamRoleExists: boolean;
  roles: RoleReach[];
  databases: DatabaseFact[];
  /** Whether the extension is in the database this session is in, the guard's. */
  cronHere: boolean;
  /** A reader. */
  inRecovery: boolean;
  /** The server's clock while it answered. */
  clock: Date;
}

/** What to look up beside the server itself. */
export interface FactsAsked {
  roles?: readonly string[];
  databases?: readonly string[];
}

/** What `statements.facts` answers. */
export interface FactsRow {
  settings: Record<string, string | null>;
  connections: number;
  iam_role: boolean;
  roles: { role: string; exists: boolean; path: string[] | null }[];
  databases: { name: string; exists: boolean; admits: string[] }[];
  cron: boolean;
  in_recovery: boolean;
  clock: string;
}

/**
 * $1 settings, $2 roles, $3 databases, all text[]. pg_settings hides settings that no module has declared, as `rds.*` are
 * outside RDS; current_setting() knows them, and would refuse shared_preload_libraries with an error instead of a null.
 * pg_has_role() says yes for every superuser, pg_hba.conf does not: so the memberships are walked here.
 */
export const factsStatement = `
WITH RECURSIVE way(start, role, path) AS (
  SELECT r.oid, r.oid, ARRAY[r.rolname::text] FROM pg_catalog.pg_roles r WHERE r.rolname = ANY ($2::text[])
  UNION ALL
  SELECT w.start, g.oid, w.path || g.rolname::text
    FROM way w JOIN pg_catalog.pg_auth_members m ON m.member = w.role JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
   WHERE g.rolname <> ALL (w.path) AND cardinality(w.path) < 16
), reach AS (
  SELECT DISTINCT ON (path[1]) path[1] AS role, path FROM way
   WHERE path[cardinality(path)] = 'rds_iam' ORDER BY path[1], cardinality(path), path
)
SELECT jsonb_build_object(
  'settings', (SELECT jsonb_object_agg(n, coalesce(s.setting,
                 CASE WHEN n <> 'shared_preload_libraries' THEN pg_catalog.current_setting(n, true) END))
                 FROM unnest($1::text[]) AS n LEFT JOIN pg_catalog.pg_settings s ON s.name = n),
  'connections', (SELECT count(*) FROM pg_catalog.pg_stat_activity
                   WHERE backend_type = 'client backend' OR (backend_type IS NULL AND datid IS NOT NULL)),
  'iam_role', EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'rds_iam'),
  'roles', (SELECT coalesce(jsonb_agg(jsonb_build_object('role', n, 'exists', r.oid IS NOT NULL, 'path', to_jsonb(reach.path)) ORDER BY i), '[]')
              FROM unnest($2::text[]) WITH ORDINALITY AS u(n, i) LEFT JOIN pg_catalog.pg_roles r ON r.rolname = n LEFT JOIN reach ON reach.role = n),
  'databases', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', n, 'exists', d.oid IS NOT NULL, 'admits',
                  (SELECT coalesce(jsonb_agg(r.rolname), '[]') FROM pg_catalog.pg_roles r
                    WHERE r.rolname = ANY ($2::text[]) AND d.datallowconn AND pg_catalog.has_database_privilege(r.oid, d.oid, 'CONNECT'))) ORDER BY i), '[]')
                  FROM unnest($3::text[]) WITH ORDINALITY AS u(n, i) LEFT JOIN pg_catalog.pg_database d ON d.datname = n),
  'cron', EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'pg_cron'),
  'in_recovery', pg_catalog.pg_is_in_recovery(),
  'clock', pg_catalog.clock_timestamp()
) AS outcome`;

export const presentFacts = (row: FactsRow): ServerFacts => ({
  settings: Object.fromEntries(serverSettings.map((name) => [name, row.settings[name] ?? null])) as Record<
    ServerSetting,
    string | null
  >,
  connections: row.connections,
  iamRoleExists: row.iam_role,
  roles: row.roles.map(({ role, exists, path }) => ({ role, exists, iamPath: path })),
  databases: row.databases.map(({ name, exists, admits }) => ({ name, exists, admits })),
  cronHere: row.cron,
  inRecovery: row.in_recovery,
  clock: new Date(row.clock),
});
