import { describe, expect, test } from 'vitest';
import { majors } from '../support/majors.ts';
import { groupsOf, guardStage, lease, refused } from './guard-stage.ts';

/** The one exception to the ban on rds_* groups and on role attributes, and that it stays the only one. */
describe.each(majors)('people who manage passwords on PostgreSQL %i', (major) => {
  const stage = guardStage(major);
  const manages = { groups: ['rds_password'], connectionLimit: 2 };
  const allow = (profile: string, more: string): Promise<unknown> =>
    stage.target.asMaster(`SELECT usher.allow_password_manager('${profile}', 60${more})`);

  test('get rds_password from a profile that the DBA made for them, until its end', async () => {
    await allow('passwords', '');
    expect(await stage.guard.profiles()).toContainEqual({
      ...{ name: 'passwords', groups: ['rds_password'], maxMinutes: 60, connectionLimit: 2, methods: ['iam'] },
      ...{ enabled: true, managesPasswords: true, createsRoles: false },
    });
    await stage.guard.open(lease('maria', 'grant-maria-1', { profile: 'passwords', ...manages }));
    const maria = await stage.look('maria');
    expect([groupsOf(maria), maria.attributes]).toEqual([['rds_iam', 'rds_password'], []]);
    expect(maria.memberships.every(({ admin }) => !admin)).toBe(true);
    expect((await stage.guard.hello()).problems.map(({ code }) => code)).not.toContain('group_refused');
    await stage.guard.close({ login: 'maria', grantId: 'grant-maria-1', why: 'test' });
    expect(await stage.look('maria')).toMatchObject({ memberships: [], attributes: [], canLogin: false });
  });

  test('get CREATEROLE where the DBA said so too; before 16 only where the DBA accepts what that means', async () => {
    if (major < 16) {
      await expect(allow('makers', ', creates_roles => true')).rejects.toThrow('reaches every role');
    }
    await allow(
      'makers',
      `, creates_roles => true, methods => '{password}'${major < 16 ? ', accept_risk => true' : ''}`,
    );
    const profile = { profile: 'makers', ...manages, createsRoles: true };
    const password = await stage.openWithPassword('mike_pw', 'grant-mike-1', profile);
    expect((await stage.look('mike_pw')).attributes).toEqual(['createrole']);
    const session = await stage.target.connect('mike_pw', password);
    await session.query(`CREATE ROLE service LOGIN; ALTER ROLE service PASSWORD NULL`);

    // of two leases the one without it takes nothing from the other, and gives nothing after it
    await stage.guard.open(lease('mike_pw', 'grant-mike-2', { method: 'password' }));
    expect((await stage.look('mike_pw')).attributes).toEqual(['createrole']);
    const closed = await stage.guard.close({ login: 'mike_pw', grantId: 'grant-mike-1', why: 'test' });
    expect(closed).toMatchObject({ live: 1, leftover: [] });
    const mike = await stage.look('mike_pw');
    expect([groupsOf(mike), mike.attributes, mike.canLogin]).toEqual([['app_read'], [], true]);
    await expect(session.query('CREATE ROLE another')).rejects.toMatchObject({ code: '42501' });
  });

  test.runIf(major >= 16)('leave what they made, and what they gave themselves of it: both are no access', async () => {
    await allow('founders', `, creates_roles => true, methods => '{password}'`);
    const profile = { profile: 'founders', ...manages, createsRoles: true };
    const password = await stage.openWithPassword('nina_pw', 'grant-nina-1', profile);
    const session = await stage.target.connect('nina_pw', password);
    await session.query(`SET createrole_self_grant = 'set, inherit'; CREATE ROLE made_by_nina LOGIN`);
    await session.end();
    const closed = await stage.guard.close({ login: 'nina_pw', grantId: 'grant-nina-1', why: 'test' });
    expect(closed).toMatchObject({ live: 0, leftover: [], locked: false });
    expect(await stage.look('nina_pw')).toMatchObject({ memberships: [], canLogin: false, attributes: [] });
  });

  test('keep only what was agreed: a list that gives CREATEROLE later gives it to nobody who is there', async () => {
    await allow('later', '');
    await stage.guard.open(lease('lena', 'grant-lena-1', { profile: 'later', ...manages }));
    await allow('later', `, creates_roles => true${major < 16 ? ', accept_risk => true' : ''}`);
    await stage.guard.repair('lena');
    expect((await stage.look('lena')).attributes).toEqual([]);
    // nor to who was shown a plan without it, and who was shown one with it gets none where the list has none
    const next = lease('lena', 'grant-lena-2', { profile: 'later', ...manages });
    await expect(stage.guard.open(next)).rejects.toMatchObject(refused('plan'));
    await allow('later', '');
    await expect(stage.guard.open({ ...next, createsRoles: true })).rejects.toMatchObject(refused('plan'));
    await stage.target.asMaster(`SELECT usher.allow('later', '{app_read}', 60)`);
    expect(await stage.guard.repair('lena')).toMatchObject({ live: 1 });
    expect(groupsOf(await stage.look('lena'))).toEqual(['rds_iam']);
  });

  test('CREATEROLE that no lease gives is taken off by the sweep, an opening and a closing', async () => {
    await stage.guard.open(lease('olaf', 'grant-olaf-1'));
    const enrich = (): Promise<unknown> => stage.target.rdsadmin.query('ALTER ROLE olaf CREATEROLE');
    const attributes = async (): Promise<string[]> => (await stage.look('olaf')).attributes;
    await enrich();
    await stage.guard.sweep();
    expect(await attributes()).toEqual([]);
    await enrich();
    await stage.guard.open(lease('olaf', 'grant-olaf-2'));
    expect(await attributes()).toEqual([]);
    await enrich();
    await stage.guard.close({ login: 'olaf', grantId: 'grant-olaf-1', why: 'test' });
    expect(await attributes()).toEqual([]);
  });

  test('the ban stays for everything else', async () => {
    await expect(stage.target.asMaster(`SELECT usher.allow('rich', '{rds_password}', 60)`)).rejects.toThrow(
      'rds_password',
    );
    await expect(
      stage.target.asMaster(
        `UPDATE usher.profile SET groups = '{rds_password,rds_superuser}' WHERE name = 'passwords'`,
      ),
    ).rejects.toMatchObject({ code: '23514' });
    await expect(
      stage.target.asMaster(`UPDATE usher.profile SET creates_roles = true WHERE name = 'read'`),
    ).rejects.toMatchObject({ code: '23514' });
    await stage.target.asMaster(`UPDATE usher.profile SET groups = '{rds_password}' WHERE name = 'token-only'`);
    await expect(
      stage.guard.open(lease('rita', 'grant-rita-1', { profile: 'token-only', groups: ['rds_password'] })),
    ).rejects.toMatchObject(refused('group'));
    await stage.target.rdsadmin.query('CREATE ROLE richer CREATEDB; GRANT richer TO rds_password');
    await expect(
      stage.guard.open(lease('rita', 'grant-rita-2', { profile: 'passwords', ...manages })),
    ).rejects.toMatchObject(refused('group'));
    await stage.target.rdsadmin.query('DROP ROLE richer');
  });
});
