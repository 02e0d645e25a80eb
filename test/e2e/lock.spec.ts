import { afterAll, beforeAll, expect, test } from 'vitest';
import { startUsher, type Usher } from '../support/usher.ts';
import { holdings, nothing } from './holdings.ts';
import { closed, known, logIn, mint, opened, person, setStage, whoAmI, type Stage } from './stage.ts';

let usher: Usher;
let stage: Stage;

beforeAll(async () => {
  usher = await startUsher();
  stage = await setStage(usher);
});
afterAll(() => usher?.close());

test('a lock ends what a person has on every target, with the sessions', async () => {
  const [who, dave] = [person(stage, 'stolen', ['engineers', 'orders-owners']), await known(stage, 'dave')];
  const grants = [
    await opened(stage, who, { target: 'orders' }),
    await opened(stage, who, { target: 'orders' }),
    await opened(stage, who, { target: 'billing' }),
  ];
  const tokens = await Promise.all(grants.map(({ id }) => mint(who, id)));
  const sessions = await Promise.all(tokens.map((token) => logIn(stage, token)));
  const ends = sessions.map((session) => new Promise((resolve) => session.once('error', resolve)));
  const { body } = await dave.get<{ personId: string }>(`/v1/grants/${grants[0]?.id ?? ''}`);
  const asked = performance.now();
  expect((await dave.post(`/v1/people/${body.personId}/lock`, { reason: 'stolen' })).status).toBe(200);
  await Promise.all(ends);
  console.log(`${sessions.length} sessions ended ${Math.round(performance.now() - asked)} ms after the lock`);
  for (const { id, login } of grants) {
    await closed(dave, id);
    for (const target of ['orders', 'billing'] as const) expect(await holdings(stage, target, login)).toEqual(nothing);
  }
  for (const token of tokens) await expect(whoAmI(stage, token)).rejects.toThrow();
});
