import { v7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readTypes } from '../fuzz/graphql.ts';
import { ask, known, open, register, someone, type Registered } from '../support/people.ts';
import { newService, seen } from '../support/services.ts';
import { startUsher, type Answer, type Client, type Usher } from '../support/usher.ts';
import { newWebhook, webhookEnv } from '../support/webhooks.ts';

let usher: Usher;
let orders: Registered;
/** By what a path calls it: the id of something that the callers below may not see. */
let foreign: Record<string, string>;
let routes: string[];
let operations: string[];
const callers: Record<string, () => Client> = {
  'somebody in no group': () => someone(usher, []),
  'an engineer': () => someone(usher, ['engineers']),
  'an owner of another target': () => someone(usher, ['billing-owners']),
};

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false }, env: webhookEnv });
  orders = await register(usher, 'orders');
  const [engineer, dave] = [someone(usher, ['engineers']), await known(usher, 'dave')];
  const [granted, pending] = [await open(usher, engineer, orders), await ask(engineer, orders)];
  const account = { accountId: '111122223333', name: 'spare', partition: 'aws', regions: ['eu-west-1'] };
  const id = async (path: string, body: object): Promise<string> =>
    (await dave.post<{ id: string }>(path, body)).body.id;
  foreign = {
    ...{ requests: pending.id, grants: granted.grantId, people: granted.personId },
    ...{ accounts: await id('/v1/accounts', account), discoveries: await id('/v1/discoveries', {}) },
    ...{ 'discovered-databases': await discovered(), services: (await newService(usher, ['viewTargets'])).id },
    webhooks: (await newWebhook(usher, 'http://127.0.0.1:1/')).webhook.id,
    ...{ reviews: await emergency(), delegations: await delegation() },
  };
  const { body } = await usher.withToken(undefined).get<{ paths: Record<string, object> }>('/openapi.json');
  routes = Object.entries(body.paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const types = await readTypes(dave);
  operations = ['Query', 'Mutation'].flatMap((root) =>
    (types.get(root)?.fields ?? [])
      .filter(({ args }) => args.some(({ name }) => /^(id|\w+Id)$/.test(name)))
      .map((field) => `${root} ${field.name}`),
  );
});
afterAll(() => usher?.close());

/** The review of access that was had by breaking the glass; it has the id of its grant. */
async function emergency(): Promise<string> {
  const why = { breakGlass: true, reason: 'orders are lost, and nobody knows why' };
  const { grantId } = await ask(someone(usher, ['break-glass']), orders, why);
  expect(grantId).toEqual(expect.any(String));
  return String(grantId);
}

async function delegation(): Promise<string> {
  const endsAt = new Date(usher.clock.now().getTime() + 86_400_000).toISOString();
  const [ann, ben] = [await seen(usher, []), await seen(usher, [])];
  const body = { delegate: ben.id, endsAt, reason: 'on holiday' };
  return (await ann.client.post<{ id: string }>('/v1/delegations', body)).body.id;
}

async function discovered(): Promise<string> {
  const place = { partition: 'aws', accountId: '111122223333', region: 'eu-west-1', resourceId: 'db-SPARE' };
  const now = usher.clock.now();
  const row = { ...place, kind: 'rds-instance' as const, identifier: 'spare', facts: {}, fingerprint: 'spare' };
  const data = { id: v7(), ...row, foundAt: now, changedAt: now };
  return (await usher.db.client.discoveredDatabase.create({ data })).id;
}

/** What a call must bring to come as far as its row. */
const bodies: Record<string, () => object> = {
  shorten: () => ({ endsAt: new Date(usher.clock.now().getTime() + 600_000).toISOString() }),
  extend: () => ({ durationMinutes: 10, reason: 'not done yet' }),
  lock: () => ({ reason: 'a laptop was stolen' }),
  replay: () => ({ from: 1 }),
  close: () => ({ comment: 'as it was said' }),
  edit: () => ({ reason: 'another reason' }),
  keys: () => ({ scopes: ['viewTargets'] }),
  create: () => ({ scopes: ['viewTargets'] }),
};

/** All that an answer says, but for what names the call itself. */
const said = ({ status, headers, body }: Answer): unknown => {
  const { correlationId, ...rest } = body;
  expect(correlationId).toEqual(expect.any(String));
  const kept = [...headers].filter(([name]) => !['x-correlation-id', 'date'].includes(name));
  return { status, body: rest, headers: Object.fromEntries(kept) };
};

