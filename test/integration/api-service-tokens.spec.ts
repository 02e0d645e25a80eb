import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, auditLines, known, newName, register, type Registered } from '../support/people.ts';
import { refused, seen } from '../support/services.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

interface Service {
  id: string;
  code?: string;
  client: { issuer: string; clientId: string; scopes: string[] } | null;
}

let usher: Usher;
let orders: Registered;
let dave: Client;

beforeAll(async () => {
  usher = await startUsher({
    settings: { jobs: false },
    env: { OIDC_SERVICE_TOKENS: 'subject,gty=client-credentials' },
  });
  orders = await register(usher, 'orders');
  dave = await known(usher, 'dave');
});
afterAll(() => usher?.close());

/** As a provider makes it for the client-credentials grant (RFC 9068 §2.2). */
function tokenOf(clientId: string, claims: Record<string, unknown> = {}): string {
  const now = Math.floor(usher.clock.now().getTime() / 1_000);
  const { issuer: iss, audience: aud } = usher.standIn.oidc;
  return usher.standIn.oidc.signWith({
    iss,
    aud,
    sub: clientId,
    client_id: clientId,
    iat: now,
    exp: now + 600,
    ...claims,
  });
}
const headersFor = (name: string | undefined, token?: string): Record<string, string> => ({
  ...(name !== undefined && { 'usher-on-behalf-of': name }),
  ...(token !== undefined && { 'usher-on-behalf-of-token': token }),
});
const client = (clientId: string, name?: string, token?: string): Client =>
  usher.withToken(tokenOf(clientId), headersFor(name, token));
const clientIn = (clientId: string, scopes: readonly string[]) => ({
  client: { issuer: usher.standIn.oidc.issuer, clientId, scopes },
});
async function service(scopes: readonly string[], more: object = {}): Promise<[clientId: string, id: string]> {
  const clientId = newName('client');
  const body = { name: newName('s'), description: 'nightly job', ...clientIn(clientId, scopes), ...more };
  const made = await dave.post<Service>('/v1/services', body);
  expect([made.status, made.body.client]).toEqual([201, clientIn(clientId, scopes).client]);
  return [clientId, made.body.id];
}

describe('a token of a client', () => {
  test('is the service that this client is, with its scopes alone', async () => {
    const [clientId] = await service(['viewTargets']);
    expect((await client(clientId).get('/v1/targets')).status).toBe(200);
    refused(await client(clientId).get('/v1/requests'), 403, 'scope_missing');
    refused(await client(clientId, 'alice@example.com').get('/v1/targets'), 403, 'scope_missing');
    const [asking] = await service(['viewTargets', 'request', 'administerServices'], { groups: ['admins'] });
    refused(await client(asking).post('/v1/requests/preview', {}), 403, 'not_for_services');
    refused(await client(asking).post('/v1/services', { name: 'x', description: 'y' }), 403, 'not_for_services');
  });

  test('is never a person, whatever else it says', async () => {
    const before = await usher.db.client.person.count();
    const clientId = newName('client');
    const claims = { email: 'dave@example.com', preferred_username: 'dave', groups: ['admins'] };
    for (const more of [claims, { ...claims, sub: 'x', gty: 'client-credentials' }, { ...claims, azp: clientId }])
      refused(await usher.withToken(tokenOf(clientId, more)).get('/v1/targets'), 403, 'unknown_client');
    refused(await usher.withToken(tokenOf(clientId, { auth_time: 1 })).get('/v1/targets'), 401, 'token_invalid');
    refused(await usher.withToken(tokenOf(clientId, { azp: 'another' })).get('/v1/targets'), 401, 'token_invalid');
    refused(await usher.withToken(tokenOf(clientId, { nonce: 'n' })).get('/v1/targets'), 401, 'token_invalid');
    refused(await usher.withToken(tokenOf(clientId, { exp: 1 })).get('/v1/targets'), 401, 'token_expired');
    expect(await usher.db.client.person.count()).toBe(before);
  });

  test('of a client that is no service is refused, with advice and on record', async () => {
    const clientId = newName('client');
    const answer = await client(clientId).get('/v1/targets');
    refused(answer, 403, 'unknown_client');
    expect(answer.body).toMatchObject({ advice: expect.stringContaining('/v1/services') });
    const [line] = await auditLines(usher, String(answer.body['correlationId']));
    expect(line).toMatchObject({ action: 'access.refused', code: 'unknown_client', actor_kind: 'nobody' });
    expect(line?.details['message']).toContain(clientId);
    expect(JSON.stringify(line)).not.toContain(tokenOf(clientId).slice(0, 20));
  });

  test('acts for people as a key does: named, or with a token of theirs, and never with another client’s', async () => {
    const [clientId, id] = await service(['actFor', 'request', 'viewRequests', 'viewTargets', 'approve', 'cancel'], {
      actsFor: ['engineers'],
    });
    const [ann, owner] = [await seen(usher), await seen(usher, ['orders-owners'])];
    const asked = await ask(client(clientId, ann.email), orders);
    expect((await ann.client.get(`/v1/requests/${asked.id}`)).body).toMatchObject({ viaServiceId: id });
    refused(await client(clientId, owner.email).get('/v1/requests'), 403, 'policy_denied');
    refused(await client(clientId, ann.email, tokenOf(clientId)).get('/v1/requests'), 401, 'token_invalid');
    expect((await client(clientId, undefined, ann.token).get('/v1/requests')).status).toBe(200);
    refused(await client(clientId, '').get('/v1/requests'), 403, 'unknown_person');
    const lines = (await auditLines(usher)).filter((line) => line.action === 'request.create');
    expect(lines.at(-1)).toMatchObject({ actor_name: ann.email, via_service_id: id });
  });

  test('does nothing any more once its service is locked, is another client, or is removed', async () => {
    const [clientId, id] = await service(['viewTargets']);
    const call = () => client(clientId).get('/v1/targets');
    expect((await call()).status).toBe(200);
    await dave.post(`/v1/services/${id}/lock`, { reason: 'its secret was seen in a log' });
    refused(await call(), 403, 'service_locked');
    await dave.post(`/v1/services/${id}/unlock`);
    expect((await call()).status).toBe(200);
    await dave.patch(`/v1/services/${id}`, clientIn(newName('client'), ['viewTargets']));
    refused(await call(), 403, 'unknown_client');
    await dave.patch(`/v1/services/${id}`, clientIn(clientId, ['viewTargets']));
    expect((await call()).status).toBe(200);
    expect((await dave.patch<Service>(`/v1/services/${id}`, { clear: ['client'] })).body.client).toBeNull();
    refused(await call(), 403, 'unknown_client');
    await dave.patch(`/v1/services/${id}`, clientIn(clientId, ['viewTargets']));
    await dave.delete(`/v1/services/${id}`);
    refused(await call(), 403, 'unknown_client');
  });
});

