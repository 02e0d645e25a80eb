import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority } from '../../local/rds/authority.ts';
import type { TargetSession } from '../../src/postgres/postgres.contract.ts';
import { PostgresService } from '../../src/postgres/postgres.service.ts';
import { targetSql } from '../../src/postgres/target-sql.ts';
import { majors } from '../support/majors.ts';
import { groupsOf, inMinutes, lease, refused, write } from './guard-stage.ts';
import { scramVerifier, startGuardTarget, type GuardTarget } from './guard-target.ts';

/** As guard 1.0 was handed out, byte for byte. */
const before = readFileSync(new URL('../fixtures/guard-1.0.sql', import.meta.url), 'utf8');

describe.each(majors)('the guard of 1.0 with live leases on PostgreSQL %i', (major) => {
  const service = new PostgresService();
  let target: GuardTarget;
  let guard: TargetSession;
  const password = 'Correct-horse-battery-6';

  beforeAll(async () => {
    target = await startGuardTarget(major, createAuthority(`authority ${major}`), { guard: before });
    const thief = await target.connect('usher_broker', await target.broker.password());
    const open = (
      login: string,
      profile: string,
      grant: string,
      minutes: number,
      verifier: string | null,
    ): Promise<unknown> =>
      thief.query('SELECT usher.open($1, $2, $3, $4, $5, $6)', [
        ...[login, profile, grant, inMinutes(minutes), verifier === null ? 'iam' : 'password', verifier],
      ]);
    await open('anna', 'read', 'grant-anna-1', 20, null);
    await open('anna', 'write', 'grant-anna-2', 20, null);
    await open('ben', 'read', 'grant-ben-1', 20, scramVerifier(password));
    // closed, dropped by hand and made anew, dropped for tidiness, renamed: what a year leaves behind
    await open('carl', 'read', 'grant-carl-1', 20, null);
    await thief.query(`SELECT usher.close('carl', 'grant-carl-1')`);
    await open('dina', 'read', 'grant-dina-1', 20, null);
    await target.rdsadmin.query('DROP ROLE dina');
    await open('dina', 'read', 'grant-dina-2', 20, null);
    await open('emil', 'read', 'grant-emil-1', 20, null);
    await thief.query(`SELECT usher.close('emil', 'grant-emil-1')`);
    await target.asMaster(`SELECT usher.drop('emil')`);
    await open('fritz', 'read', 'grant-fritz-1', 20, null);
    await target.rdsadmin.query('ALTER ROLE fritz RENAME TO fritz_old');
    await thief.end();

    await target.asMaster(targetSql());
    guard = await service.connect('target', target.address, target.broker);
  });
  afterAll(async () => {
    await service.onApplicationShutdown();
    await target?.stop();
  });

  test('is taken over with all that lives, and says so', async () => {
    expect(await guard.hello()).toMatchObject({ guardVersion: '1.1' });
    expect(await target.asMaster('SELECT version, by_ FROM usher.installed')).toEqual([{ version: '1.1', by_: 'dba' }]);
    const found = await guard.inspect();
    expect(found.map(({ login, exists, leases }) => [login, exists, leases.map(({ grantId }) => grantId)])).toEqual([
      ['anna', true, ['grant-anna-1', 'grant-anna-2']],
      ['ben', true, ['grant-ben-1']],
      ['carl', true, []],
      ['dina', true, ['grant-dina-2']],
      ['fritz_old', true, ['grant-fritz-1']],
    ]);
    expect(found[0]).toMatchObject({
      ...{ person: null, canLogin: true },
      leases: [
        { groups: ['app_read'], connectionLimit: 5 },
        { groups: ['app_write'], connectionLimit: 3 },
      ],
    });
  });

  test('a session of before goes on, and its lease ends as any other', async () => {
    const session = await target.connect('ben', password);
    expect((await session.query('SELECT 1 AS alive')).rows).toEqual([{ alive: 1 }]);
    const cut = new Promise<void>((resolve) => session.once('end', resolve));
    expect(await guard.close({ login: 'ben', grantId: 'grant-ben-1', why: 'test' })).toMatchObject({ live: 0 });
    await guard.terminate(['ben']);
    await cut;
    await expect(guard.open(lease('ben', 'grant-ben-2'))).rejects.toMatchObject(refused('other_method'));
  });

  test('an end can be moved, the first person takes the login for good, and closing counts', async () => {
    const mine = lease('anna', 'grant-anna-1', { endsAt: inMinutes(40) });
    expect(await guard.open(mine)).toMatchObject({ live: 2, endsAt: mine.endsAt });
    await expect(guard.open({ ...mine, person: 'person-of-another' })).rejects.toMatchObject(refused('person'));
    expect(await guard.close({ login: 'anna', grantId: 'grant-anna-1', why: 'test' })).toMatchObject({ live: 1 });
    expect(groupsOf((await guard.inspect(['anna']))[0] ?? expect.fail('anna'))).toEqual(['app_write', 'rds_iam']);
    await guard.open(lease('anna', 'grant-anna-3', write));
    await expect(guard.open(lease('anna', 'grant-ben-1'))).rejects.toMatchObject(refused('grant_closed'));
  });

  test('a lease on a role that was renamed or made anew closes too', async () => {
    expect(await guard.close({ login: 'fritz', grantId: 'grant-fritz-1', why: 'test' })).toMatchObject({ live: 0 });
    expect(await guard.close({ login: 'dina', grantId: 'grant-dina-1', why: 'test' })).toMatchObject({ known: true });
    expect(await guard.inspect(['fritz_old', 'dina'])).toMatchObject([
      { canLogin: true },
      { canLogin: false, leases: [] },
    ]);
  });

  test('a name that was dropped keeps its method, and opens again', async () => {
    expect(
      await target.asMaster(`SELECT method, dropped_at IS NOT NULL AS gone FROM usher.login WHERE name = 'emil'`),
    ).toEqual([{ method: 'iam', gone: true }]);
    expect(await guard.open(lease('emil', 'grant-emil-2'))).toMatchObject({ live: 1, created: true });
  });

  test('cannot be put back over it, nor an older text over a newer guard, and nothing has changed then', async () => {
    await expect(target.asMaster(before)).rejects.toMatchObject({ code: '2BP01' });
    await target.asMaster('ROLLBACK');
    const newer = targetSql().replace(`SELECT '1.1'`, `SELECT '1.10'`);
    await target.asMaster(newer);
    await expect(target.asMaster(targetSql())).rejects.toThrow(
      'usher 1.10 is installed here, which is newer than this text (1.1)',
    );
    await target.asMaster('ROLLBACK');
    expect(await guard.hello()).toMatchObject({ guardVersion: '1.10' });
    expect(await guard.open(lease('anna', 'grant-anna-3', write))).toMatchObject({ live: 2 });
  });

  test('is removed as any other', async () => {
    for (const { login, leases } of await guard.inspect()) {
      for (const { grantId } of leases) await guard.close({ login, grantId, why: 'test' });
    }
    await service.forget('target');
    if (major >= 16) {
      await target.rdsadmin.query('REVOKE rds_iam FROM usher_owner CASCADE; GRANT rds_iam TO dba WITH ADMIN OPTION');
    }
    await target.asMaster('SELECT usher.uninstall()');
    const { rows } = await target.rdsadmin.query(
      `SELECT rolname FROM pg_roles WHERE rolname ~ '^usher_' OR rolname IN ('anna', 'ben', 'carl', 'dina', 'emil', 'fritz_old')`,
    );
    expect(rows).toEqual(major < 16 ? [] : [{ rolname: 'usher_keeper' }]);
  });
});
