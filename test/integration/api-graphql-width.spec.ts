import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { known } from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

setFlagsFromString('--expose-gc');
let usher: Usher;
let carol: Client;

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  carol = await known(usher, 'carol');
});
afterAll(() => usher?.close());

const lines = (): Promise<number> => usher.db.client.auditEvent.count();

test('many lists in one document are answered together', async () => {
  const { data, errors } = await carol.graphql(
    '{ targets { items { id } } grants { items { id } } requests { items { id } } connections { items { id } } auditEvents { items { id } } trustBundles { region } }',
  );
  expect(errors).toBeUndefined();
  expect(Object.keys(data ?? {})).toHaveLength(6);
});

test('a refusal is on record as what it was, among other fields of the same document', async () => {
  const alice = await known(usher, 'alice');
  const nowhere = '0190163d-8694-739b-aea5-966c26f8ad91';
  await alice.graphql(`mutation { a: deleteTarget(id: "${nowhere}") { id } b: revokeGrant(id: "${nowhere}") { id } }`);
  const [line] = await usher.db.client.auditEvent.findMany({
    where: { action: 'access.refused' },
    orderBy: { id: 'desc' },
    take: 1,
  });
  expect(line?.details).toMatchObject({ asked: 'administerTargets' });
});

test('nobody makes the service read a document, and leaves one line however much he asks for', async () => {
  const before = await lines();
  const aliases = Array.from({ length: 500 }, (_, index) => `a${index}: targets { nextCursor }`).join(' ');
  const answer = await fetch(`${usher.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: `{ ${aliases} }` }),
  });
  expect(answer.status).toBe(401);
  expect(await answer.json()).toMatchObject({
    data: null,
    errors: [{ extensions: { code: 'token_missing', status: 401 } }],
  });
  expect(await lines()).toBe(before + 1);
});

test.each(['/%67raphql', '/graph%71l', '/graphql?x=1'])('%s is no way around that', async (path) => {
  const answer = await fetch(`${usher.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: '{ __schema { queryType { name } } }' }),
  });
  expect([answer.status, await answer.json()]).toMatchObject([
    401,
    { data: null, errors: [{ extensions: { code: 'token_missing' } }] },
  ]);
});

test.each([
  [
    'root fields',
    `{ ${Array.from({ length: 21 }, (_, index) => `a${index}: targets { nextCursor }`).join(' ')} }`,
    /21 root fields/,
  ],
  [
    'root fields in a fragment',
    `{ ...A ... on Query { ...A } } fragment A on Query { ${Array.from({ length: 11 }, (_, index) => `a${index}: targets { nextCursor }`).join(' ')} }`,
    /22 root fields/,
  ],
  [
    'fragments in fragments',
    `{ __schema { types { ...A } } } fragment A on __Type { ${Array.from({ length: 40 }, (_, i) => `a${i}: fields { type { ...B } }`).join(' ')} } fragment B on __Type { ${Array.from({ length: 40 }, (_, i) => `b${i}: fields { name }`).join(' ')} }`,
    /more than 1000 fields/,
  ],
])('too many %s are refused before anything is read', async (_what, query, message) => {
  const { data, errors } = await carol.graphql(query);
  expect(data).toBeNull();
  expect(errors?.[0]?.message).toMatch(message);
  expect(errors?.[0]?.extensions).toMatchObject({ code: 'invalid_input' });
});

test('documents that are new each time do not fill the memory: few are kept, be they good or bad', async () => {
  const collectGarbage = runInNewContext('gc') as () => void;
  const held = (): number => {
    collectGarbage();
    return process.memoryUsage().heapUsed / 2 ** 20;
  };
  const ask = (i: number): Promise<unknown> =>
    carol.graphql(`{ a${i}: targets { items { ${'nope '.repeat(1_950)} } } }`);
  await ask(0);
  const before = held();
  for (let i = 1; i <= 250; i++) await ask(i);
  const grown = held() - before;
  console.log(`250 large documents that were refused: ${grown.toFixed(0)} MB are held of them`);
  expect(grown).toBeLessThan(170); // all of them would be 240
});
