/** What webhooks must not do: tell a secret, reach where nobody is to be sent, or hand the record to who may not see it. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer as createHttp, type Server as HttpServer } from 'node:http';
import { createServer as createHttps, type Server } from 'node:https';
import { createServer as createTcp } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { v7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority, type Authority } from '../../local/rds/authority.ts';
import { defaultPolicyFile } from '../../src/policy/engine.js';
import { auditLines, known, someone } from '../support/people.ts';
import { startReceiver, verify, type Message, type Receiver } from '../support/receiver.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';
import { newWebhook, record, send, webhookEnv, type MadeWebhook } from '../support/webhooks.ts';

const HOUR = 3_600_000;
const web = createAuthority('Web of the tests');
const before = getCACertificates('default');
const servers: (Server | HttpServer)[] = [];

let usher: Usher;
let dave: Client;
let receiver: Receiver;

beforeAll(async () => {
  setDefaultCACertificates([...before, web.caPem]);
  usher = await startUsher({ work: false, env: webhookEnv });
  dave = await known(usher, 'dave');
  receiver = await startReceiver();
});
afterAll(async () => {
  await usher?.close();
  await receiver?.stop();
  setDefaultCACertificates(before);
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

const input = { url: 'https://hooks.example.com/usher', description: 'the portal', events: ['grant.*'] };
const count = (): Promise<number> => usher.db.client.webhook.count();
type Tested = { delivered: boolean; status: number | null; problem: string | null; webhookId: string };
const tried = async (url: string, on = usher): Promise<Tested> => {
  const { webhook } = await newWebhook(usher, url);
  const admin = await known(on, 'dave');
  const { status, body } = await admin.post<Tested>(`/v1/webhooks/${webhook.id}/test`);
  expect(status).toBe(200);
  return body;
};

/** An HTTPS server on loopback with a certificate of that authority. */
async function https(authority: Authority, name = 'localhost'): Promise<string> {
  const { certPem: cert, keyPem: key } = authority.server([name]);
  const server = createHttps({ cert, key }, (_request, response) => response.writeHead(204).end());
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return `https://localhost:${typeof address === 'object' && address ? address.port : 0}/`;
}

