import { existsSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority } from '../../local/rds/authority.ts';
import { PostgresService } from '../../src/postgres/postgres.service.ts';
import { onlyMajor } from '../support/majors.ts';
import { until } from '../support/until.ts';
import { scramVerifier, startGuardTarget, type GuardTarget } from './guard-target.ts';

/** The builds of npm have no pg_cron; Debian has it as postgresql-15-cron. */
const debian = '/usr/lib/postgresql/15';
const missing = [`${debian}/bin/initdb`, `${debian}/lib/pg_cron.so`].filter((file) => !existsSync(file));
const elsewhere = onlyMajor !== undefined && onlyMajor !== 15;
if (missing.length > 0 && !elsewhere)
  console.log(`left out: pg_cron on a target needs apt-get install postgresql-15-cron (${missing.join(', ')} missing)`);

describe.skipIf(missing.length > 0 || elsewhere)('a target that sweeps itself with pg_cron', () => {
  const service = new PostgresService();
  let target: GuardTarget;

  beforeAll(async () => {
    target = await startGuardTarget(15, createAuthority('cron'), {
      binaries: debian,
      settings: {
        shared_preload_libraries: 'pg_cron',
        'cron.database_name': 'postgres',
        // as a worker of the server, which needs no line in pg_hba.conf
        'cron.use_background_workers': 'on',
      },
    });
    await target.rdsadmin.query('CREATE EXTENSION pg_cron; GRANT USAGE ON SCHEMA cron TO dba');
  });
  afterAll(async () => {
    await service.onApplicationShutdown();
    await target?.stop();
  });

  const loginOf = async (name: string): Promise<unknown> => {
    const { rows } = await target.rdsadmin.query(
      `SELECT rolcanlogin, rolpassword, (SELECT count(*)::int FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
          WHERE m.member = a.oid AND g.rolname <> 'usher_managed') AS groups,
        (SELECT count(*)::int FROM pg_stat_activity s WHERE s.usesysid = a.oid) AS sessions
         FROM pg_authid a WHERE rolname = $1`,
      [name],
    );
    return rows[0];
  };

  // pg_cron 1.4 knows minutes only: a lease of seconds may live until the next full one
  test('access and session end on time with every Usher process dead', { timeout: 150_000 }, async () => {
    const password = 'Correct-horse-battery-6';
    const lease = { login: 'nora_pw', grantId: 'grant-nora-1' };
    const guard = await service.connect('cron', target.address, target.broker);
    expect((await guard.hello()).problems.map(({ code }) => code)).toContain('no_self_sweep');
    await target.asMaster(`SELECT cron.schedule('usher-sweep', '* * * * *', 'CALL usher.sweep()')`);
    await guard.open({
      ...{ ...lease, person: 'person-nora', profile: 'read', groups: ['app_read'], connectionLimit: 5 },
      ...{ endsAt: new Date(Date.now() + 10_000), method: 'password' },
    });
    await guard.setPassword({ ...lease, verifier: scramVerifier(password) });
    // from here on there is no Usher
    await service.onApplicationShutdown();

    const session = await target.connect(lease.login, password);
    const cut = new Promise<void>((resolve) => session.once('end', resolve));
    expect(await loginOf(lease.login)).toMatchObject({ rolcanlogin: true, groups: 1, sessions: 1 });
    await cut;
    expect(await loginOf(lease.login)).toEqual({ rolcanlogin: false, rolpassword: null, groups: 0, sessions: 0 });
    await expect(target.connect(lease.login, password)).rejects.toMatchObject({ code: /^28/ });

    const again = await service.connect('cron', target.address, target.broker);
    // sessions are ended in the middle of a sweep, and that it was one is written at its end
    const after = await until('the end of the sweep', async () => {
      const said = await again.hello();
      return said.sweptAt !== null && said;
    });
    expect(after).toMatchObject({ sweptAt: expect.any(Date) as Date, sweptBy: 'dba' });
    expect(after.problems.map(({ code }) => code)).not.toContain('no_self_sweep');
  });

  test('the broker’s login can neither see nor stop the schedule', async () => {
    const thief = await target.connect('usher_broker', await target.broker.password());
    for (const sql of [`SELECT cron.unschedule('usher-sweep')`, 'SELECT * FROM cron.job', 'DELETE FROM cron.job'])
      await expect(thief.query(sql)).rejects.toThrow(pg.DatabaseError);
    const jobs = await target.rdsadmin.query(`SELECT jobname, active, username FROM cron.job`);
    expect(jobs.rows).toEqual([{ jobname: 'usher-sweep', active: true, username: 'dba' }]);
  });
});
