import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import pg from 'pg';
import { SHAPES } from '../support/secrets.ts';
import { startService, type Service } from '../support/service.ts';
import { standIn } from '../support/stand-in.ts';
import { dump, freshDatabase, type TestDatabase } from '../support/state.ts';
import { clientOf } from '../support/usher.ts';
import { by, readBothWays, storedPassword } from './passwords.ts';
import {
  byPassword,
  closed,
  iamUser,
  issue,
  known,
  logIn,
  mint,
  opened,
  person,
  requestBody,
  revoke,
  setStage,
  whoAmI,
  type Person,
  type Stage,
} from './stage.ts';

vi.setConfig({ testTimeout: 120_000 });

let database: TestDatabase;
let service: Service;
let stage: Stage;
/** By what it is. */
const secrets = new Map<string, string>();
/** Every answer but those that are meant to hold a token. */
const answers: string[] = [];

/** A line of the log that somebody else would like to write. */
const FORGED = '\n{"level":60,"msg":"forged"}\n';

/** What is found there, for certain: else the search itself would prove nothing. */
const CANARY = 'a reason that must be found';

/** Given to the service and used by it, each in its own way. */
const given = {
  USHER_EXTERNAL_ID: 'canary-external-id-77c1',
  USHER_SECRET_CANARY: 'canary-broker-secret-93ab',
} as const;
/** Of an account that is registered: it stands in its own column of the state, and nowhere else. */
const THEIR_EXTERNAL_ID = 'canary-their-external-id-5d20';

beforeAll(async () => {
  const { aws } = await standIn();
  const issued = vi.spyOn(aws.iam.credentials, 'createSessionKey');
  const presented = vi.spyOn(aws, 'verifyToken');
  database = await freshDatabase();
  service = await startService({
    databaseUrl: database.url,
    env: { USHER_LOG_LEVEL: 'trace', USHER_SAMPLE_SECONDS: '1', ...given },
  });
  stage = await setStage(service);
  await readBothWays(stage, 'orders');
  await life();
  await lifeByPassword();
  await lifeOfKeys();
  await refusals();
  await registered();
  await watched();
  await service.stop();
  for (const { type, value } of issued.mock.results) {
    if (type !== 'return') continue;
    keep('key of a session', value.secretAccessKey);
    keep('session token', value.sessionToken);
  }
  for (const [token] of presented.mock.calls) keepToken(token); // the broker's own too
  collect();
});
afterAll(async () => {
  await service?.stop();
  await database?.drop();
});

const keep = (what: string, secret: string): void => void secrets.set(`${what} ${secrets.size}`, secret);

/** A token, and what in it is secret by itself. */
function keepToken(token: string): void {
  keep('token', token);
  const query = new URLSearchParams(token.slice(token.indexOf('?')));
  for (const name of ['X-Amz-Signature', 'X-Amz-Security-Token']) {
    const value = query.get(name);
    if (value !== null) keep(name, value);
  }
}

async function call(
  who: Person,
  method: 'get' | 'post',
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
): Promise<void> {
  const answer = method === 'get' ? await who.get(path) : await who.post(path, body, headers);
  answers.push(JSON.stringify([answer.status, answer.body, [...answer.headers]]));
}