describe('a secret', () => {
  test('is in the answer that made it and nowhere else', async () => {
    const { status, body } = await dave.post<MadeWebhook>('/v1/webhooks', input);
    expect([status, body.secret]).toEqual([201, expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/)]);
    const { id } = body.webhook;
    const rotated = await dave.post<MadeWebhook>(`/v1/webhooks/${id}/rotate`, {});
    const secrets = [body.secret, rotated.body.secret];
    expect(new Set(secrets).size).toBe(2);
    const answers = await Promise.all(
      ['', `/${id}`, `/${id}/deliveries`].map((path) => dave.get(`/v1/webhooks${path}`)),
    );
    const dump = await usher.database.owner.query<{ all: string }>(`
      SELECT concat(query_to_xml('SELECT * FROM webhook', true, true, ''), query_to_xml('SELECT * FROM webhook_secret', true, true, ''),
                    query_to_xml('SELECT * FROM idempotent_answer', true, true, ''), query_to_xml('SELECT * FROM audit_event', true, true, '')) AS all`);
    const seen = JSON.stringify([answers, dump.rows]);
    for (const secret of secrets) {
      const bytes = Buffer.from(secret.slice('whsec_'.length), 'base64');
      for (const form of [secret.slice('whsec_'.length), bytes.toString('hex'), webhookEnv.USHER_WEBHOOK_KEY])
        expect(seen).not.toContain(form);
    }
  });

  test('is another one for each call, also with the same Idempotency-Key', async () => {
    const key = { 'idempotency-key': v7() };
    const [one, two] = [await dave.post('/v1/webhooks', input, key), await dave.post('/v1/webhooks', input, key)];
    expect([one.status, two.status]).toEqual([201, 201]);
    expect(one.body['secret']).not.toBe(two.body['secret']);
  });

  test('that was replaced signs beside the new one until the overlap is over', async () => {
    const { secret: old, webhook } = await newWebhook(usher, receiver.url);
    const told = async (): Promise<Message> => {
      receiver.got = [];
      await dave.post(`/v1/webhooks/${webhook.id}/test`);
      return receiver.got[0] as Message;
    };
    const { body } = await dave.post<MadeWebhook>(`/v1/webhooks/${webhook.id}/rotate`, { overlapMinutes: 60 });
    expect(body.webhook).toMatchObject({ oldSecretEndsAt: expect.any(String) });
    const both = await told();
    expect(String(both.headers['webhook-signature']).split(' ')).toHaveLength(2);
    for (const secret of [old, body.secret]) expect(verify(secret, both)).toMatchObject({ type: 'webhook.test' });
    usher.clock.move(HOUR);
    const alone = await told();
    expect(verify(body.secret, alone)).toMatchObject({ type: 'webhook.test' });
    expect(() => verify(old, alone)).toThrow('No matching signature');
  });

  test('of two rotations before lives no longer, and overlap 0 ends the old one at once', async () => {
    const { secret: first, webhook } = await newWebhook(usher, receiver.url);
    const rotate = async (rotation: object): Promise<string> =>
      (await dave.post<MadeWebhook>(`/v1/webhooks/${webhook.id}/rotate`, rotation)).body.secret;
    const second = await rotate({});
    const third = await rotate({});
    receiver.got = [];
    await dave.post(`/v1/webhooks/${webhook.id}/test`);
    const message = receiver.got[0] as Message;
    for (const secret of [second, third]) expect(verify(secret, message)).toBeDefined();
    expect(() => verify(first, message)).toThrow();
    const fourth = await rotate({ overlapMinutes: 0 });
    receiver.got = [];
    await dave.post(`/v1/webhooks/${webhook.id}/test`);
    const now = receiver.got[0] as Message;
    expect(verify(fourth, now)).toBeDefined();
    expect(String(now.headers['webhook-signature']).split(' ')).toHaveLength(1);
  });

  test('needs a key: without the one it was made with nothing is sent, and without any none is made', async () => {
    const otherKey = { ...webhookEnv, USHER_WEBHOOK_KEY: randomBytes(32).toString('base64') };
    const other = await startUsher({ work: false, env: otherKey, database: usher.database, clock: usher.clock });
    const none = await startUsher({
      ...{ work: false, database: usher.database, clock: usher.clock },
      env: { ...webhookEnv, USHER_WEBHOOK_KEY: '', DATABASE_URL: usher.database.url },
    });
    try {
      receiver.got = [];
      expect(await tried(receiver.url, other)).toMatchObject({
        delivered: false,
        problem: expect.stringContaining('USHER_WEBHOOK_KEY'),
      });
      expect(receiver.got).toEqual([]);
      const { body } = await (await known(none, 'dave')).post('/v1/webhooks', input);
      expect(body).toMatchObject({
        status: 503,
        code: 'webhook_key_missing',
        advice: expect.stringContaining('openssl'),
      });
    } finally {
      await other.stop();
      await none.stop();
    }
  });
});

