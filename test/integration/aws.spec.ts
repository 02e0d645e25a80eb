import { inspect } from 'node:util';
import { Test } from '@nestjs/testing';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { AwsStandIn } from '../../local/aws/server.ts';
import { AwsModule } from '../../src/aws/aws.module.ts';
import type { AwsConfig } from '../../src/aws/config.ts';
import { IamService } from '../../src/aws/iam.service.ts';
import { SecretsService } from '../../src/aws/secrets.service.ts';
import { SignerService } from '../../src/aws/signer.service.ts';
import { StsService } from '../../src/aws/sts.service.ts';
import { readSettings } from '../../src/platform/config.ts';
import { PlatformModule } from '../../src/platform/platform.module.ts';
import { keptLog } from '../support/kept-log.ts';
import { freshDatabase } from '../support/state.ts';
import {
  accountsOf,
  login,
  partition,
  refusalOf as refusalWithout,
  resourceId,
  startBrokerAccount,
} from './aws-account.ts';
import type { BrokerAccount } from './aws-account.ts';

let account: BrokerAccount;
let aws: AwsStandIn;
let config: AwsConfig;
let accountId: string;
let policyFor: BrokerAccount['policyFor'];
let region: string;
let secrets: string[];
let sts: StsService;
let iam: IamService;

const stsWith = (other: AwsConfig) => new StsService(other, accountsOf(other));

const refusalOf = (attempt: Promise<unknown>) => refusalWithout(attempt, secrets);
const session = (user: string) => ({
  partition,
  region,
  accountId,
  sessionName: 'alice@example.com',
  sourceIdentity: 'alice@example.com',
  policy: policyFor(user),
  tags: { grant: 'grant-1' },
});

beforeAll(async () => {
  account = await startBrokerAccount();
  ({ aws, config, secrets, policyFor } = account);
  ({ region, accountId } = aws);
  sts = new StsService(config, account.accounts);
  iam = new IamService(account.accounts);
});
afterEach(() => {
  aws.faults.clear();
});
afterAll(async () => {
  sts.onApplicationShutdown();
  iam.onApplicationShutdown();
  await account.close();
});

describe('session mode', () => {
  test('a token made with the session logs its own user in, and nobody else', async () => {
    const { credentials, principalArn } = await sts.assumeConnectRole(session('alice'));
    secrets.push(credentials.secretAccessKey, credentials.sessionToken ?? '');
    expect(principalArn).toBe(`arn:aws:sts::${accountId}:assumed-role/usher-connect/alice@example.com`);
    const signer = new SignerService(config);
    const own = await signer.mintToken({ ...login('alice'), credentials });
    expect(aws.verifyToken(own.token, { ...login('alice'), resourceId })).toEqual({
      ok: true,
      principal: principalArn,
    });
    expect(own.expiresAt.getTime() - own.issuedAt.getTime()).toBe(900_000);

    const bobs = await signer.mintToken({ ...login('bob'), credentials });
    expect(aws.verifyToken(bobs.token, { ...login('bob'), resourceId })).toMatchObject({ code: 'NotAuthorized' });
    expect(aws.verifyToken(own.token, { ...login('bob'), resourceId })).toMatchObject({ ok: false });
    expect(aws.verifyToken(own.token, { ...login('alice'), resourceId: 'cluster-OTHER' })).toMatchObject({
      code: 'NotAuthorized',
    });
  });

  test('CloudTrail names the person', async () => {
    await sts.assumeConnectRole(session('alice'));
    expect(aws.trail.events('AssumeRole').at(-1)?.requestParameters).toMatchObject({
      RoleSessionName: 'alice@example.com',
      SourceIdentity: 'alice@example.com',
    });
  });

  test('the credentials print as [secret]', async () => {
    const answer = await sts.assumeConnectRole(session('alice'));
    expect(JSON.stringify(answer)).toContain('"credentials":"[secret]"');
    expect(inspect(answer)).not.toContain(answer.credentials.sessionToken);
  });

  test.each(['no-source-identity', 'not-there'])(
    'role %s: the advice names what the trust policy needs',
    async (roleName) => {
      const refusal = await refusalOf(sts.assumeConnectRole({ ...session('alice'), roleName }));
      expect(refusal).toMatchObject({ kind: 'unavailable', code: 'aws_denied' });
      expect(refusal.advice).toMatch(/sts:SetSourceIdentity and sts:TagSession/);
    },
  );

  test.each([{ durationSeconds: 899 }, { durationSeconds: 3_601 }, { sessionName: 'a' }, { sourceIdentity: 'a b' }])(
    'refuses %j before AWS is asked',
    async (change) => {
      const before = aws.trail.events('AssumeRole').length;
      const refusal = await refusalOf(sts.assumeConnectRole({ ...session('alice'), ...change }));
      expect(refusal).toMatchObject({ kind: 'invalid' });
      expect(aws.trail.events('AssumeRole')).toHaveLength(before);
    },
  );

  test('a session policy over 2,048 characters is refused before AWS is asked', async () => {
    const before = aws.trail.events('AssumeRole').length;
    const users = Array.from({ length: 40 }, (_, n) => `reporting_user_${n}`);
    const refusal = await refusalOf(sts.assumeConnectRole({ ...session('alice'), policy: policyFor(...users) }));
    expect(refusal).toMatchObject({ code: 'policy_too_large' });
    expect(aws.trail.events('AssumeRole')).toHaveLength(before);
  });

  test('who the broker is', async () => {
    expect(await sts.callerIdentity(region)).toEqual({
      arn: `arn:aws:iam::${accountId}:user/usher`,
      partition,
      accountId,
    });
  });
});

