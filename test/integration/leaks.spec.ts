/** That the search for secrets at the end of every test file finds what is there to be found. */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PinoLogger } from 'nestjs-pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keptLog, searchLog } from '../support/kept-log.ts';
import { open, register, someone } from '../support/people.ts';
import { keepAnswered, keepSecret, secretsIn } from '../support/secrets.ts';
import { newService } from '../support/services.ts';
import { freshDatabase } from '../support/state.ts';
import { clientOf, startUsher, type Usher } from '../support/usher.ts';

let usher: Usher;
const leaked = randomBytes(24).toString('hex');
/** By what they are found as. */
const given: Record<string, string> = {};

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  const orders = await register(usher, 'orders');
  const holder = someone(usher, ['engineers']);
  const { grantId } = await open(usher, holder, orders);
  const minted = await holder.post<{ token: string }>(`/v1/grants/${grantId}/tokens`, {});
  const query = new URLSearchParams(minted.body.token.split('?')[1]);
  given['X-Amz-Signature'] = query.get('X-Amz-Signature') ?? '';
  given['X-Amz-Security-Token'] = query.get('X-Amz-Security-Token') ?? '';
  given['a password'] = leaked;
  keepAnswered(JSON.stringify({ data: { issuePassword: { password: leaked } } }));
  given['an API key'] = (await newService(usher, ['viewTargets'])).key.split('_')[2] ?? '';
  const token = await usher.standIn.oidc.tokenFor('alice');
  usher.withToken(token);
  given['an access token'] = token.split('.')[2] ?? '';
  given['the key of the service'] = usher.standIn.env['AWS_SECRET_ACCESS_KEY'] ?? '';
  given['the password of a master'] = usher.standIn.targets.billing.master.password;
});
afterAll(() => usher?.close());

describe('a secret that tests had to do with', () => {
  test('is found by itself, within something longer, in a URL and in JSON', () => {
    expect(Object.values(given).every((secret) => secret.length >= 20)).toBe(true);
    for (const [what, secret] of Object.entries(given))
      for (const text of [secret, `x${secret}x`, `?a=${encodeURIComponent(secret)}&b`, JSON.stringify({ secret })])
        expect(secretsIn(text)).toContain(what);
  });

  test('is not found where there is none', () => {
    const others = Object.values(given).map((secret) => [...secret].reverse().join(''));
    expect(secretsIn(others.join('\n'))).toEqual([]);
  });

  test('in a row makes the end of its database an error that names the table alone', async () => {
    const database = await freshDatabase();
    await database.owner.query(
      `INSERT INTO audit_event (id, at, actor_kind, actor_name, action, outcome, details, correlation_id)
       VALUES (gen_random_uuid(), now(), 'system', 'test', 'test.leak', 'success', jsonb_build_object('comment', $1::text), 'none')`,
      [`as I said: ${leaked}`],
    );
    const error: unknown = await database.drop().catch((thrown: unknown) => thrown);
    // of no month: its id is no UUID v7
    expect(error).toMatchObject({ message: 'table audit_event_default holds a password' });
    expect(String(error)).not.toContain(leaked);
  });

  test('in a line of the log makes the end of its Usher an error', async () => {
    const database = await freshDatabase();
    const leaky = await startUsher({ database, settings: { jobs: false } });
    const log = await leaky.app.resolve(PinoLogger);
    log.error({ err: new Error(`password authentication failed for ${leaked}`) }, 'it failed');
    await expect(leaky.stop()).rejects.toThrow('the log holds a password');
    await database.drop();
  });

  test('in a refusal, or in metrics, makes the call an error', async () => {
    const server = createServer((request, response) => {
      response.writeHead(request.url === '/metrics' ? 200 : 400, { 'content-type': 'text/plain' }).end(`no ${leaked}`);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const client = clientOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, undefined);
    await expect(client.get('/v1/targets')).rejects.toThrow('GET /v1/targets holds a password');
    await expect(client.get('/metrics')).rejects.toThrow('GET /metrics holds a password');
    server.close();
  });
});

test.each([
  ['a JWT', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ.'],
  ['a login token', 'host:5432/?Action=connect&X-Amz-Signature=abc'],
  ['a verifier', 'SCRAM-SHA-256$4096:c2FsdA==$a:b'],
  ['a password in a URL', 'postgresql://usher:pw@db/usher'],
])('%s is found by its form, whoever made it', (what, text) => {
  keptLog.write(`{"msg":"${text}"}\n`);
  expect(searchLog).toThrow(`the log holds ${what}`);
});

test('what is short is not looked for: it would be found everywhere', () => {
  keepSecret('nothing', 'orders');
  expect(secretsIn('orders')).toEqual([]);
});
