import { statements } from './calls.js';
import { missing, ok, quoted, runTargetSql, warn, type Ask, type Ground } from './proof-line.js';
import type { Proof } from './target-session.js';

/** Something that is there or not, told by the catalogs: each may be read by every login. */
interface Standing {
  right: string;
  look: (ask: Ask, ground: Ground) => Promise<Proof>;
}

const one = async <Row>(ask: Ask, text: string, values?: readonly unknown[]): Promise<Row> => {
  const [row] = await ask<Row>(text, values);
  return row as Row; // each of these queries answers exactly one row
};

const callable = [
  ...new Set(Object.values(statements).flatMap((text) => /usher\.([a-z_]+)\(/.exec(text)?.[1] ?? [])),
  // what sweep() calls, in the name of its caller
  ...['sweep_close', 'sweep_kill', 'sweep_done', '_more', '_skip'],
];
const forTheDba = '^(allow.*|retire|lend|drop|broker_auth|before_major_upgrade|uninstall|enter|leave)$';

async function calls(ask: Ask): Promise<Proof> {
  const { lacking, extra } = await one<{ lacking: string[]; extra: string[] }>(
    ask,
    `SELECT ARRAY(SELECT f FROM unnest($1::text[]) f WHERE NOT EXISTS (SELECT 1 FROM pg_proc p WHERE p.proname = f
        AND p.pronamespace = to_regnamespace('usher') AND has_function_privilege(p.oid, 'EXECUTE'))) AS lacking,
      ARRAY(SELECT p.proname::text FROM pg_proc p WHERE p.pronamespace = to_regnamespace('usher') AND p.proname ~ $2
        AND has_function_privilege(p.oid, 'EXECUTE')) AS extra`,
    [callable, forTheDba],
  );
  const right = 'call the guard';
  if (lacking.length > 0) return missing(right, `not there, or no EXECUTE: ${lacking.join(', ')}`, runTargetSql);
  if (extra.length > 0)
    return missing(right, `the broker may call what is the DBA's: ${extra.join(', ')}`, runTargetSql);
  return ok(right, `${callable.length} functions, and none that is the DBA's`);
}

async function tls(ask: Ask): Promise<Proof> {
  const { used, version, cipher, forced } = await one<{
    used: boolean;
    version: string;
    cipher: string;
    forced: string | null;
  }>(
    ask,
    `SELECT ssl AS used, version, cipher, current_setting('rds.force_ssl', true) AS forced
       FROM pg_stat_ssl WHERE pid = pg_backend_pid()`,
  );
  if (!used) {
    return warn('TLS', 'verified from here, but it ends before the server', 'Take out what stands between.');
  }
  if (forced === '0' || forced === 'off') {
    return warn(
      'TLS',
      `${version} here; others may connect without it`,
      'Set rds.force_ssl = 1 in the parameter group.',
    );
  }
  return ok('TLS', `${version}, ${cipher}, certificate verified`);
}

/** What a role is beyond a login: attributes, and every role it reaches by any path. */
const reach = (role: string): string => `
  WITH RECURSIVE up(o, via) AS (
    SELECT oid, NULL::text FROM pg_roles WHERE rolname = ${role}
    UNION SELECT m.roleid, coalesce(up.via, pg_get_userbyid(m.roleid)::text COLLATE "default") FROM pg_auth_members m JOIN up ON m.member = up.o)
  SELECT r.rolname AS name, ARRAY(SELECT DISTINCT via FROM up WHERE via IS NOT NULL AND via <> 'rds_iam') AS roles,
         array_remove(ARRAY[CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
           CASE WHEN r.rolcreatedb THEN 'CREATEDB' END, CASE WHEN r.rolreplication THEN 'REPLICATION' END,
           CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END], NULL) AS attributes
    FROM pg_roles r WHERE r.rolname = ${role}`;

async function plain(ask: Ask): Promise<Proof> {
  const right = 'broker is only a login';
  const { name, roles, attributes } = await one<{ name: string; roles: string[]; attributes: string[] }>(
    ask,
    reach('session_user'),
  );
  if (attributes.length === 0 && roles.length === 0) return ok(right, 'no attribute, no membership beyond rds_iam');
  const found = [...attributes, ...roles.map((role) => `member of ${role}`)].join(', ');
  const remedy = [
    ...(attributes.length > 0 ? [`ALTER ROLE ${quoted(name)} ${attributes.map((a) => `NO${a}`).join(' ')};`] : []),
    ...roles.map((role) => `REVOKE ${quoted(role)} FROM ${quoted(name)};`),
  ];
  return missing(right, `it has ${found}`, remedy.join(' '));
}

/** Views and tables of extensions are open to everybody on purpose, and are not anybody's data. */
async function readsNothing(ask: Ask): Promise<Proof> {
  const { name, found, n } = await one<{ name: string; found: string[]; n: number }>(
    ask,
    `WITH open AS (
       SELECT format('%I.%I', n.nspname, c.relname) AS rel FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
          AND n.nspname !~ '^pg_(toast|temp)' AND has_schema_privilege(n.oid, 'USAGE')
          AND (has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE') OR has_table_privilege(c.oid, 'DELETE, TRUNCATE'))
          AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e'))
     SELECT session_user AS name, count(*)::int AS n, (array_agg(rel ORDER BY rel))[1:5] AS found FROM open`,
  );
  const right = 'broker reads no data';
  if (n === 0) return ok(right, 'no table of this database is open to it');
  const more = n > found.length ? ` and ${n - found.length} more` : '';
  const remedy = `REVOKE ALL ON ${found.join(', ')} FROM PUBLIC, ${quoted(name)};`;
  return missing(right, `open to it, or to everybody: ${found.join(', ')}${more}`, remedy);
}

async function createsLogins(ask: Ask, { major }: Ground): Promise<Proof> {
  const { may } = await one<{ may: boolean }>(
    ask,
    `SELECT coalesce((SELECT rolcreaterole FROM pg_roles WHERE rolname = 'usher_owner'), false) AS may`,
  );
  if (may) return ok('create logins', 'usher_owner has CREATEROLE');
  const alter = 'ALTER ROLE usher_owner CREATEROLE;';
  const remedy = major >= 16 ? `BEGIN; SELECT usher.enter(); ${alter} SELECT usher.leave(); COMMIT;` : alter;
  return missing('create logins', 'usher_owner has no CREATEROLE', remedy);
}

async function setsPasswords(ask: Ask, { profiles, major }: Ground): Promise<Proof> {
  const { there, held, only } = await one<{ there: boolean; held: boolean; only: string | null }>(
    ask,
    `SELECT to_regrole('rds_password') IS NOT NULL AS there,
            coalesce(pg_has_role('usher_owner', to_regrole('rds_password'), 'USAGE'), false) AS held,
            current_setting('rds.restrict_password_commands', true) AS only`,
  );
  const right = 'set passwords';
  if (!there) return ok(right, 'this server has no rds_password that would be needed');
  if (held) return ok(right, 'usher_owner is in rds_password');
  // to hand it on, as a profile of password managers asks, it must hold the ADMIN option from 16 on
  const handsOn = major >= 16 && profiles.some(({ managesPasswords }) => managesPasswords);
  const remedy = `GRANT rds_password TO usher_owner${handsOn ? ' WITH ADMIN OPTION' : ''};`;
  const needed = ['on', '1', 'true', 'yes'].includes(only ?? '');
  // VALID UNTIL too: with the restriction on, not even a login by token can be opened
  if (needed)
    return missing(right, 'rds.restrict_password_commands is on and usher_owner is not in rds_password', remedy);
  return warn(right, 'usher_owner is not in rds_password: fails once rds.restrict_password_commands is set', remedy);
}

/** pg_hba's `+rds_iam` counts a membership by any path, with or without INHERIT and SET. */
async function masterKeepsPassword(ask: Ask): Promise<Proof> {
  const { master, path } = await one<{ master: string; path: string[] | null }>(
    ask,
    `WITH RECURSIVE dba AS (SELECT relowner AS o FROM pg_class WHERE oid = to_regclass('usher.setting')),
     up(o, path) AS (
       SELECT o, ARRAY[pg_get_userbyid(o)::text] FROM dba
       UNION SELECT m.roleid, up.path || pg_get_userbyid(m.roleid)::text FROM pg_auth_members m JOIN up ON m.member = up.o
        -- what RDS itself gives (10 is its rdsadmin) is its own business: there the master may grant rds_iam and keeps the password
        WHERE NOT (m.roleid = to_regrole('rds_iam') AND m.grantor = 10 AND pg_get_userbyid(m.member) IN ((SELECT pg_get_userbyid(o) FROM dba), 'rds_superuser'))
          AND NOT pg_get_userbyid(m.roleid) = ANY (up.path))
     SELECT pg_get_userbyid((SELECT o FROM dba)) AS master, (SELECT path FROM up WHERE o = to_regrole('rds_iam') LIMIT 1) AS path`,
  );
  const right = 'installer keeps its password';
  if (path === null) return ok(right, `${master} is not in rds_iam by any path`);
  const [, next = ''] = path;
  const remedy = next === 'usher_owner' ? 'SELECT usher.leave();' : `REVOKE ${quoted(next)} FROM ${quoted(master)};`;
  return missing(right, `${path.join(' → ')}: its password does not work any more`, remedy);
}

async function parkedIsPowerless(ask: Ask): Promise<Proof> {
  const { members, roles } = await one<{ members: string[]; roles: string[] }>(
    ask,
    `SELECT ARRAY(SELECT pg_get_userbyid(m.member)::text FROM pg_auth_members m WHERE m.roleid = to_regrole('usher_parked')
                   AND pg_get_userbyid(m.member) <> 'usher_owner') AS members,
            ARRAY(SELECT pg_get_userbyid(m.roleid)::text FROM pg_auth_members m WHERE m.member = to_regrole('usher_parked')) AS roles`,
  );
  const right = 'usher_parked is powerless';
  if (members.length + roles.length === 0) return ok(right, 'no member, no membership');
  const remedy = [
    ...members.map((name) => `REVOKE usher_parked FROM ${quoted(name)};`),
    ...roles.map((name) => `REVOKE ${quoted(name)} FROM usher_parked;`),
  ].join(' ');
  const found = [...members.map((name) => `${name} is a member of it`), ...roles.map((name) => `it is in ${name}`)];
  return missing(right, `${found.join(', ')}: code that people left behind would run with that`, remedy);
}

/** Sessions that the service opens to one target at most: three for each of its three purposes. */
const SESSIONS_NEEDED = 9;

async function headroom(ask: Ask): Promise<Proof> {
  const { used, most, free, name } = await one<{ used: number; most: number; free: number; name: string }>(
    ask,
    `SELECT session_user AS name, (SELECT count(*) FROM pg_stat_activity WHERE usename = session_user)::int AS used,
            (SELECT rolconnlimit FROM pg_roles WHERE rolname = session_user) AS most,
            current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
              - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int AS free`,
  );
  const right = 'sessions to spare';
  const found = `${used} of ${most < 0 ? 'unlimited' : most} sessions of the broker in use, ${free} free on the server`;
  if (most >= 0 && most - used < SESSIONS_NEEDED) {
    const alter = `SET LOCAL ROLE usher_owner; ALTER ROLE ${quoted(name)} CONNECTION LIMIT ${Math.max(20, used + 2 * SESSIONS_NEEDED)}; RESET ROLE;`;
    return warn(right, found, `BEGIN; SELECT usher.enter(); ${alter} SELECT usher.leave(); COMMIT;`);
  }
  if (free < SESSIONS_NEEDED) return warn(right, found, 'Raise max_connections in the parameter group, and restart.');
  return ok(right, found);
}

const CLOCK_MS = 20_000;

async function clock(ask: Ask): Promise<Proof> {
  const asked = Date.now();
  const { now } = await one<{ now: Date }>(ask, 'SELECT clock_timestamp() AS now');
  const away = Math.abs(now.getTime() - (asked + Date.now()) / 2);
  if (away < CLOCK_MS) return ok('clocks agree', 'within 20 s; a minute is allowed for');
  const finding = `the target's clock is ${Math.round(away / 1_000)} s from the one here: ends of grants are refused or late`;
  return warn('clocks agree', finding, 'Let this machine follow NTP.');
}

async function cronIsClosed(ask: Ask): Promise<Proof> {
  const { open, name } = await one<{ open: boolean; name: string }>(
    ask,
    `SELECT session_user AS name, coalesce(has_schema_privilege(to_regnamespace('cron'), 'USAGE'), false) AS open`,
  );
  if (!open) return ok('cron is closed to the broker', 'a thief could not touch the sweep');
  const remedy = `REVOKE USAGE ON SCHEMA cron FROM PUBLIC, ${quoted(name)};`;
  return missing('cron is closed to the broker', 'it may use schema cron', remedy);
}

/** In the order of the output. */
export const standing: readonly Standing[] = [
  { right: 'call the guard', look: calls },
  { right: 'TLS', look: tls },
  { right: 'clocks agree', look: clock },
  { right: 'broker is only a login', look: plain },
  { right: 'broker reads no data', look: readsNothing },
  { right: 'create logins', look: createsLogins },
  { right: 'set passwords', look: setsPasswords },
  { right: 'installer keeps its password', look: masterKeepsPassword },
  { right: 'usher_parked is powerless', look: parkedIsPowerless },
  { right: 'sessions to spare', look: headroom },
  { right: 'cron is closed to the broker', look: cronIsClosed },
];
