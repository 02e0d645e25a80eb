import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { parse } from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { known } from '../support/people.ts';
import { freshDatabase, type TestDatabase } from '../support/state.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

const PORTAL = 'https://portal.example.com';
let database: TestDatabase;
/** As it ships, and with everything that is an option. */
let plain: Usher;
let other: Usher;

beforeAll(async () => {
  database = await freshDatabase();
  const env = {
    ...{ USHER_CORS_ORIGINS: `${PORTAL},http://localhost:8080`, USHER_REQUEST_TIMEOUT_SECONDS: '1' },
    USHER_GRAPHQL_INTROSPECTION: 'false',
  };
  plain = await startUsher({ database, work: false });
  other = await startUsher({ database, work: false, env });
});
afterAll(async () => {
  await other?.stop();
  await plain?.close();
});

describe('a page of another origin', () => {
  const corsOf = (headers: Headers): string[] =>
    [...headers.keys()].filter((name) => name.startsWith('access-control-'));
  const preflight = (origin: string): RequestInit => ({
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
  });

  test.each(['/v1/targets', '/graphql', '/health/live', '/openapi.json', '/nothing'])(
    'is told nothing by %s',
    async (path) => {
      for (const origin of [PORTAL, 'null', plain.url])
        for (const how of [{ headers: { origin } }, preflight(origin)])
          expect(corsOf((await fetch(`${plain.url}${path}`, how)).headers)).toEqual([]);
    },
  );

  test('may call where it was named, without the browser’s credentials', async () => {
    for (const path of ['/v1/targets', '/graphql', '/nothing']) {
      const { status, headers } = await fetch(`${other.url}${path}`, preflight(PORTAL));
      expect([path, status, headers.get('access-control-allow-origin')]).toEqual([path, 204, PORTAL]);
      expect(headers.get('access-control-allow-headers')).toContain('Authorization');
      expect(headers.get('access-control-allow-methods')).toBe('GET, POST, PATCH, DELETE');
      expect(headers.get('access-control-allow-credentials')).toBeNull();
    }
    const { status, headers } = await fetch(`${other.url}/v1/targets`, { headers: { origin: PORTAL } });
    expect([status, headers.get('access-control-allow-origin'), headers.get('vary')]).toEqual([401, PORTAL, 'Origin']);
    expect(headers.get('access-control-allow-credentials')).toBeNull();
  });

  test.each([
    `${PORTAL}.evil.example`,
    'https://evil.example',
    'http://portal.example.com',
    `${PORTAL}:8443`,
    'https://PORTAL.example.com',
    'null',
    `${PORTAL}/`,
  ])('%s is not one that was named', async (origin) => {
    for (const how of [{ headers: { origin } }, preflight(origin)])
      expect(corsOf((await fetch(`${other.url}/v1/targets`, how)).headers)).toEqual([]);
  });
});

/** What comes back on a connection until the service ends it. */
async function wire(url: string, lines: string, then?: (socket: Socket) => void): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  await once(socket, 'connect');
  socket.write(lines);
  then?.(socket);
  await once(socket, 'close');
  return text;
}

const problemIn = (text: string): unknown => JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4));

