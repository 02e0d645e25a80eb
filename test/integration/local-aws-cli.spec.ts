/** The stand-in through the AWS CLI, as a person would use it. Needs `aws` (Debian: `apt-get install awscli`). */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { startAws } from '../../local/aws/server.ts';
import type { AwsStandIn } from '../../local/aws/server.ts';

// Each call starts a Python of its own: one to three seconds on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

const account = '123456789012';
const run = promisify(execFile);
const document = (statement: object) => JSON.stringify({ Version: '2012-10-17', Statement: [statement] });

interface Keys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}
let aws: AwsStandIn;
let operator: Keys;

/** Credentials go by the environment, never by arguments; no file of the machine's own user is read. */
async function cli(keys: Keys, ...args: string[]): Promise<string> {
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: '/nonexistent',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_PAGER: '',
    AWS_REGION: aws.region,
    AWS_DEFAULT_REGION: aws.region,
    AWS_MAX_ATTEMPTS: '1',
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    ...(keys.sessionToken === undefined ? {} : { AWS_SESSION_TOKEN: keys.sessionToken }),
  };
  const { stdout } = await run('aws', ['--endpoint-url', aws.url, '--output', 'json', ...args], { env });
  return stdout.replace(/\n$/, '');
}

beforeAll(async () => {
  await run('aws', ['--version']).catch((error: unknown) => {
    throw new Error('these tests need the AWS CLI: apt-get install awscli', { cause: error });
  });
  aws = await startAws();
  aws.iam.putInline(aws.iam.createUser('operator'), 'all', document({ Effect: 'Allow', Action: '*', Resource: '*' }));
  operator = aws.iam.createAccessKey('operator');
});
afterAll(() => aws.close());

const login = { host: 'localhost', port: 5432, user: 'alice', region: 'eu-west-1', resourceId: 'db-BILLING' };
const tokenBy = (keys: Keys) =>
  cli(
    keys,
    'rds',
    'generate-db-auth-token',
    '--hostname',
    'localhost',
    '--port',
    '5432',
    '--username',
    'alice',
    '--region',
    'eu-west-1',
  );

test('a person with keys signs a token that logs in while the policy is there', async () => {
  aws.iam.createUser('alice');
  const alice = aws.iam.createAccessKey('alice');
  const token = await tokenBy(alice);
  expect(aws.verifyToken(token, login)).toMatchObject({ ok: false, code: 'NotAuthorized' });
  const policy = document({
    Effect: 'Allow',
    Action: 'rds-db:connect',
    Resource: `arn:aws:rds-db:eu-west-1:${account}:dbuser:db-BILLING/alice`,
  });
  await cli(
    operator,
    'iam',
    'put-user-policy',
    '--user-name',
    'alice',
    '--policy-name',
    'usher',
    '--policy-document',
    policy,
  );
  expect(aws.verifyToken(token, login)).toEqual({ ok: true, principal: `arn:aws:iam::${account}:user/alice` });
  const shown: unknown = JSON.parse(
    await cli(operator, 'iam', 'get-user-policy', '--user-name', 'alice', '--policy-name', 'usher'),
  );
  expect(shown).toMatchObject({ PolicyDocument: JSON.parse(policy) as object });
  await cli(operator, 'iam', 'delete-user-policy', '--user-name', 'alice', '--policy-name', 'usher');
  expect(aws.verifyToken(token, login)).toMatchObject({ ok: false, code: 'NotAuthorized' });
});

test('an assumed role signs, and its name is in the verdict', async () => {
  const role = aws.iam.createRole(
    'connect',
    document({ Effect: 'Allow', Action: ['sts:AssumeRole', 'sts:SetSourceIdentity'], Principal: { AWS: account } }),
  );
  aws.iam.putInline(role, 'p', document({ Effect: 'Allow', Action: 'rds-db:connect', Resource: '*' }));
  const assumed = JSON.parse(
    await cli(
      operator,
      'sts',
      'assume-role',
      '--role-arn',
      role.arn,
      '--role-session-name',
      'alice',
      '--source-identity',
      'alice',
    ),
  ) as { Credentials: { AccessKeyId: string; SecretAccessKey: string; SessionToken: string } };
  const { AccessKeyId, SecretAccessKey, SessionToken } = assumed.Credentials;
  const keys = { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken };
  const principal = `arn:aws:sts::${account}:assumed-role/connect/alice`;
  expect(aws.verifyToken(await tokenBy(keys), login)).toEqual({ ok: true, principal });
  expect(JSON.parse(await cli(keys, 'sts', 'get-caller-identity'))).toMatchObject({ Arn: principal });
});

test('databases are described, and refusals speak the words of AWS', async () => {
  aws.rds.addInstance({ identifier: 'billing', resourceId: 'db-BILLING', engineVersion: '15.8' });
  const described: unknown = JSON.parse(await cli(operator, 'rds', 'describe-db-instances'));
  expect(described).toMatchObject({ DBInstances: [{ DbiResourceId: 'db-BILLING', Engine: 'postgres' }] });
  aws.iam.createUser('nobody');
  const nobody = aws.iam.createAccessKey('nobody');
  await expect(cli(nobody, 'rds', 'describe-db-instances')).rejects.toThrow(
    '(AccessDenied) when calling the DescribeDBInstances',
  );
});

test('log files come down whole, also in pages, and streams are listed', async () => {
  const logDirectory = mkdtempSync(join(tmpdir(), 'usher-cli-logs-'));
  const lines = Array.from({ length: 12_000 }, (_, at) => `2026-03-01 10:00:00 UTC::@:[1]:LOG:  line ${at} <&> é\n`);
  writeFileSync(join(logDirectory, 'postgresql.log.2026-03-01-10'), lines.join(''));
  aws.rds.addInstance({ identifier: 'logging', resourceId: 'db-LOGGING', engineVersion: '17.4', logDirectory });
  const instance = ['--db-instance-identifier', 'logging'];
  const listed = await cli(operator, 'rds', 'describe-db-log-files', ...instance);
  const size = Buffer.byteLength(lines.join(''));
  expect(JSON.parse(listed)).toMatchObject({
    DescribeDBLogFiles: [{ LogFileName: 'error/postgresql.log.2026-03-01-10', Size: size }],
  });
  const name = ['--log-file-name', 'error/postgresql.log.2026-03-01-10'];
  const text = ['--starting-token', '0', '--output', 'text'];
  const whole = await cli(operator, 'rds', 'download-db-log-file-portion', ...instance, ...name, ...text);
  for (const line of [lines[0], lines[9_999], lines[10_000], lines[11_999]]) expect(whole).toContain(line?.trimEnd());
  aws.logs.put('/aws/rds/instance/logging/postgresql', 'logging', [
    { timestamp: 1_772_359_200_000, message: 'a line' },
  ]);
  const stream = ['--log-group-name', '/aws/rds/instance/logging/postgresql', '--log-stream-name', 'logging'];
  expect(JSON.parse(await cli(operator, 'logs', 'get-log-events', ...stream))).toMatchObject({
    events: [{ timestamp: 1_772_359_200_000, message: 'a line' }],
  });
  rmSync(logDirectory, { recursive: true, force: true });
});
