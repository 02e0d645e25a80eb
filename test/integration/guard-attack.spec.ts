import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority } from '../../local/rds/authority.ts';
import { scramVerifier, startGuardTarget, type GuardTarget } from './guard-target.ts';

const verifier = scramVerifier('Correct-horse-battery-7');
const open = (
  login: string,
  more: { profile?: string; grant?: string; ends?: string; method?: string; verifier?: string | null } = {},
): string => {
  const proof = more.verifier === undefined || more.verifier === null ? 'NULL' : `'${more.verifier}'`;
  return `SELECT usher.open('${login.replaceAll("'", "''")}', '${more.profile ?? 'read'}', '${more.grant ?? 'grant-attack-1'}',
    ${more.ends ?? `clock_timestamp() + interval '10 min'`}, '${more.method ?? 'iam'}', ${proof})`;
};

/** What somebody who stole the broker's login would try; each must be refused, and nothing may have changed. */
const attacks: [string, string | string[], RegExp][] = [
  // becoming somebody else
  ['give itself rds_iam', 'GRANT rds_iam TO usher_broker', /permission denied|must have admin option/],
  [
    'give itself a group',
    'GRANT app_read TO usher_broker',
    /permission denied|must have admin option|must have CREATEROLE/,
  ],
  ['become the owner', 'SET ROLE usher_owner', /permission denied/],
  ['become the master', 'SET ROLE dba', /permission denied/],
  ['create a role', 'CREATE ROLE intruder LOGIN', /permission denied/],
  ['take an attribute', 'ALTER ROLE usher_broker CREATEROLE', /permission denied|must (be superuser|have)/],
  ['set the password of another', `ALTER ROLE victim PASSWORD '${verifier}'`, /permission denied|must have CREATEROLE/],
  ['cross the bridge', 'SELECT usher.enter()', /permission denied/],
  // the inside of the guard
  ['call an inner function', `SELECT usher._sync('victim'::regrole::oid)`, /permission denied/],
  ['kill by the inner function', `SELECT usher._kill('dba'::regrole::oid)`, /permission denied/],
  ['borrow a login', `SELECT usher._borrow('victim', true)`, /permission denied/],
  ['allow itself a profile', `SELECT usher.allow('rich', '{rds_superuser}', 60)`, /permission denied/],
  ['retire somebody', `SELECT usher.retire('victim')`, /permission denied/],
  ['borrow a login by lend', `SELECT usher.lend('victim')`, /permission denied/],
  ['uninstall', 'SELECT usher.uninstall()', /permission denied/],
  ['choose its own way in', `SELECT usher.broker_auth('iam')`, /permission denied/],
  ['write the allow-list', `UPDATE usher.profile SET groups = '{rds_superuser}'`, /permission denied/],
  ['lift the pause', `UPDATE usher.setting SET value = 'off'`, /permission denied/],
  ['write a lease', `UPDATE usher.lease SET ends_at = 'infinity'`, /permission denied/],
  ['read the leases', 'SELECT * FROM usher.lease', /permission denied/],
  ['hold the lock', ['BEGIN', 'LOCK TABLE usher.mutex IN ACCESS SHARE MODE'], /permission denied/],
  [
    'replace a function',
    `CREATE OR REPLACE FUNCTION usher.version() RETURNS text LANGUAGE sql AS 'SELECT 1::text'`,
    /permission denied|must be owner/,
  ],
  ['plant a function', `CREATE FUNCTION usher.x() RETURNS int LANGUAGE sql AS 'SELECT 1'`, /permission denied/],
  ['stop the sweep', 'DROP PROCEDURE usher.sweep()', /must be owner/],
  ['read the data', 'SELECT * FROM orders', /permission denied/],
  [
    'end the session of the master',
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dba'`,
    /permission denied|must be/,
  ],
  // whom it may open
  ['a foreign role', open('dba'), /not managed by usher/],
  ['a group as a login', open('app_write'), /not managed by usher/],
  ['itself', open('usher_broker'), /unacceptable login name/],
  ['a reserved name', open('pg_monitor'), /unacceptable login name/],
  ["AWS's own", open('rdsadmin'), /unacceptable login name/],
  ['an injected name', open(`x"; GRANT rds_superuser TO x; --`), /unacceptable login name/],
  ['capitals that look alike', open('Victim'), /unacceptable login name/],
  ['a letter of another alphabet', open('v\u0456ctim'), /unacceptable login name/],
  ['a name with a line feed', open('victim\n'), /unacceptable login name/],
  ['a name PostgreSQL would cut', open('a'.repeat(64)), /unacceptable login name/],
  ['an empty name', open(''), /unacceptable login name/],
  // with what
  ['an unlisted profile', open('mallory', { profile: 'rich' }), /not on the allow-list/],
  ['a group as profile', open('mallory', { profile: 'app_rich' }), /not on the allow-list/],
  [
    'a method not allowed',
    open('mallory', { profile: 'token-only', method: 'password', verifier }),
    /method is not allowed/,
  ],
  ['a clear password', open('mallory', { method: 'password', verifier: 'hunter2' }), /not a SCRAM-SHA-256 verifier/],
  [
    'an md5 password',
    open('mallory', { method: 'password', verifier: `md5${'0'.repeat(32)}` }),
    /not a SCRAM-SHA-256 verifier/,
  ],
  [
    'a verifier of one round',
    open('mallory', { method: 'password', verifier: verifier.replace('4096', '1000') }),
    /not a SCRAM/,
  ],
  ['a password beside a token', open('mallory', { verifier }), /only with it/],
  // for how long
  [
    'longer than the profile',
    open('mallory', { ends: `clock_timestamp() + interval '62 min'` }),
    /maximum of the profile/,
  ],
  ['for ever', open('mallory', { ends: `'infinity'` }), /maximum of the profile/],
  ['with no end', open('mallory', { ends: 'NULL' }), /maximum of the profile/],
  ['in the past', open('mallory', { ends: `clock_timestamp() - interval '1 s'` }), /maximum of the profile/],
  [
    'prolong beyond the first opening',
    open('victim', { grant: 'grant-victim-1', ends: `clock_timestamp() + interval '59 min'` }),
    /maximum of the profile/,
  ],
  ['take over a lease', open('mallory', { grant: 'grant-victim-1' }), /belongs to another lease/],
  ['raise a closed lease', open('former', { grant: 'grant-former-1' }), /used and is closed/],
  ['close under another name', `SELECT usher.close('former', 'grant-victim-1')`, /no such lease/],
  ['the other method beside a live lease', open('victim', { method: 'password', verifier }), /other method/],
  // by the session
  ['an old snapshot', ['BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT 1', open('mallory')], /READ COMMITTED/],
  ['terminate the master', `SELECT usher.terminate('dba')`, /not managed by usher/],
];

