import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { known } from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

const OTHER = '210987654321';
const BROKER = `arn:aws:iam::${OTHER}:role/usher-broker`;
const input = {
  accountId: OTHER,
  name: 'other',
  partition: 'aws',
  brokerRoleArn: BROKER,
  externalId: 'shared-with-them',
  regions: ['eu-west-1'],
};

let usher: Usher;
let admin: Client;
let auditor: Client;

beforeAll(async () => {
  usher = await startUsher({ work: false });
  admin = await known(usher, 'dave');
  auditor = await known(usher, 'carol');
});
afterAll(() => usher?.close());

const rows = async () => (await usher.db.client.awsAccount.findMany()).length;

test.each([
  ['a partition that is none', { partition: 'aws-mars' }],
  ['a region of another partition', { regions: ['cn-north-1'] }],
  ['a broker role of another account', { brokerRoleArn: 'arn:aws:iam::123456789012:role/usher-broker' }],
  ['a broker role of another partition', { brokerRoleArn: `arn:aws-cn:iam::${OTHER}:role/usher-broker` }],
  ['an address without TLS', { endpoints: { sts: 'http://sts.example.com' } }],
  ...[
    'http://localhost:1',
    'https://localhost',
    'https://10.0.0.1',
    'https://2130706433',
    'https://[::ffff:169.254.169.254]',
  ].map((sts): [string, Record<string, unknown>] => [`the address ${sts}`, { endpoints: { sts } }]),
  ['an address with a password', { endpoints: { rds: 'https://a:b@rds.example.com' } }],
  ['an external id that STS would not take', { externalId: 'a b' }],
  ['an account id that is short', { accountId: '123' }],
])('%s is refused, and nothing is registered', async (_, change) => {
  const answer = await admin.post('/v1/accounts', { ...input, ...change });
  expect(answer.status).toBe('regions' in change ? 422 : 400);
  expect(await rows()).toBe(0);
});

test('an account is registered, checked, changed and deleted; its external id is seen nowhere', async () => {
  const made = await admin.post<{ id: string }>('/v1/accounts', input);
  expect(made).toMatchObject({ status: 201, body: { accountId: OTHER, hasExternalId: true, enabled: true } });
  const { id } = made.body;
  expect(await admin.post('/v1/accounts', { ...input, name: 'again' })).toMatchObject({ status: 409 });

  const checked = await admin.post<{ items: object[] }>(`/v1/accounts/${id}/check`);
  expect(checked.body).toMatchObject({
    principalArn: null,
    items: [{ name: 'identity', verdict: 'fail', remedy: expect.stringMatching(/trust policy/) }],
  });

  const changed = await admin.patch(`/v1/accounts/${id}`, { externalId: 'another-shared', enabled: false });
  expect(changed).toMatchObject({ status: 200, body: { enabled: false, brokerRoleArn: BROKER } });
  expect(await admin.patch(`/v1/accounts/${id}`, { regions: ['xx-nowhere-1'] })).toMatchObject({ status: 422 });
  expect((await auditor.get<object[]>('/v1/accounts')).body).toMatchObject([{ id, name: 'other' }]);
  expect(await admin.delete(`/v1/accounts/${id}`)).toMatchObject({ status: 200 });
  expect(await admin.get(`/v1/accounts/${id}`)).toMatchObject({ status: 404, body: { code: 'account_not_found' } });

  const { rows: lines } = await usher.database.owner.query<{ action: string }>(
    "SELECT action, details FROM audit_event WHERE action LIKE 'account.%' ORDER BY id",
  );
  expect(lines.map(({ action }) => action)).toEqual(['account.create', 'account.update', 'account.delete']);
  expect(JSON.stringify([lines, made, changed, checked])).not.toMatch(/shared/);
});

