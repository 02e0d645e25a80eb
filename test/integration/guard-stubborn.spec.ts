import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { majors } from '../support/majors.ts';
import { scramVerifier } from './guard-target.ts';
import { open, setPassword, startTheft, verifier, type Theft } from './guard-theft.ts';

describe.each(majors)('sessions that do not end on PostgreSQL %i', { timeout: 180_000 }, (major) => {
  let theft: Theft;
  let made = 0;

  beforeAll(async () => {
    theft = await startTheft(major);
  });
  afterAll(() => theft?.target.stop());

  const rows = async (sql: string): Promise<Record<string, unknown>[]> =>
    (await theft.target.rdsadmin.query<Record<string, unknown>>(sql)).rows;

  /**
   * Some built-in functions look at no interrupt: a session inside one ends only when it comes out, whoever asks it to. How long
   * they take depends on the machine, so the process of the session is stopped instead, which looks the same from outside.
   */
  async function begin(session: pg.Client): Promise<{ comeOut: () => Promise<void> }> {
    const [row] = (await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows;
    const pid = row?.pid ?? Number.NaN;
    const over = new Promise<void>((resolve) => session.once('end', () => resolve()));
    process.kill(pid, 'SIGSTOP');
    return {
      comeOut: () => {
        process.kill(pid, 'SIGCONT');
        return over;
      },
    };
  }

  async function insider() {
    const login = `stubborn_${++made}_pw`;
    const grant = `grant-stubborn-${made}`;
    await theft.thief.query(open(login, { person: `person-${made}`, grant, method: 'password' }));
    await theft.thief.query(setPassword(login, grant));
    const session = await theft.target.connect(login, 'Correct-horse-battery-7');
    session.on('error', () => undefined);
    await session.query(`BEGIN; ALTER ROLE ${login} PASSWORD '${scramVerifier('another-password-1')}'`);
    return { login, grant, session };
  }

  const standing = async (login: string): Promise<unknown> => {
    const [row] = await rows(
      `SELECT r.rolcanlogin AS "canLogin", ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                WHERE m.member = r.oid AND g.rolname <> 'usher_managed') AS groups,
              (SELECT closed_why FROM usher.lease WHERE login = r.rolname ORDER BY opened_at LIMIT 1) AS lease FROM pg_roles r WHERE r.rolname = '${login}'`,
    );
    return row;
  };

  test('keep no group, whatever they keep locked; the door follows when they end', async () => {
    const { login, grant, session } = await insider();
    const { comeOut } = await begin(session);
    const { rows: closed } = await theft.thief.query(`SELECT usher.close('${login}', '${grant}') AS outcome`);
    expect(closed).toMatchObject([{ outcome: { live: 0, locked: true } }]);
    expect(await standing(login)).toEqual({ canLogin: true, groups: [], lease: 'closed' });
    await comeOut();
    const { rows: repaired } = await theft.thief.query(`SELECT usher.repair('${login}') AS outcome`);
    expect(repaired).toMatchObject([{ outcome: { live: 0 } }]);
    expect(await standing(login)).toEqual({ canLogin: false, groups: [], lease: 'closed' });
  });

  test('keep nobody else in: the sweep takes what has expired of all, and comes back for the door', async () => {
    const [held, other] = [await insider(), await insider()];
    await other.session.query('ROLLBACK');
    const { comeOut } = await begin(held.session);
    await rows(
      `UPDATE usher.lease SET ends_at = clock_timestamp() WHERE grant_id IN ('${held.grant}', '${other.grant}')`,
    );
    await theft.target.asMaster('CALL usher.sweep()');
    expect(await standing(held.login)).toEqual({ canLogin: true, groups: [], lease: 'swept' });
    expect(await standing(other.login)).toEqual({ canLogin: false, groups: [], lease: 'swept' });
    await comeOut();
    await theft.target.asMaster('CALL usher.sweep()');
    expect(await standing(held.login)).toEqual({ canLogin: false, groups: [], lease: 'swept' });
  });

  test('keep the lock of the guard from a sweep in vain: it goes on without', async () => {
    const { login, grant, session } = await insider();
    await session.query('ROLLBACK');
    const cut = new Promise<void>((resolve) => session.once('end', () => resolve()));
    const thief = await theft.another();
    thief.on('error', () => undefined);
    await thief.query(`BEGIN; SELECT usher.close('nobody_x', 'grant-nobody-${major}')`);
    const { comeOut } = await begin(thief);
    await rows(`UPDATE usher.lease SET ends_at = clock_timestamp() WHERE grant_id = '${grant}'`);
    await theft.target.asMaster('CALL usher.sweep()');
    expect(await standing(login)).toEqual({ canLogin: false, groups: [], lease: 'swept' });
    await cut;
    await comeOut();
  });

  test.runIf(major < 16)(
    'a login that is opened anew between the two steps of a sweep keeps no session of before',
    async () => {
      const [login, person, method] = [`turncoat_${major}_pw`, 'person-turncoat', 'password'];
      const write = { person, method, profile: 'write', groups: '{app_write}', limit: 3 };
      await theft.thief.query(open(login, { ...write, grant: 'grant-turncoat-1' }));
      await theft.thief.query(setPassword(login, 'grant-turncoat-1'));
      const session = await theft.target.connect(login, 'Correct-horse-battery-7');
      const cut = new Promise<void>((resolve) => session.once('end', () => resolve()));
      session.on('error', () => undefined);
      await session.query('SET ROLE app_write');
      await rows(`UPDATE usher.lease SET ends_at = clock_timestamp() WHERE grant_id = 'grant-turncoat-1'`);
      await theft.target.asMaster('SELECT usher.sweep_close()');
      await theft.thief.query(open(login, { person, method, grant: 'grant-turncoat-2' }));
      await theft.target.asMaster('SELECT usher.sweep_kill()');
      await cut;
      expect(await standing(login)).toMatchObject({ canLogin: true, groups: ['app_read'] });
    },
  );

  test('the broker is locked out although its thief keeps the row of the role, and his sessions end', async () => {
    const thieves = [await theft.another(), await theft.another()];
    const cuts = thieves.map((thief) => new Promise<void>((resolve) => thief.once('end', () => resolve())));
    for (const thief of thieves) thief.on('error', () => undefined);
    theft.thief.on('error', () => undefined);
    await thieves[0]?.query(`BEGIN; ALTER ROLE usher_broker SET work_mem = '1MB'`);
    await theft.target.asMaster('SELECT usher.broker_auth(NULL)');
    await Promise.all(cuts);
    await expect(theft.another()).rejects.toThrow();
    await theft.target.asMaster(`SELECT usher.broker_auth('${verifier}')`);
    const back = await theft.target.connect('usher_broker', 'Correct-horse-battery-7');
    expect((await back.query(`SELECT usher.hello() ->> 'guard_version' AS version`)).rowCount).toBe(1);
    await back.end();
  });
});
