import type pg from 'pg';
import { describe, expect, test } from 'vitest';
import type { TargetBackend } from '../../src/postgres/postgres.contract.ts';
import { majors } from '../support/majors.ts';
import { until as waitFor } from '../support/until.ts';
import { guardStage, inMinutes, refused, write } from './guard-stage.ts';
import { until } from './guard-target.ts';

/** Seconds that a session sleeps between its login and its first sign of life: longer than the look and the end of it. */
const HIDDEN_S = 5;

describe.each(majors)('sessions on PostgreSQL %i', (major) => {
  const stage = guardStage(major);

  const cutOf = (session: pg.Client): Promise<void> => new Promise((resolve) => session.once('end', resolve));
  const expire = (grantId: string): Promise<unknown> =>
    stage.target.rdsadmin.query(`UPDATE usher.lease SET ends_at = clock_timestamp() WHERE grant_id = $1`, [grantId]);

  /** Logs in and runs one statement as soon as it is let; answers `ran`, or why not. */
  async function hide(login: string, password: string): Promise<{ outcome: Promise<string> }> {
    const before = await unnamed();
    const outcome = stage.target
      .connect(login, password, { options: `-c post_auth_delay=${HIDDEN_S}` })
      .then((session) => session.query(`SELECT 'ran'`).then(() => 'ran'))
      .catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
    // logged in, not on the way to it: a role that may not log in any more would be refused by itself
    await waitFor('it sleeps behind its login', async () => (await unnamed()) > before);
    return { outcome };
  }
  const unnamed = async (): Promise<number> => {
    const { rows } = await stage.target.rdsadmin.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM pg_locks k LEFT JOIN pg_stat_activity a USING (pid)
        WHERE k.locktype = 'virtualxid' AND a.usesysid IS NULL
          AND EXISTS (SELECT 1 FROM pg_locks d WHERE d.pid = k.pid AND d.locktype = 'object' AND d.classid = 'pg_database'::regclass)`,
    );
    return rows[0]?.n ?? 0;
  };
  const dead = 'terminating connection due to administrator command';

  test('one is seen with its TLS, ended by terminate, and cannot come back', async () => {
    const login = 'carla_pw';
    const password = await stage.openWithPassword(login, 'grant-carla-1');
    const session = await stage.target.connect(login, password, { application_name: 'psql <b>' });
    expect((await session.query('SELECT count(*)::int AS n FROM orders')).rows).toEqual([{ n: 0 }]);
    await expect(session.query('INSERT INTO orders VALUES (1)')).rejects.toMatchObject({ code: '42501' });

    const sessions = async (): Promise<TargetBackend[]> =>
      (await stage.guard.activity()).filter((backend) => backend.login === login);
    await until('it is idle', async () => (await sessions())[0]?.state === 'idle');
    const [seen] = await sessions();
    expect(seen).toMatchObject({
      ...{ database: 'postgres', clientAddress: '127.0.0.1', tls: true, tlsVersion: 'TLSv1.3', state: 'idle' },
      applicationName: 'psql <b>',
      clientPort: expect.any(Number) as number,
      backendStart: expect.any(Date) as Date,
    });
    expect(seen?.tlsCipher).toMatch(/^TLS_/);
    expect((await stage.look(login)).backends).toEqual([seen]);

    const cut = cutOf(session);
    await stage.guard.close({ login, grantId: 'grant-carla-1', why: 'revoked' });
    expect(await stage.guard.terminate([login])).toBe(1);
    await cut;
    await until('no backend is left', async () => (await stage.look(login)).backends.length === 0);
    await expect(stage.target.connect(login, password)).rejects.toMatchObject({ code: /^28/ });
  });

  test('of many logins are ended at once, and no others', async () => {
    const logins = ['many_1_pw', 'many_2_pw', 'many_3_pw', 'spared_pw'];
    const sessions = await Promise.all(
      logins.map(async (login) => stage.target.connect(login, await stage.openWithPassword(login, `grant-${login}`))),
    );
    const cuts = sessions.slice(0, 3).map(cutOf);
    expect(await stage.guard.terminate([...logins.slice(0, 3), 'nobody_at_all', 'dba', 'usher_broker'])).toBe(3);
    await Promise.all(cuts);
    expect((await sessions[3]?.query('SELECT 1 AS alive'))?.rows).toEqual([{ alive: 1 }]);
    await expect(stage.target.asMaster('SELECT 1 AS alive')).resolves.toEqual([{ alive: 1 }]);
  });

  test('of many, one whose sessions cannot be ended saves no other, and is told of', async () => {
    const [kept, other] = ['kept_pw', 'other_pw'];
    const sessions = await Promise.all(
      [kept, other].map(async (login) =>
        stage.target.connect(login, await stage.openWithPassword(login, `grant-${login}`)),
      ),
    );
    await stage.target.rdsadmin.query(`ALTER ROLE ${kept} SUPERUSER`); // beyond everybody's reach but rdsadmin's
    const cut = cutOf(sessions[1] as pg.Client);
    try {
      await expect(stage.guard.terminate([kept, other])).rejects.toMatchObject(refused('sessions'));
      await cut;
      expect((await sessions[0]?.query('SELECT 1 AS alive'))?.rows).toEqual([{ alive: 1 }]);
      await stage.guard.sweep(); // goes on with the others all the same
    } finally {
      await stage.target.rdsadmin.query(`ALTER ROLE ${kept} NOSUPERUSER`);
    }
    expect(await stage.guard.terminate([kept, other])).toBe(1);
  });

  test('that hide behind post_auth_delay are ended before their first statement; those of others are not', async () => {
    const password = await stage.openWithPassword('hider_pw', 'grant-hider-1');
    const other = await stage.openWithPassword('bystander_pw', 'grant-bystander-1');
    const hidden = await hide('hider_pw', password);
    const bystander = await hide('bystander_pw', other);
    expect((await stage.look('hider_pw')).backends).toEqual([]);

    await stage.guard.close({ login: 'hider_pw', grantId: 'grant-hider-1', why: 'revoked' });
    expect(await stage.guard.terminate(['hider_pw'])).toBe(1);
    expect(await hidden.outcome).toBe(dead);
    expect(await bystander.outcome).toBe('ran');
  });

  test('the sweep ends what has expired, hidden or not, with no broker needed, and says who swept', async () => {
    const password = await stage.openWithPassword('dora_pw', 'grant-dora-1');
    const session = await stage.target.connect('dora_pw', password);
    const cut = cutOf(session);
    const hidden = await hide('dora_pw', password);
    await expire('grant-dora-1');
    await stage.guard.sweep();
    await cut;
    expect(await hidden.outcome).toBe(dead);
    expect(await stage.look('dora_pw')).toMatchObject({ canLogin: false, memberships: [], leases: [] });

    expect(await stage.guard.hello()).toMatchObject({ sweptAt: null, sweptBy: null });
    await stage.target.asMaster('CALL usher.sweep()');
    const after = await stage.guard.hello();
    expect(after).toMatchObject({ sweptAt: expect.any(Date) as Date, sweptBy: 'dba' });
    expect(after.problems.map(({ code }) => code)).not.toContain('no_self_sweep');
    await stage.target.rdsadmin.query(`UPDATE usher.swept SET at = at - interval '6 min'`);
    expect((await stage.guard.hello()).problems).toContainEqual({
      code: 'no_self_sweep',
      message: expect.stringContaining(
        `SELECT cron.schedule('usher-sweep', '* * * * *', 'CALL usher.sweep()')`,
      ) as string,
    });
  });

  test.runIf(major < 16)(
    'that have become a group are ended by the sweep when their login loses it, others go on',
    async () => {
      const password = await stage.openWithPassword('zoe_pw', 'grant-zoe-read', { endsAt: inMinutes(20) });
      await stage.guard.open({
        ...{ login: 'zoe_pw', person: 'person-of-zoe_pw', grantId: 'grant-zoe-write', endsAt: inMinutes(20) },
        ...{ ...write, groups: ['app_write'], method: 'password' },
      });
      const session = await stage.target.connect('zoe_pw', password);
      await session.query('SET ROLE app_write');
      const cut = cutOf(session);
      await expire('grant-zoe-write');
      await stage.guard.sweep();
      await cut;
      const fresh = await stage.target.connect('zoe_pw', password);
      await stage.guard.sweep();
      expect((await fresh.query('SELECT 1 AS alive')).rows).toEqual([{ alive: 1 }]);
    },
  );
});
