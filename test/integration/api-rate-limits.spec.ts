import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { forged, known } from '../support/people.ts';
import { freshDatabase, type TestDatabase } from '../support/state.ts';
import { startUsher, type Answer, type Usher } from '../support/usher.ts';

let database: TestDatabase;
let usher: Usher;

/** Anew for each: what is counted is forgotten with the process. */
const start = async (env: Record<string, string>): Promise<void> => {
  usher = await startUsher({ database, settings: { jobs: false }, env });
};
beforeAll(async () => {
  database = await freshDatabase();
});
afterEach(() => usher.stop());
afterAll(() => database?.drop());

const refusals = async (
  code: string,
): Promise<{ actor_name: string; details: Record<string, unknown>; address: string }[]> =>
  (await database.owner.query('SELECT * FROM audit_event WHERE code = $1 ORDER BY id', [code])).rows;
const soFar = async (): Promise<number> => (await refusals('too_many_requests')).length;
const from = (address: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${usher.url}/v1/targets`, { headers: { 'x-forwarded-for': address, ...headers } });
const statuses = (answers: readonly { status: number }[]): number[] => answers.map(({ status }) => status);
const fields = ({ headers }: { headers: Headers }): (string | null)[] =>
  ['ratelimit-policy', 'ratelimit', 'retry-after'].map((name) => headers.get(name));

async function inTurn<T>(times: number, call: () => Promise<T>): Promise<T[]> {
  const answers: T[] = [];
  for (let i = 0; i < times; i += 1) answers.push(await call());
  return answers;
}

describe('a person', () => {
  test('has so many calls in a minute, over both APIs together, and is told what is left', async () => {
    await start({ USHER_CALLS_PER_MINUTE: '4' });
    const [alice, bob] = [await known(usher, 'alice'), await known(usher, 'bob')];
    const [first, second] = await inTurn(2, () => alice.get('/v1/targets'));
    expect(fields(first as Answer)).toEqual(['"person";q=4;w=60', '"person";r=3;t=60', null]);
    expect(fields(second as Answer)[1]).toMatch(/^"person";r=2;t=(60|59)$/);
    expect((await alice.graphql('{ targets { nextCursor } }')).errors).toBeUndefined();
    expect((await alice.get('/v1/grants/none')).status).toBe(400); // a refusal is a call, too

    const refused = await alice.get('/v1/targets');
    expect(refused).toMatchObject({ status: 429, body: { code: 'too_many_requests', advice: expect.any(String) } });
    expect(refused.headers.get('content-type')).toContain('application/problem+json');
    expect(fields(refused)).toEqual([
      '"person";q=4;w=60',
      expect.stringMatching(/^"person";r=0;t=\d+$/),
      expect.any(String),
    ]);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    const { data, errors } = await alice.graphql('{ targets { nextCursor } }');
    expect([data, errors?.[0]?.extensions]).toMatchObject([null, { code: 'too_many_requests', status: 429 }]);
    expect((await bob.get('/v1/targets')).status).toBe(200);
    expect((await fetch(`${usher.url}/health/ready`)).status).toBe(200);
  });

  test('who goes on leaves one line a minute, and the number of the others', async () => {
    await start({ USHER_CALLS_PER_MINUTE: '1' });
    const before = await soFar();
    const carol = await known(usher, 'carol');
    const answers = await inTurn(30, () => carol.get('/v1/targets'));
    expect(new Set(statuses(answers.slice(1)))).toEqual(new Set([429]));
    expect((await refusals('too_many_requests')).slice(before)).toHaveLength(1);
    await usher.stop(); // what was counted is told at the latest now
    const [one, rest, ...more] = (await refusals('too_many_requests')).slice(before);
    expect([one?.actor_name, one?.details['refusals']]).toEqual([expect.stringContaining('carol'), undefined]);
    expect([rest?.actor_name, rest?.details['refusals']]).toEqual([one?.actor_name, 28]);
    expect(more).toEqual([]);
  });

  test('has any number where the limit is off, and no fields tell of one', async () => {
    await start({ USHER_CALLS_PER_MINUTE: '0' });
    const alice = await known(usher, 'alice');
    const answers = await inTurn(50, () => alice.get('/v1/targets'));
    expect(new Set(statuses(answers))).toEqual(new Set([200]));
    expect(fields(answers[0] as Answer)).toEqual([null, null, null]);
  });
});

describe('an address without a valid token', () => {
  const limited = { USHER_ANONYMOUS_CALLS_PER_MINUTE: '6', USHER_TRUSTED_PROXIES: '127.0.0.1' };

  test('has so many calls in a minute, pages and nonsense included; health is for ever', async () => {
    await start(limited);
    const paths = ['/v1/targets', '/openapi.json', '/nothing', '/docs', '/v1/trust/bundles/eu-west-1.pem', '/graphql'];
    const answers = [];
    for (const path of paths) answers.push(await fetch(`${usher.url}${path}`));
    expect(statuses(answers)).toEqual([401, 200, 404, 200, 404, 401]);
    expect(fields(answers[0] as Response)).toEqual(['"address";q=6;w=60', '"address";r=5;t=60', null]);
    for (const path of paths) expect((await fetch(`${usher.url}${path}`)).status, path).toBe(429);
    for (const path of ['/health/live', '/health/ready']) expect((await fetch(`${usher.url}${path}`)).status).toBe(200);
  });

  test('with a bad token has half as many', async () => {
    await start(limited);
    const token = { authorization: `Bearer ${forged(usher, {}, { alg: 'none' })}` };
    expect(statuses(await inTurn(5, () => from('192.0.2.1', token)))).toEqual([401, 401, 401, 429, 429]);
    expect((await from('192.0.2.1')).status).toBe(429);
    expect((await from('192.0.2.2')).status).toBe(401);
  });

  test('does not lock out a colleague who has one, nor spares a route for all with a token that nobody looks at', async () => {
    await start(limited);
    const junk = { authorization: 'Bearer junk' };
    await inTurn(9, () => from('192.0.2.1'));
    const good = { authorization: `Bearer ${await usher.standIn.oidc.tokenFor('alice')}` };
    expect((await from('192.0.2.1', good)).status).toBe(200);
    const bundle = `${usher.url}/v1/trust/bundles/eu-west-1.pem`;
    expect((await fetch(bundle, { headers: { 'x-forwarded-for': '192.0.2.1', ...junk } })).status).toBe(429);
  });

  test('is a whole /64 in IPv6, and itself where IPv6 only wraps IPv4', async () => {
    await start(limited);
    await inTurn(3, () => from('2001:db8:1:2::1'));
    await inTurn(3, () => from('2001:db8:1:2:ffff:ffff:ffff:ffff'));
    expect((await from('2001:0db8:0001:0002:abcd::')).status).toBe(429);
    expect((await from('2001:db8:1:3::1')).status).toBe(401);
    await inTurn(6, () => from('::ffff:198.51.100.7'));
    expect(statuses([await from('198.51.100.7'), await from('198.51.100.8')])).toEqual([429, 401]);
  });

  test('cannot flood the record: one line a minute, and the number of the others', async () => {
    await start(limited);
    const lines = async (): Promise<{ details: Record<string, unknown> }[]> =>
      (await database.owner.query(`SELECT * FROM audit_event WHERE address LIKE '203.0.113.%' ORDER BY id`)).rows;
    await inTurn(40, () => from('203.0.113.9'));
    await from('203.0.113.10');
    expect(await lines()).toHaveLength(2);
    await usher.stop();
    expect((await lines()).map(({ details }) => details['refusals'])).toEqual([undefined, undefined, 39]);
  });

  test('is not taken from a header that nobody vouched for', async () => {
    await start({ USHER_ANONYMOUS_CALLS_PER_MINUTE: '3' });
    let made = 0;
    const answers = await inTurn(5, () => from(`192.0.2.${(made += 1)}`));
    expect(statuses(answers)).toEqual([401, 401, 401, 429, 429]);
  });
});
