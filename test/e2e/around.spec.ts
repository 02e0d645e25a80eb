import { Signer } from '@aws-sdk/rds-signer';
import { appendFile } from 'node:fs/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { asAdmin } from './holdings.ts';
import { iamUser, known, logIn, mint, opened, person, setStage, type Grant, type Person, type Stage } from './stage.ts';

interface Seen {
  id: string;
  login: string;
  loginKind: string;
  flags: string[];
  grade: string;
  personName: string | null;
  grantId: string | null;
  mintId: string | null;
  requestId: string | null;
  approvers: { name: string }[];
}

const PASSWORD = 'only-for-this-run-7';
const unique = `${process.pid}`;

let usher: Usher;
let stage: Stage;
let carol: Person;
let ida: Person;
let grant: Grant;
const clients: pg.Client[] = [];

beforeAll(async () => {
  usher = await startUsher({ env: { USHER_SAMPLE_SECONDS: '1' } });
  stage = await setStage(usher);
  carol = await known(stage, 'carol');
  ida = person(stage, 'ida', ['engineers']);
  grant = await opened(stage, ida, { target: 'orders' });
});
afterAll(async () => {
  for (const client of clients) await client.end().catch(() => undefined);
  await asAdmin(stage.standIn, 'orders', (admin) =>
    admin.query(`DROP ROLE IF EXISTS app_${unique}, plain_${unique}, stolen_${unique}`),
  );
  await usher?.close();
});

const endpoint = () => stage.standIn.targets.orders.endpoints[0] ?? expect.fail('no endpoint');

async function into(user: string, password: string): Promise<void> {
  const { host, port } = endpoint();
  clients.push(await logIn(stage, { token: password, host, port, user, database: 'orders' }));
}

/** A role as somebody with an administrator's rights would make it, past Usher. */
const makeRole = (name: string, more: string): Promise<unknown> =>
  asAdmin(stage.standIn, 'orders', (admin) => admin.query(`CREATE ROLE ${name} LOGIN ${more}`));

/** @returns the session and how long it took from now until the record told of it */
async function seen(login: string): Promise<Seen> {
  const since = performance.now();
  const found = await until(`a session of ${login} is seen`, async () => {
    const { body } = await carol.get<{ items: Seen[] }>(`/v1/connections?login=${login}&open=true`);
    return body.items[0];
  });
  console.log(
    `${login}: seen after ${((performance.now() - since) / 1_000).toFixed(1)} s: ${found.flags.join(', ') || 'no flag'}`,
  );
  return found;
}

async function flagged(connectionId: string): Promise<string[]> {
  const path = `/v1/audit/events?action=connection.flagged&target=${stage.targets.orders.id}&limit=200`;
  const { body } = await carol.get<{ items: { details: Record<string, unknown> }[] }>(path);
  const line = body.items.find(({ details }) => {
    const ids = details['connectionIds'];
    return details['connectionId'] === connectionId || (Array.isArray(ids) && ids.includes(connectionId));
  });
  return (line?.details['flags'] as string[] | undefined) ?? [];
}

async function expectFlags(login: string, flags: string[]): Promise<Seen> {
  const session = await seen(login);
  expect(session.flags.toSorted()).toEqual(flags.toSorted());
  expect((await flagged(session.id)).toSorted()).toEqual(flags.toSorted());
  return session;
}

test('a session by a token of Usher is led back to person, grant, token, request and approver, and raises nothing', async () => {
  const token = await mint(ida, grant.id, { endpoint: 'writer' });
  const client = await logIn(stage, token);
  const session = await seen(grant.login);
  expect(session).toMatchObject({ flags: [], grade: 'observed', loginKind: 'person', grantId: grant.id });
  expect(session.requestId).not.toBeNull();
  expect(session.approvers).toHaveLength(1);
  const { body } = await carol.get<{ items: { id: string }[] }>(`/v1/audit/events?action=token.mint&grant=${grant.id}`);
  expect(session.mintId).toBe(body.items[0]?.id);
  await client.end();
});

test('the master', async () => {
  const { master } = stage.standIn.targets.orders.rds;
  await into(master.user, master.password);
  expect(await expectFlags(master.user, ['administrator'])).toMatchObject({
    loginKind: 'administrator',
    grantId: null,
  });
});

test('an administrator by another name', async () => {
  await makeRole(`stolen_${unique}`, `CREATEROLE PASSWORD '${PASSWORD}'`);
  await into(`stolen_${unique}`, PASSWORD);
  await expectFlags(`stolen_${unique}`, ['administrator']);
});

