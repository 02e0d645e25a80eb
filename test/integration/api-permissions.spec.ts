import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assertEveryRouteNamesItsAction } from '../../src/policy/coverage.js';
import { ask, askFor, known, newName, open, register, someone, type Registered } from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

let usher: Usher;
let target: Registered;
/** A target that nobody asks for, for what is done to profiles. */
let spareId: string;
let routes: string[];
let operations: string[];
/** Paths hold the names in braces; these are put in their place, anew for each caller. */
let ids: Record<string, string>;
const callers: Record<string, Client> = {};
const names = ['nobody', 'expired', 'foreignAudience', 'alice', 'bob', 'carol', 'dave'] as const;
type Caller = (typeof names)[number];

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  target = await register(usher, 'orders');
  spareId = (await register(usher, 'billing')).targetId;
  const { body: document } = await usher.withToken(undefined).get<{ paths: Record<string, object> }>('/openapi.json');
  routes = Object.entries(document.paths).flatMap(([path, item]) =>
    // what {id} is the id of
    Object.keys(item).map(
      (method) => `${method.toUpperCase()} ${path.replace(/(request|grant)s\/{id}/, '$1s/{$1Id}')}`,
    ),
  );
  const types =
    '{ queryType { fields { name } } mutationType { fields { name } } subscriptionType { fields { name } } }';
  const { data } = await (
    await known(usher, 'carol')
  ).graphql<{ __schema: Record<string, { fields: { name: string }[] } | null> }>(`{ __schema ${types} }`);
  operations = Object.values(data?.__schema ?? {}).flatMap((type) => type?.fields.map(({ name }) => name) ?? []);
  const { oidc } = usher.standIn;
  callers['nobody'] = usher.withToken(undefined);
  callers['expired'] = usher.withToken(await oidc.tokenFor('dave', { expiresIn: -60 }));
  callers['foreignAudience'] = usher.withToken(await oidc.tokenFor('dave', { audience: 'another-service' }));
  for (const name of ['alice', 'bob', 'carol', 'dave']) callers[name] = await known(usher, name);
});
afterAll(() => usher?.close());

/** What each made-up alice, bob, carol and dave gets; the first three never get anything but 401. */
type Row = readonly [alice: number, bob: number, carol: number, dave: number];
const everybody: Row = [200, 200, 200, 200];
const admin = (success: number): Row => [403, 403, 403, success];

/** REST. A request is alice's on bob's target, the grant is alice's and active. */
const rest: Record<string, { row: Row; body?: () => object }> = {
  'POST /v1/targets': { row: admin(201), body: newTarget },
  'GET /v1/targets': { row: everybody },
  'GET /v1/targets/{id}': { row: everybody },
  'PATCH /v1/targets/{id}': { row: admin(200), body: () => ({ engineVersion: '17.11' }) },
  'DELETE /v1/targets/{id}': { row: admin(200) },
  'POST /v1/targets/{id}/profiles': { row: admin(201), body: spareProfile },
  'GET /v1/targets/{id}/profiles': { row: everybody },
  'PATCH /v1/targets/{id}/profiles/{profileId}': { row: admin(200), body: () => ({ approvalsNeeded: 2 }) },
  'DELETE /v1/targets/{id}/profiles/{profileId}': { row: admin(200) },
  'POST /v1/requests/preview': { row: everybody, body: () => askFor(target) },
  'POST /v1/requests': { row: [201, 201, 403, 403], body: () => askFor(target) },
  'GET /v1/requests': { row: everybody },
  'GET /v1/requests/{requestId}': { row: [404, 200, 200, 200] },
  'POST /v1/requests/{requestId}/approve': { row: [403, 200, 403, 403], body: () => ({}) },
  'POST /v1/requests/{requestId}/deny': { row: [403, 200, 403, 403], body: () => ({}) },
  'POST /v1/requests/{requestId}/cancel': { row: [403, 403, 403, 403] },
  'GET /v1/grants': { row: everybody },
  'GET /v1/grants/{grantId}': { row: [404, 200, 200, 200] },
  'POST /v1/grants/{grantId}/revoke': { row: [403, 200, 403, 403] },
  'POST /v1/grants/{grantId}/tokens': { row: [403, 403, 403, 403], body: () => ({}) },
  'GET /v1/audit/events': { row: everybody },
  'GET /v1/connections': { row: everybody },
  'GET /v1/trust/bundles': { row: everybody },
  'GET /v1/trust/bundles/{region}': { row: everybody },
  'GET /metrics': { row: [403, 403, 200, 200] },
};
const anonymous = ['GET /health/live', 'GET /health/ready'];

