import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAws } from '../../local/aws/server.ts';
import type { AwsStandIn } from '../../local/aws/server.ts';
import { createRdsAuthority } from '../../local/rds/authority.ts';
import { startRdsInstance } from '../../local/rds/instance.ts';
import type { RdsInstance } from '../../local/rds/instance.ts';
import { SigningCredentials } from '../../src/aws/secret.ts';
import { SignerService } from '../../src/aws/signer.service.ts';
import { recipes } from '../../src/connections/recipe.ts';
import { randomPassword, scramVerifier } from '../../src/postgres/postgres.contract.ts';
import type { RecipeClient, RecipeInput } from '../../src/connections/recipe.ts';
import { tlsAdvice } from '../../src/targets/trust-advice.ts';

const run = promisify(execFile);
const resourceId = 'db-ABCDEFGHIJKL01234';
const hostileDatabase = `it's "odd" \\ $(id) é`;
const user = 'jane_doe';
const byPassword = { method: 'password', user: 'jane_doe_pw' } as const;
const password = randomPassword();
const QUERY = 'select current_user, ssl, version from pg_stat_ssl where pid = pg_backend_pid()';

let aws: AwsStandIn;
let rds: RdsInstance;
let credentials: SigningCredentials;
let directory: string;
let caBundleUrl: string;
let foreignBundleUrl: string;

const hasPsql = ((): boolean => {
  try {
    return execFileSync('psql', ['--version']).length > 0;
  } catch {
    return false;
  }
})();

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'usher-recipes-'));
  aws = await startAws();
  const { region } = aws;
  const authority = createRdsAuthority(region);
  caBundleUrl = aws.bundles.addBundle(`${region}/${region}-bundle.pem`, authority.caPem);
  foreignBundleUrl = aws.bundles.addBundle('x/x-bundle.pem', createRdsAuthority(region).caPem);
  const jane = aws.iam.createUser('jane');
  aws.iam.putInline(jane, 'connect', {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Action: 'rds-db:connect',
        Resource: `arn:aws:rds-db:${region}:${aws.accountId}:dbuser:${resourceId}/${user}`,
      },
    ],
  });
  credentials = new SigningCredentials(aws.iam.createAccessKey('jane'));
  rds = await startRdsInstance({
    name: 'billing',
    resourceId,
    major: 17,
    dataDir: join(directory, 'data'),
    authority,
    databases: ['billing'],
    ephemeral: true,
    verify: ({ token, user: name, host, port }) => {
      const verdict = aws.verifyToken(token, { host, port, user: name, region, resourceId });
      return Promise.resolve(verdict.ok ? { ok: true } : { ok: false, reason: verdict.reason });
    },
  });
  const admin = new pg.Client({ ...rds.admin(), database: 'postgres' });
  await admin.connect();
  await admin.query(`create role ${user} login; grant rds_iam to ${user}`);
  await admin.query(`create role ${byPassword.user} login password '${await scramVerifier(password)}'`);
  await admin.query(`create database ${pg.escapeIdentifier(hostileDatabase)}`);
  await admin.end();
});
afterAll(async () => {
  await rds.close();
  await aws.close();
  await rm(directory, { recursive: true, force: true });
});

const mint = async (): Promise<string> => {
  const { host, port } = endpoint();
  const signer = new SignerService({ connectRoleName: 'usher-connect' });
  return (await signer.mintToken({ host, port, region: aws.region, user, credentials })).token;
};

const endpoint = () => {
  const [one] = rds.endpoints;
  if (!one) throw new Error('the instance has no endpoint');
  return one;
};

const input = async (change: Partial<RecipeInput> = {}, connectHost = 'localhost'): Promise<RecipeInput> => {
  const { host, port } = endpoint();
  const overrides = { [aws.region]: { pem: caBundleUrl } };
  const question = { kind: 'instance', connectHost, tokenHost: host, partition: 'aws', region: aws.region } as const;
  return {
    grantId: '0190c1f0-0000-7000-8000-000000000001',
    method: 'iam',
    secret: await mint(),
    expiresAt: new Date(Date.now() + 900_000),
    host: connectHost,
    port,
    database: 'billing',
    user,
    tls: tlsAdvice({ ...question, overrides, now: new Date() }),
    ...change,
  };
};

const passwordInput = (change: Partial<RecipeInput> = {}, connectHost?: string): Promise<RecipeInput> =>
  input({ ...byPassword, secret: password.reveal(), ...change }, connectHost);

const textFor = (client: RecipeClient, given: RecipeInput): string =>
  recipes(given).find((recipe) => recipe.client === client)?.text ?? '';

const psql = async (given: RecipeInput, sql = QUERY, client: RecipeClient = 'psql'): Promise<string> => {
  const script = join(directory, 'recipe.sh');
  await writeFile(script, `${textFor(client, given)} -wXAt -c "${sql}"`);
  const env = { PATH: process.env['PATH'] ?? '', HOME: directory };
  return (await run('/bin/sh', [script], { env })).stdout.trim();
};

