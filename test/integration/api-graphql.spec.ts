import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSchema, type Schema } from '../support/graphql.ts';
import { ask, askFor, known, open, register, someone, type Registered } from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

let usher: Usher;
let orders: Registered;
let schema: Schema;
let dave: Client;
let bob: Client;
let holder: Client;
let grant: { id: string; grantId: string; personId: string };
const nowhere = '0190163d-8694-739b-aea5-966c26f8ad91';

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  orders = await register(usher, 'orders');
  [dave, bob] = [await known(usher, 'dave'), await known(usher, 'bob')];
  holder = someone(usher, ['engineers']);
  grant = await open(usher, holder, orders, { ticket: 'OPS-1' });
  await ask(someone(usher, ['engineers']), orders, { startsAt: new Date(Date.now() + 3_600_000) });
  await seen();
  schema = await readSchema(await known(usher, 'carol'));
});
afterAll(() => usher?.close());

/** A session as the observer would have written it down. */
async function seen(): Promise<void> {
  await usher.database.owner.query(
    `INSERT INTO connection (id, target_id, endpoint_id, pid, login, login_kind, database, client_address, client_port, tls, tls_version, tls_cipher,
       application_name, person_id, grant_id, backend_start, started_at, first_seen_at, last_seen_at)
     SELECT $1, t.id, e.id, 4711, 'somebody', 'person', 'orders', '127.0.0.1', 50000, true, 'TLSv1.3', 'TLS_AES_256_GCM_SHA384', 'psql', $2, $3, now(), now(), now(), now()
       FROM target t JOIN endpoint e ON e.target_id = t.id LIMIT 1`,
    [nowhere, grant.personId, grant.grantId],
  );
}

describe('a query has what its REST twin has, field by field', () => {
  test.each<[string, () => string, () => string, string]>([
    ['targets', () => '/v1/targets', () => 'targets', 'TargetPage'],
    ['target', () => `/v1/targets/${orders.targetId}`, () => `target(id: "${orders.targetId}")`, 'Target'],
    [
      'profiles',
      () => `/v1/targets/${orders.targetId}/profiles`,
      () => `profiles(targetId: "${orders.targetId}")`,
      'Profile',
    ],
    ['requests', () => '/v1/requests', () => 'requests', 'AccessRequestPage'],
    [
      'requests of one',
      () => `/v1/requests?person=${grant.personId}&state=approved`,
      () => `requests(person: "${grant.personId}", state: approved)`,
      'AccessRequestPage',
    ],
    ['request', () => `/v1/requests/${grant.id}`, () => `request(id: "${grant.id}")`, 'AccessRequest'],
    ['grants', () => '/v1/grants?state=active&limit=1', () => 'grants(state: active, limit: 1)', 'GrantPage'],
    ['grant', () => `/v1/grants/${grant.grantId}`, () => `grant(id: "${grant.grantId}")`, 'Grant'],
    [
      'grant, waiting',
      () => `/v1/grants/${grant.grantId}?wait=active`,
      () => `grant(id: "${grant.grantId}", wait: active)`,
      'Grant',
    ],
    ['audit events', () => '/v1/audit/events?limit=200', () => 'auditEvents(limit: 200)', 'AuditEventPage'],
    [
      'audit events of a grant',
      () => `/v1/audit/events?grant=${grant.grantId}`,
      () => `auditEvents(grant: "${grant.grantId}")`,
      'AuditEventPage',
    ],
    ['connections', () => '/v1/connections?open=true', () => 'connections(open: true)', 'ConnectionPage'],
    ['trust bundles', () => '/v1/trust/bundles', () => 'trustBundles', 'TrustBundle'],
    ['trust bundle', () => '/v1/trust/bundles/eu-west-1', () => 'trustBundle(region: "eu-west-1")', 'TrustBundle'],
    ['trust partitions', () => '/v1/trust/partitions', () => 'trustPartitions', 'TrustPartition'],
    [
      'trust partition',
      () => '/v1/trust/partitions/aws-cn',
      () => 'trustPartition(partition: "aws-cn")',
      'TrustPartition',
    ],
    ['authorities', () => '/v1/trust/authorities', () => 'trustAuthorities', 'TrustAuthority'],
  ])('%s', async (_, path, call, type) => {
    const rest = await dave.get(path());
    expect(rest.status).toBe(200);
    expect(JSON.stringify(rest.body).length).toBeGreaterThan(60);
    expect(await schema.ask(dave, call(), type)).toEqual(rest.body);
  });

  test('a preview', async () => {
    const wish = askFor(orders);
    const [rest, twin] = [
      await holder.post('/v1/requests/preview', wish),
      await schema.ask(holder, 'previewRequest(input: $input)', 'RequestPreview', { input: ['CreateRequest!', wish] }),
    ];
    const withoutGrant = (value: unknown): unknown =>
      JSON.parse(JSON.stringify(value).replaceAll(/"[0-9a-f]{8}-[0-9a-f-]{27}"/g, '"id"'));
    expect(withoutGrant(twin)).toEqual(withoutGrant(rest.body));
  });

  test('the next page', async () => {
    const first = await dave.get<{ items: unknown[]; nextCursor: string }>('/v1/audit/events?limit=3');
    const rest = await dave.get(`/v1/audit/events?limit=3&cursor=${first.body.nextCursor}`);
    expect(
      await schema.ask(dave, `auditEvents(limit: 3, cursor: "${first.body.nextCursor}")`, 'AuditEventPage'),
    ).toEqual(rest.body);
  });
});

