import { open, setPassword, verifier } from './guard-theft.ts';

/**
 * What somebody who stole the broker's login would try, and how it is refused: the guard's own reason, or the SQLSTATE of
 * PostgreSQL. It reads as a list and is one, which is why it is long.
 */
export type Attack = [what: string, sql: string | string[], refusal: string];

const DENIED = '42501';
const denied = (what: string, ...sql: string[]): Attack => [what, sql, DENIED];
const named = (what: string, login: string | null): Attack => [what, open(login), 'login_name'];

const becoming: Attack[] = [
  ...[
    'rds_iam',
    'rds_superuser',
    'rds_password',
    'pg_read_all_data',
    'pg_signal_backend',
    'pg_execute_server_program',
  ].map((role) => denied(`give itself ${role}`, `GRANT ${role} TO usher_broker`)),
  ...['usher_owner', 'usher_keeper', 'usher_managed', 'app_read', 'victim', 'dba'].map((role) =>
    denied(`make itself a member of ${role}`, `GRANT ${role} TO usher_broker WITH ADMIN OPTION`),
  ),
  ...['usher_owner', 'usher_keeper', 'dba', 'rds_superuser', 'rdsadmin', 'victim', 'app_read'].map((role) =>
    denied(`SET ROLE ${role}`, `SET ROLE ${role}`),
  ),
  denied('take the identity of the session', 'SET SESSION AUTHORIZATION dba'),
  denied('cross the bridge of the installer', 'SELECT usher.enter()'),
  denied('close the bridge', 'SELECT usher.leave()'),
  denied('create a role', 'CREATE ROLE intruder LOGIN'),
  ...[
    'SUPERUSER',
    'CREATEROLE',
    'CREATEDB',
    'REPLICATION',
    'BYPASSRLS',
    'CONNECTION LIMIT -1',
    `VALID UNTIL 'infinity'`,
  ].map((what) => denied(`give itself ${what}`, `ALTER ROLE usher_broker ${what}`)),
  ['take another name', 'ALTER ROLE usher_broker RENAME TO usher_hidden', '0A000'],
];

const others: Attack[] = [
  denied('set the password of a login', `ALTER ROLE victim PASSWORD '${verifier}'`),
  denied('set the password of the master', `ALTER ROLE dba PASSWORD '${verifier}'`),
  denied("set the password of AWS's own superuser", `ALTER ROLE rdsadmin PASSWORD '${verifier}'`),
  denied('lengthen VALID UNTIL', `ALTER ROLE victim VALID UNTIL 'infinity'`),
  denied('let a closed login in again', 'ALTER ROLE former LOGIN'),
  denied('give a group to a login by hand', 'GRANT app_write TO victim'),
  denied('give the settings of a login', `ALTER ROLE victim SET search_path = pg_temp`),
  denied('drop a login', 'DROP ROLE former'),
  denied('rename a login', 'ALTER ROLE former RENAME TO someone'),
  denied('take over what a login owns', 'REASSIGN OWNED BY victim TO usher_broker'),
  denied('destroy what a login owns', 'DROP OWNED BY victim'),
  denied(
    'end the session of the master',
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dba'`,
  ),
  denied('cancel the query of the master', `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'dba'`),
  ['end the sessions of a role by the way of readers', `SELECT usher.end_here('dba')`, 'not_managed'],
  ['borrow the membership of the master', `SELECT usher.reach('dba', true)`, 'not_managed'],
  ['have the master put right', `SELECT usher.repair('dba')`, 'not_managed'],
];

