import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { asAdmin, holdings, nothing } from './holdings.ts';
import { closed, logIn, type mint, opened, person, revoke, setStage, story, type Stage } from './stage.ts';

let usher: Usher;
let stage: Stage;

beforeAll(async () => {
  usher = await startUsher();
  stage = await setStage(usher);
});
afterAll(() => usher?.close());

test('a session on a reader ends with its grant, and only then is it closed', async () => {
  const rita = person(stage, 'rita', ['engineers']);
  const grant = await opened(stage, rita, { target: 'orders' });
  const answer = await rita.post<Awaited<ReturnType<typeof mint>>>(`/v1/grants/${grant.id}/tokens`, {
    endpoint: 'reader',
  });
  expect(answer.status).toBe(201);
  const session = await logIn(stage, answer.body);
  expect((await session.query('SELECT pg_is_in_recovery() AS reader')).rows).toEqual([{ reader: true }]);
  const cut = session.query('SELECT pg_sleep(600)').then(
    () => 'went on',
    (error: unknown) => String(error),
  );
  await revoke(rita, grant.id);
  expect(await cut).toMatch(/terminat|closed|ECONNRESET/i);
  await closed(rita, grant.id);
  expect(await holdings(stage, 'orders', grant.login)).toEqual(nothing);
  const ended = (await story(stage, grant.id)).find(({ action }) => action === 'grant.sessionsEnded');
  expect(ended?.details).toEqual({ sessions: 1 });
  await until('what was borrowed to reach the reader is given back', async () => {
    return asAdmin(stage.standIn, 'orders', async (client) => {
      const { rowCount } = await client.query(
        `SELECT 1 FROM pg_auth_members WHERE roleid = $1::regrole AND member = 'usher_owner'::regrole AND grantor = 'usher_owner'::regrole`,
        [grant.login],
      );
      return rowCount === 0;
    });
  });
});
