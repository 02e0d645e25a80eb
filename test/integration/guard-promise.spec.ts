import { describe, expect, test } from 'vitest';
import { majors } from '../support/majors.ts';
import { groupsOf, guardStage, inMinutes, lease, refused, write } from './guard-stage.ts';

/** What was agreed is what is given: never more, never to somebody else, never longer. */
describe.each(majors)('what the guard promises on PostgreSQL %i', (major) => {
  const stage = guardStage(major);
  const allow = (profile: string, groups: string, more = ''): Promise<unknown> =>
    stage.target.asMaster(`SELECT usher.allow($1, $2, 60${more})`, [profile, groups]);

  describe('the plan', () => {
    test.each([
      ['a group fewer on the list', { groups: ['app_read', 'app_write'] }],
      ['a group more on the list', { groups: [] }],
      ['another group', { groups: ['app_write'] }],
      ['another number of connections', { connectionLimit: 6 }],
    ])('is refused where the list says otherwise: %s', async (_, more) => {
      await expect(stage.guard.open(lease('planned', 'grant-planned-1', more))).rejects.toMatchObject(refused('plan'));
      expect(await stage.guard.inspect(['planned'])).toEqual([]);
    });

    test('is kept while it lives: a wider list adds nothing, a narrower one takes away', async () => {
      await stage.target.asMaster('CREATE ROLE app_more NOLOGIN');
      await allow('pinned', '{app_read,app_write}');
      const wanted = lease('pia', 'grant-pia-1', { profile: 'pinned', groups: ['app_write', 'app_read'] });
      await stage.guard.open(wanted);

      await allow('pinned', '{app_read,app_more}', ', 9');
      await stage.guard.repair('pia');
      const kept = await stage.look('pia');
      expect([groupsOf(kept), kept.connectionLimit]).toEqual([['app_read', 'rds_iam'], 5]);
      await allow('pinned', '{app_read,app_write}', ', 2');
      expect(await stage.guard.open({ ...wanted, endsAt: inMinutes(20) })).toMatchObject({ live: 1 });
      const shorter = await stage.look('pia');
      expect([groupsOf(shorter), shorter.connectionLimit]).toEqual([['app_read', 'app_write', 'rds_iam'], 2]);
      await expect(stage.guard.open({ ...wanted, groups: ['app_read'] })).rejects.toMatchObject(refused('plan'));
      await stage.guard.close({ login: 'pia', grantId: 'grant-pia-1', why: 'test' });
    });

    test('of a disabled profile gives nothing from the next look on, and the sweep ends its leases', async () => {
      await allow('doomed', '{app_read}');
      const wanted = lease('dave', 'grant-dave-1', { profile: 'doomed' });
      await stage.guard.open(wanted);
      await stage.target.asMaster(`UPDATE usher.profile SET enabled = false WHERE name = 'doomed'`);
      await expect(stage.guard.open({ ...wanted, endsAt: inMinutes(40) })).rejects.toMatchObject(refused('profile'));
      expect(await stage.guard.repair('dave')).toMatchObject({ live: 0 });
      expect(await stage.look('dave')).toMatchObject({ canLogin: false, memberships: [], leases: [{}] });
      await stage.guard.sweep();
      expect(await stage.look('dave')).toMatchObject({ leases: [] });
    });
  });

  describe('the end', () => {
    test('moves both ways, as VALID UNTIL does, and counts from the first opening', async () => {
      const wanted = lease('ella', 'grant-ella-1', { endsAt: inMinutes(20) });
      await stage.guard.open(wanted);
      const endsAt = async (minutes: number): Promise<unknown> => {
        const end = inMinutes(minutes);
        const { endsAt: answered } = await stage.guard.open({ ...wanted, endsAt: end });
        expect(answered).toEqual(end);
        return (await stage.look('ella')).validUntil?.getTime() === end.getTime();
      };
      expect([await endsAt(50), await endsAt(5)]).toEqual([true, true]);
      await stage.target.rdsadmin.query(
        `UPDATE usher.lease SET opened_at = opened_at - interval '30 min' WHERE grant_id = 'grant-ella-1'`,
      );
      await expect(stage.guard.open({ ...wanted, endsAt: inMinutes(35) })).rejects.toMatchObject(refused('ends_at'));
      expect(await endsAt(25)).toBe(true);
    });

    test('comes nearer while the DBA has paused access or the quota is used up, and never further', async () => {
      const wanted = lease('fred', 'grant-fred-1', { endsAt: inMinutes(30) });
      await stage.guard.open(wanted);
      const setting = (name: string, value: string): Promise<unknown> =>
        stage.target.asMaster('UPDATE usher.setting SET value = $2 WHERE name = $1', [name, value]);
      await setting('paused', 'on');
      await expect(stage.guard.open({ ...wanted, endsAt: inMinutes(40) })).rejects.toMatchObject(refused('paused'));
      await stage.guard.open({ ...wanted, endsAt: inMinutes(20) });
      await setting('paused', 'off');

      await setting('max_opens_per_hour', '1');
      await expect(stage.guard.open(lease('fred', 'grant-fred-2'))).rejects.toMatchObject(refused('quota'));
      expect(await stage.guard.open({ ...wanted, endsAt: inMinutes(45) })).toMatchObject({ live: 1 });
      expect(await stage.guard.close({ login: 'fred', grantId: 'grant-fred-1', why: 'test' })).toMatchObject({
        live: 0,
      });
      await setting('max_opens_per_hour', '2000');
    });

    test.each([
      ['max_live_leases', '1'],
      ['max_live_per_login', '1'],
      ['max_logins', '1'],
    ])('has a quota: %s', async (name, value) => {
      const [{ before } = { before: '' }] = await stage.target.asMaster<{ before: string }>(
        'SELECT value AS before FROM usher.setting WHERE name = $1',
        [name],
      );
      await stage.guard.open(lease('quinn', `grant-quinn-${name}`));
      await stage.target.asMaster('UPDATE usher.setting SET value = $2 WHERE name = $1', [name, value]);
      const login = name === 'max_logins' ? 'one_more' : 'quinn';
      await expect(stage.guard.open(lease(login, `grant-quinn2-${name}`))).rejects.toMatchObject(refused('quota'));
      await stage.target.asMaster('UPDATE usher.setting SET value = $2 WHERE name = $1', [name, before]);
      await stage.guard.close({ login: 'quinn', grantId: `grant-quinn-${name}`, why: 'test' });
    });
  });

  describe('the name', () => {
    test('is one person’s for ever: while it lives, closed, dropped by hand and dropped for tidiness', async () => {
      const theirs = lease('hugo', 'grant-hugo-1');
      const another = (n: number): Promise<unknown> =>
        stage.guard.open(lease('hugo', `grant-hugo-x${n}`, { person: 'person-of-harry' }));
      await stage.guard.open(theirs);
      await expect(another(1)).rejects.toMatchObject(refused('person'));
      await stage.guard.close({ login: 'hugo', grantId: 'grant-hugo-1', why: 'test' });
      await expect(another(2)).rejects.toMatchObject(refused('person'));
      await stage.target.rdsadmin.query('DROP ROLE hugo');
      await expect(another(3)).rejects.toMatchObject(refused('person'));

      expect(await stage.guard.open(lease('hugo', 'grant-hugo-2'))).toMatchObject({ created: true });
      await stage.guard.close({ login: 'hugo', grantId: 'grant-hugo-2', why: 'test' });
      await stage.target.asMaster(`SELECT usher.drop('hugo')`);
      expect(await stage.guard.inspect(['hugo'])).toEqual([]);
      await expect(another(4)).rejects.toMatchObject(refused('person'));
      expect(await stage.guard.open(lease('hugo', 'grant-hugo-3'))).toMatchObject({ created: true, live: 1 });
    });

    test('is not adopted when somebody else made a role of it meanwhile', async () => {
      await stage.guard.open(lease('iris', 'grant-iris-1'));
      await stage.target.rdsadmin.query('DROP ROLE iris; CREATE ROLE iris');
      await expect(stage.guard.open(lease('iris', 'grant-iris-2'))).rejects.toMatchObject(refused('not_managed'));
      expect(await stage.guard.close({ login: 'iris', grantId: 'grant-iris-1', why: 'test' })).toMatchObject({
        live: 0,
      });
      await stage.target.rdsadmin.query('DROP ROLE iris');
    });

    test('comes back to a role that was renamed: by the sweep, an opening or a closing', async () => {
      const rename = (): Promise<unknown> => stage.target.rdsadmin.query('ALTER ROLE jack RENAME TO jill');
      await stage.guard.open(lease('jack', 'grant-jack-1'));
      await rename();
      await expect(stage.target.asMaster(`SELECT usher.drop('jack')`)).rejects.toMatchObject({ constraint: 'renamed' });
      await stage.guard.sweep();
      expect(await stage.guard.open(lease('jack', 'grant-jack-2'))).toMatchObject({ live: 2, created: false });
      await rename();
      expect(await stage.guard.open(lease('jack', 'grant-jack-2'))).toMatchObject({ live: 2, created: false });
      await stage.guard.close({ login: 'jack', grantId: 'grant-jack-2', why: 'test' });
      await rename();
      expect(await stage.guard.close({ login: 'jack', grantId: 'grant-jack-1', why: 'test' })).toMatchObject({
        live: 0,
      });
      const { rows } = await stage.target.rdsadmin.query(
        `SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname IN ('jack', 'jill')`,
      );
      expect(rows).toEqual([{ rolname: 'jack', rolcanlogin: false }]);
    });

    test('dropped behind our back with two leases: opening one again brings both back', async () => {
      await stage.guard.open(lease('kate', 'grant-kate-1'));
      await stage.guard.open(lease('kate', 'grant-kate-2', write));
      await stage.target.rdsadmin.query('DROP ROLE kate');
      expect(await stage.guard.repair('kate')).toMatchObject({ live: 0 });
      expect(await stage.guard.open(lease('kate', 'grant-kate-1'))).toMatchObject({ live: 2, created: true });
      expect(groupsOf(await stage.look('kate'))).toEqual(['app_read', 'app_write', 'rds_iam']);
    });
  });
});