const inside: Attack[] = [
  denied('call the inner repair', `SELECT usher._sync('victim'::regrole::oid)`),
  denied('end sessions by the inner function', `SELECT usher._kill('dba'::regrole::oid)`),
  denied('borrow a login', `SELECT usher._borrow('victim')`),
  denied('allow itself a profile', `SELECT usher.allow('rich', '{rds_superuser}', 60)`),
  denied('allow itself the setting of passwords', `SELECT usher.allow_password_manager('rich', 60)`),
  denied('retire somebody', `SELECT usher.retire('former')`),
  denied('borrow a login by lend', `SELECT usher.lend('former')`),
  denied('drop a login by the guard', `SELECT usher.drop('former')`),
  denied('uninstall', 'SELECT usher.uninstall()'),
  denied('prepare an upgrade', 'SELECT usher.before_major_upgrade()'),
  denied('choose its own way in', `SELECT usher.broker_auth('iam')`),
  denied('rewrite the allow-list', `UPDATE usher.profile SET groups = '{rds_superuser}'`),
  denied('add to the allow-list', `INSERT INTO usher.profile VALUES ('rich', '{rds_superuser}', 60)`),
  denied('lift the pause', `UPDATE usher.setting SET value = 'off'`),
  denied('lift a quota', `UPDATE usher.setting SET value = '1000000' WHERE name = 'max_logins'`),
  denied('loosen the pattern of names', `UPDATE usher.setting SET value = '.*' WHERE name = 'login_pattern'`),
  denied('lengthen a lease', `UPDATE usher.lease SET ends_at = 'infinity'`),
  denied('forget a login', 'DELETE FROM usher.login'),
  denied('empty a table', 'TRUNCATE usher.lease'),
  denied('read the leases', 'SELECT * FROM usher.lease'),
  denied('read the settings', 'SELECT * FROM usher.setting'),
  denied('read who is who', 'SELECT * FROM usher.login'),
  denied(
    'write the ends of leases through a trigger',
    'CREATE TRIGGER t BEFORE INSERT ON usher.lease EXECUTE FUNCTION usher.version()',
  ),
  denied('hold the lock', 'BEGIN', 'LOCK TABLE usher.mutex IN ACCESS SHARE MODE'),
  denied('hold the allow-list', 'BEGIN', 'LOCK TABLE usher.profile IN ACCESS SHARE MODE'),
  denied(
    'replace a function',
    `CREATE OR REPLACE FUNCTION usher.version() RETURNS text LANGUAGE sql AS 'SELECT 1::text'`,
  ),
  denied('loosen the search_path of a function', 'ALTER FUNCTION usher.hello() RESET ALL'),
  denied('make a function everybody’s', 'ALTER FUNCTION usher.hello() OWNER TO usher_broker'),
  denied('stop the sweep', 'DROP PROCEDURE usher.sweep()'),
  denied('take the guard away', 'DROP SCHEMA usher CASCADE'),
];

const server: Attack[] = [
  denied('read the data', 'SELECT * FROM orders'),
  denied('read the verifiers', 'SELECT rolpassword FROM pg_authid'),
  denied('read the statistics that hold samples of data', 'SELECT * FROM pg_statistic'),
  denied('run a program', `COPY (SELECT 1) TO PROGRAM 'id'`),
  denied('write a file', `COPY (SELECT 1) TO '/tmp/usher-attack'`),
  denied('import a file', `SELECT lo_import('/etc/passwd')`),
  denied('read a file', `SELECT pg_read_file('postgresql.conf')`),
  denied('read a directory', `SELECT pg_ls_dir('.')`),
  denied('load a library', `LOAD '/tmp/evil.so'`),
  denied('load an extension', 'CREATE EXTENSION postgres_fdw'),
  denied('load a trusted extension', 'CREATE EXTENSION pg_trgm'),
  denied('create a language', 'CREATE LANGUAGE evil HANDLER plpgsql_call_handler'),
  denied('create a database', 'CREATE DATABASE intruder'),
  denied('create a schema', 'CREATE SCHEMA intruder'),
  ...['usher', 'public', 'pg_catalog', 'information_schema'].map((schema) =>
    denied(`plant a function in ${schema}`, `CREATE FUNCTION ${schema}.x() RETURNS int LANGUAGE sql AS 'SELECT 1'`),
  ),
  denied('plant an operator', 'CREATE OPERATOR public.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)'),
  denied('plant an event trigger', 'CREATE EVENT TRIGGER t ON ddl_command_end EXECUTE FUNCTION usher.version()'),
  denied('publish the tables', 'CREATE PUBLICATION p FOR ALL TABLES'),
  denied('follow the log of changes', `SELECT pg_create_physical_replication_slot('s')`),
  denied('change a setting of the server', `ALTER SYSTEM SET log_statement = 'none'`),
  denied('change a setting of the database', `ALTER DATABASE postgres SET search_path = pg_temp`),
  denied('change a setting of everybody', `ALTER ROLE ALL SET search_path = pg_temp`),
  denied('change what others create', 'ALTER DEFAULT PRIVILEGES FOR ROLE dba GRANT SELECT ON TABLES TO usher_broker'),
  denied('switch off triggers', 'SET session_replication_role = replica'),
  denied('hide from the log', `SELECT set_config('log_min_messages', 'panic', false)`),
  denied('have the configuration read again', 'SELECT pg_reload_conf()'),
];

