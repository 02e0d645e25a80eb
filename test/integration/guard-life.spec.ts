import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { planCalls } from '../../src/postgres/calls.ts';
import type {
  InspectedLogin,
  LeaseToOpen,
  TargetBackend,
  TargetSession,
} from '../../src/postgres/postgres.contract.ts';
import { PostgresService } from '../../src/postgres/postgres.service.ts';
import { createAuthority } from '../../local/rds/authority.ts';
import { scramVerifier, startGuardTarget, until, type GuardTarget } from './guard-target.ts';

const inMinutes = (minutes: number): Date => new Date(Date.now() + minutes * 60_000);
const lease = (login: string, grantId: string, more: Partial<LeaseToOpen> = {}): LeaseToOpen => ({
  login,
  profile: 'read',
  grantId,
  endsAt: inMinutes(30),
  method: 'iam',
  ...more,
});

describe.each([15, 17] as const)('the guard on PostgreSQL %i', (major) => {
  const service = new PostgresService();
  let target: GuardTarget;
  let guard: TargetSession;

  const look = async (login: string): Promise<InspectedLogin> => {
    const [found] = await guard.inspect([login]);
    if (found === undefined) throw new Error(`${login} is not managed`);
    return found;
  };
  const roles = (login: InspectedLogin): string[] => login.memberships.map(({ role }) => role);

  beforeAll(async () => {
    target = await startGuardTarget(major, createAuthority(`authority ${major}`));
    guard = await service.connect(`target-${major}`, target.address, target.broker);
  });
  afterAll(async () => {
    await service.onApplicationShutdown();
    await target.stop();
  });

  test('hello says version, guard, pause, recovery, and what the DBA should put right', async () => {
    const before = await guard.hello();
    expect(Math.floor(before.serverVersion / 10_000)).toBe(major);
    expect(before).toMatchObject({ guardVersion: '1.0', paused: false, inRecovery: false });
    expect(before.problems.map(({ code }) => code)).toEqual(['broker_uses_password']);

    await target.asMaster('ALTER ROLE app_write CREATEDB');
    const after = await guard.hello();
    await target.asMaster('ALTER ROLE app_write NOCREATEDB');
    expect(after.problems).toContainEqual({
      code: 'group_refused',
      message: 'profile write: group app_write reaches app_write',
    });
  });

  test('profiles are what the DBA allowed', async () => {
    expect(await guard.profiles()).toEqual([
      {
        name: 'read',
        groups: ['app_read'],
        maxMinutes: 60,
        connectionLimit: 5,
        methods: ['iam', 'password'],
        enabled: true,
      },
      { name: 'token-only', groups: ['app_read'], maxMinutes: 60, connectionLimit: 5, methods: ['iam'], enabled: true },
      {
        name: 'write',
        groups: ['app_write'],
        maxMinutes: 30,
        connectionLimit: 3,
        methods: ['iam', 'password'],
        enabled: true,
      },
    ]);
  });

  test('a lease gives login and group, closing takes both, and running either again changes nothing', async () => {
    const wanted = lease('alice', 'grant-alice-1');
    const opened = await guard.open(wanted);
    expect(opened).toEqual({ login: 'alice', live: 1, endsAt: wanted.endsAt, leftover: [], created: true });
    expect(await guard.open(wanted)).toEqual({ ...opened, created: false });

    const open = await look('alice');
    expect(open).toMatchObject({
      exists: true,
      canLogin: true,
      connectionLimit: 5,
      validUntil: wanted.endsAt,
      retiredAt: null,
    });
    expect(open).toMatchObject({ attributes: [], members: [], backends: [], preparedTransactions: 0 });
    expect(roles(open)).toEqual(['app_read', 'rds_iam']);
    expect(open.memberships.every(({ admin, set }) => !admin && set !== true)).toBe(true);
    expect(open.leases).toEqual([
      {
        grantId: 'grant-alice-1',
        profile: 'read',
        method: 'iam',
        openedAt: expect.any(Date) as Date,
        endsAt: wanted.endsAt,
      },
    ]);

    const done = { login: 'alice', grantId: 'grant-alice-1', why: 'test' };
    expect(await guard.close(done)).toEqual({ login: 'alice', live: 0, endsAt: null, leftover: [], known: true });
    expect(await guard.close(done)).toMatchObject({ live: 0, known: true });
    expect(await look('alice')).toMatchObject({ canLogin: false, memberships: [], leases: [] });
    await expect(guard.open(wanted)).rejects.toMatchObject({ code: 'target_refused', message: /closed/ });
  });

  test('closing or ending what never was is nothing to do', async () => {
    const unknown = { login: 'nobody_yet', grantId: 'grant-never-1', why: 'test' };
    expect(await guard.close(unknown)).toEqual({
      login: 'nobody_yet',
      live: 0,
      endsAt: null,
      leftover: [],
      known: false,
    });
    expect(await guard.terminate('nobody_yet')).toBe(0);
    expect(await guard.inspect(['nobody_yet'])).toEqual([]);
  });

  test('an opening that was still on its way when its grant was closed comes too late', async () => {
    const late = lease('nobody_late', 'grant-late-1', { endsAt: inMinutes(20) });
    expect(await guard.close({ login: late.login, grantId: late.grantId, why: 'revoked' })).toMatchObject({
      known: false,
    });
    await expect(guard.open(late)).rejects.toMatchObject({ code: 'target_refused', message: /closed/ });
    expect(await guard.inspect(['nobody_late'])).toEqual([]);
    expect(await guard.close({ login: late.login, grantId: late.grantId, why: 'again' })).toMatchObject({ live: 0 });
  });

  test('of two overlapping leases the first to end leaves what the second gives', async () => {
    await guard.open(lease('bob', 'grant-bob-1'));
    await guard.open(lease('bob', 'grant-bob-2', { profile: 'write', endsAt: inMinutes(20) }));
    expect(roles(await look('bob'))).toEqual(['app_read', 'app_write', 'rds_iam']);

    expect(await guard.close({ login: 'bob', grantId: 'grant-bob-1', why: 'test' })).toMatchObject({ live: 1 });
    const kept = await look('bob');
    expect(kept).toMatchObject({ canLogin: true, connectionLimit: 3 });
    expect(roles(kept)).toEqual(['app_write', 'rds_iam']);

    expect(await guard.close({ login: 'bob', grantId: 'grant-bob-2', why: 'test' })).toMatchObject({ live: 0 });
    expect(await look('bob')).toMatchObject({ canLogin: false, memberships: [] });
  });

  test('a session is seen with its TLS, ended by terminate, and cannot come back', async () => {
    const password = 'Correct-horse-battery-9';
    await guard.open(lease('carla', 'grant-carla-1', { method: 'password', verifier: scramVerifier(password) }));
    const session = await target.connect('carla', password, { application_name: 'psql <b>' });
    expect((await session.query('SELECT count(*)::int AS n FROM orders')).rows).toEqual([{ n: 0 }]);
    await expect(session.query('INSERT INTO orders VALUES (1)')).rejects.toMatchObject({ code: '42501' });

    const sessions = async (): Promise<TargetBackend[]> =>
      (await guard.activity()).filter(({ login }) => login === 'carla');
    await until('it is idle', async () => (await sessions())[0]?.state === 'idle');
    const [seen] = await sessions();
    expect(seen).toMatchObject({
      database: 'postgres',
      clientAddress: '127.0.0.1',
      tls: true,
      tlsVersion: 'TLSv1.3',
      applicationName: 'psql <b>',
    });
    expect(seen).toMatchObject({
      clientPort: expect.any(Number) as number,
      backendStart: expect.any(Date) as Date,
      state: 'idle',
    });
    expect(seen?.tlsCipher).toMatch(/^TLS_/);
    expect((await look('carla')).backends).toEqual([seen]);

    const cut = new Promise<void>((resolve) => session.once('end', resolve));
    await guard.close({ login: 'carla', grantId: 'grant-carla-1', why: 'revoked' });
    expect(await guard.terminate('carla')).toBe(1);
    await cut;
    await until('no backend is left', async () => (await look('carla')).backends.length === 0);
    await expect(target.connect('carla', password)).rejects.toMatchObject({ code: /^28/ });
  });

  test('the sweep ends what has expired, sessions included, with no broker needed', async () => {
    const password = 'Correct-horse-battery-8';
    await guard.open(lease('dora', 'grant-dora-1', { method: 'password', verifier: scramVerifier(password) }));
    const session = await target.connect('dora', password);
    const cut = new Promise<void>((resolve) => session.once('end', resolve));
    await target.rdsadmin.query(`UPDATE usher.lease SET ends_at = clock_timestamp() WHERE grant_id = 'grant-dora-1'`);
    await guard.sweep();
    await cut;
    expect(await look('dora')).toMatchObject({ canLogin: false, memberships: [], leases: [] });
  });

  test('drift is repaired by opening and closing again: a dropped role, a granted group, a login by hand', async () => {
    const wanted = lease('erin', 'grant-erin-1');
    await guard.open(wanted);
    await target.rdsadmin.query('DROP ROLE erin');
    const states = await guard.inspect(['erin']);
    expect(states.map(({ exists }) => exists)).toEqual([false]);
    expect(await guard.open(wanted)).toMatchObject({ live: 1, created: true });
    expect((await guard.inspect(['erin'])).filter(({ exists }) => exists)).toMatchObject([{ canLogin: true }]);

    await target.rdsadmin.query('GRANT app_write TO erin');
    const closed = await guard.close({ login: 'erin', grantId: 'grant-erin-1', why: 'test' });
    expect(closed.leftover).toEqual(major === 15 ? [] : ['app_write']);
    await target.rdsadmin.query('REVOKE app_write FROM erin; ALTER ROLE erin LOGIN');
    await guard.sweep();
    expect((await guard.inspect(['erin'])).some(({ canLogin }) => canLogin)).toBe(false);
  });

  test('what an approver is shown is what happens', async () => {
    const endsAt = inMinutes(25);
    const [open] = planCalls({
      login: 'frank_plan',
      profile: { name: 'read', groups: ['app_read'], connectionLimit: 5 },
      method: 'iam',
      grantId: 'grant-frank-1',
      endsAt,
      serverMajor: major,
    });
    await target.rdsadmin.query(`BEGIN; ${open?.effects.join('\n')}; COMMIT`);
    await guard.open(lease('frank', 'grant-frank-1', { endsAt }));
    const state = async (login: string): Promise<unknown> => {
      const { rows } = await target.rdsadmin.query(
        `SELECT r.rolcanlogin, r.rolconnlimit, r.rolvaliduntil, r.rolinherit, a.rolpassword,
                (SELECT jsonb_agg(to_jsonb(m) - 'oid' - 'member' - 'grantor' ORDER BY m.roleid) FROM pg_auth_members m WHERE m.member = r.oid) AS memberships
           FROM pg_roles r JOIN pg_authid a USING (oid) WHERE r.rolname = $1`,
        [login],
      );
      return rows;
    };
    expect(await state('frank_plan')).toEqual(await state('frank'));
    await guard.close({ login: 'frank', grantId: 'grant-frank-1', why: 'test' });
    await target.rdsadmin.query('DROP ROLE frank_plan');
  });

  test('paused by the DBA: nothing opens, closing works', async () => {
    await guard.open(lease('gina', 'grant-gina-1'));
    await target.asMaster(`UPDATE usher.setting SET value = 'on' WHERE name = 'paused'`);
    await expect(guard.open(lease('gina', 'grant-gina-2'))).rejects.toMatchObject({
      code: 'target_not_ready',
      message: /paused/,
    });
    expect(await guard.close({ login: 'gina', grantId: 'grant-gina-1', why: 'test' })).toMatchObject({ live: 0 });
    expect((await guard.hello()).paused).toBe(true);
    await target.asMaster(`UPDATE usher.setting SET value = 'off' WHERE name = 'paused'`);
  });
});