describe('no webhook leads', () => {
  test.each([
    ...[
      'http://hooks.example.com',
      'https://10.0.0.1/',
      'https://192.168.1.1:8443/',
      'https://2130706433@hooks.example.com/',
    ],
    ...['https://169.254.169.254/latest/meta-data', 'https://[::ffff:169.254.169.254]/', 'https://[fd00:ec2::254]/'],
    ...[
      'https://user:secret@hooks.example.com/',
      'ftp://hooks.example.com/',
      'file:///etc/passwd',
      'javascript:alert(1)',
    ],
    ...[
      'https://0xa.0.0.1/',
      'https://hooks.example.com/ with spaces',
      '',
      `https://hooks.example.com/${'x'.repeat(3000)}`,
    ],
  ])('to %s', async (url) => {
    const kept = await count();
    const answer = await dave.post('/v1/webhooks', { ...input, url });
    expect(answer.body).toMatchObject({ status: 400, code: 'invalid_input', fields: [{ field: 'url' }] });
    expect(await count()).toBe(kept);
    const { webhook } = await newWebhook(usher, receiver.url);
    expect((await dave.patch(`/v1/webhooks/${webhook.id}`, { url })).status).toBe(400);
    expect((await dave.get(`/v1/webhooks/${webhook.id}`)).body['url']).toBe(receiver.url);
  });

  test('to a network that was allowed when it was made and is not any more, nor by a name', async () => {
    const strict = await startUsher({
      ...{ work: false, database: usher.database, clock: usher.clock },
      env: { ...webhookEnv, USHER_OUTBOUND_NETWORKS: '' },
    });
    try {
      receiver.got = [];
      const byName = receiver.url.replace('127.0.0.1', 'localhost');
      for (const url of [receiver.url, byName])
        expect(await tried(url, strict)).toMatchObject({
          delivered: false,
          status: null,
          problem: expect.stringMatching(/not public/),
        });
      expect(receiver.got).toEqual([]);
    } finally {
      await strict.stop();
    }
  });

  test('where a redirect points', async () => {
    receiver.got = [];
    receiver.answer = () => 307;
    expect(await tried(receiver.url)).toMatchObject({
      delivered: false,
      status: 307,
      problem: expect.stringContaining('not followed'),
    });
    expect(receiver.got).toHaveLength(1);
    receiver.answer = () => 204;
  });

  test.each<[string, () => Promise<string>, boolean]>([
    ['whose certificate is vouched for', () => https(web), true],
    ['whose certificate nobody vouches for', () => https(createAuthority('Nobody')), false],
    ['whose certificate is that of another', () => https(web, 'elsewhere.example.com'), false],
  ])('but to a server %s: only what is verified', async (_, start, delivered) => {
    const result = await tried(await start());
    expect(result).toMatchObject({
      delivered,
      problem: delivered ? null : expect.stringContaining('could not be reached'),
    });
  });
});

test.each([
  ['of no HTTP', 'HTTP/1.1 999 Odd\r\ncontent-length: 0\r\nconnection: close\r\n\r\n', null],
  ['that changes the protocol', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n', 101],
])('an answer %s is none', async (_, answer, status) => {
  const odd = createTcp((socket) => socket.on('error', () => undefined).once('data', () => socket.write(answer)));
  await new Promise<void>((resolve) => odd.listen(0, '127.0.0.1', resolve));
  const address = odd.address();
  const url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}/`;
  expect(await tried(url)).toMatchObject({ delivered: false, status });
  odd.close();
});

test('an answer without end is cut off, and its status counts', async () => {
  const cut = Promise.withResolvers<void>();
  const endless = createHttp((_request, response) => {
    response.writeHead(200).on('close', cut.resolve);
    const more = (): boolean => response.destroyed || !response.write('x'.repeat(16_384)) || more();
    response.on('drain', more);
    more();
  });
  servers.push(endless);
  await new Promise<void>((resolve) => endless.listen(0, '127.0.0.1', resolve));
  const address = endless.address();
  const url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}/`;
  expect(await tried(url)).toMatchObject({ delivered: true, status: 200 });
  await cut.promise;
});

