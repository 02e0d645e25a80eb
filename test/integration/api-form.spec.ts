import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { askFor, known, register, rowCounts, type Registered } from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

let usher: Usher;
let orders: Registered;
let dave: Client;
let token: string;
const nowhere = '0190163d-8694-739b-aea5-966c26f8ad91';

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  orders = await register(usher, 'orders');
  dave = await known(usher, 'dave');
  token = await usher.standIn.oidc.tokenFor('alice');
  await usher.withToken(token).get('/v1/targets');
});
afterAll(() => usher?.close());

describe.each([
  ['target', '/v1/targets/', ['', '/profiles'], ['']],
  ['request', '/v1/requests/', [''], ['/approve', '/deny', '/cancel']],
  ['grant', '/v1/grants/', [''], ['/revoke', '/tokens']],
])('the id of a %s', (noun, path, reads, writes) => {
  test.each(['none', '%00', '..%2f..%2fetc', nowhere.toUpperCase(), `${nowhere}%20`, "'%20OR%201=1"])(
    '%s is malformed',
    async (id) => {
      for (const end of noun === 'target' ? [...reads, '/profiles/x'] : reads) {
        const call = end === '/profiles/x' ? dave.delete(`${path}${id}${end}`) : dave.get(`${path}${id}${end}`);
        expect([end, (await call).status, (await call).body['code']]).toEqual([end, 400, 'invalid_id']);
      }
      for (const end of noun === 'target' ? [] : writes)
        expect([end, (await dave.post(`${path}${id}${end}`, {})).body['code']]).toEqual([end, 'invalid_id']);
    },
  );

  test('of nothing is not found', async () => {
    for (const end of reads)
      expect((await dave.get(`${path}${nowhere}${end}`)).body).toMatchObject({
        status: 404,
        code: `${noun}_not_found`,
      });
    for (const end of noun === 'target' ? [] : writes)
      expect((await dave.post(`${path}${nowhere}${end}`, {})).body).toMatchObject({
        status: 404,
        code: `${noun}_not_found`,
      });
    if (noun === 'target')
      expect((await dave.patch(`${path}${nowhere}`, {})).body).toMatchObject({ status: 404, code: 'target_not_found' });
  });
});

describe.each(['/v1/targets', '/v1/requests', '/v1/grants', '/v1/audit/events', '/v1/connections'])(
  'the list %s',
  (path) => {
    const odd = (text: string): string => Buffer.from(text).toString('base64url');
    test.each([
      'x',
      odd('x'),
      odd(nowhere.toUpperCase()),
      odd(`${nowhere}' OR true`),
      odd('\0'.repeat(36)),
      '%F0%9F%90%98',
    ])('refuses the cursor %s', async (cursor) => {
      expect((await dave.get(`${path}?cursor=${cursor}`)).body).toMatchObject({ status: 400, code: 'invalid_cursor' });
    });

    test.each([
      'limit=0',
      'limit=201',
      'limit=-1',
      'limit=1.5',
      'limit=x',
      'limit=',
      'order=asc',
      'cursor=a&cursor=b',
      `cursor=${'x'.repeat(101)}`,
    ])('refuses %s', async (query) => {
      expect((await dave.get(`${path}?${query}`)).body).toMatchObject({ status: 400, code: 'invalid_input' });
    });
  },
);

test.each([
  ['/v1/requests?state=open', 'invalid_input'],
  ['/v1/grants?person=alice', 'invalid_input'],
  [`/v1/grants/${nowhere}?wait=ready`, 'invalid_input'],
  ['/v1/audit/events?from=yesterday', 'invalid_input'],
  ['/v1/audit/events?action=%25', 'invalid_input'],
  ['/v1/audit/events?outcome=maybe', 'invalid_input'],
  ['/v1/connections?open=perhaps', 'invalid_input'],
])('GET %s is %s', async (path, code) => {
  expect((await dave.get(path)).body).toMatchObject({ status: 400, code, advice: expect.any(String) });
});

test.each(['__proto__', 'constructor', 'eu-west-9', 'EU-WEST-1'])('there is no bundle of region %s', async (region) => {
  expect((await dave.get(`/v1/trust/bundles/${region}`)).body).toMatchObject({
    status: 422,
    code: 'unknown_region',
    advice: expect.any(String),
  });
});

test.each(['/v1/nothing', '/v2/targets', `/v1/targets/${'x'.repeat(300)}`, '/v1/targets/%zz', '/etc/passwd'])(
  '%s is no route',
  async (path) => {
    const { body, headers } = await dave.get(path);
    expect(body).toMatchObject({ code: 'route_not_found', status: 404 });
    expect(headers.get('content-type')).toContain('application/problem+json');
  },
);

