import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ask,
  askFor,
  known,
  newName,
  open,
  register,
  rowCounts,
  someone,
  type Asked,
  type Registered,
} from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

let usher: Usher;
let orders: Registered;
let bob: Client;
let dave: Client;
const key = (value: string = randomUUID()): Record<string, string> => ({ 'idempotency-key': value });
const engineer = (): Client => someone(usher, ['engineers']);

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  orders = await register(usher, 'orders');
  bob = await known(usher, 'bob');
  dave = await known(usher, 'dave');
});
afterAll(() => usher?.close());

/** The answer byte by byte, as no parsed one shows it. */
async function raw(client: Client, path: string, body: unknown, headers: Record<string, string>): Promise<string> {
  const { status, body: answer } = await client.post(path, body, headers);
  return JSON.stringify([status, answer]);
}
const storedOf = async (value: string): Promise<{ key: string; answer: unknown }[]> =>
  (
    await usher.database.owner.query<{ key: string; answer: unknown }>(
      'SELECT key, answer FROM idempotent_answer WHERE key LIKE $1',
      [`${value}%`],
    )
  ).rows;

const CREATE = `mutation ($input: CreateRequest!) { createRequest(input: $input) {
  id personId durationMinutes reason startsAt state policies createdAt decideBy decidedAt
  votes { at } plan { login statements { call sql parameters { name value } effects } policy policyAppliesTo } } }`;

describe.each<[string, (client: Client, wish: unknown, headers: Record<string, string>) => Promise<string>]>([
  ['REST', (client, wish, headers) => raw(client, '/v1/requests', wish, headers)],
  ['GraphQL', async (client, wish, headers) => JSON.stringify(await client.graphql(CREATE, { input: wish }, headers))],
])('%s', (_, create) => {
  test('the same key and body: the same answer, once', async () => {
    const [client, headers] = [engineer(), key()];
    const startsAt = new Date(Date.now() + 3_600_000).toISOString();
    const wish = askFor(orders, { startsAt, reason: '2026-01-01T00:00:00.000Z' });
    const first = await create(client, wish, headers);
    expect(first).toContain(startsAt);
    expect(first).toContain('"reason":"2026-01-01T00:00:00.000Z"');
    const before = await rowCounts(usher);
    expect(await create(client, wish, headers)).toBe(first);
    expect(await create(client, Object.fromEntries(Object.entries(wish).reverse()), headers)).toBe(first);
    expect(await rowCounts(usher)).toEqual(before);
    expect(await create(client, wish, {})).not.toBe(first);
    expect((await rowCounts(usher))['request']).toBe((before['request'] ?? 0) + 1);
  });

  test('another body: refused, and the first answer stays', async () => {
    const [client, headers] = [engineer(), key()];
    const first = await create(client, askFor(orders), headers);
    const before = await rowCounts(usher);
    expect(await create(client, askFor(orders, { durationMinutes: 31 }), headers)).toContain('"idempotency_mismatch"');
    expect(await create(client, askFor(orders), headers)).toBe(first);
    expect(await rowCounts(usher)).toEqual(before);
  });

  test('the key of somebody else is another key', async () => {
    const [one, other, headers] = [engineer(), engineer(), key()];
    const first = await create(one, askFor(orders), headers);
    const second = await create(other, askFor(orders), headers);
    expect(second).not.toBe(first);
    expect(second).not.toContain('idempotency_mismatch');
    expect(await create(one, askFor(orders), headers)).toBe(first);
  });

  test('ten at the same moment: one effect, one answer', async () => {
    const [client, headers] = [engineer(), key()];
    await client.get('/v1/targets');
    const before = await rowCounts(usher);
    const answers = await Promise.all(Array.from({ length: 10 }, () => create(client, askFor(orders), headers)));
    expect(new Set(answers).size).toBe(1);
    expect(answers[0]).toContain('"pending"');
    const after = await rowCounts(usher);
    expect([after['request'], after['idempotent_answer']]).toEqual([
      (before['request'] ?? 0) + 1,
      (before['idempotent_answer'] ?? 0) + 1,
    ]);
  });

  test('what was refused is not kept: it may succeed later', async () => {
    const [client, headers] = [engineer(), key()];
    await dave.patch(`/v1/targets/${orders.targetId}`, { enabled: false });
    expect(await create(client, askFor(orders), headers)).toContain('"policy_denied"');
    await dave.patch(`/v1/targets/${orders.targetId}`, { enabled: true });
    expect(await storedOf(headers['idempotency-key'] ?? '')).toEqual([]);
    expect(await create(client, askFor(orders), headers)).toContain('"pending"');
  });

  test.each(['', ' ', 'a b', 'x'.repeat(129), 'é'])('the key %o is none', async (value) => {
    const before = await rowCounts(usher);
    expect(await create(engineer(), askFor(orders), key(value))).toContain('"invalid_input"');
    expect(await rowCounts(usher)).toEqual(before);
  });
});

