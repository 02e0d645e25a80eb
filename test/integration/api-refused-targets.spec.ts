import { createServer, type Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { IdentityService } from '../../src/identity/identity.service.js';
import { askFor, claimsOf, known, newName, register, someone, type Registered } from '../support/people.ts';
import { refuses } from '../support/refusal.ts';
import { standIn, wrongCa } from '../support/stand-in.ts';
import { startUsher, type Answer, type Client, type Usher } from '../support/usher.ts';

let usher: Usher;
let orders: Registered;
let billing: Registered;
let engineer: Client;
let dave: Client;
let bundles: Server;
/** A region whose CA bundle is that of somebody else. */
const elsewhere = 'eu-west-2';

beforeAll(async () => {
  bundles = createServer((_request, response) => response.end(wrongCa));
  await new Promise<void>((resolve) => bundles.listen(0, '127.0.0.1', resolve));
  const address = bundles.address();
  const pem = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}/bundle.pem`;
  const trusted = JSON.parse((await standIn()).env['USHER_TRUST_BUNDLES'] ?? '{}') as object;
  const env = { USHER_TRUST_BUNDLES: JSON.stringify({ ...trusted, [elsewhere]: { partition: 'aws', pem } }) };
  usher = await startUsher({ settings: { jobs: false }, env });
  orders = await register(usher, 'orders');
  billing = await register(usher, 'billing', {}, { approvalsNeeded: 1 });
  engineer = someone(usher, ['engineers']);
  dave = await known(usher, 'dave');
  await engineer.get('/v1/targets'); // whoever calls first is written down
});
afterAll(async () => {
  await usher?.close();
  bundles?.closeAllConnections();
  bundles?.close();
});

const unlike = (more: Record<string, unknown>): Record<string, unknown> => ({
  ...usher.standIn.targets.orders.registration.target,
  ...{ name: 'another', resourceId: 'cluster-ANOTHER' },
  ...more,
});
const endpoint = (more: Record<string, unknown>): Record<string, unknown> => ({
  kind: 'writer',
  connectHost: 'db.example.com',
  port: 5432,
  ...more,
});

test.each([
  ...['postgres', 'rds_x', 'RDS-X', 'pg_x', 'pg.monitor', 'usher_broker', 'admin', 'rdsmaster', 'public'].map(
    (name) => [name, 'reserved_login_name'],
  ),
  ...['日本', '...', 'x'.repeat(57)].map((name) => [name, 'invalid_login_name']),
])('a person called %s gets no login', async (name = '', code = '') => {
  const person = someone(usher, ['engineers'], { sub: name === '...' ? '---' : name, email: undefined }, name);
  await person.get('/v1/targets');
  for (const path of ['/v1/requests', '/v1/requests/preview'])
    await refuses(usher, () => person.post(path, askFor(orders)), 422, code);
});

test('nobody becomes the master of a target', async () => {
  await usher.database.owner.query('UPDATE target SET master_user = $1 WHERE id = $2', ['Zoe', billing.targetId]);
  const zoe = someone(usher, ['engineers'], {}, 'zoe');
  await zoe.get('/v1/targets');
  for (const path of ['/v1/requests', '/v1/requests/preview'])
    await refuses(usher, () => zoe.post(path, askFor(billing)), 422, 'reserved_login_name');
  expect((await zoe.post('/v1/requests/preview', askFor(orders))).body).toMatchObject({ plan: { login: 'zoe' } });
});

test('first requests of one person at the same moment are all for the one login that is theirs', async () => {
  const identity = usher.app.get(IdentityService);
  for (let i = 0; i < 60; i += 1) {
    const token = usher.standIn.oidc.signWith(claimsOf(usher, newName('first'), ['engineers']));
    const { id } = await identity.authenticate(`Bearer ${token}`, {
      address: undefined,
      correlationId: token.slice(-9),
    });
    const claimed = usher.db.tx((tx) => identity.loginFor(tx, id, undefined, 'iam'));
    const previews = Array.from({ length: 6 }, () => identity.previewLogin(id, undefined, 'iam'));
    expect(new Set(await Promise.all(previews))).toEqual(new Set([await claimed]));
  }
});

describe('a target that cannot be had', () => {
  const profileOf = (id: string): Promise<Answer> =>
    dave.post(`/v1/targets/${id}/profiles`, usher.standIn.targets.orders.registration.profiles[0]);
  const writer = (): { port: number } => ({ port: usher.standIn.targets.orders.endpoints[0]?.port ?? 0 });
  const registered = async (more: Record<string, unknown>): Promise<string> =>
    (await dave.post<{ id: string }>('/v1/targets', unlike(more))).body.id;

  test('down: unreachable, and as before when it is back', async () => {
    const { rds } = usher.standIn.targets.billing;
    await rds.stop();
    try {
      await refuses(usher, () => engineer.post('/v1/requests', askFor(billing)), 503, 'target_unreachable');
      await refuses(usher, () => engineer.post('/v1/requests/preview', askFor(billing)), 503, 'target_unreachable');
      expect((await engineer.get(`/v1/targets/${billing.targetId}`)).status).toBe(200);
    } finally {
      await rds.start();
    }
    expect((await engineer.post('/v1/requests/preview', askFor(billing))).status).toBe(200);
  });

  test.each([
    [
      'of another authority',
      () => ({ region: elsewhere, endpoints: [endpoint({ connectHost: 'localhost', ...writer() })] }),
    ],
    [
      'of another name',
      () => ({
        resourceId: 'cluster-OTHERNAME',
        name: 'othername',
        endpoints: [endpoint({ connectHost: '127.0.0.1', ...writer() })],
      }),
    ],
  ])('%s: untrusted', async (_, more) => {
    const id = await registered(more());
    await refuses(usher, () => profileOf(id), 503, 'target_untrusted');
  });

  test('where nothing listens: unreachable', async () => {
    const endpoints = [endpoint({ connectHost: 'localhost', port: 1 })];
    const id = await registered({ resourceId: 'cluster-NOBODY', name: 'nobody', endpoints });
    await refuses(usher, () => profileOf(id), 503, 'target_unreachable');
  });
});