const whom: Attack[] = [
  ['a foreign role', open('dba'), 'not_managed'],
  ['a group as a login', open('app_write'), 'not_managed'],
  ['the login of another person', open('victim', { grant: 'grant-attack-2' }), 'person'],
  ['the login of another person, which is closed', open('former', { grant: 'grant-attack-2' }), 'person'],
  named('itself', 'usher_broker'),
  named('the owner of the guard', 'usher_owner'),
  named('a reserved name', 'pg_monitor'),
  named("AWS's own", 'rdsadmin'),
  named('the public', 'public'),
  named('an injected name', 'x"; GRANT rds_superuser TO x; --'),
  named('an injected literal', `x' || pg_sleep(9) || '`),
  named('a name in quotes', '"dba"'),
  named('a name with a schema', 'pg_catalog.x'),
  named('capitals that look alike', 'Victim'),
  named('a letter of another alphabet', 'v\u0456ctim'),
  named('a letter that is composed', 'vi\u0301ctim'),
  named('a name with a space that is not seen', 'victim\u200b'),
  named('a name with a line feed', 'victim\n'),
  named('a name with a space', 'victim '),
  named('a name PostgreSQL would cut', 'a'.repeat(64)),
  named('an empty name', ''),
  named('no name', null),
  ['an injected person', open('mallory', { person: `x'; --` }), 'person'],
  ['no person', open('mallory', { person: null }), 'person'],
  ['an injected grant', open('mallory', { grant: `x'); SELECT usher.uninstall(); --` }), 'grant_id'],
  ['no grant', open('mallory', { grant: null }), 'grant_id'],
];

const what: Attack[] = [
  ['a profile that is not on the list', open('mallory', { profile: 'rich' }), 'profile'],
  ['a group as profile', open('mallory', { profile: 'app_rich' }), 'profile'],
  ['no profile', open('mallory', { profile: null }), 'profile'],
  ['richer groups than the list', open('mallory', { groups: '{app_read,app_write}' }), 'plan'],
  ['other groups than the list', open('mallory', { groups: '{rds_superuser}' }), 'plan'],
  [
    'the same group many times over, for looks to be slow',
    open('mallory', { groups: `{${Array(50_000).fill('app_read').join()}}` }),
    'plan',
  ],
  ['no groups, for the list to be filled later', open('mallory', { groups: '{}' }), 'plan'],
  ['groups that are not said', open('mallory', { groups: null }), 'plan'],
  ['more connections than the list', open('mallory', { limit: 100 }), 'plan'],
  ['connections without end', open('mallory', { limit: -1 }), 'plan'],
  ['a method that is not allowed', open('mallory_pw', { profile: 'token-only', method: 'password' }), 'method'],
  ['a method that does not exist', open('mallory', { method: 'trust' }), 'method'],
  ['no method', open('mallory', { method: null }), 'method'],
  ['a password for a login by token', open('victim', { person: 'person-victim', method: 'password' }), 'login_name'],
  ['a token for a login by password', open('victim_pw', { person: 'person-victim' }), 'login_name'],
];

const howLong: Attack[] = [
  ['longer than the profile', open('mallory', { ends: `clock_timestamp() + interval '62 min'` }), 'ends_at'],
  ['for ever', open('mallory', { ends: `'infinity'` }), 'ends_at'],
  ['with no end', open('mallory', { ends: 'NULL' }), 'ends_at'],
  ['from before time', open('mallory', { ends: `'-infinity'` }), 'ends_at'],
  ['in the past', open('mallory', { ends: `clock_timestamp() - interval '1 s'` }), 'ends_at'],
  [
    'prolong beyond the first opening',
    open('victim', { person: 'person-victim', grant: 'grant-victim-1', ends: `clock_timestamp() + interval '59 min'` }),
    'ends_at',
  ],
  [
    'prolong from a transaction that began long ago',
    ['BEGIN', open('victim', { person: 'person-victim', grant: 'grant-victim-1', ends: `now() + interval '59 min'` })],
    'ends_at',
  ],
  ['take over a lease', open('mallory', { grant: 'grant-victim-1' }), 'grant_taken'],
  ['raise a closed lease', open('former', { person: 'person-former', grant: 'grant-former-1' }), 'grant_closed'],
  ['close under another name', `SELECT usher.close('former', 'grant-victim-1')`, 'no_such_lease'],
];

