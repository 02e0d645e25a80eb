import { readFileSync } from 'node:fs';

/** In this order, inside one transaction. */
const parts = [
  '10-roles',
  '20-tables',
  '30-inner',
  '32-sessions',
  '34-state',
  '40-broker',
  '42-end',
  '45-sweep',
  '50-read',
  '60-dba',
  '65-custody',
  '70-rights',
] as const;

const header = `-- usher: the guard that the access broker calls on one RDS/Aurora PostgreSQL cluster. PostgreSQL 14 to 18.
--
-- For the DBA. Read it first, then run it as the master user (no superuser is needed) on the WRITER, in ONE database of the
-- cluster (usually postgres), and keep using that same database and user for upgrades:
--     psql -X -v ON_ERROR_STOP=1 "host=... dbname=postgres user=<master> sslmode=verify-full sslrootcert=..." -f usher.sql
-- The same file installs and upgrades. It is one transaction: if anything fails, nothing is left behind.
-- Afterwards (docs/target-setup.md explains each step):
--     SELECT usher.broker_auth('iam');                           -- lets the broker log in, by IAM token only
--     SELECT usher.allow('reporting-read', '{app_ro}', 480);     -- profile, group roles, longest lease in minutes
--     SELECT usher.allow_password_manager('passwords', 60);      -- only where people are to set passwords of others (rds_password)
--     SELECT cron.schedule('usher-sweep', '* * * * *', 'CALL usher.sweep()');   -- ends access even with no broker running
-- Stop everything at once:  UPDATE usher.setting SET value = 'on' WHERE name = 'paused';
-- Remove:                   SELECT usher.uninstall();
--
-- Roles it makes
--   usher_owner    NOLOGIN CREATEROLE. Owns the SECURITY DEFINER functions and the lease table. Nobody is a member.
--   usher_keeper   NOLOGIN, no attributes. Holds ADMIN on usher_owner; owns enter() and leave(), the only way back in.
--   usher_broker   the broker's login (NOLOGIN until usher.broker_auth()). USAGE on the schema, EXECUTE on its functions.
--   usher_managed  marker: every login made here is a member.
--   usher_parked   powerless owner of objects that people leave behind.
`;

/**
 * The whole text that the owner of a target runs, to install or to upgrade the guard: for psql as well as for one
 * simple-protocol query. It brings its own BEGIN and COMMIT.
 */
export function targetSql(): string {
  const body = parts.map((part) => readFileSync(new URL(`./sql/${part}.sql`, import.meta.url), 'utf8'));
  return [
    header,
    'BEGIN;\nSET LOCAL search_path = pg_catalog, pg_temp;\nSET LOCAL client_min_messages = warning;\n',
    ...body,
    'COMMIT;\n',
  ].join('\n');
}