describe('the client of a service', () => {
  test.each<[string, object]>([
    ['without scopes', { scopes: [] }],
    ['with scopes that are none', { scopes: ['everything'] }],
    ['of an unknown provider', { issuer: 'https://elsewhere.example' }],
    ['without a name', { clientId: ' ' }],
    ['with something else in it', { secret: 'x' }],
  ])('%s is refused', async (_, wrong) => {
    const [, id] = await service(['viewTargets']);
    const { client: good } = clientIn(newName('client'), ['viewTargets']);
    const before = await dave.get(`/v1/services/${id}`);
    const answer = await dave.patch(`/v1/services/${id}`, { client: { ...good, ...wrong } });
    expect(answer.body).toMatchObject({ code: 'invalid_input', advice: expect.any(String) });
    expect((await dave.get(`/v1/services/${id}`)).body).toEqual(before.body);
  });

  test('is one service’s, and set by administrators alone, on record', async () => {
    const [clientId, id] = await service(['viewTargets']);
    const [, other] = await service(['viewTargets']);
    const same = clientIn(clientId, ['viewTargets']);
    refused(await dave.patch(`/v1/services/${other}`, same), 409, 'client_taken');
    refused(await dave.post('/v1/services', { name: newName('s'), description: 'x', ...same }), 409, 'client_taken');
    refused(await dave.patch(`/v1/services/${other}`, { ...same, clear: ['client'] }), 400, 'invalid_input');
    for (const groups of [['engineers'], ['security'], ['auditors']]) {
      const { client: somebody } = await seen(usher, groups);
      refused(await somebody.patch(`/v1/services/${id}`, { clear: ['client'] }), 403, 'policy_denied');
    }
    await dave.patch(`/v1/services/${id}`, clientIn(clientId, ['viewTargets', 'viewTrust']));
    const lines = (await auditLines(usher)).filter((line) => line.action === 'service.update');
    expect(lines.at(-1)?.details).toMatchObject({
      changed: {
        client: { from: { scopes: ['viewTargets'] }, to: { clientId, scopes: ['viewTargets', 'viewTrust'] } },
      },
    });
  });

  test('is set by GraphQL, too', async () => {
    const [, id] = await service(['viewTargets']);
    const clientId = newName('client');
    const document =
      'mutation ($id: ID!, $input: UpdateService!) { updateService(id: $id, input: $input) { client { issuer clientId scopes } } }';
    const set = await dave.graphql(document, { id, input: clientIn(clientId, ['viewTrust']) });
    expect(set).toMatchObject({ data: { updateService: clientIn(clientId, ['viewTrust']) } });
    expect((await client(clientId).get('/v1/trust/bundles')).status).toBe(200);
    const away = await dave.graphql(document, { id, input: { clear: ['client'] } });
    expect(away).toMatchObject({ data: { updateService: { client: null } } });
  });
});

test('a provider without marks has no clients that are services', async () => {
  const plain = await startUsher({ settings: { jobs: false } });
  try {
    const call = plain.withToken(tokenOf(newName('client')));
    refused(await call.get('/v1/targets'), 401, 'token_invalid');
    const admin = await known(plain, 'dave');
    const body = { name: newName('s'), description: 'nightly job', ...clientIn('ci', ['viewTargets']) };
    expect((await admin.post('/v1/services', body)).body).toMatchObject({ code: 'invalid_input' });
  } finally {
    await plain.close();
  }
});