/** The whole life of a grant of each mode. */
async function life(): Promise<void> {
  const iam = iamUser(stage, `secrets-${process.pid}`);
  keep('key of a person', iam.secretAccessKey);
  const who = person(stage, 'secrets', ['engineers'], { aws_principal: iam.arn });
  keep('access token', who.token);
  const own = await opened(stage, who, { target: 'orders', mode: 'attached', reason: CANARY });
  const grant = await opened(stage, who, { target: 'orders', reason: CANARY });
  const [one, two] = [await mint(who, grant.id), await mint(who, grant.id)];
  for (const { token } of [one, two]) keepToken(token);
  const keyed = { 'idempotency-key': 'the-same-key' };
  const minted = await who.post<{ token: string }>(`/v1/grants/${grant.id}/tokens`, {}, keyed);
  keepToken(minted.body.token);
  const twin = await who.graphql<{ mintToken: { token: string } }>(
    `mutation { mintToken(grantId: "${grant.id}") { token } }`,
  );
  keepToken(twin.data?.mintToken.token ?? '');
  const session = await logIn(stage, one);
  for (const path of ['/v1/grants', '/v1/requests', '/v1/targets', '/v1/connections', '/v1/audit/events'])
    await call(who, 'get', path);
  await revoke(who, grant.id);
  await revoke(who, own.id);
  await closed(who, grant.id);
  await closed(who, own.id);
  await session.end();
  await whoAmI(stage, two).catch(() => undefined);
  await call(who, 'post', `/v1/grants/${grant.id}/tokens`, {});
  await call(who, 'post', `/v1/grants/${grant.id}/revoke`);
}

/** The same by password, which is asked for in each way there is. */
async function lifeByPassword(): Promise<void> {
  const who = person(stage, 'secrets-pw', ['engineers']);
  keep('access token', who.token);
  const grant = await opened(stage, who, by('password', 'orders', { reason: CANARY }));
  const path = `/v1/grants/${grant.id}/passwords`;
  const keyed = { 'idempotency-key': 'the-same-key' };
  for (const headers of [{}, keyed, keyed])
    keep('password', (await who.post<{ password: string }>(path, {}, headers)).body.password);
  const twin = await who.graphql<{ issuePassword: { password: string } }>(
    `mutation { issuePassword(grantId: "${grant.id}") { password } }`,
  );
  keep('password', twin.data?.issuePassword.password ?? '');
  const answer = await issue(who, grant.id);
  keep('password', answer.password);
  keep('verifier', (await storedPassword(stage, grant.login))?.verifier ?? '');
  const session = await logIn(stage, byPassword(answer));
  await call(who, 'post', `/v1/grants/${grant.id}/tokens`, {});
  await call(who, 'get', `/v1/requests`);
  await revoke(who, grant.id);
  await closed(who, grant.id);
  await session.end();
  await call(who, 'post', path, {});
}

/** Keys of a service, made and rotated, used well and badly. */
async function lifeOfKeys(): Promise<void> {
  const dave = await known(stage, 'dave');
  const who = person(stage, 'secrets-via', ['engineers']);
  keep('access token', who.token);
  await call(who, 'get', '/v1/targets');
  const portal = { name: 'secrets-portal', description: CANARY, actsForAnybody: true };
  const { id } = (await dave.post<{ id: string }>('/v1/services', portal)).body;
  const path = `/v1/services/${id}/keys`;
  const keyed = (key: string) => ({ 'idempotency-key': key });
  const scopes = ['actFor', 'request', 'viewTargets', 'viewRequests'];
  const made = await dave.post<{ key: string; apiKey: { id: string } }>(path, { scopes }, keyed('for-the-first'));
  const rotated = await dave.post<{ key: string }>(`${path}/${made.body.apiKey.id}/rotate`, {}, keyed('for-the-next'));
  const twin = await dave.graphql<{ createApiKey: { key: string } }>(
    `mutation { createApiKey(serviceId: "${id}", input: { scopes: ["viewTargets"] }) { key } }`,
  );
  const keys = [made.body.key, rotated.body.key, twin.data?.createApiKey.key ?? ''];
  for (const key of keys) {
    keep('API key', key);
    keep('secret of an API key', key.slice(19, 62));
    const [named, proven] = [{ 'usher-on-behalf-of': 'nobody@example.com' }, { 'usher-on-behalf-of-token': who.token }];
    for (const headers of [{}, named, proven]) {
      const client = clientOf(service.url, key, headers);
      await call({ name: '', token: key, ...client }, 'get', '/v1/targets');
      await call({ name: '', token: key, ...client }, 'post', '/v1/requests', requestBody(stage, { target: 'orders' }));
    }
    const altered = `${key.slice(0, -7)}${key.endsWith('a') ? 'b' : 'a'}${key.slice(-6)}`;
    keep('altered API key', altered);
    await call({ name: '', token: altered, ...clientOf(service.url, altered) }, 'get', '/v1/targets');
    await call(who, 'get', `/v1/grants?key=${key}`);
  }
  await dave.delete(`${path}/${made.body.apiKey.id}`);
  await call({ name: '', token: keys[0] ?? '', ...clientOf(service.url, keys[0]) }, 'get', '/v1/targets');
  await call(dave, 'get', path);
  await call(dave, 'get', '/v1/services');
}

