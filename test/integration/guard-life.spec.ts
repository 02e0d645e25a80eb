import { describe, expect, test } from 'vitest';
import { planCalls } from '../../src/postgres/calls.ts';
import { majors } from '../support/majors.ts';
import { groupsOf, guardStage, inMinutes, lease, write } from './guard-stage.ts';

describe.each(majors)('the guard on PostgreSQL %i', (major) => {
  const stage = guardStage(major);

  test('hello says version, guard, pause, recovery, and what the DBA should put right', async () => {
    const before = await stage.guard.hello();
    expect(Math.floor(before.serverVersion / 10_000)).toBe(major);
    expect(before).toMatchObject({ guardVersion: '1.1', paused: false, inRecovery: false });
    expect(before.problems.map(({ code }) => code)).toEqual([
      'broker_uses_password',
      'no_self_sweep',
      ...(major === 14 ? ['old_server'] : []),
    ]);

    await stage.target.asMaster('ALTER ROLE app_write CREATEDB');
    const after = await stage.guard.hello();
    await stage.target.asMaster('ALTER ROLE app_write NOCREATEDB');
    expect(after.problems).toContainEqual({
      code: 'group_refused',
      message: 'profile write: group app_write reaches app_write',
    });
  });

  test('profiles are what the DBA allowed', async () => {
    const usual = { maxMinutes: 60, connectionLimit: 5, enabled: true, managesPasswords: false, createsRoles: false };
    expect(await stage.guard.profiles()).toEqual([
      { ...usual, name: 'read', groups: ['app_read'], methods: ['iam', 'password'] },
      { ...usual, name: 'token-only', groups: ['app_read'], methods: ['iam'] },
      {
        ...usual,
        ...{ name: 'write', groups: ['app_write'], maxMinutes: 30, connectionLimit: 3, methods: ['iam', 'password'] },
      },
    ]);
  });

  test('a lease gives login and group, closing takes both, and running either again changes nothing', async () => {
    const wanted = lease('alice', 'grant-alice-1');
    const opened = await stage.guard.open(wanted);
    expect(opened).toEqual({ login: 'alice', live: 1, endsAt: wanted.endsAt, leftover: [], created: true });
    expect(await stage.guard.open(wanted)).toEqual({ ...opened, created: false });

    const open = await stage.look('alice');
    expect(open).toMatchObject({
      exists: true,
      canLogin: true,
      connectionLimit: 5,
      validUntil: wanted.endsAt,
      retiredAt: null,
    });
    expect(open).toMatchObject({ attributes: [], members: [], backends: [], preparedTransactions: 0 });
    expect(open).toMatchObject({ person: 'person-of-alice', ownedObjects: 0, directGrants: 0 });
    expect(groupsOf(open)).toEqual(['app_read', 'rds_iam']);
    expect(open.memberships.every(({ admin, set }) => !admin && set !== true)).toBe(true);
    expect(open.leases).toEqual([
      {
        grantId: 'grant-alice-1',
        profile: 'read',
        groups: ['app_read'],
        connectionLimit: 5,
        method: 'iam',
        openedAt: expect.any(Date) as Date,
        endsAt: wanted.endsAt,
      },
    ]);

    const done = { login: 'alice', grantId: 'grant-alice-1', why: 'test' };
    expect(await stage.guard.close(done)).toEqual({
      ...{ login: 'alice', live: 0, endsAt: null, leftover: [] },
      ...{ known: true, locked: false },
    });
    expect(await stage.guard.close(done)).toMatchObject({ live: 0, known: true });
    expect(await stage.look('alice')).toMatchObject({ canLogin: false, memberships: [], leases: [] });
    await expect(stage.guard.open(wanted)).rejects.toMatchObject({ code: 'target_refused', message: /closed/ });
  });

  test('closing or ending what never was is nothing to do', async () => {
    const unknown = { login: 'nobody_yet', grantId: 'grant-never-1', why: 'test' };
    expect(await stage.guard.close(unknown)).toEqual({
      login: 'nobody_yet',
      live: 0,
      endsAt: null,
      leftover: [],
      known: false,
      locked: false,
    });
    expect(await stage.guard.terminate(['nobody_yet'])).toBe(0);
    expect(await stage.guard.inspect(['nobody_yet'])).toEqual([]);
  });

  test('an opening that was still on its way when its grant was closed comes too late', async () => {
    const late = lease('nobody_late', 'grant-late-1', { endsAt: inMinutes(20) });
    expect(await stage.guard.close({ login: late.login, grantId: late.grantId, why: 'revoked' })).toMatchObject({
      known: false,
    });
    await expect(stage.guard.open(late)).rejects.toMatchObject({ code: 'target_refused', message: /closed/ });
    expect(await stage.guard.inspect(['nobody_late'])).toEqual([]);
    expect(await stage.guard.close({ login: late.login, grantId: late.grantId, why: 'again' })).toMatchObject({
      live: 0,
    });
  });

  test('of two overlapping leases the first to end leaves what the second gives', async () => {
    await stage.guard.open(lease('bob', 'grant-bob-1'));
    await stage.guard.open(lease('bob', 'grant-bob-2', { ...write, endsAt: inMinutes(20) }));
    expect(groupsOf(await stage.look('bob'))).toEqual(['app_read', 'app_write', 'rds_iam']);

    expect(await stage.guard.close({ login: 'bob', grantId: 'grant-bob-1', why: 'test' })).toMatchObject({ live: 1 });
    const kept = await stage.look('bob');
    expect(kept).toMatchObject({ canLogin: true, connectionLimit: 3 });
    expect(groupsOf(kept)).toEqual(['app_write', 'rds_iam']);

    expect(await stage.guard.close({ login: 'bob', grantId: 'grant-bob-2', why: 'test' })).toMatchObject({ live: 0 });
    expect(await stage.look('bob')).toMatchObject({ canLogin: false, memberships: [] });
  });

  test('drift is repaired by opening and closing again: a dropped role, a granted group, a login by hand', async () => {
    const wanted = lease('erin', 'grant-erin-1');
    await stage.guard.open(wanted);
    await stage.target.rdsadmin.query('DROP ROLE erin');
    const states = await stage.guard.inspect(['erin']);
    expect(states).toMatchObject([{ exists: false, leases: [{ grantId: 'grant-erin-1' }] }]);
    expect(await stage.guard.open(wanted)).toMatchObject({ live: 1, created: true });
    expect(await stage.guard.inspect(['erin'])).toMatchObject([{ exists: true, canLogin: true }]);

    await stage.target.rdsadmin.query('GRANT app_write TO erin');
    const closed = await stage.guard.close({ login: 'erin', grantId: 'grant-erin-1', why: 'test' });
    expect(closed.leftover).toEqual(major < 16 ? [] : ['app_write']);
    await stage.target.rdsadmin.query('REVOKE app_write FROM erin; ALTER ROLE erin LOGIN');
    await stage.guard.sweep();
    expect((await stage.guard.inspect(['erin'])).some(({ canLogin }) => canLogin)).toBe(false);
  });

  test('what an approver is shown is what happens', async () => {
    const endsAt = inMinutes(25);
    const [open] = planCalls({
      login: 'frank_plan',
      person: 'person-of-frank',
      profile: { name: 'read', groups: ['app_read'], connectionLimit: 5 },
      method: 'iam',
      grantId: 'grant-frank-1',
      endsAt,
      serverMajor: major,
    });
    await stage.target.rdsadmin.query(`BEGIN; ${open?.effects.join('\n')}; COMMIT`);
    await stage.guard.open(lease('frank', 'grant-frank-1', { endsAt }));
    const state = async (login: string): Promise<unknown> => {
      const { rows } = await stage.target.rdsadmin.query(
        `SELECT r.rolcanlogin, r.rolconnlimit, r.rolvaliduntil, r.rolinherit, a.rolpassword,
                (SELECT jsonb_agg(to_jsonb(m) - 'oid' - 'member' - 'grantor' ORDER BY m.roleid) FROM pg_auth_members m WHERE m.member = r.oid) AS memberships
           FROM pg_roles r JOIN pg_authid a USING (oid) WHERE r.rolname = $1`,
        [login],
      );
      return rows;
    };
    expect(await state('frank_plan')).toEqual(await state('frank'));
    await stage.guard.close({ login: 'frank', grantId: 'grant-frank-1', why: 'test' });
    await stage.target.rdsadmin.query('DROP ROLE frank_plan');
  });

  test('paused by the DBA: nothing opens, closing works', async () => {
    await stage.guard.open(lease('gina', 'grant-gina-1'));
    await stage.target.asMaster(`UPDATE usher.setting SET value = 'on' WHERE name = 'paused'`);
    await expect(stage.guard.open(lease('gina', 'grant-gina-2'))).rejects.toMatchObject({
      code: 'target_not_ready',
      message: /paused/,
    });
    expect(await stage.guard.close({ login: 'gina', grantId: 'grant-gina-1', why: 'test' })).toMatchObject({ live: 0 });
    expect((await stage.guard.hello()).paused).toBe(true);
    await stage.target.asMaster(`UPDATE usher.setting SET value = 'off' WHERE name = 'paused'`);
  });
});
