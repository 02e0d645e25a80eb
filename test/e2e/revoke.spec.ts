import { afterAll, beforeAll, expect, test } from 'vitest';
import { holdGuard } from '../support/held.ts';
import { until } from '../support/until.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { needPsql, newHome, running, type Home } from './psql-recipe.ts';
import { asAdmin, holdings, nothing } from './holdings.ts';
import { closed, grantOf, logIn, mint, opened, person, revoke, setStage, story, whoAmI, type Stage } from './stage.ts';

let usher: Usher;
let stage: Stage;
let home: Home;

beforeAll(async () => {
  await needPsql();
  home = await newHome();
  usher = await startUsher();
  stage = await setStage(usher);
});
afterAll(async () => {
  await usher?.close();
  await home?.remove();
});

test('revoke ends psql in its sleep, keeps the token out, and only then says closed', async () => {
  const erin = person(stage, 'erin', ['engineers']);
  const grant = await opened(stage, erin, { target: 'orders' });
  const token = await mint(erin, grant.id);
  const asleep = home.start(
    token.recipes.find(({ client }) => client === 'psql')?.text ?? '',
    running('select pg_sleep(600)'),
  );
  await until('psql is logged in', async () => (await holdings(stage, 'orders', grant.login)).sessions === 1);

  const asked = performance.now();
  const answered = await revoke(erin, grant.id);
  expect(answered.state).toBe('closing');
  const ended = await asleep;
  const milliseconds = Math.round(ended.at - asked);
  console.log(`psql ended ${milliseconds} ms after revoke was called`);
  expect(ended).toMatchObject({ code: 2, stdout: '' });
  expect(ended.stderr).toContain('terminating connection due to administrator command');
  expect(milliseconds).toBeLessThan(10_000);

  await expect(whoAmI(stage, token)).rejects.toThrow(/authentication failed|not permitted to log in/);
  const { closedAt } = await closed(erin, grant.id);
  expect(closedAt).not.toBeNull();
  expect(await holdings(stage, 'orders', grant.login)).toEqual(nothing);
  expect((await erin.post(`/v1/grants/${grant.id}/tokens`, {})).body).toMatchObject({ code: 'grant_closed' });
  expect((await erin.post(`/v1/grants/${grant.id}/revoke`)).body).toMatchObject({ status: 409, code: 'grant_closed' });

  const lines = await story(stage, grant.id);
  const ending = lines.map(({ action }) => action).filter((action) => action.startsWith('grant.'));
  expect(ending).toEqual([
    'grant.create',
    'grant.active',
    'grant.revoke',
    'grant.closing',
    'grant.fenced',
    'grant.sessionsEnded',
    'grant.closed',
  ]);
  expect(lines.find(({ action }) => action === 'grant.sessionsEnded')?.details).toEqual({ sessions: 1 });
});

test('is closing, and not closed, for as long as the target has not done it', async () => {
  const frank = person(stage, 'frank', ['engineers']);
  const grant = await opened(stage, frank, { target: 'orders' });
  const session = await logIn(stage, await mint(frank, grant.id));
  const { standIn } = stage;
  const guard = await holdGuard(standIn.targets.orders.rds.admin());
  await revoke(frank, grant.id);
  const waits = `SELECT 1 FROM pg_stat_activity WHERE usename = 'usher_broker' AND wait_event_type = 'Lock' AND query LIKE '%usher.close(%'`;
  await until('the broker waits', () =>
    asAdmin(standIn, 'orders', async (admin) => (await admin.query(waits)).rowCount === 1),
  );
  expect(await grantOf(frank, grant.id)).toMatchObject({ state: 'closing', closedAt: null });
  expect((await session.query('SELECT 1')).rowCount).toBe(1);
  await guard.release();
  await closed(frank, grant.id);
  expect(await holdings(stage, 'orders', grant.login)).toEqual(nothing);
  await expect(session.query('SELECT 1')).rejects.toThrow();
});