/** Everything that goes wrong with a secret near it. */
async function refusals(): Promise<void> {
  const { oidc, aws, targets } = stage.standIn;
  const expired = await oidc.tokenFor('alice', { expiresIn: -600 });
  const foreign = await oidc.tokenFor('alice', { audience: 'another-service' });
  const unsigned = oidc.signWith(oidc.claimsOf('alice'), { alg: 'none' });
  for (const token of [expired, foreign, unsigned, 'secret-that-is-no-jwt-at-all']) {
    keep('refused access token', token);
    await call({ name: '', token, ...clientOf(service.url, token) }, 'get', '/v1/grants');
  }
  const who = person(stage, 'refused', ['engineers']);
  keep('access token', who.token);
  const inAPath = 'secret-in-a-path-5f2c';
  keep('path', inAPath);
  // an access token in the query is a mistake that must not reach the log
  await call(who, 'get', `/v1/grants?access_token=${who.token}`);
  await call(who, 'get', `/v1/grants/00000000-0000-7000-8000-000000000000?key=${inAPath}`);
  await call(who, 'post', '/v1/requests', { ...requestBody(stage, { target: 'orders' }), password: inAPath });
  for (const text of [FORGED, `x${FORGED}`, `\r${FORGED}`, `\u2028${FORGED}`]) {
    await call(who, 'get', `/v1/grants/${encodeURIComponent(text)}?x=${encodeURIComponent(text)}`);
    await call(who, 'post', '/v1/requests', { ...requestBody(stage, { target: 'orders' }), reason: text });
    await call(who, 'post', '/graphql', { query: text, operationName: text });
    await call(person(stage, 'forger', ['engineers', text]), 'get', '/v1/grants');
  }
  await call(who, 'post', '/graphql', { query: `{ grant(id: "${inAPath}") { id } }` });
  aws.faults.fail(20, { service: 'sts' });
  const grant = await opened(stage, who, { target: 'billing', reason: CANARY });
  await call(who, 'post', `/v1/grants/${grant.id}/tokens`, {});
  aws.faults.clear();
  await targets.billing.rds.stop();
  try {
    await call(who, 'post', '/v1/requests', requestBody(stage, { target: 'billing' }));
  } finally {
    await targets.billing.rds.start();
  }
  await revoke(who, grant.id);
  await closed(who, grant.id);
  await call(await known(stage, 'carol'), 'get', '/v1/audit/events?limit=200');
}

/** An account with an external id, and a target whose broker logs in by a secret that is wrong there. */
async function registered(): Promise<void> {
  const dave = await known(stage, 'dave');
  const account = { accountId: '111122223333', name: 'canary', partition: 'aws', regions: ['eu-west-1'] };
  const { body } = await dave.post<{ id: string }>('/v1/accounts', { ...account, externalId: THEIR_EXTERNAL_ID });
  await call(dave, 'get', `/v1/accounts/${body.id}`);
  await call(dave, 'post', `/v1/accounts/${body.id}/check`, {});
  const broker = { brokerLogin: 'canary_broker', brokerSecret: 'env:USHER_SECRET_CANARY' };
  const { target, profiles } = stage.standIn.targets.orders.registration;
  const made = await dave.post<{ id: string }>('/v1/targets', {
    ...{ ...target, name: 'canary', resourceId: 'cluster-CANARY' },
    ...broker,
  });
  await call(dave, 'get', `/v1/targets/${made.body.id}`);
  await call(dave, 'post', `/v1/targets/${made.body.id}/profiles`, profiles[0]);
  await call(dave, 'get', `/v1/targets/${made.body.id}/readiness`);
  await call(dave, 'post', `/v1/targets/${made.body.id}/drift`, {});
}

