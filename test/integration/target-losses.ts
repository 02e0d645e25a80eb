import { targetSql } from '../../src/postgres/target-sql.ts';

type Hand = 'rdsadmin' | 'master';

/** A right that is taken away on a real target, and what target-check must say of it. */
export interface Loss {
  of: string;
  by: Hand;
  lose: string;
  /** What AWS has set up before that, as rdsadmin. */
  given?: string;
  /** The line that says so. */
  right: string;
  /** Default: missing. */
  verdict?: 'warn';
  says: RegExp;
  /** Who can run what that line says, word for word; or, where it is no SQL or would make something new, what puts it right. */
  run: Hand | { by: Hand; instead: string };
  since?: number;
  until?: number;
}

export const losses: readonly Loss[] = [
  {
    of: 'ADMIN on rds_iam',
    by: 'rdsadmin',
    lose: 'REVOKE ADMIN OPTION FOR rds_iam FROM usher_owner CASCADE',
    right: 'grant rds_iam',
    says: /no ADMIN option on rds_iam/,
    run: 'rdsadmin',
  },
  {
    of: 'ADMIN on a group',
    by: 'master',
    lose: 'REVOKE ADMIN OPTION FOR app_read FROM usher_owner CASCADE',
    right: 'open iam read',
    says: /usher_owner may not grant app_read/,
    run: 'master',
    since: 16,
  },
  {
    of: 'ADMIN on rds_password, which people who manage passwords get',
    by: 'master',
    lose: 'REVOKE ADMIN OPTION FOR rds_password FROM usher_owner CASCADE',
    right: 'open iam managers',
    says: /usher_owner may not grant rds_password/,
    run: 'master',
    since: 16,
  },
  {
    of: 'a group that was given an attribute',
    by: 'master',
    lose: 'ALTER ROLE app_read CREATEDB',
    right: 'open iam read',
    says: /app_read reaches app_read, which has CREATEDB/,
    run: 'master',
  },
  {
    of: 'a group that was put into a rich one',
    by: 'rdsadmin',
    lose: 'GRANT pg_signal_backend TO app_read',
    right: 'open password read',
    says: /app_read reaches pg_signal_backend/,
    run: 'rdsadmin',
  },
  {
    of: 'a group that is gone',
    by: 'master',
    lose: 'ALTER ROLE app_write RENAME TO app_elsewhere',
    right: 'open iam write',
    says: /Role app_write does not exist/,
    run: { by: 'master', instead: 'ALTER ROLE app_elsewhere RENAME TO app_write' },
  },
  {
    of: 'the right to create logins',
    by: 'rdsadmin',
    lose: 'ALTER ROLE usher_owner NOCREATEROLE',
    right: 'create logins',
    says: /usher_owner has no CREATEROLE/,
    run: 'master',
  },
  {
    of: 'EXECUTE on a function',
    by: 'rdsadmin',
    lose: 'REVOKE EXECUTE ON FUNCTION usher.survey() FROM usher_broker',
    right: 'call the guard',
    says: /no EXECUTE: survey/,
    run: { by: 'master', instead: targetSql() },
  },
  {
    of: 'the fence before what is the DBA’s',
    by: 'rdsadmin',
    lose: 'GRANT EXECUTE ON FUNCTION usher.retire(text) TO usher_broker',
    right: 'call the guard',
    says: /the broker may call what is the DBA's: retire/,
    run: { by: 'master', instead: targetSql() },
  },
  {
    of: 'the schema',
    by: 'master',
    lose: 'REVOKE USAGE ON SCHEMA usher FROM usher_broker',
    right: 'guard',
    says: /denies the broker a right it needs.*42501/,
    run: { by: 'master', instead: 'GRANT USAGE ON SCHEMA usher TO usher_broker' },
  },
  {
    of: 'an allow-list',
    by: 'master',
    lose: 'UPDATE usher.profile SET enabled = false',
    right: 'open',
    says: /no profile is on the allow-list/,
    run: { by: 'master', instead: 'UPDATE usher.profile SET enabled = true' },
  },
  {
    of: 'not being paused',
    by: 'master',
    lose: `UPDATE usher.setting SET value = 'on' WHERE name = 'paused'`,
    right: 'not paused',
    says: /nothing opens/,
    run: 'master',
  },
  {
    of: 'a name to try with',
    by: 'master',
    lose: `UPDATE usher.setting SET value = '^u_[a-z0-9_]+$' WHERE name = 'login_pattern'`,
    right: 'open iam read',
    says: /login_pattern in usher.setting is narrower/,
    run: {
      by: 'master',
      instead: `UPDATE usher.setting SET value = '^[a-z_][a-z0-9_]{0,62}$' WHERE name = 'login_pattern'`,
    },
  },
  {
    of: 'a broker without attributes',
    by: 'rdsadmin',
    lose: 'ALTER ROLE usher_broker CREATEDB',
    right: 'broker is only a login',
    says: /it has CREATEDB/,
    run: 'rdsadmin',
  },
  {
    of: 'a broker without memberships',
    by: 'rdsadmin',
    lose: 'GRANT pg_read_all_data TO usher_broker; ALTER ROLE usher_broker INHERIT',
    right: 'broker is only a login',
    says: /member of pg_read_all_data/,
    run: 'rdsadmin',
  },
  {
    of: 'a broker that reads nothing',
    by: 'master',
    lose: 'GRANT SELECT ON orders TO PUBLIC',
    right: 'broker reads no data',
    says: /public\.orders/,
    run: 'master',
  },
  {
    of: 'the installer’s password',
    by: 'master',
    lose: 'SELECT usher.enter()',
    right: 'installer keeps its password',
    says: /dba → usher_owner → rds_iam/,
    run: 'master',
  },
  {
    of: 'an owner that is nobody',
    by: 'rdsadmin',
    lose: 'CREATE ROLE passer_by NOLOGIN; GRANT usher_owner TO passer_by',
    right: 'usher_owner is nobody',
    says: /passer_by is a member of usher_owner/,
    run: { by: 'rdsadmin', instead: 'DROP ROLE passer_by' },
  },
  {
    of: 'a powerless usher_parked',
    by: 'rdsadmin',
    lose: 'GRANT usher_parked TO dba',
    right: 'usher_parked is powerless',
    says: /dba is a member of it/,
    run: 'rdsadmin',
  },
  {
    of: 'rds_password under rds.restrict_password_commands',
    by: 'master',
    given: `ALTER DATABASE postgres SET rds.restrict_password_commands = 'on'`,
    lose: 'REVOKE rds_password FROM usher_owner',
    right: 'set passwords',
    says: /rds.restrict_password_commands is on/,
    run: 'master',
  },
  {
    of: 'a schema cron that is closed',
    by: 'rdsadmin',
    lose: 'CREATE SCHEMA cron; GRANT USAGE ON SCHEMA cron TO PUBLIC',
    right: 'cron is closed to the broker',
    says: /it may use schema cron/,
    run: 'rdsadmin',
  },
  {
    of: 'a closed schema public',
    by: 'master',
    lose: 'GRANT CREATE ON SCHEMA public TO PUBLIC',
    right: 'schema public closed',
    verdict: 'warn',
    says: /everybody may create/,
    run: 'master',
  },
  {
    of: 'sight of sessions',
    by: 'master',
    lose: 'REVOKE pg_read_all_stats FROM usher_owner',
    right: 'see sessions',
    verdict: 'warn',
    says: /lacks pg_read_all_stats/,
    run: 'master',
    until: 15,
  },

  {
    of: 'sight of sessions, which is granted by way of pg_monitor',
    by: 'master',
    lose: 'REVOKE pg_monitor FROM usher_owner',
    right: 'see sessions',
    verdict: 'warn',
    says: /lacks pg_read_all_stats/,
    run: 'master',
    since: 16,
  },
  {
    of: 'sessions to spare',
    by: 'rdsadmin',
    lose: 'ALTER ROLE usher_broker CONNECTION LIMIT 3',
    right: 'sessions to spare',
    verdict: 'warn',
    says: /1 of 3 sessions/,
    run: 'master',
  },
  {
    of: 'rds_iam on no group',
    by: 'rdsadmin',
    lose: 'CREATE ROLE lonely NOLOGIN; GRANT rds_iam TO lonely',
    right: 'rds_iam on no group',
    verdict: 'warn',
    says: /members of lonely cannot log in by password/,
    run: 'rdsadmin',
  },
  {
    of: 'a marker that only the guard gives',
    by: 'rdsadmin',
    lose: 'GRANT usher_managed TO app_rich',
    right: 'marker',
    verdict: 'warn',
    says: /did not make: app_rich/,
    run: 'rdsadmin',
  },
];