/** GraphQL: the same permissions under the names of the operations, with what follows the name in the document. */
const twins: Record<
  string,
  { of: keyof typeof rest; call: string; mutation?: true; body?: () => object; type?: string }
> = {
  createTarget: {
    of: 'POST /v1/targets',
    call: '(input: $input) { id }',
    mutation: true,
    body: () => ({ ...newTarget(), kind: 'aurora_cluster' }),
    type: 'CreateTarget!',
  },
  targets: { of: 'GET /v1/targets', call: '{ items { id } }' },
  target: { of: 'GET /v1/targets/{id}', call: '(id: "{id}") { id }' },
  updateTarget: {
    of: 'PATCH /v1/targets/{id}',
    call: '(id: "{id}", input: { engineVersion: "17.11" }) { id }',
    mutation: true,
  },
  deleteTarget: { of: 'DELETE /v1/targets/{id}', call: '(id: "{id}") { id }', mutation: true },
  createProfile: {
    of: 'POST /v1/targets/{id}/profiles',
    call: '(targetId: "{id}", input: $input) { id }',
    mutation: true,
    body: spareProfile,
    type: 'CreateProfile!',
  },
  profiles: { of: 'GET /v1/targets/{id}/profiles', call: '(targetId: "{id}") { id }' },
  updateProfile: {
    of: 'PATCH /v1/targets/{id}/profiles/{profileId}',
    call: '(targetId: "{id}", id: "{profileId}", input: { approvalsNeeded: 2 }) { id }',
    mutation: true,
  },
  deleteProfile: {
    of: 'DELETE /v1/targets/{id}/profiles/{profileId}',
    call: '(targetId: "{id}", id: "{profileId}") { id }',
    mutation: true,
  },
  previewRequest: {
    of: 'POST /v1/requests/preview',
    call: '(input: $input) { decision { allowed } }',
    body: () => askFor(target),
    type: 'CreateRequest!',
  },
  createRequest: {
    of: 'POST /v1/requests',
    call: '(input: $input) { id }',
    mutation: true,
    body: () => askFor(target),
    type: 'CreateRequest!',
  },
  requests: { of: 'GET /v1/requests', call: '{ items { id } }' },
  request: { of: 'GET /v1/requests/{requestId}', call: '(id: "{requestId}") { id }' },
  approveRequest: { of: 'POST /v1/requests/{requestId}/approve', call: '(id: "{requestId}") { id }', mutation: true },
  denyRequest: { of: 'POST /v1/requests/{requestId}/deny', call: '(id: "{requestId}") { id }', mutation: true },
  cancelRequest: { of: 'POST /v1/requests/{requestId}/cancel', call: '(id: "{requestId}") { id }', mutation: true },
  grants: { of: 'GET /v1/grants', call: '{ items { id } }' },
  grant: { of: 'GET /v1/grants/{grantId}', call: '(id: "{grantId}") { id }' },
  revokeGrant: { of: 'POST /v1/grants/{grantId}/revoke', call: '(id: "{grantId}") { id }', mutation: true },
  mintToken: { of: 'POST /v1/grants/{grantId}/tokens', call: '(grantId: "{grantId}") { tokenLength }', mutation: true },
  auditEvents: { of: 'GET /v1/audit/events', call: '{ items { id } }' },
  connections: { of: 'GET /v1/connections', call: '{ items { id } }' },
  trustBundles: { of: 'GET /v1/trust/bundles', call: '{ region }' },
  trustBundle: { of: 'GET /v1/trust/bundles/{region}', call: '(region: "{region}") { region }' },
};

function spareProfile(): object {
  return usher.standIn.targets.billing.registration.profiles[0] ?? {};
}

function newTarget(): Record<string, unknown> {
  const name = newName('t');
  return { ...usher.standIn.targets.orders.registration.target, name, resourceId: `cluster-${name.toUpperCase()}` };
}