const passwords: Attack[] = [
  ['for a login by token', setPassword('victim', 'grant-victim-1'), 'method'],
  ['for the grant of another login', setPassword('victim_pw', 'grant-victim-1'), 'no_such_lease'],
  ['for a closed grant', setPassword('former', 'grant-former-1'), 'no_such_lease'],
  ['for a foreign role', setPassword('dba', 'grant-victim-2'), 'not_managed'],
  ['in clear text', setPassword('victim_pw', 'grant-victim-2', 'hunter2'), 'verifier'],
  ['as md5', setPassword('victim_pw', 'grant-victim-2', `md5${'0'.repeat(32)}`), 'verifier'],
  ['of one round', setPassword('victim_pw', 'grant-victim-2', verifier.replace('4096', '1000')), 'verifier'],
  [
    'of rounds that stall each login',
    setPassword('victim_pw', 'grant-victim-2', verifier.replace('4096', '99999999')),
    'verifier',
  ],
  ['with more behind it', setPassword('victim_pw', 'grant-victim-2', `${verifier}' SUPERUSER --`), 'verifier'],
  ['none', setPassword('victim_pw', 'grant-victim-2', null), 'verifier'],
];

const session: Attack[] = [
  ['an old snapshot', ['BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT 1', open('mallory')], 'isolation'],
  [
    'an old snapshot for closing',
    ['BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT 1', `SELECT usher.close('victim', 'grant-victim-1')`],
    'isolation',
  ],
  ['serializable', ['BEGIN ISOLATION LEVEL SERIALIZABLE', open('mallory')], 'isolation'],
  [
    'a table in place of the allow-list',
    [
      `CREATE TEMP TABLE profile (name text, groups text[], max_minutes int, connection_limit int, methods text[], enabled boolean)`,
      `INSERT INTO profile VALUES ('rich', '{rds_superuser}', 60, 5, '{iam}', true)`,
      'SET search_path = pg_temp, usher, pg_catalog',
      open('mallory', { profile: 'rich', groups: '{rds_superuser}' }),
    ],
    'profile',
  ],
  [
    'a table in place of the roles',
    [
      'CREATE TEMP TABLE pg_roles AS SELECT * FROM pg_catalog.pg_roles LIMIT 0',
      'SET search_path = pg_temp, pg_catalog',
      open('dba'),
    ],
    'not_managed',
  ],
  [
    'an operator that finds every name good',
    [
      `CREATE FUNCTION pg_temp.never(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false'`,
      'CREATE OPERATOR pg_temp.!~ (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.never)',
      'CREATE OPERATOR pg_temp.~ (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.never)',
      'SET search_path = pg_temp, pg_catalog',
      open('Mallory'),
    ],
    'login_name',
  ],
  [
    'a function of its own for the time',
    [
      `CREATE FUNCTION pg_temp.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '2020-01-01'::timestamptz $$`,
      'SET search_path = pg_temp, pg_catalog',
      open('mallory', { ends: `pg_catalog.clock_timestamp() - interval '1 day'` }),
    ],
    'ends_at',
  ],
  ['strings that are read in another way', ['SET standard_conforming_strings = off', open('victim\\\\')], 'login_name'],
];

export const attacks: Record<string, Attack[]> = {
  'become somebody else': becoming,
  'touch other roles and their sessions': others,
  'get inside the guard': inside,
  'use the server against it': server,
  'open for whom it may not': whom,
  'open what it may not': what,
  'open for longer than it may': howLong,
  'set a password': passwords,
  'turn its own session against the guard': session,
};

/** What the broker's login may call. A new one needs its attacks above. */
export const mayCall = [
  ...[
    '_more',
    '_skip',
    'activity',
    'close',
    'end_here',
    'hello',
    'inspect',
    'open',
    'owned',
    'profiles',
    'reach',
    'repair',
  ],
  ...['sessions', 'set_password', 'survey', 'sweep', 'sweep_close', 'sweep_done', 'sweep_kill', 'terminate', 'version'],
];
