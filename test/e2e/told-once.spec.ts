import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { asAdmin, holdings, nothing } from './holdings.ts';
import { closed, grantOf, logIn, mint, opened, person, revoke, setStage, story, type Stage } from './stage.ts';

let usher: Usher;
let stage: Stage;

beforeAll(async () => {
  usher = await startUsher();
  stage = await setStage(usher);
});
afterAll(() => usher?.close());

/** What the record says of sessions that were ended, over all these grants. */
const told = async (grantIds: readonly string[]): Promise<unknown[]> => {
  const lines = (await Promise.all(grantIds.map((id) => story(stage, id)))).flat();
  return lines.filter(({ action }) => action === 'grant.sessionsEnded').map(({ details }) => details);
};

test('of two grants of one login that end together the ended session is told once', async () => {
  const who = person(stage, 'twice', ['engineers', 'orders-owners']);
  const both = [
    await opened(stage, who, { target: 'orders', profile: 'reporting-read' }),
    await opened(stage, who, { target: 'orders', profile: 'orders-write' }),
  ];
  const ids = both.map(({ id }) => id);
  const session = await logIn(stage, await mint(who, ids[0] ?? ''));
  // in one moment: one round finds both
  await usher.database.owner.query(
    `UPDATE access_grant SET state = 'closing', closing_since = now(), close_reason = 'revoked' WHERE id = ANY ($1)`,
    [ids],
  );
  await usher.reconciler.reconcile({ targetId: stage.targets.orders.id, login: both[0]?.login ?? '' });
  for (const id of ids) await closed(who, id);
  await expect(session.query('SELECT 1')).rejects.toThrow();
  expect(await told(ids)).toEqual([{ sessions: 1 }]);
});

test('a session that is ended in a round in which its grant cannot be closed yet is told there, once', async () => {
  const who = person(stage, 'stuck', ['engineers']);
  const grant = await opened(stage, who, { target: 'billing' });
  const session = await logIn(stage, await mint(who, grant.id));
  // a membership that usher may not take back: of a role that only a superuser can give
  await asAdmin(stage.standIn, 'billing', (admin) =>
    admin.query(`CREATE ROLE by_somebody NOLOGIN SUPERUSER; GRANT by_somebody TO "${grant.login}"`),
  );
  try {
    await revoke(who, grant.id);
    await until('it was tried', async () => (await grantOf(who, grant.id)).attempts > 0);
    await expect(session.query('SELECT 1')).rejects.toThrow();
    expect(await told([grant.id])).toEqual([{ sessions: 1 }]);
  } finally {
    await asAdmin(stage.standIn, 'billing', (admin) => admin.query('DROP ROLE by_somebody'));
  }
  await closed(who, grant.id);
  expect(await holdings(stage, 'billing', grant.login)).toEqual(nothing);
  expect(await told([grant.id])).toEqual([{ sessions: 1 }]);
});
