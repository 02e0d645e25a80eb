import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PostgresService } from '../../src/postgres/postgres.service.ts';
import { majors } from '../support/majors.ts';
import { until } from '../support/until.ts';
import { attacks, mayCall } from './guard-attacks.ts';
import { open, setPassword, startTheft, type Theft } from './guard-theft.ts';

/** The guard's own reason for a refusal, else the SQLSTATE. */
const refusalOf = async (attempt: Promise<unknown>): Promise<string> => {
  try {
    await attempt;
    return 'it went through';
  } catch (error) {
    const { code, schema, constraint } = error as pg.DatabaseError;
    return (schema === 'usher' ? constraint : code) ?? String(error);
  }
};

describe.each(majors)('a stolen broker login on PostgreSQL %i', (major) => {
  const service = new PostgresService();
  let theft: Theft;

  beforeAll(async () => {
    theft = await startTheft(major);
  });
  afterAll(async () => {
    await service.onApplicationShutdown();
    await theft?.target.stop();
  });

  describe.each(Object.entries(attacks))('cannot %s', (_group, list) => {
    test.each(list)('%s', async (_what, sql, refusal) => {
      const before = await theft.state();
      // a session of its own: what it sets and makes is gone with it
      const session = await theft.another();
      const run = async (): Promise<void> => {
        for (const statement of [sql].flat()) await session.query(statement);
      };
      expect(await refusalOf(run())).toBe(refusal);
      await session.end();
      expect(await theft.state()).toEqual(before);
    });
  });

  test('it may call these routines and no other, and read no table', async () => {
    const { rows } = await theft.thief.query<{ name: string }>(
      `SELECT DISTINCT p.proname::text AS name FROM pg_proc p
        WHERE p.pronamespace = 'usher'::regnamespace AND has_function_privilege(p.oid, 'EXECUTE') ORDER BY 1`,
    );
    expect(rows.map(({ name }) => name)).toEqual(mayCall);
    const readable = await theft.thief.query(
      `SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'usher'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'S')
          AND has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')`,
    );
    expect(readable.rows).toEqual([]);
  });

  test('it may create in no schema', async () => {
    const { rows } = await theft.thief.query(
      `SELECT n.nspname FROM pg_namespace n WHERE n.nspname !~ '^pg_(toast_)?temp_' AND has_schema_privilege(n.oid, 'CREATE')`,
    );
    expect(rows).toEqual([]);
  });

  test('it does not see what others ask, and where from only by the guard', async () => {
    await theft.target.asMaster('SELECT $1::text AS secret_of_the_master', ['x']);
    const { rows } = await theft.thief.query(
      `SELECT DISTINCT query, client_addr, backend_start FROM pg_stat_activity WHERE usename = 'dba'`,
    );
    expect(rows).toEqual([{ query: '<insufficient privilege>', client_addr: null, backend_start: null }]);
    const seen = JSON.stringify(
      (await theft.thief.query(`SELECT to_jsonb(i) FROM usher.inspect() i UNION ALL SELECT usher.survey()`)).rows,
    );
    expect(seen).not.toMatch(/secret_of_the_master|SCRAM-SHA-256|"dba"/);
    const sessions = JSON.stringify((await theft.thief.query('SELECT usher.sessions()')).rows);
    expect(sessions).toContain('"dba"');
    expect(sessions).not.toMatch(/secret_of_the_master|SCRAM-SHA-256|query/);
  });

  test('ending sessions reaches managed logins only', async () => {
    const before = await theft.state();
    const master = await theft.target.asMaster('SELECT pg_backend_pid() AS pid');
    const logins = `'{dba,rdsadmin,usher_broker,app_read,nobody}'`;
    const { rows } = await theft.thief.query<{ ended: unknown }>(`SELECT usher.terminate(${logins}) AS ended`);
    expect(rows).toEqual([{ ended: 0 }]);
    expect(await theft.target.asMaster('SELECT pg_backend_pid() AS pid')).toEqual(master);
    expect(await theft.state()).toEqual(before);
  });

  test('DateStyle and TimeZone of its own do not move the end', async () => {
    const session = await theft.another();
    await session.query(`SET datestyle = 'SQL, DMY'; SET timezone = 'Asia/Kolkata'`);
    await session.query(open('clockwise', { grant: 'grant-clock-1' }));
    const { rows } = await theft.target.rdsadmin.query(
      `SELECT abs(extract(epoch FROM r.rolvaliduntil - l.ends_at))::int AS off FROM pg_roles r JOIN usher.lease l ON l.role = r.oid WHERE r.rolname = 'clockwise'`,
    );
    expect(rows).toEqual([{ off: 0 }]);
  });

  test.runIf(major >= 16)('createrole_self_grant of its own lets nobody become a new login', async () => {
    const session = await theft.another();
    await session.query(`SET createrole_self_grant = 'set, inherit'`);
    await session.query(open('selfish', { grant: 'grant-selfish-1' }));
    const { rows } = await theft.target.rdsadmin.query(
      `SELECT pg_get_userbyid(m.member) AS member FROM pg_auth_members m
        WHERE m.roleid = 'selfish'::regrole AND (m.set_option OR m.inherit_option AND m.member <> 'usher_owner'::regrole)`,
    );
    expect(rows).toEqual([]);
  });

  test('a group that the DBA enriched after allowing it is not given any more', async () => {
    await theft.target.asMaster('GRANT app_rich TO app_write');
    const richer = open('mallory', { profile: 'write', groups: '{app_write}', limit: 3 });
    expect(await refusalOf(theft.thief.query(richer))).toBe('group');
    await theft.target.asMaster('REVOKE app_rich FROM app_write');
  });

  test('what it changes of the allow-list’s promise later, the lease does not follow', async () => {
    await theft.thief.query(open('pinned', { grant: 'grant-pinned-1' }));
    await theft.target.asMaster(`SELECT usher.allow('read', '{app_read,app_write}', 60, 5, '{iam,password}')`);
    await theft.thief.query(`SELECT usher.repair('pinned')`);
    const { rows } = await theft.target.rdsadmin.query(
      `SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
        WHERE m.member = 'pinned'::regrole AND g.rolname ~ '^app_'`,
    );
    await theft.target.asMaster(`SELECT usher.allow('read', '{app_read}', 60, 5, '{iam,password}')`);
    expect(rows).toEqual([{ rolname: 'app_read' }]);
  });

  test('quotas stop it from filling the target, and closing goes on', async () => {
    await theft.target.asMaster(`UPDATE usher.setting SET value = '3' WHERE name = 'max_live_per_login'`);
    for (const n of [1, 2, 3]) await theft.thief.query(open('glutton', { grant: `grant-glutton-${n}` }));
    expect(await refusalOf(theft.thief.query(open('glutton', { grant: 'grant-glutton-4' })))).toBe('quota');
    await theft.target.asMaster(`UPDATE usher.setting SET value = '10' WHERE name = 'max_live_per_login'`);
    await theft.target.asMaster(
      `UPDATE usher.setting SET value = (SELECT count(*) FROM usher.login) WHERE name = 'max_logins'`,
    );
    expect(await refusalOf(theft.thief.query(open('one_more', { grant: 'grant-more-1' })))).toBe('quota');
    await theft.target.asMaster(`UPDATE usher.setting SET value = '0' WHERE name = 'max_opens_per_hour'`);
    expect(await refusalOf(theft.thief.query(open('glutton', { grant: 'grant-glutton-5' })))).toBe('quota');
    await theft.thief.query(`SELECT usher.close('glutton', 'grant-glutton-1')`);
    await theft.target.asMaster(
      `UPDATE usher.setting SET value = '2000' WHERE name IN ('max_logins', 'max_opens_per_hour')`,
    );
  });

  test.runIf(major === 14)('14 lets it give itself to others: the next sweep takes it back', async () => {
    for (const other of ['dba', 'victim', 'app_read']) await theft.thief.query(`GRANT usher_broker TO ${other}`);
    await theft.target.asMaster('CALL usher.sweep()');
    const members = await theft.target.rdsadmin.query(
      `SELECT pg_get_userbyid(member) FROM pg_auth_members WHERE roleid = 'usher_broker'::regrole`,
    );
    expect(members.rows).toEqual([]);
  });

  test('settings it leaves to its own role do not stop the broker, and are gone with the next sweep', async () => {
    const settings = [
      ...[
        `default_transaction_isolation = 'serializable'`,
        'default_transaction_read_only = on',
        'search_path = pg_temp',
      ],
      ...[
        `datestyle = 'SQL, DMY'`,
        `timezone = 'Asia/Kolkata'`,
        'statement_timeout = 1',
        'lock_timeout = 1',
        `local_preload_libraries = 'nowhere'`,
        'synchronous_commit = off',
      ],
    ];
    const lease = { login: 'honest', grantId: 'grant-honest-1' };
    const endsAt = new Date(Date.now() + 600_000);
    const more = { person: 'person-honest', profile: 'read', groups: ['app_read'], connectionLimit: 5 };
    try {
      for (const setting of settings) await theft.thief.query(`ALTER ROLE usher_broker SET ${setting}`);
      const guard = await service.connect('after', theft.target.address, theft.target.broker);
      expect(await guard.open({ ...lease, ...more, endsAt, method: 'iam' })).toMatchObject({ live: 1, endsAt });
      expect(await guard.close({ ...lease, why: 'test' })).toMatchObject({ live: 0 });
    } finally {
      await theft.target.asMaster('CALL usher.sweep()');
    }
    const own = `SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'usher_broker'::regrole`;
    expect((await theft.target.rdsadmin.query(own)).rows).toEqual([]);
  });

  // each step of a sweep is patient for 5 s
  test(
    'sitting on the lock does not stop the sweep, with twelve sessions that come back at once',
    { timeout: 120_000 },
    async () => {
      await theft.target.rdsadmin.query(
        `UPDATE usher.lease SET ends_at = clock_timestamp() WHERE grant_id = 'grant-victim-1'`,
      );
      let over = false;
      // as the server counts them: what a client hears of its end may come after the sweep's answer
      const killed = async (): Promise<number> => {
        const sql = `SELECT sessions_killed::int AS n FROM pg_stat_database WHERE datname = 'postgres'`;
        return (await theft.target.rdsadmin.query<{ n: number }>(sql)).rows[0]?.n ?? 0;
      };
      const before = await killed();
      const sitter = async (n: number): Promise<void> => {
        while (!over) {
          const session = await theft.another().catch(() => undefined);
          if (session === undefined) continue;
          const cut = new Promise<void>((resolve) => session.once('end', resolve));
          await session.query('BEGIN').catch(() => undefined);
          // in its turn it has the lock, and keeps it
          await session
            .query(`SET lock_timeout = 0; SELECT usher.close('sitter_${n}', 'grant-sitter-${n}')`)
            .catch(() => undefined);
          await Promise.race([cut, until('it is over', () => Promise.resolve(over), 120_000)]);
          await session.end().catch(() => undefined);
        }
      };
      const sitters = Array.from({ length: 12 }, (_, n) => sitter(n));
      await until('the lock is kept', async () => {
        const { rows } = await theft.target.rdsadmin.query(
          `SELECT 1 FROM pg_locks WHERE relation = 'usher.mutex'::regclass AND granted`,
        );
        return rows.length > 0;
      });
      await theft.target.asMaster('CALL usher.sweep()');
      over = true;
      await Promise.all(sitters);
      await until('a sitter was ended', async () => (await killed()) > before);
      const { rows } = await theft.target.rdsadmin.query(
        `SELECT closed_why, (SELECT rolcanlogin FROM pg_roles WHERE rolname = 'victim') AS "canLogin" FROM usher.lease WHERE grant_id = 'grant-victim-1'`,
      );
      expect(rows).toEqual([{ closed_why: 'swept', canLogin: false }]);
    },
  );

  test('advisory locks, which anybody may take, stop nothing', async () => {
    const session = await theft.another();
    await session.query('SELECT pg_advisory_lock(n), pg_advisory_lock(n, n) FROM generate_series(-200, 200) n');
    await theft.thief.query(`SELECT usher.close('victim_pw', 'grant-victim-2')`);
    await theft.target.asMaster('CALL usher.sweep()');
    expect(await refusalOf(theft.thief.query(setPassword('victim_pw', 'grant-victim-2')))).toBe('no_such_lease');
  });
});