describe('a body', () => {
  const post = async (path: string, body: string, type?: string): Promise<[number, unknown, string | null]> => {
    const headers = { authorization: `Bearer ${token}`, ...(type !== undefined && { 'content-type': type }) };
    const before = await rowCounts(usher);
    const answer = await fetch(`${usher.url}${path}`, { method: 'POST', headers, body });
    expect(await rowCounts(usher)).toEqual(before);
    const json = (await answer.json()) as { code: unknown };
    return [answer.status, json.code, answer.headers.get('content-type')];
  };
  const json = 'application/json';
  const problem = expect.stringContaining('application/problem+json') as unknown;
  const good = (): string => JSON.stringify(askFor(orders));

  test.each<[string, () => string, string, number, string]>([
    ['of another type', good, 'text/plain', 400, 'invalid_input'],
    ['that is a form', () => 'targetId=1', 'application/x-www-form-urlencoded', 400, 'invalid_input'],
    ['that is XML', () => '<a/>', 'application/xml', 400, 'invalid_input'],
    [
      'of 65 KiB',
      () => JSON.stringify({ ...askFor(orders), reason: 'x'.repeat(65 * 1024) }),
      json,
      413,
      'payload_too_large',
    ],
    ['that breaks off', () => good().slice(0, -1), json, 400, 'invalid_input'],
    ['that is empty', () => '', json, 400, 'invalid_input'],
    ['that is null', () => 'null', json, 400, 'invalid_input'],
    ['that is a list', () => `[${good()}]`, json, 400, 'invalid_input'],
    ['that is a text', () => '"x"', json, 400, 'invalid_input'],
    ['with a prototype', () => `{"__proto__":{"allowed":true},${good().slice(1)}`, json, 400, 'invalid_input'],
    [
      'with a constructor',
      () => `{"constructor":{"prototype":{"allowed":true}},${good().slice(1)}`,
      json,
      400,
      'invalid_input',
    ],
    [
      'nested without end',
      () => `${good().slice(0, -1)},"ticket":${'['.repeat(30_000)}${']'.repeat(30_000)}}`,
      json,
      400,
      'invalid_input',
    ],
    [
      'with a list for an object',
      () => JSON.stringify({ ...askFor(orders), reason: [['x']] }),
      json,
      400,
      'invalid_input',
    ],
  ])('%s', async (_, body, type, status, code) => {
    expect(await post('/v1/requests', body(), type)).toEqual([status, code, problem]);
  });
});

describe('GraphQL', () => {
  const nested = (depth: number): string => `{ targets ${'{ items '.repeat(depth)} { id } ${'}'.repeat(depth)} }`;
  test.each([
    ['too deep', nested(12)],
    ['an unknown field', '{ targets { items { password } } }'],
    ['an unknown operation', '{ users { id } }'],
    ['an unknown argument', '{ targets(all: true) { items { id } } }'],
    ['a fragment that spreads itself', 'query { targets { ...a } } fragment a on TargetPage { ...a }'],
    ['no document', ''],
    ['half a document', '{ targets { items'],
    ['a subscription', 'subscription { grants { id } }'],
    ['a broken id', '{ target(id: { a: 1 }) { id } }'],
    ['JSON that comes in', `mutation { createRequest(input: { plan: {} }) { id } }`],
    [
      'half a minute',
      `mutation { createRequest(input: { targetId: "${nowhere}", profileId: "${nowhere}", durationMinutes: 0.5, reason: "x" }) { id } }`,
    ],
  ])('refuses %s', async (_, query) => {
    const before = await rowCounts(usher);
    const { data, errors } = await usher.withToken(token).graphql(query);
    expect(data ?? null).toBeNull();
    expect(errors?.[0]?.extensions).toMatchObject({
      code: 'invalid_input',
      status: 400,
      advice: expect.any(String),
      correlationId: expect.stringMatching(/.{8}/),
    });
    expect(await rowCounts(usher)).toEqual(before);
  });

  test('checks input like REST', async () => {
    const wish = askFor(orders, { reason: 'a\0b' });
    const { errors } = await usher
      .withToken(token)
      .graphql('mutation ($input: CreateRequest!) { createRequest(input: $input) { id } }', { input: wish });
    expect(errors?.[0]?.extensions).toMatchObject({
      code: 'invalid_input',
      status: 400,
      fields: [{ field: 'reason' }],
    });
  });

  test('takes no batches, and no mutation by GET', async () => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const batch = await fetch(`${usher.url}/graphql`, {
      method: 'POST',
      headers,
      body: JSON.stringify([{ query: '{ targets { items { id } } }' }]),
    });
    expect(JSON.stringify(await batch.json())).not.toContain('"items"');
    const cancel = encodeURIComponent(`mutation { cancelRequest(id: "${nowhere}") { id } }`);
    const got = await fetch(`${usher.url}/graphql?query=${cancel}`, { headers });
    expect(await got.text()).not.toContain('request_not_found');
  });
});
