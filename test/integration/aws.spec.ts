import { inspect } from 'node:util';
import { Test } from '@nestjs/testing';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { startAws } from '../../local/aws/server.ts';
import type { AwsStandIn } from '../../local/aws/server.ts';
import { AwsModule } from '../../src/aws/aws.module.ts';
import type { AwsConfig } from '../../src/aws/config.ts';
import { connectPolicy, dbUserArn } from '../../src/aws/connect-policy.ts';
import { IamService } from '../../src/aws/iam.service.ts';
import { SigningCredentials } from '../../src/aws/secret.ts';
import { SecretsService } from '../../src/aws/secrets.service.ts';
import { SignerService } from '../../src/aws/signer.service.ts';
import { StsService } from '../../src/aws/sts.service.ts';
import { DomainError } from '../../src/platform/errors.ts';

const partition = 'aws';
const resourceId = 'cluster-ABCDEFGHIJKL01234';
const host = 'orders.cluster-abc.eu-west-1.rds.amazonaws.com';
const policyName = 'usher-grant-1';

let aws: AwsStandIn;
let config: AwsConfig;
let region: string;
let accountId: string;
let secrets: string[];
let sts: StsService;
let iam: IamService;

const userArn = (name: string) => `arn:aws:iam::${accountId}:user/people/${name}`;
const policyFor = (...users: string[]) =>
  connectPolicy(users.map((user) => dbUserArn({ partition, region, accountId, resourceId, user })));
const login = (user: string) => ({ host, port: 5432, region, user });
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
  aws = await startAws();
  ({ region, accountId } = aws);
  const broker = aws.iam.createUser('usher');
  aws.iam.putInline(broker, 'broker', {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: ['iam:*', 'sts:*', 'secretsmanager:GetSecretValue'], Resource: '*' }],
  });
  const trust = {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { AWS: broker.arn },
        Action: ['sts:AssumeRole', 'sts:SetSourceIdentity', 'sts:TagSession'],
      },
    ],
  };
  const role = aws.iam.createRole('usher-connect', trust);
  aws.iam.putInline(role, 'connect', {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: 'rds-db:connect', Resource: '*' }],
  });
  aws.iam.createRole('no-source-identity', {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: { AWS: broker.arn }, Action: 'sts:AssumeRole' }],
  });
  const key = aws.iam.createAccessKey('usher');
  secrets = [key.secretAccessKey];
  vi.stubEnv('AWS_ACCESS_KEY_ID', key.accessKeyId);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', key.secretAccessKey);
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  vi.stubEnv('AWS_SESSION_TOKEN', undefined);
  vi.stubEnv('AWS_PROFILE', undefined);
  config = { endpointUrl: aws.url, connectRoleName: 'usher-connect', timeoutMs: 3_000 };
  sts = new StsService(config);
  iam = new IamService(config);
});

afterEach(() => {
  aws.faults.clear();
});

afterAll(async () => {
  sts.onApplicationShutdown();
  iam.onApplicationShutdown();
  vi.unstubAllEnvs();
  await aws.close();
});

/** The refusal, after looking that neither it nor its cause prints a secret. */
const refusalOf = async (attempt: Promise<unknown>): Promise<DomainError> => {
  const thrown: unknown = await attempt.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof DomainError)) throw new Error('expected a DomainError', { cause: thrown });
  const print = inspect(thrown, { depth: 20, showHidden: true }) + JSON.stringify(thrown);
  for (const secret of secrets) expect(print.includes(secret)).toBe(false);
  return thrown;
};

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
    expect(await sts.callerIdentity(region)).toEqual({ arn: `arn:aws:iam::${accountId}:user/usher`, accountId });
  });
});

