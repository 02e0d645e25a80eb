import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LeaseToOpen, TargetSession } from '../../src/postgres/postgres.contract.ts';
import { PostgresService } from '../../src/postgres/postgres.service.ts';
import { targetSql } from '../../src/postgres/target-sql.ts';
import { createAuthority } from '../../local/rds/authority.ts';
import { scramVerifier, startGuardTarget, type GuardTarget } from './guard-target.ts';

const lease = (login: string, grantId: string): LeaseToOpen => ({
  login,
  profile: 'read',
  grantId,
  endsAt: new Date(Date.now() + 30 * 60_000),
  method: 'iam',
});

describe.each([15, 17] as const)('installed by the master on PostgreSQL %i', (major) => {
  const service = new PostgresService();
  let target: GuardTarget;
  let guard: TargetSession;

  beforeAll(async () => {
    target = await startGuardTarget(major, createAuthority(`authority ${major}`));
    guard = await service.connect(`target-${major}`, target.address, target.broker);
  });
  afterAll(async () => {
    await service.onApplicationShutdown();
    await target.stop();
  });

  test('the guard installs again as an upgrade, and the master keeps the login by password', async () => {
    await target.asMaster(`UPDATE usher.setting SET value = '1999' WHERE name = 'max_logins'`);
    await target.asMaster(targetSql());
    await target.asMaster(targetSql());
    expect(await target.asMaster(`SELECT value FROM usher.setting WHERE name = 'max_logins'`)).toEqual([
      { value: '1999' },
    ]);
    expect((await guard.profiles()).map(({ name }) => name)).toEqual(['read', 'token-only', 'write']);

    await guard.open(lease('upgrade_probe', 'grant-upgrade-1'));
    await target.asMaster(`SELECT usher.broker_auth('iam')`);
    // hba rejects whoever reaches rds_iam by any path: a new session by password is the proof
    const session = await target.connect(target.master.user, await target.master.password());
    const reach = await session.query(
      `SELECT pg_has_role('dba', 'rds_iam', 'MEMBER') AS iam, pg_has_role('dba', 'usher_owner', 'MEMBER') AS owner,
              (SELECT rolsuper FROM pg_roles WHERE rolname = 'dba') AS super`,
    );
    expect(reach.rows).toEqual([{ iam: false, owner: false, super: false }]);
    await target.asMaster('SELECT usher.broker_auth($1)', [scramVerifier(await target.broker.password())]);
    await guard.close({ login: 'upgrade_probe', grantId: 'grant-upgrade-1', why: 'test' });
  });

  test('uninstall refuses while a lease lives, then leaves nothing that can log in', async () => {
    await guard.open(lease('hugo', 'grant-hugo-1'));
    await expect(target.asMaster('SELECT usher.uninstall()')).rejects.toMatchObject({ code: '55006' });
    await guard.close({ login: 'hugo', grantId: 'grant-hugo-1', why: 'test' });
    await service.forget(`target-${major}`);
    // the loan of the fixture again, the other way round
    if (major === 17) {
      await target.rdsadmin.query('REVOKE rds_iam FROM usher_owner CASCADE; GRANT rds_iam TO dba WITH ADMIN OPTION');
    }
    const [row] = await target.asMaster<{ uninstall: string }>('SELECT usher.uninstall()');
    expect(row?.uninstall).toMatch(major === 15 ? /^removed$/ : /^removed; usher_keeper stays/);
    const left = await target.rdsadmin.query(
      `SELECT rolname, rolcanlogin OR rolcreaterole AS rich FROM pg_roles WHERE rolname ~ '^usher_' OR rolname IN ('alice', 'bob', 'frank')`,
    );
    expect(left.rows).toEqual(major === 15 ? [] : [{ rolname: 'usher_keeper', rich: false }]);
    await expect(service.connect('gone', target.address, target.broker)).rejects.toMatchObject({
      code: 'target_refused',
    });
  });
});