/** A request of bob's. */
let own = '';
describe('a refusal says the same', () => {
  test.each<[string, () => Client, string, () => [path: string, body: unknown], () => string]>([
    [
      'own_request',
      () => bob,
      'AccessRequest',
      () => [`/v1/requests/${own}/approve`, {}],
      () => `approveRequest(id: "${own}")`,
    ],
    [
      'policy_denied',
      () => dave,
      'AccessRequest',
      () => [`/v1/requests/${own}/deny`, {}],
      () => `denyRequest(id: "${own}")`,
    ],
    [
      'not_your_grant',
      () => bob,
      'LoginToken',
      () => [`/v1/grants/${grant.grantId}/tokens`, {}],
      () => `mintToken(grantId: "${grant.grantId}")`,
    ],
    [
      'request_not_found',
      () => bob,
      'AccessRequest',
      () => [`/v1/requests/${nowhere}/deny`, {}],
      () => `denyRequest(id: "${nowhere}")`,
    ],
    [
      'invalid_id',
      () => bob,
      'AccessRequest',
      () => ['/v1/requests/x/cancel', undefined],
      () => 'cancelRequest(id: "x")',
    ],
    [
      'invalid_input',
      () => bob,
      'AccessRequest',
      () => [`/v1/requests/${own}/deny`, { comment: '' }],
      () => `denyRequest(id: "${own}", input: { comment: "" })`,
    ],
    [
      'token_missing',
      () => usher.withToken(undefined),
      'Grant',
      () => [`/v1/grants/${nowhere}/revoke`, undefined],
      () => `revokeGrant(id: "${nowhere}")`,
    ],
  ])('%s', async (code, client, type, rest, call) => {
    own ||= (await ask(bob, orders)).id;
    const { body } = await client().post(...rest());
    const { data, errors } = await client().graphql(`mutation { ${call()} ${schema.everything(type)} }`);
    expect(data).toBeNull();
    const [error] = errors ?? [];
    const { correlationId, detail, ...problem } = body;
    expect({ ...error?.extensions, correlationId: 'its own' }).toEqual({ ...problem, correlationId: 'its own' });
    expect(error?.extensions['correlationId']).not.toBe(correlationId);
    expect([error?.message, problem['code'], error?.extensions['advice']]).toEqual([detail, code, expect.any(String)]);
  });
});