test('a login of nobody, by a password', async () => {
  await makeRole(`app_${unique}`, `PASSWORD '${PASSWORD}'`);
  await into(`app_${unique}`, PASSWORD);
  expect(await expectFlags(`app_${unique}`, ['unknown_login'])).toMatchObject({
    loginKind: 'unknown',
    personName: null,
  });
});

test('a login of nobody, without TLS', async () => {
  const name = `plain_${unique}`;
  await makeRole(name, `PASSWORD '${PASSWORD}'`);
  const port = await asAdmin(stage.standIn, 'orders', async (admin) => {
    const { rows } = await admin.query<{ file: string; port: number }>(
      `SELECT current_setting('hba_file') AS file, current_setting('port')::int AS port`,
    );
    const { file, port } = rows[0] ?? expect.fail('no row');
    // the front lets nobody in without TLS: past it, as through a port that was left open
    await appendFile(file, `\nhostnossl all ${name} 127.0.0.1/32 scram-sha-256\n`);
    await admin.query('SELECT pg_reload_conf()');
    return port;
  });
  const client = await until('the rule is read', async () => {
    const one = new pg.Client({ host: '127.0.0.1', port, user: name, password: PASSWORD, database: 'orders' });
    one.on('error', () => undefined);
    return one.connect().then(
      () => one,
      () => undefined,
    );
  });
  clients.push(client);
  await expectFlags(name, ['no_tls', 'unknown_login']);
});

test("a person's login by a token that Usher did not make", async () => {
  const name = `signs-alone-${unique}`;
  const { user, accessKeyId, secretAccessKey } = iamUser(stage, name);
  const { resourceId } = stage.standIn.targets.orders.registration.target as { resourceId: string };
  const tom = person(stage, 'tom', ['engineers']);
  const own = await opened(stage, tom, { target: 'orders' });
  const resource = `arn:aws:rds-db:eu-west-1:${stage.standIn.aws.accountId}:dbuser:${resourceId}/${own.login}`;
  const statement = { Effect: 'Allow', Action: 'rds-db:connect', Resource: resource };
  stage.standIn.aws.iam.putInline(user, 'own', { Version: '2012-10-17', Statement: [statement] });
  const { host, port } = endpoint();
  const credentials = { accessKeyId, secretAccessKey };
  const signer = new Signer({ hostname: host, port, region: 'eu-west-1', username: own.login, credentials });
  await into(own.login, await signer.getAuthToken());
  const session = await expectFlags(own.login, ['no_mint']);
  expect(session).toMatchObject({
    personName: expect.stringContaining('tom') as string,
    grantId: own.id,
    mintId: null,
  });
});

test("a person's login that somebody opened again after its grant, by a password", async () => {
  const eve = person(stage, 'eve', ['engineers']);
  const own = await opened(stage, eve, { target: 'orders' });
  await eve.post(`/v1/grants/${own.id}/revoke`);
  await eve.get(`/v1/grants/${own.id}?wait=closed`);
  // within half a minute of its end a session may be one of before, by another clock
  await asAdmin(stage.standIn, 'orders', (admin) =>
    admin.query(`ALTER ROLE ${own.login} LOGIN PASSWORD '${PASSWORD}' VALID UNTIL 'infinity'`),
  );
  usher.clock.move(60_000);
  await into(own.login, PASSWORD);
  const session = await expectFlags(own.login, ['no_grant']);
  expect(session).toMatchObject({ loginKind: 'person', grantId: null });
  await asAdmin(stage.standIn, 'orders', (admin) => admin.query(`ALTER ROLE ${own.login} NOLOGIN PASSWORD NULL`));
});

test('who went around is one question, and its metric one look', async () => {
  const { body } = await carol.get<{ items: Seen[] }>(
    `/v1/connections?around=true&target=${stage.targets.orders.id}&open=true&limit=200`,
  );
  const logins = body.items.map(({ login }) => login);
  expect(logins).toEqual(expect.arrayContaining([`app_${unique}`, `stolen_${unique}`, `plain_${unique}`]));
  expect(logins).not.toContain(grant.login);
  const metrics = (await carol.get<{ text: string }>('/metrics')).body.text;
  expect(metrics).toMatch(/usher_connection_flags\{kind="unknown_login"\} [1-9]/);
  expect(metrics).toMatch(/usher_connection_flags\{kind="outlived"\} 0/);
});