describe('a connection', () => {
  test.each([
    ['whose header never ends', 'GET /health/live HTTP/1.1\r\nHost: x\r\n'],
    [
      'whose body never comes',
      'POST /v1/requests HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n',
    ],
  ])('%s is cut off in time', async (_, lines) => {
    const text = await wire(other.url, lines);
    expect(text).toMatch(/^HTTP\/1\.1 408 /);
    expect(problemIn(text)).toMatchObject({ status: 408, code: 'invalid_input', advice: expect.any(String) });
  });

  test('that sends a byte now and then is cut off as well', async () => {
    const text = await wire(other.url, 'GET /health/live HTTP/1.1\r\nHost: x\r\nX: ', (socket) => {
      // after what has arrived was read: a write to a connection that is closed meanwhile loses the answer with it
      let answered = false;
      socket.once('data', () => (answered = true));
      const write = (): boolean => answered || socket.write('x');
      const drip = setInterval(() => setImmediate(write), 100);
      socket.once('close', () => clearInterval(drip));
    });
    expect(text).toMatch(/^HTTP\/1\.1 408 /);
  });

  test.each([
    ['no HTTP', 'nonsense\r\n\r\n', 400],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['a header with NUL', 'GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n', 400],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
    [
      'a length and chunks',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
    ],
    ['a header of 40 KiB', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(40 * 1024)}\r\n\r\n`, 431],
    ['an expectation', 'GET / HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n', 417],
  ])('with %s is refused in our form, and ended', async (_, lines, status) => {
    const text = await wire(plain.url, lines);
    expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(text.toLowerCase()).toContain('content-type: application/problem+json');
    expect(problemIn(text)).toMatchObject({ status, code: 'invalid_input', correlationId: expect.any(String) });
  });
});

describe('GraphQL', () => {
  const wrong = '{ targts { items { id } } }';
  const clients = async (): Promise<[Client, Client]> => [await known(plain, 'alice'), await known(other, 'alice')];

  test('tells its schema, and what a wrong name may mean, unless that is switched off', async () => {
    const [told, silent] = await clients();
    expect((await told.graphql('{ __schema { queryType { name } } }')).errors).toBeUndefined();
    expect((await told.graphql(wrong)).errors?.[0]?.message).toContain('Did you mean');
    for (const query of ['{ __schema { queryType { name } } }', '{ __type(name: "Grant") { name } }'])
      expect((await silent.graphql(query)).errors?.[0]).toMatchObject({ extensions: { code: 'invalid_input' } });
    const { errors } = await silent.graphql(wrong);
    expect([errors?.[0]?.message, errors?.[0]?.extensions['code']]).toEqual([
      'Cannot query field "targts" on type "Query".',
      'invalid_input',
    ]);
    expect((await silent.graphql('{ __typename targets { nextCursor } }')).errors).toBeUndefined();
  });

  test.each([
    ['nested without end', `{ ${'targets { items { '.repeat(2_000)}`],
    ['with a directive thousands of times', `{ __typename ${'@include(if: true) '.repeat(2_000)} }`],
    ['of too many words', `{ ${'a:__typename '.repeat(3_000)} }`],
    ['that was parsed elsewhere', JSON.stringify(parse(`{ ${'a:__typename '.repeat(300)} }`, { noLocation: true }))],
    ['with lists in lists', `{ target(id: ${'['.repeat(5_000)}) { id } }`],
  ])('refuses a document %s before it is parsed', async (_, query) => {
    const [alice] = await clients();
    const { data, errors } = await alice.graphql(query);
    expect([data, errors?.[0]?.extensions]).toMatchObject([null, { code: 'invalid_input', status: 400 }]);
  });

  test('says what is wrong with a variable, each time it is sent', async () => {
    const [alice] = await clients();
    const query = 'query($limit: Int, $cursor: String) { grants(limit: $limit, cursor: $cursor) { nextCursor } }';
    for (const variables of [{ limit: 'x' }, { limit: { $ne: null } }, { limit: 1e300 }, { cursor: [1] }])
      for (const time of [1, 2, 3]) {
        const [error] = (await alice.graphql(query, variables)).errors ?? [];
        expect([time, error?.extensions]).toMatchObject([time, { code: 'invalid_input', status: 400 }]);
        expect(error?.message).toContain('Variable "$');
      }
    const shorten = 'mutation($input: ShortenGrant!) { shortenGrant(id: "x", input: $input) { id } }';
    for (const endsAt of ['tomorrow', 7, { a: 1 }, '2026-02-30T00:00:00Z'])
      for (const time of [1, 2, 3])
        expect([time, (await alice.graphql(shorten, { input: { endsAt } })).errors?.[0]?.extensions['status']]).toEqual(
          [time, 400],
        );
  });

  test.each(['', 'null', '[]', '"x"', '7', '[{"query":"{ __typename }"}]', '{"query":7}', '{}'])(
    'refuses the call %s',
    async (body) => {
      const headers = {
        authorization: `Bearer ${await plain.standIn.oidc.tokenFor('alice')}`,
        'content-type': 'application/json',
      };
      const answer = await fetch(`${plain.url}/graphql`, { method: 'POST', headers, ...(body !== '' && { body }) });
      expect(await answer.json()).toMatchObject({ data: null, errors: [{ extensions: { code: 'invalid_input' } }] });
    },
  );
});