describe('every other change', () => {
  const pending = async (client = engineer()): Promise<string> => (await ask(client, orders)).id;

  test.each<[string, () => Promise<[Client, string, unknown]>]>([
    ['agreeing', async () => [bob, `/v1/requests/${await pending()}/approve`, { comment: 'yes' }]],
    ['refusing', async () => [bob, `/v1/requests/${await pending()}/deny`, {}]],
    [
      'taking back',
      async () => {
        const client = engineer();
        return [client, `/v1/requests/${await pending(client)}/cancel`, undefined];
      },
    ],
    [
      'ending a grant',
      async () => [bob, `/v1/grants/${(await open(usher, engineer(), orders)).grantId}/revoke`, undefined],
    ],
    [
      'registering',
      async () => [
        dave,
        '/v1/targets',
        { ...usher.standIn.targets.orders.registration.target, name: newName('t'), resourceId: 'cluster-IDEMPOTENT' },
      ],
    ],
  ])('%s: ten at the same moment and one later get one answer', async (_, prepare) => {
    const [client, path, body] = await prepare();
    const headers = key();
    const before = await rowCounts(usher);
    const answers = await Promise.all(Array.from({ length: 10 }, () => raw(client, path, body, headers)));
    expect([...new Set(answers)]).toEqual([expect.stringMatching(/^\[20[01],/)]);
    expect(await raw(client, path, body, headers)).toBe(answers[0]);
    expect((await rowCounts(usher))['idempotent_answer']).toBe((before['idempotent_answer'] ?? 0) + 1);
  });

  test('a key serves one call: another path is another call', async () => {
    const headers = key();
    const [one, other] = [await pending(), await pending()];
    expect((await bob.post(`/v1/requests/${one}/approve`, {}, headers)).status).toBe(200);
    expect((await bob.post(`/v1/requests/${other}/approve`, {}, headers)).body).toMatchObject({
      status: 409,
      code: 'idempotency_mismatch',
    });
    expect((await dave.get(`/v1/requests/${other}`)).body).toMatchObject({ state: 'pending' });
  });

  test('changes of one GraphQL document are told apart', async () => {
    const client = engineer();
    const document =
      'mutation ($a: CreateRequest!, $b: CreateRequest!) { a: createRequest(input: $a) { id } b: createRequest(input: $b) { id } }';
    const variables = { a: askFor(orders), b: askFor(orders, { durationMinutes: 5 }) };
    const headers = key();
    const first = await client.graphql<Record<string, { id: string }>>(document, variables, headers);
    expect(new Set(Object.values(first.data ?? {}).map(({ id }) => id)).size).toBe(2);
    expect(await client.graphql(document, variables, headers)).toEqual(first);
  });
});

describe('a token', () => {
  test('is made anew each time, and never kept', async () => {
    const client = engineer();
    const { grantId } = await open(usher, client, orders);
    const headers = key();
    const mint = () => client.post<{ token: string; issuedAt: string }>(`/v1/grants/${grantId}/tokens`, {}, headers);
    const answers = [await mint(), await mint()];
    expect(answers.map(({ status }) => status)).toEqual([201, 201]);
    expect(answers[0]?.headers.get('cache-control')).toBe('no-store');
    const stored = await storedOf(headers['idempotency-key'] ?? '');
    expect(stored).toEqual([{ key: headers['idempotency-key'], answer: null }]);
    const { rows } = await usher.database.owner.query<{ action: string }>(
      `SELECT action FROM audit_event WHERE grant_id = $1 AND action = 'token.mint'`,
      [grantId],
    );
    expect(rows).toHaveLength(2);
    for (const { body } of answers) {
      const signature = /X-Amz-Signature=([0-9a-f]+)/.exec(body.token)?.[1] ?? '';
      expect(signature).toHaveLength(64);
      const { rows: found } = await usher.database.owner.query(
        'SELECT 1 FROM idempotent_answer WHERE answer::text LIKE $1',
        [`%${signature}%`],
      );
      const { rows: told } = await usher.database.owner.query('SELECT 1 FROM audit_event e WHERE e::text LIKE $1', [
        `%${signature}%`,
      ]);
      expect([found, told]).toEqual([[], []]);
    }
    expect((await client.post(`/v1/grants/${grantId}/tokens`, { endpoint: 'reader' }, headers)).body).toMatchObject({
      status: 409,
      code: 'idempotency_mismatch',
    });
  });

  test('is not had by repeating a call after the grant is over', async () => {
    const client = engineer();
    const { grantId, plan } = await open(usher, client, orders);
    const headers = key();
    const document = `mutation { mintToken(grantId: "${grantId}") { tokenLength } }`;
    expect((await client.graphql(document, {}, headers)).data).toMatchObject({
      mintToken: { tokenLength: expect.any(Number) },
    });
    await bob.post(`/v1/grants/${grantId}/revoke`);
    expect((await client.graphql(document, {}, headers)).errors?.[0]?.extensions).toMatchObject({
      code: 'grant_closed',
    });
    await usher.reconciler.reconcile({ targetId: orders.targetId, login: plan.login });
    expect((await client.get<Asked>(`/v1/grants/${grantId}`)).body).toMatchObject({ state: 'closed' });
  });
});