describe.each([15, 17] as const)('a stolen broker login on PostgreSQL %i', (major) => {
  let target: GuardTarget;
  let thief: pg.Client;

  const state = async (): Promise<unknown> => {
    const { rows } = await target.rdsadmin.query(
      `SELECT (SELECT jsonb_agg(to_jsonb(a) ORDER BY a.rolname) FROM pg_authid a) AS roles,
              (SELECT jsonb_agg(to_jsonb(m) - 'oid' ORDER BY m.roleid, m.member, m.grantor) FROM pg_auth_members m) AS members,
              (SELECT jsonb_agg(to_jsonb(l) ORDER BY l.grant_id) FROM usher.lease l) AS leases,
              (SELECT jsonb_agg(to_jsonb(p) ORDER BY p.name) FROM usher.profile p) AS profiles,
              (SELECT jsonb_agg(to_jsonb(s) ORDER BY s.name) FROM usher.setting s) AS settings,
              (SELECT jsonb_agg(p.oid::regprocedure::text ORDER BY p.oid) FROM pg_proc p WHERE p.pronamespace = 'usher'::regnamespace) AS routines`,
    );
    return rows;
  };

  beforeAll(async () => {
    target = await startGuardTarget(major, createAuthority(`authority ${major}`));
    thief = await target.connect('usher_broker', await target.broker.password());
    await thief.query(open('victim', { grant: 'grant-victim-1' }));
    await thief.query(open('former', { grant: 'grant-former-1' }));
    await thief.query(`SELECT usher.close('former', 'grant-former-1')`);
    // as if it had been opened 30 minutes ago
    await target.rdsadmin.query(
      `UPDATE usher.lease SET opened_at = opened_at - interval '30 min' WHERE grant_id = 'grant-victim-1'`,
    );
  });
  afterAll(() => target.stop());

  test.each(attacks)('cannot: %s', async (_what, sql, refusal) => {
    const before = await state();
    await expect(
      (async () => {
        for (const statement of [sql].flat()) await thief.query(statement);
      })(),
    ).rejects.toThrow(refusal);
    await thief.query('ROLLBACK');
    expect(await state()).toEqual(before);
  });

  test('cannot: move the end by its own DateStyle and TimeZone', async () => {
    const session = await target.connect('usher_broker', await target.broker.password());
    await session.query(`SET datestyle = 'SQL, DMY'; SET timezone = 'Asia/Kolkata'`);
    await session.query(open('clockwise', { grant: 'grant-clock-1' }));
    const { rows } = await target.rdsadmin.query<{ off: number }>(
      `SELECT abs(extract(epoch FROM r.rolvaliduntil - l.ends_at))::int AS off FROM pg_roles r JOIN usher.lease l ON l.role = r.oid WHERE r.rolname = 'clockwise'`,
    );
    expect(rows).toEqual([{ off: 0 }]);
  });

  test('cannot: slip its own tables and functions into the guard by search_path', async () => {
    const session = await target.connect('usher_broker', await target.broker.password());
    await session.query(`CREATE TEMP TABLE pg_roles AS SELECT * FROM pg_catalog.pg_roles LIMIT 0`);
    await session.query(
      `CREATE TEMP TABLE profile (name text, groups text[]); SET search_path = pg_temp, pg_catalog, usher`,
    );
    await session.query(`INSERT INTO profile VALUES ('rich', '{rds_superuser}')`);
    await expect(session.query(open('mallory', { profile: 'rich' }))).rejects.toThrow(/not on the allow-list/);
    await expect(session.query(open('dba'))).rejects.toThrow(/not managed by usher/);
  });

  test('cannot: keep a role rich that the DBA enriched after allowing it', async () => {
    await target.asMaster('GRANT app_rich TO app_write');
    await expect(thief.query(open('mallory', { profile: 'write' }))).rejects.toThrow(
      /may not be given: app_write: reaches app_rich/,
    );
    await target.asMaster('REVOKE app_rich FROM app_write');
  });

  // 5 s of patience are part of it: once is enough
  test.runIf(major === 17)('cannot: stop closing by sitting on the lock; the sweep ends its sessions', async () => {
    const session = await target.connect('usher_broker', await target.broker.password());
    const cut = new Promise<void>((resolve) => session.once('end', resolve));
    await session.query('BEGIN');
    await session.query(open('sitter', { grant: 'grant-sitter-1' }));
    await target.asMaster('CALL usher.sweep()');
    await cut;
  });

  test('a leased person cannot stall the own closing, keep a password, or call the guard', async () => {
    const password = 'Correct-horse-battery-7';
    await thief.query(open('insider', { grant: 'grant-insider-1', method: 'password', verifier }));
    const insider = await target.connect('insider', password);
    await expect(
      insider.query(`SELECT usher.open('insider', 'write', 'grant-insider-2', now(), 'iam')`),
    ).rejects.toThrow(/permission denied/);
    await insider.query(`BEGIN; ALTER ROLE insider PASSWORD '${scramVerifier('another-password-1')}'`);
    await thief.query(`SELECT usher.close('insider', 'grant-insider-1')`);
    const { rows } = await target.rdsadmin.query(
      `SELECT rolcanlogin, rolpassword FROM pg_authid WHERE rolname = 'insider'`,
    );
    expect(rows).toEqual([{ rolcanlogin: false, rolpassword: null }]);
  });
});