test('attached mode is tried on nobody of another account, and on no role that only AWS may change', async () => {
  const { accountId } = usher.standIn.aws;
  const own = { accountId, name: 'attached', partition: 'aws', regions: [] };
  const { id } = (await admin.post<{ id: string }>('/v1/accounts', own)).body;
  const check = (principalArn: string) => admin.post(`/v1/accounts/${id}/check`, { principalArn });
  const there = `arn:aws:iam::${accountId}:user/people/checked`;
  expect(await check(there)).toMatchObject({ status: 200 });
  expect(await check(there.replace(accountId, OTHER))).toMatchObject({ status: 400, body: { code: 'invalid_input' } });
  expect(await check(there.replace('aws', 'aws-cn'))).toMatchObject({ status: 400, body: { code: 'invalid_input' } });
  expect(await check(`arn:aws:sts::${accountId}:assumed-role/usher/alice`)).toMatchObject({ status: 400 });
  const role = `arn:aws:iam::${accountId}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_dba_0123456789abcdef`;
  expect(await check(role)).toMatchObject({ body: { code: 'mode_not_supported' } });
  await admin.delete(`/v1/accounts/${id}`);
});

test("Usher's own account needs no broker role: the check says who it is there", async () => {
  const { accountId } = usher.standIn.aws;
  const own = { accountId, name: 'own', partition: 'aws', regions: ['eu-west-1'] };
  const { body } = await admin.post<{ id: string }>('/v1/accounts', own);
  const checked = await admin.post<{ items: { name: string; verdict: string }[] }>(`/v1/accounts/${body.id}/check`);
  expect(checked.body).toMatchObject({ principalArn: `arn:aws:iam::${accountId}:user/usher-service` });
  expect(checked.body.items[0]).toMatchObject({ name: 'identity', verdict: 'pass' });
});

describe('what an account can be without', () => {
  const whole = { ...input, accountId: '310987654321', name: 'third', connectRole: 'signs-there' };
  const registration = { ...whole, brokerRoleArn: BROKER.replace(OTHER, '310987654321') };
  const made = async () => (await admin.post<{ id: string }>('/v1/accounts', registration)).body.id;

  test('is taken away when it is named, over REST and GraphQL, and recorded without the external id', async () => {
    const id = await made();
    const once = await admin.patch(`/v1/accounts/${id}`, { clear: ['brokerRoleArn', 'externalId'], endpoints: {} });
    expect(once).toMatchObject({
      status: 200,
      body: { brokerRoleArn: null, hasExternalId: false, connectRole: 'signs-there', endpoints: { sts: null } },
    });
    const document = 'mutation ($id: ID!) { updateAccount(id: $id, input: { clear: [connectRole] }) { connectRole } }';
    expect((await admin.graphql(document, { id })).data).toEqual({ updateAccount: { connectRole: null } });
    const { rows: lines } = await usher.database.owner.query<{ details: { changed: object } }>(
      "SELECT details FROM audit_event WHERE action = 'account.update' AND details->>'id' = $1 ORDER BY id",
      [id],
    );
    expect(lines.map(({ details }) => details.changed)).toMatchObject([
      { brokerRoleArn: { to: null }, externalId: 'removed' },
      { connectRole: { from: 'signs-there', to: null } },
    ]);
    expect(JSON.stringify(lines)).not.toContain('shared-with-them');
    await admin.delete(`/v1/accounts/${id}`);
  });

  test.each([
    ['nothing that it has', { clear: ['name'] }],
    ['what is set at the same time', { clear: ['connectRole'], connectRole: 'another' }],
    ['the same twice', { clear: ['connectRole', 'connectRole'] }],
  ])('%s is not taken away, and nothing is changed', async (_, change) => {
    const id = await made();
    expect(await admin.patch(`/v1/accounts/${id}`, change)).toMatchObject({ status: 400 });
    expect(await admin.get(`/v1/accounts/${id}`)).toMatchObject({
      body: { name: 'third', connectRole: 'signs-there', hasExternalId: true },
    });
    await admin.delete(`/v1/accounts/${id}`);
  });
});

test.each(['alice', 'bob', 'carol'] as const)('%s may not administer accounts', async (name) => {
  const before = await rows();
  const client = await known(usher, name);
  expect(await client.post('/v1/accounts', { ...input, name: 'denied' })).toMatchObject({ status: 403 });
  expect(await rows()).toBe(before);
});
