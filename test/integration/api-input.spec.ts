import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ask, askFor, known, register, someone, type Registered } from '../support/people.ts';
import { refuses } from '../support/refusal.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

let usher: Usher;
let orders: Registered;
let billing: Registered;
let engineer: Client;
let dave: Client;
const nowhere = '0190163d-8694-739b-aea5-966c26f8ad91';

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  orders = await register(usher, 'orders');
  billing = await register(usher, 'billing', {}, { approvalsNeeded: 1 });
  engineer = someone(usher, ['engineers']);
  dave = await known(usher, 'dave');
  await engineer.get('/v1/targets'); // whoever calls first is written down
});
afterAll(() => usher?.close());

type Row = readonly [name: string, body: () => Record<string, unknown>, status: number, code: string];
const invalid = (name: string, body: Record<string, unknown>): Row => [name, () => body, 400, 'invalid_input'];

describe.each<Row>([
  invalid('a target id that is none', { targetId: 'orders' }),
  invalid('a target id that is SQL', { targetId: "' OR 1=1 --" }),
  invalid('a target id that is a number', { targetId: 7 }),
  ['a target id in capitals', () => ({ targetId: orders.targetId.toUpperCase() }), 400, 'invalid_id'],
  ['a target that is not there', () => ({ targetId: nowhere }), 404, 'target_not_found'],
  ['a profile that is not there', () => ({ profileId: nowhere }), 404, 'profile_not_found'],
  ['a profile of another target', () => ({ profileId: billing.profiles['invoices-read'] }), 404, 'profile_not_found'],
  ...[0, -1, 1.5, '30', null, 44_641, 1e300, [30]].map((minutes) =>
    invalid(`${JSON.stringify(minutes)} minutes`, { durationMinutes: minutes }),
  ),
  ['more minutes than the profile gives', () => ({ durationMinutes: 481 }), 422, 'invalid_duration'],
  ...[
    '',
    ' \n ',
    'x'.repeat(5_000),
    'a\0b',
    '\u001b[31mred',
    'left\u202eright',
    'two\u2028lines',
    7,
    null,
    ['why'],
  ].map((reason) => invalid(`the reason ${JSON.stringify(reason).slice(0, 20)}`, { reason })),
  ...['', 'A\nB', `${'x'.repeat(40_000)}\u0001`, 7].map((ticket) =>
    invalid(`the ticket ${JSON.stringify(ticket).slice(0, 20)}`, { ticket }),
  ),
  invalid('a database of somewhere else', { database: 'billing' }),
  ['a start in the past', () => ({ startsAt: new Date(Date.now() - 120_000) }), 422, 'invalid_start'],
  ['a start too far ahead', () => ({ startsAt: new Date(Date.now() + 31 * 86_400_000) }), 422, 'invalid_start'],
  invalid('a start that is no time', { startsAt: 'tomorrow' }),
  ...[{ toString: 1 }, { valueOf: null }, {}, [{ toString: '' }]].map((startsAt) =>
    invalid(`the start ${JSON.stringify(startsAt)}`, { startsAt }),
  ),
  ['method password', () => ({ method: 'password' }), 422, 'method_not_allowed'],
  invalid('an unknown method', { method: 'kerberos' }),
  ['attached mode without a principal', () => ({ mode: 'attached' }), 422, 'mode_not_supported'],
  invalid('an unknown field', { approved: true }),
  invalid('a field of the row', { state: 'approved' }),
])('a request with %s', (_, more, status, code) => {
  test.each(['/v1/requests', '/v1/requests/preview'])('POST %s', async (path) => {
    await refuses(usher, () => engineer.post(path, askFor(orders, more())), status, code);
  });
});

test('null for an optional field is the same as leaving it out', async () => {
  const nothing = { database: null, ticket: null, startsAt: null, method: null, mode: null };
  expect(await ask(engineer, orders, nothing)).toMatchObject({
    database: 'orders',
    ticket: null,
    startsAt: null,
    method: 'iam',
    mode: 'session',
  });
  const changed = {
    engineVersion: null,
    environment: null,
    ownerGroup: null,
    databases: null,
    caIdentifier: null,
    endpoints: null,
    enabled: null,
  };
  const before = await dave.get(`/v1/targets/${orders.targetId}`);
  const after = await dave.patch(`/v1/targets/${orders.targetId}`, changed);
  expect(after.body).toEqual({ ...before.body, updatedAt: after.body['updatedAt'] });
});