/** What those read who only look after the service. */
async function watched(): Promise<void> {
  const carol = await known(stage, 'carol');
  for (const path of ['/metrics', '/health/live', '/health/ready', '/openapi.json', '/v1/people', '/v1/drift'])
    await call(carol, 'get', path);
}

/** What Usher was given to keep to itself. */
function collect(): void {
  const { env, targets } = stage.standIn;
  for (const [name, secret] of Object.entries(given)) keep(name, secret);
  keep('external id of an account', THEIR_EXTERNAL_ID);
  keep('key of the service', env['AWS_SECRET_ACCESS_KEY'] ?? '');
  keep('master password', targets.orders.master.password);
  keep('password of the state', new URL(database.url).password);
}

/** As it is, and as it would stand in a URL or in JSON. */
const forms = (secret: string): string[] => [
  ...new Set([secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]),
];

function found(text: string): string[] {
  const known_ = [...secrets].filter(
    ([, secret]) => secret.length < 8 || forms(secret).some((form) => text.includes(form)),
  );
  const shapes = Object.entries(SHAPES).filter(([, shape]) => shape.test(text));
  return [...known_, ...shapes].map(([what]) => what);
}

/** Every column of every table, as text, but the one that is meant to hold what others must not see: it is sent to STS, and never shown. */
async function dumped(): Promise<string> {
  const tables = [...(await dump(database.owner))];
  return tables
    .map(([name, rows]) => (name === 'aws_account' ? rows.replaceAll(THEIR_EXTERNAL_ID, '') : rows))
    .join('\n');
}

describe('no secret is', () => {
  test('lost to the search itself', async () => {
    expect(secrets.size).toBeGreaterThan(20);
    for (const [, secret] of secrets) expect(found(`x ${secret} y`)).not.toEqual([]);
    expect(found(`${[...secrets.values()].join(' ')} ${database.url}`)).toEqual(
      expect.arrayContaining(Object.keys(SHAPES)),
    );
    expect(await dumped()).toContain(CANARY);
    expect(service.log().length).toBeGreaterThan(1_000);
    expect(answers.join()).toContain('token_expired');
    expect(answers.join()).toContain('target_unreachable');
    expect(answers.join()).toContain('usher_grants');
    const { rows } = await database.owner.query(`SELECT FROM aws_account WHERE external_id = $1`, [THEIR_EXTERNAL_ID]);
    expect(rows).toHaveLength(1);
  });

  test('in the log, at its most talkative', () => {
    expect(found(service.log())).toEqual([]);
  });

  test('able to begin a line of the log of its own, nor is anything else', () => {
    const lines = service
      .log()
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('Usher listens on '));
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines)
      expect(JSON.parse(line)).toMatchObject({ level: expect.any(Number), pid: expect.any(Number) });
  });

  test('in any column of the state, the record, the jobs and the kept answers', async () => {
    expect(found(await dumped())).toEqual([]);
  });

  test('in an answer that is not a token', () => {
    expect(found(answers.join('\n'))).toEqual([]);
  });

  test('on the target: not in its catalogue, nor in what it shows of sessions', async () => {
    const admin = new pg.Client({ ...stage.standIn.targets.orders.rds.admin(), database: 'postgres' });
    await admin.connect();
    const activity = await admin.query<{ row: string }>('SELECT to_jsonb(a)::text AS row FROM pg_stat_activity a');
    const leases = await admin.query<{ row: string }>('SELECT to_jsonb(l)::text AS row FROM usher.lease l');
    await admin.end();
    expect(found([...activity.rows, ...leases.rows].map(({ row }) => row).join('\n'))).toEqual([]);
  });
});
