import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { actions } from '../../src/policy/policy.contract.js';
import { known, register } from '../support/people.ts';
import { newService, seen, type MadeService, type Seen } from '../support/services.ts';
import { freshDatabase, type TestDatabase } from '../support/state.ts';
import { startUsher, type Answer, type Client, type Usher } from '../support/usher.ts';

let database: TestDatabase;
let usher: Usher;
let portal: MadeService;
let locked: MadeService;
let people: Seen[];
let removed: Seen;

/** Who calls is made known without a limit; what is counted then begins anew with each process. */
beforeAll(async () => {
  database = await freshDatabase();
  usher = await startUsher({ database, settings: { jobs: false } });
  await register(usher, 'orders');
  portal = await newService(usher, actions, { actsForAnybody: true });
  locked = await newService(usher, actions, { actsForAnybody: true });
  people = await Promise.all(Array.from({ length: 11 }, () => seen(usher)));
  removed = await seen(usher);
  const dave = await known(usher, 'dave');
  await dave.post(`/v1/services/${locked.id}/lock`, { reason: 'its key was seen in a log' });
  await dave.delete(`/v1/people/${removed.id}`);
  await usher.stop();
});
afterEach(() => usher.stop());
afterAll(() => database?.drop());

const start = async (env: Record<string, string>): Promise<void> => {
  usher = await startUsher({ database, settings: { jobs: false }, env });
};
const call = (token: string, more: Record<string, string> = {}): Promise<Answer> =>
  usher.withToken(token, more).get('/v1/targets');
/** Of the portal, for somebody it names. */
const through = (who: Seen | undefined): Promise<Answer> => call(portal.key, { 'usher-on-behalf-of': who?.id ?? '' });
const statuses = async (calls: readonly (() => Promise<Answer>)[]): Promise<number[]> => {
  const answers: number[] = [];
  for (const one of calls) answers.push((await one()).status);
  return answers;
};
const times = (many: number, one: () => Promise<Answer>) => Array.from({ length: many }, () => one);

interface Line {
  actor_kind: string;
  actor_id: string | null;
  code: string;
  details: Record<string, unknown>;
}
const refusals = async (code: string): Promise<Line[]> =>
  (await database.owner.query<Line>(`SELECT * FROM audit_event WHERE code = $1 ORDER BY id`, [code])).rows;

describe('a service', () => {
  test('has as many calls for one person as that person, and ten times as many for all of them', async () => {
    await start({ USHER_CALLS_PER_MINUTE: '2' });
    const [first, last] = [people[0], people[10]];
    expect(await statuses(times(3, () => through(first)))).toEqual([200, 200, 429]);
    const others = people.slice(1, 9).flatMap((one) => times(2, () => through(one)));
    expect(await statuses(others)).toEqual(Array(16).fill(200));
    expect(await statuses(times(3, () => through(last)))).toEqual([200, 429, 429]); // the twentieth, and two more
    // what a service spent is neither the people's own, nor what it has for itself
    const own = usher.withToken(first?.token);
    expect((await own.get('/v1/targets')).status).toBe(200);
    expect(await statuses(times(3, () => call(portal.key)))).toEqual([200, 200, 429]);
  });

  test('that names nobody who is there spends what it has for itself', async () => {
    await start({ USHER_CALLS_PER_MINUTE: '2' });
    const guess = (): Promise<Answer> => call(portal.key, { 'usher-on-behalf-of': 'nobody@example.com' });
    expect(await statuses(times(4, guess))).toEqual([403, 403, 429, 429]);
    expect((await call(portal.key)).status).toBe(429);
    expect((await through(people[0])).status).toBe(200);
  });

  test('that goes on is on record by its name: one line a minute, and the number of the others', async () => {
    await start({ USHER_CALLS_PER_MINUTE: '1' });
    const before = (await refusals('too_many_requests')).length;
    expect((await statuses(times(30, () => call(portal.key)))).slice(1)).toEqual(Array(29).fill(429));
    expect((await refusals('too_many_requests')).slice(before)).toHaveLength(1);
    await usher.stop(); // what was counted is told at the latest now
    const lines = (await refusals('too_many_requests')).slice(before);
    expect(lines).toMatchObject(Array(2).fill({ actor_kind: 'service', actor_id: portal.id }));
    expect(lines.map(({ details }) => details['refusals'])).toEqual([undefined, 28]);
  });

  test('has a line of its own for each of its other refusals, however many', async () => {
    await start({});
    const answers = await Promise.all(Array.from({ length: 5 }, () => usher.withToken(portal.key).get('/v1/people')));
    for (const { status, body } of answers) {
      expect(status).toBe(403);
      const { rows } = await database.owner.query<Line>(`SELECT * FROM audit_event WHERE correlation_id = $1`, [
        body['correlationId'],
      ]);
      expect(rows).toMatchObject([{ actor_kind: 'service', actor_id: portal.id, code: body['code'] }]);
    }
  });
});

describe('who may not come in any more', () => {
  const limited = { USHER_ANONYMOUS_CALLS_PER_MINUTE: '6', USHER_TRUSTED_PROXIES: '127.0.0.1' };
  const from = (address: string) => ({ 'x-forwarded-for': address });

  test.each<[string, () => string, string]>([
    ['a service that is locked', () => locked.key, 'service_locked'],
    ['a person who was removed', () => removed.token, 'person_removed'],
    [
      'a key that was altered',
      () => `${portal.key.slice(0, -1)}${portal.key.endsWith('a') ? 'b' : 'a'}`,
      'key_invalid',
    ],
  ])('%s is counted with its address, twice', async (_, credential, code) => {
    await start(limited);
    const before = (await refusals(code)).length;
    const there = from('192.0.2.1');
    const refused = await call(credential(), there);
    expect(refused.body['code']).toBe(code);
    const rest = await statuses(times(4, () => call(credential(), there)));
    expect(rest).toEqual([refused.status, refused.status, 429, 429]);
    expect((await refusals(code)).slice(before)).toHaveLength(1); // of an address that shows no name: one line a minute
    const colleague: Client = usher.withToken(people[0]?.token, there);
    expect((await colleague.get('/v1/targets')).status).toBe(200);
    expect((await call(credential(), from('192.0.2.2'))).body['code']).toBe(code);
  });
});
