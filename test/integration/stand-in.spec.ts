import { readFile } from 'node:fs/promises';
import { Signer } from '@aws-sdk/rds-signer';
import { decodeJwt } from 'jose';
import pg from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import type { StandIn, StandInTarget } from '../../local/stand-in.ts';
import { standIn, wrongCa } from '../support/stand-in.ts';

let it: StandIn;
beforeAll(async () => {
  it = await standIn();
});

const tokenOf = (user: string, port: number, credentials: { accessKeyId: string; secretAccessKey: string }) =>
  new Signer({ hostname: 'localhost', port, region: 'eu-west-1', username: user, credentials }).getAuthToken();

async function logIn(target: StandInTarget, config: pg.ClientConfig, kind = target.endpoints[0]?.kind) {
  const endpoint = target.endpoints.find((one) => one.kind === kind);
  const client = new pg.Client({
    host: endpoint?.host ?? '',
    port: endpoint?.port ?? 0,
    database: target.database,
    ssl: { ca: it.targets.orders.rds.caPem },
    ...config,
  });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function ask(target: StandInTarget, sql: string, config: pg.ClientConfig, kind?: 'reader'): Promise<unknown[]> {
  const client = await logIn(target, config, kind);
  return (await client.query<Record<string, unknown>>(sql).finally(() => client.end())).rows;
}

describe.each([
  ['orders', 600],
  ['billing', 300],
] as const)('%s', (name, count) => {
  const target = () => it.targets[name];
  const data = { orders: 'shop.orders', billing: 'invoices' }[name];

  test('the master logs in by password, also after the guard is installed, and finds the data', async () => {
    const rows = await ask(target(), `SELECT count(*)::int AS n FROM ${data}`, target().master);
    expect(rows).toEqual([{ n: count }]);
  });

  test('everybody may not create in schema public', async () => {
    for (const database of [name, 'postgres']) {
      const sql = `SELECT has_schema_privilege('usher_broker', 'public', 'CREATE') AS may`;
      expect(await ask(target(), sql, { ...target().master, database })).toEqual([{ may: false }]);
    }
  });

  test('the broker gets in by a token of the connect role only', async () => {
    const port = target().endpoints[0]?.port ?? 0;
    const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = it.env;
    const own = await tokenOf('usher_broker', port, { accessKeyId, secretAccessKey });
    await expect(logIn(target(), { user: 'usher_broker', password: own })).rejects.toMatchObject({ code: '28000' });

    const { credentials } = await assumeConnectRole(target().resourceId, 'usher_broker');
    const login = { user: 'usher_broker', password: await tokenOf('usher_broker', port, credentials) };
    const rows = await ask(target(), 'SELECT current_user', { ...login, database: 'postgres' });
    expect(rows).toEqual([{ current_user: 'usher_broker' }]);
    await expect(ask(target(), `SELECT count(*) FROM ${data}`, login)).rejects.toMatchObject({ code: '42501' });
  });

  test('alice does not exist there yet, whatever she signs', async () => {
    const password = await tokenOf('alice', target().endpoints[0]?.port ?? 0, it.people.alice.awsKeys);
    await expect(logIn(target(), { user: 'alice', password })).rejects.toThrow();
    await expect(logIn(target(), { user: 'alice', password: 'a password' })).rejects.toThrow();
  });

  test('the allow-list of the guard holds the profiles that are registered', async () => {
    const sorted = target().registration.profiles.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    // other test files have others allowed on the same stand-in
    const names = sorted.map(({ name }) => `'${name}'`).join();
    const listed = `SELECT name, groups, max_minutes FROM usher.profile WHERE name IN (${names}) ORDER BY name`;
    const rows = await ask(target(), listed, { ...target().master, database: 'postgres' });
    expect(rows).toEqual(sorted.map(({ name, groups, maxMinutes }) => ({ name, groups, max_minutes: maxMinutes })));
  });

  test('another authority, another name or no TLS does not get through', async () => {
    const { master } = target();
    await expect(logIn(target(), { ...master, ssl: { ca: wrongCa } })).rejects.toThrow(/certificate/);
    await expect(logIn(target(), { ...master, host: '127.0.0.1' })).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    });
    await expect(logIn(target(), { user: 'usher_broker', password: 'x', ssl: false })).rejects.toMatchObject({
      code: '28000',
    });
  });
});

/** As the service does it, without the code of the service. */
async function assumeConnectRole(resourceId: string, user: string) {
  const { AssumeRoleCommand, STSClient } = await import('@aws-sdk/client-sts');
  const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = it.env;
  const client = new STSClient({
    region: 'eu-west-1',
    endpoint: it.aws.url,
    credentials: { accessKeyId, secretAccessKey },
  });
  const account = it.aws.accountId;
  const { Credentials: keys } = await client.send(
    new AssumeRoleCommand({
      RoleArn: `arn:aws:iam::${account}:role/usher-connect`,
      RoleSessionName: 'usher',
      SourceIdentity: 'usher',
      Policy: JSON.stringify({
        Version: '2012-10-17',
        Statement: [
          {
            Effect: 'Allow',
            Action: 'rds-db:connect',
            Resource: `arn:aws:rds-db:eu-west-1:${account}:dbuser:${resourceId}/${user}`,
          },
        ],
      }),
    }),
  );
  client.destroy();
  return {
    credentials: {
      accessKeyId: keys?.AccessKeyId ?? '',
      secretAccessKey: keys?.SecretAccessKey ?? '',
      sessionToken: keys?.SessionToken ?? '',
    },
  };
}

test('the bundle that is served verifies every endpoint, and is the one in the file', async () => {
  const answer = await fetch(it.caUrl);
  const served = await answer.text();
  expect(served).toBe(await readFile(it.caFile, 'utf8'));
  for (const target of Object.values(it.targets)) {
    for (const { kind } of target.endpoints) {
      const client = await logIn(target, { ...target.master, ssl: { ca: served } }, kind);
      await client.end();
    }
  }
  const overrides: unknown = JSON.parse(it.env['USHER_TRUST_BUNDLES'] ?? '');
  expect(overrides).toEqual({ 'eu-west-1': { partition: 'aws', pem: it.caUrl } });
});

test('the reader of orders reads and does not write', async () => {
  const { orders } = it.targets;
  const writer = await ask(orders, 'SELECT pg_is_in_recovery() AS standby', orders.master);
  const reader = await ask(orders, 'SELECT pg_is_in_recovery() AS standby', orders.master, 'reader');
  expect([writer, reader]).toEqual([[{ standby: false }], [{ standby: true }]]);
  await expect(ask(orders, 'CREATE TABLE t ()', orders.master, 'reader')).rejects.toMatchObject({ code: '25006' });
});

test('only alice is told which IAM user is hers', async () => {
  expect(decodeJwt(await it.oidc.tokenFor('alice'))['aws_principal']).toBe(it.people.alice.principalArn);
  expect(decodeJwt(await it.oidc.tokenFor('bob'))['aws_principal']).toBeUndefined();
});
