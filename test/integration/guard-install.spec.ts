import { describe, expect, test } from 'vitest';
import { targetSql } from '../../src/postgres/target-sql.ts';
import { majors } from '../support/majors.ts';
import { guardStage, lease } from './guard-stage.ts';
import { scramVerifier } from './guard-target.ts';

describe.each(majors)('installed by the master on PostgreSQL %i', (major) => {
  const stage = guardStage(major);

  test('the guard installs again as an upgrade, and the master keeps the login by password', async () => {
    await stage.target.asMaster(`UPDATE usher.setting SET value = '1999' WHERE name = 'max_logins'`);
    await stage.target.asMaster(targetSql());
    await stage.target.asMaster(targetSql());
    expect(await stage.target.asMaster(`SELECT value FROM usher.setting WHERE name = 'max_logins'`)).toEqual([
      { value: '1999' },
    ]);
    expect((await stage.guard.profiles()).map(({ name }) => name)).toEqual(['read', 'token-only', 'write']);

    await stage.guard.open(lease('upgrade_probe', 'grant-upgrade-1'));
    await stage.target.asMaster(`SELECT usher.broker_auth('iam')`);
    // hba rejects whoever reaches rds_iam by any path: a new session by password is the proof
    const session = await stage.target.connect(stage.target.master.user, await stage.target.master.password());
    const reach = await session.query(
      `SELECT pg_has_role('dba', 'rds_iam', 'MEMBER') AS iam, pg_has_role('dba', 'usher_owner', 'MEMBER') AS owner,
              (SELECT rolsuper FROM pg_roles WHERE rolname = 'dba') AS super`,
    );
    expect(reach.rows).toEqual([{ iam: false, owner: false, super: false }]);
    await stage.target.asMaster('SELECT usher.broker_auth($1)', [scramVerifier(await stage.target.broker.password())]);
    await stage.guard.close({ login: 'upgrade_probe', grantId: 'grant-upgrade-1', why: 'test' });
  });

  test('no function with the rights of its owner finds what somebody else could have made', async () => {
    const definers = await stage.target.asMaster<{ name: string; settings: string[] | null }>(
      `SELECT oid::regprocedure::text AS name, proconfig AS settings FROM pg_proc WHERE prosecdef AND pronamespace = 'usher'::regnamespace`,
    );
    expect(definers.length).toBeGreaterThan(15);
    expect(definers.filter(({ settings }) => !settings?.includes('search_path=pg_catalog, pg_temp'))).toEqual([]);
  });

  test('uninstall refuses while a lease lives, then leaves nothing that can log in', async () => {
    await stage.guard.open(lease('hugo', 'grant-hugo-1'));
    await expect(stage.target.asMaster('SELECT usher.uninstall()')).rejects.toMatchObject({ code: '55006' });
    await stage.guard.close({ login: 'hugo', grantId: 'grant-hugo-1', why: 'test' });
    await stage.service.forget('target');
    // the loan of the fixture again, the other way round
    if (major >= 16) {
      await stage.target.rdsadmin.query(
        'REVOKE rds_iam FROM usher_owner CASCADE; GRANT rds_iam TO dba WITH ADMIN OPTION',
      );
    }
    const [row] = await stage.target.asMaster<{ uninstall: string }>('SELECT usher.uninstall()');
    expect(row?.uninstall).toMatch(major < 16 ? /^removed$/ : /^removed; usher_keeper stays/);
    const left = await stage.target.rdsadmin.query(
      `SELECT rolname, rolcanlogin OR rolcreaterole AS rich FROM pg_roles WHERE rolname ~ '^usher_' OR rolname IN ('alice', 'bob', 'frank')`,
    );
    expect(left.rows).toEqual(major < 16 ? [] : [{ rolname: 'usher_keeper', rich: false }]);
    await expect(stage.service.connect('gone', stage.target.address, stage.target.broker)).rejects.toMatchObject({
      code: 'target_refused',
    });
  });
});