describe('a bad day of AWS', () => {
  test('throttling and faults are survived', async () => {
    aws.faults.throttle(2, { service: 'sts' });
    await sts.assumeConnectRole(session('alice'));
    const user = aws.iam.createUser('retried', { path: '/people/' });
    aws.faults.throttle(1, { service: 'iam', action: 'PutUserPolicy' });
    aws.faults.fail(1, { service: 'iam', action: 'PutUserPolicy' }, 'after');
    const { Statement } = policyFor('alice');
    await iam.settle({ principalArn: user.arn, desired: Statement[0].Resource });
    aws.faults.fail(1, { service: 'iam', action: 'DeleteUserPolicy' }, 'after');
    await iam.settle({ principalArn: user.arn, desired: [] });
    expect(user.inline.size).toBe(0);
  });

  test('throttling without end is unavailable, with a time to wait', async () => {
    const impatient = stsWith({ ...config, maxAttempts: 2 });
    aws.faults.throttle(10, { service: 'sts' });
    const refusal = await refusalOf(impatient.assumeConnectRole(session('alice')));
    expect(refusal).toMatchObject({ code: 'aws_unavailable', retryAfterSeconds: 5 });
    impatient.onApplicationShutdown();
  });

  test('an endpoint that answers late or not at all is unavailable', async () => {
    const impatient = stsWith({ ...config, maxAttempts: 1, timeoutMs: 100 });
    aws.faults.delay(1_000);
    expect(await refusalOf(impatient.callerIdentity(region))).toMatchObject({ code: 'aws_unavailable' });
    impatient.onApplicationShutdown();
    const nowhere = stsWith({ ...config, maxAttempts: 1, endpointUrl: 'http://127.0.0.1:9' });
    expect((await refusalOf(nowhere.callerIdentity(region))).advice).toMatch(/reaches the AWS endpoint/);
  });

  test.each([
    ['AWS_ACCESS_KEY_ID', 'AKIAUNKNOWNUNKNOWNXX'],
    ['AWS_SECRET_ACCESS_KEY', 'wrong-secret-0123456789'],
  ])('a wrong %s is denied, and shows nothing', async (name, wrong) => {
    const right = process.env[name];
    secrets.push('wrong-secret-0123456789');
    try {
      vi.stubEnv(name, wrong);
      const other = stsWith({ ...config });
      expect(await refusalOf(other.assumeConnectRole(session('alice')))).toMatchObject({ code: 'aws_denied' });
      other.onApplicationShutdown();
    } finally {
      vi.stubEnv(name, right);
    }
  });
});

test('secrets from Secrets Manager, plain and as JSON', async () => {
  const service = new SecretsService(config, account.accounts);
  const plain = aws.secrets.put('plain', 'p{"w');
  const json = aws.secrets.put('json', JSON.stringify({ username: 'usher', password: 'from-json' }));
  const empty = aws.secrets.put('empty', JSON.stringify({ username: 'usher' }));
  expect((await service.read(plain)).reveal()).toBe('p{"w');
  expect((await service.read(json)).reveal()).toBe('from-json');
  expect(await refusalOf(service.read(empty))).toMatchObject({ code: 'target_not_ready' });
  const missing = await refusalOf(service.read(plain.replace('plain', 'missing')));
  expect(missing).toMatchObject({ kind: 'invalid', code: 'invalid_input' });
  service.onApplicationShutdown();
});

test('the module gives every service the one configuration', async () => {
  const database = await freshDatabase();
  const settings = readSettings({ OIDC_ISSUER: 'https://issuer.invalid', USHER_LOG_LEVEL: 'silent' });
  const wired = await Test.createTestingModule({
    imports: [
      PlatformModule.register({ settings, databaseUrl: database.url, log: keptLog }),
      AwsModule.configure({ useFactory: () => config }),
    ],
  }).compile();
  expect((await wired.get(StsService).callerIdentity(region)).accountId).toBe(accountId);
  for (const service of [IamService, SignerService, SecretsService]) expect(wired.get(service)).toBeInstanceOf(service);
  await wired.close();
  await database.drop();
});