describe('nobody', () => {
  test('has the record sent that they may not see, whatever policy lets them administer', async () => {
    const text = `${readFileSync(defaultPolicyFile, 'utf8')}
@id("hooks-administer")
permit (principal in Usher::Group::"hooks", action == Usher::Action::"administerWebhooks", resource);`;
    const { body: current } = await dave.get<{ number: number }>('/v1/policies');
    const activated = await dave.put('/v1/policies', {
      text,
      note: 'those who run the portal',
      basedOn: current.number,
    });
    expect(activated.status, JSON.stringify(activated.body)).toBe(200);
    const { webhook } = await newWebhook(usher, receiver.url);
    const somebody = someone(usher, ['hooks']);
    expect((await somebody.get('/v1/webhooks')).status).toBe(200);
    expect((await somebody.post(`/v1/webhooks/${webhook.id}/test`)).status).toBe(200);
    const kept = await count();
    for (const call of [
      () => somebody.post('/v1/webhooks', { ...input, url: receiver.url }),
      () => somebody.patch(`/v1/webhooks/${webhook.id}`, { events: ['*'] }),
      () => somebody.post(`/v1/webhooks/${webhook.id}/replay`, { from: 1 }),
    ])
      expect((await call()).body).toMatchObject({ status: 403, code: 'policy_denied', advice: expect.any(String) });
    expect(await count()).toBe(kept);
  });

  test('gives an address of a receiver to the record', async () => {
    const { webhook } = await newWebhook(usher, `${receiver.url}/token-in-the-path`);
    await dave.patch(`/v1/webhooks/${webhook.id}`, { url: `${receiver.url}/other-token` });
    await dave.delete(`/v1/webhooks/${webhook.id}`);
    const lines = (await auditLines(usher)).filter(({ details }) => details['webhookId'] === webhook.id);
    expect(lines.map(({ action }) => action)).toEqual(['webhook.create', 'webhook.update', 'webhook.delete']);
    expect(JSON.stringify(lines)).toContain(new URL(receiver.url).origin);
    expect(JSON.stringify(lines)).not.toMatch(/token/);
  });

  test('changes what a secret is made of, or what was delivered, not even the service itself', async () => {
    const { webhook } = await newWebhook(usher, receiver.url);
    await record(usher, 'grant.active', {});
    await send(usher);
    const { client } = usher.db;
    await expect(client.webhookSecret.updateMany({ data: { keyId: '0'.repeat(16) } })).rejects.toThrow(/denied/);
    await expect(client.webhookDelivery.updateMany({ data: { type: 'other' } })).rejects.toThrow(/denied/);
    const own = { where: { webhookId: webhook.id } };
    await expect(client.webhookDelivery.updateMany({ ...own, data: { attempts: 9 } })).rejects.toThrow(/never changed/);
    await dave.post(`/v1/webhooks/${webhook.id}/rotate`, {});
    await expect(client.webhookSecret.updateMany({ ...own, data: { endsAt: null } })).rejects.toThrow();
  });
});

test.each([
  ['no events', { events: [] }],
  ['a pattern that is none', { events: ['grant.*.x'] }],
  ['a pattern in the middle', { events: ['*.active'] }],
  ['the same pattern twice', { events: ['*', '*'] }],
  ['a target that is no id', { targetIds: ['orders'] }],
  ['an empty description', { description: ' ' }],
  ['a description of two lines', { description: 'a\nb' }],
  ['a secret of their own', { secret: 'whsec_AAAA' }],
])('%s: refused, and nothing is made', async (_, change) => {
  const kept = await count();
  expect((await dave.post('/v1/webhooks', { ...input, ...change })).status).toBe(400);
  expect(await count()).toBe(kept);
});

test('GraphQL does what REST does', async () => {
  const create = `mutation ($input: CreateWebhook!) { createWebhook(input: $input) { secret webhook { id state cursor } } }`;
  const { data, errors } = await dave.graphql<{ createWebhook: MadeWebhook }>(create, {
    input: { ...input, url: receiver.url },
  });
  expect(errors).toBeUndefined();
  const { secret, webhook } = data?.createWebhook ?? { secret: '', webhook: { id: '' } };
  receiver.got = [];
  const test_ = await dave.graphql(
    `mutation { testWebhook(id: "${webhook.id}") { delivered status problem webhookId } }`,
  );
  const message = receiver.got[0] as Message;
  expect(test_.data).toEqual({
    testWebhook: { delivered: true, status: 204, problem: null, webhookId: message.headers['webhook-id'] },
  });
  expect(verify(secret, message)).toEqual(message.body);
  const page = `{ webhookDeliveries(webhookId: "${webhook.id}", input: { state: pending }) { items { id } nextCursor } }`;
  expect(await dave.graphql(page)).toEqual({ data: { webhookDeliveries: { items: [], nextCursor: null } } });
});
