import { describe, expect, test } from 'vitest';
import type { InspectedLogin, Survey } from '../../src/postgres/postgres.contract.ts';
import { majors } from '../support/majors.ts';
import { groupsOf, guardStage, lease, refused, write } from './guard-stage.ts';

describe.each(majors)('a look for drift on PostgreSQL %i', (major) => {
  const stage = guardStage(major);
  const of = ({ logins }: Survey, login: string): InspectedLogin | undefined =>
    logins.find((found) => found.login === login);

  test('an honest target shows its logins and nothing else', async () => {
    await stage.guard.open(lease('alma', 'grant-alma-1'));
    const survey = await stage.guard.survey();
    expect(survey).toMatchObject({ foreign: [], iamGroups: [] });
    expect(survey.logins).toEqual(await stage.guard.inspect());
    expect(of(survey, 'alma')).toMatchObject({ ownedObjects: 0, directGrants: 0, members: [], attributes: [] });
  });

  test('a lease whose role is gone is shown with it', async () => {
    await stage.guard.open(lease('gone', 'grant-gone-1'));
    await stage.target.rdsadmin.query('DROP ROLE gone');
    expect(of(await stage.guard.survey(), 'gone')).toMatchObject({
      ...{ exists: false, canLogin: false },
      leases: [{ grantId: 'grant-gone-1' }],
    });
  });

  test('objects that a login owns and rights given to it are counted, over all databases', async () => {
    await stage.guard.open(lease('olga', 'grant-olga-1'));
    await stage.target.rdsadmin.query('CREATE DATABASE elsewhere OWNER olga');
    await stage.target.rdsadmin.query(
      'CREATE SCHEMA hers AUTHORIZATION olga; CREATE TABLE given (id int); GRANT SELECT ON given TO olga',
    );
    expect(of(await stage.guard.survey(), 'olga')).toMatchObject({ ownedObjects: 2, directGrants: 1 });
  });

  test('a foreign role with our marker is named, and never touched', async () => {
    await stage.target.rdsadmin.query('CREATE ROLE impostor LOGIN; GRANT usher_managed, app_read TO impostor');
    expect((await stage.guard.survey()).foreign).toEqual(['impostor']);
    await expect(stage.guard.repair('impostor')).rejects.toMatchObject(refused('not_managed'));
    expect(await stage.guard.terminate(['impostor'])).toBe(0);
    await stage.guard.sweep();
    const { rows } = await stage.target.rdsadmin.query(
      `SELECT rolcanlogin, pg_has_role('impostor', 'app_read', 'MEMBER') AS reads FROM pg_roles WHERE rolname = 'impostor'`,
    );
    expect(rows).toEqual([{ rolcanlogin: true, reads: true }]);
  });

  test('a group that reaches rds_iam is named, by however long a way; a login that does is not a group', async () => {
    await stage.target.rdsadmin.query(
      'CREATE ROLE team; CREATE ROLE crew; CREATE ROLE tokens LOGIN; GRANT rds_iam TO team, tokens; GRANT team TO crew',
    );
    expect((await stage.guard.survey()).iamGroups).toEqual(['crew', 'team']);
  });

  test('what a repair may put right it does: memberships, the login, the limit', async () => {
    await stage.guard.open(lease('rolf', 'grant-rolf-1'));
    await stage.guard.open(lease('rolf', 'grant-rolf-2', write));
    await stage.target.rdsadmin.query(
      `REVOKE app_read FROM rolf ${major < 16 ? '' : 'GRANTED BY usher_owner'}; ALTER ROLE rolf NOLOGIN CONNECTION LIMIT 50 CREATEROLE`,
    );
    expect(await stage.guard.repair('rolf')).toMatchObject({ login: 'rolf', live: 2, leftover: [] });
    const rolf = await stage.look('rolf');
    expect(rolf).toMatchObject({ canLogin: true, connectionLimit: 5, attributes: [] });
    expect(groupsOf(rolf)).toEqual(['app_read', 'app_write', 'rds_iam']);
    await expect(stage.guard.repair('nobody_at_all')).rejects.toMatchObject(refused('no_such_login'));
  });

  test('the sweep takes what no lease gives: a group, a login right; it gives nothing back', async () => {
    await stage.guard.open(lease('sven', 'grant-sven-1'));
    await stage.target.rdsadmin.query(
      `GRANT app_write TO sven ${major < 16 ? '' : 'GRANTED BY usher_owner'}; ALTER ROLE sven CONNECTION LIMIT 7`,
    );
    await stage.guard.sweep();
    expect(groupsOf(await stage.look('sven'))).toEqual(['app_read', 'rds_iam']);
    await stage.guard.close({ login: 'sven', grantId: 'grant-sven-1', why: 'test' });
    await stage.target.rdsadmin.query('ALTER ROLE sven LOGIN');
    await stage.guard.sweep();
    expect(await stage.look('sven')).toMatchObject({ canLogin: false, memberships: [] });
  });

  test('one group that may not be taken back does not save the others', async () => {
    await stage.guard.open(lease('theo', 'grant-theo-1'));
    await stage.target.rdsadmin.query(
      `CREATE ROLE almighty SUPERUSER; GRANT almighty TO theo; GRANT app_write TO theo ${major < 16 ? '' : 'GRANTED BY usher_owner'}`,
    );
    const closed = await stage.guard.close({ login: 'theo', grantId: 'grant-theo-1', why: 'test' });
    expect(closed).toMatchObject({ live: 0, leftover: ['almighty'] });
    expect(groupsOf(await stage.look('theo'))).toEqual(['almighty']);
    await stage.target.rdsadmin.query('DROP ROLE almighty');
  });

  test.runIf(major < 15)('on 14 a person makes others members of the own role: the sweep takes that back', async () => {
    const password = await stage.openWithPassword('self_pw', 'grant-self-1');
    const session = await stage.target.connect('self_pw', password);
    await session.query('GRANT self_pw TO dba');
    expect(of(await stage.guard.survey(), 'self_pw')).toMatchObject({ members: ['dba'] });
    await stage.guard.sweep();
    expect(of(await stage.guard.survey(), 'self_pw')).toMatchObject({ members: [], canLogin: true });
  });
});
