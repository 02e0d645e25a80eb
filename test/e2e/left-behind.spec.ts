import { afterAll, beforeAll, expect, test } from 'vitest';
import { GrantJobs } from '../../src/grants/grants.job.ts';
import { holdGuard } from '../support/held.ts';
import { until } from '../support/until.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { asAdmin, holdings, nothing } from './holdings.ts';
import { agreed, closed, grantOf, logIn, mint, opened, person, revoke, setStage, type Stage } from './stage.ts';

let usher: Usher;
let stage: Stage;

beforeAll(async () => {
  usher = await startUsher();
  stage = await setStage(usher);
});
afterAll(() => usher?.close());

const onTarget = <T>(sql: string, values: unknown[]): Promise<T[]> =>
  asAdmin(stage.standIn, 'orders', async (admin) => (await admin.query(sql, values)).rows as T[]);

test('an end that is moved while its grant is being opened is found again, although the job of that was lost', async () => {
  const tom = person(stage, 'tom', ['engineers']);
  const guard = await holdGuard(stage.standIn.targets.orders.rds.admin());
  const id = await agreed(stage, tom, { target: 'orders', minutes: 30 });
  const { login, endsAt } = await grantOf(tom, id);
  await until('the opening waits on the target', async () => {
    const waiting = `SELECT 1 FROM pg_stat_activity WHERE usename = 'usher_broker' AND wait_event_type = 'Lock' AND query LIKE '%usher.open(%'`;
    return (await onTarget(waiting, [])).length > 0;
  });
  // as a process leaves it that takes the job of a shortening, and is killed
  const earlier = new Date(new Date(endsAt).getTime() - 600_000);
  await usher.database.owner.query('UPDATE access_grant SET ends_at = $2 WHERE id = $1', [id, earlier]);
  await guard.release();
  await grantOf(tom, id, 'active');
  await usher.app.get(GrantJobs).sweepDue(0);
  await until('the target has the new end', async () => {
    const leases = await onTarget<{ at: Date }>('SELECT ends_at AS at FROM usher.lease WHERE login = $1', [login]);
    return leases[0]?.at.getTime() === earlier.getTime();
  });
  await revoke(tom, id);
  await closed(tom, id);
});

test('a login that was renamed is reached on a reader all the same, and leaves nothing lent', async () => {
  const una = person(stage, 'una', ['engineers']);
  const grant = await opened(stage, una, { target: 'orders' });
  const session = await logIn(stage, await mint(una, grant.id, { endpoint: 'reader' }));
  await onTarget(`ALTER ROLE ${grant.login} RENAME TO "${grant.login}_elsewhere"`, []);
  await revoke(una, grant.id);
  await closed(una, grant.id);
  await expect(session.query('SELECT 1')).rejects.toThrow();
  expect(await holdings(stage, 'orders', grant.login)).toEqual(nothing);
  const lent = `SELECT 1 FROM pg_auth_members WHERE roleid = $1::regrole AND member = 'usher_owner'::regrole AND grantor = 'usher_owner'::regrole`;
  expect(await onTarget(lent, [grant.login])).toEqual([]);
});