describe.skipIf(!hasPsql)('psql, by the recipe as it is', () => {
  test('logs in as the person, over TLS 1.3, under the grant', async () => {
    expect(await psql(await input())).toBe('jane_doe|t|TLSv1.3');
    expect(await psql(await input(), 'show application_name')).toBe('usher:0190c1f0-0000-7000-8000-000000000001');
  });

  test('at another address than the name in the certificate', async () => {
    expect(await psql(await input({}, '127.0.0.1'))).toBe('jane_doe|t|TLSv1.3');
  });

  test('in a database with an odd name', async () => {
    const sql = 'select current_database()';
    expect(await psql(await input({ database: hostileDatabase }), sql)).toBe(hostileDatabase);
  });

  test('is refused with a foreign CA, another name, an altered token and another user', async () => {
    const good = await input();
    await expect(psql({ ...good, tls: { ...good.tls, caBundleUrl: foreignBundleUrl } })).rejects.toThrow(/certificate/);
    const elsewhere = { ...good.tls, servername: 'billing.example', hostaddrNeeded: true };
    await expect(psql({ ...good, host: '127.0.0.1', tls: elsewhere })).rejects.toThrow(/billing\.example/);
    await expect(psql({ ...good, secret: good.secret?.replace(/Signature=./, 'Signature=_') })).rejects.toThrow(/PAM/);
    await expect(psql({ ...good, user: 'rdsmaster' })).rejects.toThrow(/authentication failed/);
  });
});

describe.skipIf(!hasPsql)('psql by password, by the recipes as they are', () => {
  const file = (): string => join(directory, '.usher/pgpass-0190c1f0-0000-7000-8000-000000000001');

  test.each(['psql', 'pgpass', 'libpq-uri'] as const)('%s logs in over TLS 1.3, under the grant', async (client) => {
    expect(await psql(await passwordInput(), QUERY, client)).toBe('jane_doe_pw|t|TLSv1.3');
    expect(await psql(await passwordInput(), 'show application_name', client)).toMatch(/^usher:0190c1f0-/);
  });

  test.each(['pgpass', 'libpq-uri'] as const)('%s has the password in a private file alone', async (client) => {
    const given = await passwordInput();
    await psql(given, QUERY, 'pgpass');
    expect((await stat(file())).mode & 0o777).toBe(0o600);
    await rm(file());
    if (client === 'pgpass') expect(await psql(given, QUERY, client)).toContain('jane_doe_pw');
    else await expect(psql(given, 'select 1', client)).rejects.toThrow(/no password supplied/);
  });

  test.each(['pgpass', 'libpq-uri'] as const)(
    '%s works at another address, in a database with an odd name',
    async (client) => {
      const given = await passwordInput({ database: hostileDatabase }, '127.0.0.1');
      expect(await psql(given, 'select current_database()', 'pgpass')).toBe(hostileDatabase);
      expect(await psql(given, 'select current_database()', client)).toBe(hostileDatabase);
    },
  );

  test.each(['psql', 'pgpass'] as const)(
    '%s is refused with another password, and with a foreign CA',
    async (client) => {
      const wrong = await passwordInput({ secret: randomPassword().reveal() });
      await expect(psql(wrong, QUERY, client)).rejects.toThrow(/password authentication failed/);
      const good = await passwordInput();
      const foreign = { ...good, tls: { ...good.tls, caBundleUrl: foreignBundleUrl } };
      await expect(psql(foreign, QUERY, client)).rejects.toThrow(/certificate/);
    },
  );
});

/** The node-postgres recipe as a module of its own, in a process of its own; prints one row. */
const node = async (given: RecipeInput): Promise<string> => {
  await psqlBundle(given);
  const module = [
    textFor('node-postgres', given),
    `const { rows } = await client.query({ text: '${QUERY}', rowMode: 'array' });`,
    "console.log(rows[0].join('|'));",
    'await client.end();',
  ].join('\n');
  const env = { PATH: process.env['PATH'] ?? '', HOME: directory, PGPASSWORD: given.secret };
  return (await run(process.execPath, ['--input-type=module', '--eval', module], { env })).stdout.trim();
};

/** What the psql recipe does first. */
const psqlBundle = async (given: RecipeInput): Promise<void> => {
  const name = new URL(given.tls.caBundleUrl).pathname.split('/').at(-1) ?? '';
  const pem = await (await fetch(given.tls.caBundleUrl)).text();
  await run('mkdir', ['-p', join(directory, '.usher')]);
  await writeFile(join(directory, '.usher', name), pem);
};

describe('node-postgres, by the recipe as it is', () => {
  test('logs in as the person, over TLS 1.3', async () => {
    expect(await node(await input())).toBe('jane_doe|true|TLSv1.3');
    expect(await node(await input({ database: hostileDatabase }))).toBe('jane_doe|true|TLSv1.3');
    expect(await node(await passwordInput())).toBe('jane_doe_pw|true|TLSv1.3');
  });

  test('at another address, and not under another name or CA', async () => {
    const given = await input({}, '127.0.0.1');
    expect(await node(given)).toBe('jane_doe|true|TLSv1.3');
    await expect(node({ ...given, tls: { ...given.tls, servername: 'billing.example' } })).rejects.toThrow(
      /billing\.example/,
    );
    await expect(node({ ...given, tls: { ...given.tls, caBundleUrl: foreignBundleUrl } })).rejects.toThrow(
      /certificate/,
    );
  });
});