describe.each(Object.keys(callers))('to %s', (name) => {
  test('every route answers to the id of somebody else’s thing as to that of nothing', async () => {
    const client = (callers[name] as () => Client)();
    const compared: string[] = [];
    for (const route of routes) {
      const [method = '', path = ''] = route.split(' ');
      const id = foreign[/^\/v1\/([\w-]+)\/{id}/.exec(path)?.[1] ?? ''];
      if (id === undefined) continue;
      const verb = method === 'PATCH' && path.startsWith('/v1/requests/') ? 'edit' : path.split('/').at(-1);
      const body = bodies[verb ?? '']?.() ?? {};
      const call = (of: string): Promise<Answer> => {
        const filled = path.replace('{id}', of);
        if (method === 'GET') return client.get(filled);
        if (method === 'DELETE') return client.delete(filled);
        return method === 'PATCH' ? client.patch(filled, body) : client.post(filled, body);
      };
      const [theirs, nothing] = [await call(id), await call(v7())];
      expect([403, 404], `${route} ${JSON.stringify(theirs.body)}`).toContain(theirs.status);
      expect([route, said(theirs)]).toEqual([route, said(nothing)]);
      expect(JSON.stringify([theirs.body, ...theirs.headers])).not.toContain(id);
      compared.push(path);
    }
    // a noun that is added is compared, or stands here with the reason why not: everybody sees targets
    const nouns = new Set(
      routes.map((route) => /\/v1\/([\w-]+)\/{id}/.exec(route)?.[1]).filter((noun) => noun !== undefined),
    );
    expect([...nouns].sort()).toEqual([...Object.keys(foreign), 'targets'].sort());
    expect(compared.length).toBeGreaterThan(20);
  });

  test('every operation of GraphQL does, too', async () => {
    const client = (callers[name] as () => Client)();
    const types = await readTypes(client);
    let compared = 0;
    for (const operation of operations) {
      const [root = '', field = ''] = operation.split(' ');
      const noun = nounOf(field);
      if (noun === undefined) continue;
      const known_ = types.get(root)?.fields?.find((one) => one.name === field);
      const ids = known_?.args.filter((one) => /^(id|\w+Id)$/.test(one.name)) ?? [];
      const input = known_?.args.some((one) => one.name === 'input') ? `, input: ${inputOf(field)}` : '';
      const call = async (of: string): Promise<unknown> => {
        const document = `${root.toLowerCase()} { ${field}(${ids.map((one) => `${one.name}: "${of}"`).join(', ')}${input}) { __typename } }`;
        const { data, errors } = await client.graphql(document);
        expect(errors, document).toHaveLength(1);
        const [{ message, extensions }] = errors as [{ message: string; extensions: Record<string, unknown> }];
        expect([403, 404], `${document} ${message}`).toContain(extensions['status']);
        return { data, message, extensions: { ...extensions, correlationId: null } };
      };
      expect([field, await call(foreign[noun] ?? '')]).toEqual([field, await call(v7())]);
      compared += 1;
    }
    expect(compared).toBeGreaterThan(20);
  });

  test('lists about somebody else’s things are as empty as those about nothing', async () => {
    const client = (callers[name] as () => Client)();
    const pairs = [
      ...['/v1/requests?person=', '/v1/grants?person=', '/v1/connections?person=', '/v1/audit/events?person='].map(
        (path) => [path, 'people'],
      ),
      ...['/v1/connections?grant=', '/v1/audit/events?grant='].map((path) => [path, 'grants']),
      ['/v1/statements?person=', 'people'],
      ['/v1/statements?grant=', 'grants'],
      ['/v1/audit/events?request=', 'requests'],
    ] as const;
    for (const [path, noun] of pairs) {
      const [theirs, nothing] = [await client.get(`${path}${foreign[noun ?? '']}`), await client.get(`${path}${v7()}`)];
      expect([path, theirs.status, theirs.body]).toMatchObject([path, 200, { items: [], nextCursor: null }]);
      expect(theirs.body).toEqual(nothing.body);
    }
  });
});

function nounOf(field: string): string | undefined {
  if (/request$|^requestReview$/i.test(field)) return 'requests';
  if (/review$/i.test(field)) return 'reviews';
  if (/delegation$/i.test(field)) return 'delegations';
  if (/service$|apiKeys?$/i.test(field)) return 'services';
  if (/webhook/i.test(field)) return 'webhooks';
  if (/grant$|^mintToken$|^issuePassword$|^selfSigning$/i.test(field)) return 'grants';
  if (/person$|^personAccess$/i.test(field)) return 'people';
  if (/account$/i.test(field)) return 'accounts';
  if (field === 'discovery') return 'discoveries';
  if (/discovered|registerDatabase/i.test(field)) return 'discovered-databases';
  expect(field, 'it names something that is not compared').toMatch(
    /target|profile|drift|readiness|iamAuthentication|serverLog/i,
  );
  return undefined;
}

function inputOf(field: string): string {
  const verb = Object.keys(bodies).find((one) => field.startsWith(one));
  const body = verb === undefined ? {} : (bodies[verb]?.() ?? {});
  return `{ ${Object.entries(body)
    .map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
    .join(', ')} }`;
}