test('a ticket that is null opens no production', async () => {
  await dave.patch(`/v1/targets/${billing.targetId}`, { environment: 'prod' });
  onTestFinished(async () => {
    await dave.patch(`/v1/targets/${billing.targetId}`, { environment: 'dev' });
  });
  const wish = { ...askFor(billing), ticket: null };
  expect((await engineer.post('/v1/requests', wish)).body).toMatchObject({
    code: 'policy_denied',
    advice: expect.stringContaining('ticket'),
  });
  expect((await engineer.post('/v1/requests/preview', wish)).body).toMatchObject({
    decision: { allowed: false },
    plan: null,
  });
  expect((await engineer.post('/v1/requests/preview', { ...wish, ticket: 'OPS-1' })).body).toMatchObject({
    decision: { allowed: true },
  });
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

test.each<Row>([
  ['an unknown region', () => ({ region: 'eu-west-9' }), 422, 'unknown_region'],
  ['a region of another partition', () => ({ partition: 'aws-cn' }), 422, 'unknown_region'],
  ['an unknown partition', () => ({ partition: 'aws-moon', region: 'mn-east-1' }), 422, 'unknown_partition'],
  ...['Mars', 'constructor', ''].map((region) => invalid(`the region ${region}`, { region })),
  invalid('an endpoint that its kind has not', { endpoints: [endpoint({}), endpoint({ kind: 'proxy' })] }),
  invalid('no endpoint to make roles on', { endpoints: [endpoint({ kind: 'reader' })] }),
  invalid('the same endpoint twice', { endpoints: [endpoint({}), endpoint({})] }),
  invalid('no endpoint', { endpoints: [] }),
  ...[0, 65_536, '5432', 1.5].map((port) =>
    invalid(`port ${JSON.stringify(port)}`, { endpoints: [endpoint({ port })] }),
  ),
  ...['a b', 'https://db.example.com', '-x', 'db.example.com/?sslmode=disable', "'"].map((connectHost) =>
    invalid(`host ${connectHost}`, { endpoints: [endpoint({ connectHost })] }),
  ),
  invalid('a resource id of another kind', { resourceId: 'db-ANOTHER' }),
  invalid('a resource id with a wildcard', { resourceId: 'cluster-*' }),
  invalid('no database', { databases: [] }),
  invalid('a database twice', { databases: ['a', 'a'] }),
  invalid('an account of 11 digits', { accountId: '12345678901' }),
  invalid('a name in capitals', { name: 'Orders' }),
  invalid('an unknown kind', { kind: 'mysql' }),
  invalid('a broker login to be quoted', { brokerLogin: 'x"; DROP' }),
  invalid('a secret instead of its place', { brokerSecret: 'hunter2hunter2' }),
  invalid('an unknown field', { owner: 'me' }),
  ['a name that is taken', () => ({ name: 'orders' }), 409, 'name_taken'],
  ['a resource that is registered', () => ({ resourceId: usher.standIn.targets.orders.resourceId }), 409, 'name_taken'],
])('a target with %s', async (_, more, status, code) => {
  const { body } = await refuses(usher, () => dave.post('/v1/targets', unlike(more())), status, code);
  expect(JSON.stringify(body)).not.toContain('hunter2');
});

test.each<Row>([
  invalid('the same endpoint twice', { endpoints: [endpoint({}), endpoint({})] }),
  invalid('an endpoint that its kind has not', { endpoints: [endpoint({ kind: 'proxy' })] }),
  invalid('another kind', { kind: 'rds-instance' }),
])('changing a target to %s', async (_, more, status, code) => {
  await refuses(usher, () => dave.patch(`/v1/targets/${orders.targetId}`, more()), status, code);
});

test.each<Row>([
  ['that the target does not know', () => ({ name: 'superuser' }), 422, 'profile_not_allowed'],
  ['with other groups', () => ({ name: 'orders-write', groups: ['orders_read'] }), 422, 'profile_not_allowed'],
  ['with a group of RDS', () => ({ groups: ['rds_superuser'] }), 422, 'profile_not_allowed'],
  ['that lasts longer', () => ({ maxMinutes: 481 }), 422, 'profile_not_allowed'],
  ['with more sessions', () => ({ connectionLimit: 6 }), 422, 'profile_not_allowed'],
  ['with method password', () => ({ methods: ['password'] }), 422, 'profile_not_allowed'],
  invalid('without groups', { groups: [] }),
  invalid('with a group to be quoted', { groups: ['a"b'] }),
  invalid('with a negative number of approvals', { approvalsNeeded: -1 }),
  invalid('with 32 days', { maxMinutes: 46_080 }),
  ['that is there already', () => ({}), 409, 'name_taken'],
])('a profile %s', async (_, more, status, code) => {
  const profile = { ...usher.standIn.targets.orders.registration.profiles[0], ...more() };
  await refuses(usher, () => dave.post(`/v1/targets/${orders.targetId}/profiles`, profile), status, code);
});