describe('attached mode', () => {
  test('the person signs with own keys while the policy is on, and not after', async () => {
    aws.iam.createUser('alice', { path: '/people/' });
    const { accessKeyId, secretAccessKey } = aws.iam.createAccessKey('alice');
    const principalArn = userArn('alice');
    await iam.putScopedPolicy({ principalArn, policyName, document: policyFor('alice') });
    expect(await iam.listScopedPolicies(principalArn)).toEqual([policyName]);

    const credentials = new SigningCredentials({ accessKeyId, secretAccessKey });
    const { token } = await new SignerService(config).mintToken({ ...login('alice'), credentials });
    expect(aws.verifyToken(token, { ...login('alice'), resourceId })).toEqual({ ok: true, principal: principalArn });

    await iam.deleteScopedPolicy({ principalArn, policyName });
    expect(aws.verifyToken(token, { ...login('alice'), resourceId })).toMatchObject({ code: 'NotAuthorized' });
    expect(await iam.listScopedPolicies(principalArn)).toEqual([]);
    await iam.deleteScopedPolicy({ principalArn, policyName });
  });

  test('a principal that is gone has no policy left to delete', async () => {
    await iam.deleteScopedPolicy({ principalArn: userArn('nobody'), policyName });
    await iam.deleteScopedPolicy({ principalArn: `arn:aws:iam::${accountId}:role/nothing`, policyName });
  });

  test('a role takes more than a user; both are refused before anything is written', async () => {
    const trust = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: '*', Action: 'sts:AssumeRole' }] };
    const user = aws.iam.createUser('full', { path: '/people/' });
    const role = aws.iam.createRole('full-role', trust);
    const filler = {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Deny', Action: 's3:*', Resource: `arn:aws:s3:::${'x'.repeat(1_700)}` }],
    };
    for (const identity of [user, role]) aws.iam.putInline(identity, 'theirs', JSON.stringify(filler, null, 8));
    const document = policyFor('alice', 'bob', 'carol');
    const before = aws.trail.events('PutUserPolicy').length;

    const refusal = await refusalOf(iam.putScopedPolicy({ principalArn: user.arn, policyName, document }));
    expect(refusal).toMatchObject({ kind: 'invalid', code: 'policy_too_large' });
    expect(refusal.message).toMatch(/needs \d+ characters, but \S+ has \d+ of 2048 left/);
    expect(aws.trail.events('PutUserPolicy')).toHaveLength(before);
    expect([...user.inline.keys()]).toEqual(['theirs']);

    await iam.putScopedPolicy({ principalArn: role.arn, policyName, document });
    expect([...role.inline.keys()].sort()).toEqual(['theirs', policyName]);
    const room = await iam.fits({ principalArn: role.arn, document, policyName });
    expect(room).toEqual({
      quota: 10_240,
      used: JSON.stringify(filler).length,
      needed: JSON.stringify(document).length,
    });
    expect(await iam.listScopedPolicies(role.arn)).toEqual([policyName]);
  });

  test('the quota is that of the account, to the character', async () => {
    const user = aws.iam.createUser('exact', { path: '/people/' });
    const document = policyFor('alice');
    const { needed } = await iam.fits({ principalArn: user.arn, document });
    const quota = aws.iam.quotas.userInlineSize;
    try {
      aws.iam.quotas.userInlineSize = needed;
      await iam.putScopedPolicy({ principalArn: user.arn, policyName, document });
      // the same policy again replaces itself
      await iam.putScopedPolicy({ principalArn: user.arn, policyName, document });
      const second = iam.putScopedPolicy({ principalArn: user.arn, policyName: 'usher-grant-2', document });
      expect(await refusalOf(second)).toMatchObject({ code: 'policy_too_large' });
    } finally {
      aws.iam.quotas.userInlineSize = quota;
    }
  });

  test('a principal that IAM does not know, or knows otherwise, is refused', async () => {
    const document = policyFor('alice');
    const stranger = userArn('alice').replace(accountId, '210987654321');
    for (const principalArn of [userArn('nobody'), stranger, `arn:aws:iam::${accountId}:user/alice`]) {
      const refusal = await refusalOf(iam.putScopedPolicy({ principalArn, policyName, document }));
      expect(refusal).toMatchObject({ kind: 'invalid', code: 'invalid_input' });
    }
    const removal = await refusalOf(iam.deleteScopedPolicy({ principalArn: stranger, policyName }));
    expect(removal).toMatchObject({ kind: 'invalid', code: 'invalid_input' });
    expect(aws.iam.user('alice').inline.size).toBe(0);
  });

  test("nobody else's policy is touched", async () => {
    const principalArn = userArn('full');
    for (const name of ['theirs', 'usher', 'usher-', 'usher-a b']) {
      await refusalOf(iam.deleteScopedPolicy({ principalArn, policyName: name }));
      await refusalOf(iam.putScopedPolicy({ principalArn, policyName: name, document: policyFor('alice') }));
    }
    expect([...aws.iam.user('full').inline.keys()]).toEqual(['theirs']);
  });
});

describe('a bad day of AWS', () => {
  test('throttling and faults are survived', async () => {
    aws.faults.throttle(2, { service: 'sts' });
    await sts.assumeConnectRole(session('alice'));
    const user = aws.iam.createUser('retried', { path: '/people/' });
    aws.faults.throttle(1, { service: 'iam', action: 'PutUserPolicy' });
    aws.faults.fail(1, { service: 'iam', action: 'PutUserPolicy' }, 'after');
    await iam.putScopedPolicy({ principalArn: user.arn, policyName, document: policyFor('alice') });
    aws.faults.fail(1, { service: 'iam', action: 'DeleteUserPolicy' }, 'after');
    await iam.deleteScopedPolicy({ principalArn: user.arn, policyName });
    expect(user.inline.size).toBe(0);
  });

  test('throttling without end is unavailable, with a time to wait', async () => {
    const impatient = new StsService({ ...config, maxAttempts: 2 });
    aws.faults.throttle(10, { service: 'sts' });
    const refusal = await refusalOf(impatient.assumeConnectRole(session('alice')));
    expect(refusal).toMatchObject({ code: 'aws_unavailable', retryAfterSeconds: 5 });
    impatient.onApplicationShutdown();
  });

  test('an endpoint that answers late or not at all is unavailable', async () => {
    const impatient = new StsService({ ...config, maxAttempts: 1, timeoutMs: 100 });
    aws.faults.delay(1_000);
    expect(await refusalOf(impatient.callerIdentity(region))).toMatchObject({ code: 'aws_unavailable' });
    impatient.onApplicationShutdown();
    const nowhere = new StsService({ ...config, maxAttempts: 1, endpointUrl: 'http://127.0.0.1:9' });
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
      const other = new StsService({ ...config });
      expect(await refusalOf(other.assumeConnectRole(session('alice')))).toMatchObject({ code: 'aws_denied' });
      other.onApplicationShutdown();
    } finally {
      vi.stubEnv(name, right);
    }
  });
});

test('secrets from Secrets Manager, plain and as JSON', async () => {
  const service = new SecretsService(config);
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
  const wired = await Test.createTestingModule({
    imports: [AwsModule.configure({ useFactory: () => config })],
  }).compile();
  expect((await wired.get(StsService).callerIdentity(region)).accountId).toBe(accountId);
  for (const service of [IamService, SignerService, SecretsService]) expect(wired.get(service)).toBeInstanceOf(service);
  await wired.close();
});