/** What the path names: something of its own for a call that changes it, for others still need what is shared. */
async function fresh(of: string): Promise<Record<string, string>> {
  const shared = { id: target.targetId, profileId: target.profiles['reporting-read'] ?? '', region: 'eu-west-1' };
  if (of.includes('/requests/{requestId}'))
    return { ...shared, requestId: (await ask(someone(usher, ['engineers']), target)).id };
  if (of.includes('/grants/{grantId}'))
    return { ...shared, grantId: (await open(usher, someone(usher, ['engineers']), target)).grantId };
  if (!/^(DELETE|PATCH|POST).*\/v1\/targets\/{id}/.test(of)) return shared;
  const dave = callers['dave'] as Client;
  if (!of.includes('/profiles'))
    return { ...shared, id: (await dave.post<{ id: string }>('/v1/targets', newTarget())).body.id };
  const path = `/v1/targets/${spareId}/profiles`;
  const { body: left } = await dave.get<{ id: string }[]>(path);
  for (const { id } of left) await dave.delete(`${path}/${id}`);
  if (of.startsWith('POST')) return { ...shared, id: spareId };
  return { ...shared, id: spareId, profileId: (await dave.post<{ id: string }>(path, spareProfile())).body.id };
}

const fill = (text: string): string => text.replace(/{(\w+)}/g, (_, name: string) => ids[name] ?? `no ${name}`);

const expectedOf = (row: Row): Record<Caller, number> => {
  const [alice, bob, carol, dave] = row;
  return { nobody: 401, expired: 401, foreignAudience: 401, alice, bob, carol, dave };
};
const codes: Partial<Record<Caller, string>> = {
  nobody: 'token_missing',
  expired: 'token_expired',
  foreignAudience: 'token_invalid',
};

test('every route and every operation has a row, and every handler an action', () => {
  expect([...Object.keys(rest), ...anonymous].sort()).toEqual([...routes].sort());
  expect(Object.keys(twins).sort()).toEqual([...operations].sort());
  const open_ = assertEveryRouteNamesItsAction(usher.app).filter((handler) => handler.public !== undefined);
  expect(open_.map(({ handler }) => handler)).toEqual(['HealthController.live', 'HealthController.ready']);
});

test.each([...anonymous, 'GET /docs', 'GET /openapi.json'])('%s is for everybody', async (route) => {
  expect((await usher.withToken(undefined).get(route.slice(4))).status).toBe(200);
});

describe.each(Object.entries(rest))('%s', (route, { row, body }) => {
  test('lets in whom it should, and nobody else', async () => {
    ids = await fresh(route);
    const [method = '', path = ''] = route.split(' ');
    const answers: Record<string, number> = {};
    for (const name of names) {
      const client = callers[name] as Client;
      const filled = fill(path);
      const how = {
        GET: () => client.get(filled),
        DELETE: () => client.delete(filled),
        PATCH: () => client.patch(filled, body?.()),
      };
      const answer = await (method in how ? how[method as keyof typeof how]() : client.post(filled, body?.()));
      answers[name] = answer.status;
      if (codes[name] !== undefined)
        expect([answer.body['code'], answer.headers.get('www-authenticate')]).toEqual([
          codes[name],
          'Bearer realm="usher"',
        ]);
    }
    expect(answers).toEqual(expectedOf(row));
  });
});

describe.each(Object.entries(twins))('GraphQL %s', (name, twin) => {
  test('has the permissions of its REST twin', async () => {
    const { row } = rest[twin.of] as { row: Row };
    ids = await fresh(twin.of);
    const answers: Record<string, number | undefined> = {};
    for (const caller of names) {
      const head = twin.type === undefined ? '' : `($input: ${twin.type})`;
      const document = `${twin.mutation ? 'mutation' : 'query'} ${head} { ${name}${fill(twin.call)} }`;
      const { data, errors } = await (callers[caller] as Client).graphql(document, twin.body && { input: twin.body() });
      answers[caller] = (errors?.[0]?.extensions['status'] as number | undefined) ?? (data?.[name] ? 200 : undefined);
      if (codes[caller] !== undefined) expect(errors?.[0]?.extensions['code']).toBe(codes[caller]);
    }
    const same = Object.entries(expectedOf(row)).map(([who, status]) => [who, status === 201 ? 200 : status]);
    expect(answers).toEqual(Object.fromEntries(same));
  });
});
