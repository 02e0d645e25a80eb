import { STSClient, AssumeRoleCommand } from '@aws-sdk/client-sts';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { SignerService } from '../../src/aws/signer.service.ts';
import { externalId, keys, OTHER, ownKeys, world, type World } from './aws-world.ts';
import { login, refusalOf as refusalWithout, resourceId } from './aws-account.ts';

const MINUTE = 60_000;
const refusalOf = (attempt: Promise<unknown>) => refusalWithout(attempt, [keys.secretAccessKey, externalId]);

const open: (() => Promise<void>)[] = [];
const begin = async (of?: Parameters<typeof world>[0]): Promise<World> => {
  const made = await world(of);
  open.push(made.close);
  return made;
};

/** For AWS, for Usher and for the SDK, which looks at no clock that could be given to it. */
const move = (milliseconds: number) => vi.setSystemTime(Date.now() + milliseconds);

beforeAll(() => {
  vi.useFakeTimers({ toFake: ['Date'], shouldAdvanceTime: true });
  ownKeys();
});
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});
afterAll(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

describe('the keys of a broker role', () => {
  test('are renewed before their end, once for all who ask', async () => {
    const w = await begin();
    await Promise.all([w.look(), w.session(), w.look()]);
    move(54 * MINUTE);
    await w.session();
    expect(w.assumed()).toHaveLength(1);
    move(2 * MINUTE);
    await Promise.all(Array.from({ length: 10 }, () => w.session()));
    expect(w.assumed()).toHaveLength(2);
    move(90 * MINUTE); // expired while nobody asked
    await Promise.all([w.session(), w.look()]);
    expect(w.assumed()).toHaveLength(3);
  });

  test('serve until their end when STS renews none, and then there is a clear refusal until it does', async () => {
    const w = await begin();
    await w.look();
    move(50 * MINUTE);
    w.aws.faults.fail(1_000, { service: 'sts' });
    await w.look();
    move(11 * MINUTE);
    const refusal = await refusalOf(w.look());
    expect(refusal).toMatchObject({ kind: 'unavailable', code: 'aws_unavailable', retryAfterSeconds: 5 });
    expect(refusal.message).toContain(`sts:AssumeRole on ${w.broker.arn}`);
    w.aws.faults.clear();
    await w.look();
  });

  test.each([-20, 20])('are renewed in time although AWS is %d minutes ahead of this host', async (minutes) => {
    const w = await begin({ skew: minutes * MINUTE });
    await w.look();
    for (let hour = 0; hour < 3; hour++) {
      move(30 * MINUTE);
      await w.look();
    }
    expect(w.assumed().map(({ errorCode }) => errorCode)).toEqual([undefined, undefined]);
  });

  test('a refusal is not remembered: what was mended in the account works at once', async () => {
    const w = await begin();
    const { trust } = w.broker;
    w.broker.trust = w.connect.trust;
    expect(await refusalOf(w.look())).toMatchObject({ code: 'aws_denied' });
    w.broker.trust = trust;
    await w.look();
  });
});

test("Usher's own keys that have expired are told as such, wherever they are used", async () => {
  const w = await begin();
  const role = w.aws.iam.createRole('usher-self', {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: { AWS: w.aws.iam.user('usher').arn }, Action: 'sts:AssumeRole' }],
  });
  const client = new STSClient({ region: 'eu-west-1', endpoint: w.aws.url, credentials: keys });
  const ask = new AssumeRoleCommand({ RoleArn: role.arn, RoleSessionName: 'usher', DurationSeconds: 900 });
  const { Credentials: mine } = await client.send(ask);
  client.destroy();
  vi.stubEnv('AWS_ACCESS_KEY_ID', mine?.AccessKeyId);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', mine?.SecretAccessKey);
  vi.stubEnv('AWS_SESSION_TOKEN', mine?.SessionToken);
  try {
    move(16 * MINUTE);
    for (const attempt of [
      w.session(),
      w.look(),
      w.iam.readScopedPolicies(w.user('erin').arn),
      w.sts.callerIdentity('eu-west-1'),
    ]) {
      const refusal = await refusalOf(attempt);
      expect(refusal).toMatchObject({ kind: 'unavailable', code: 'aws_denied' });
      expect(refusal.advice).toMatch(/own AWS credentials have expired/);
    }
  } finally {
    ownKeys();
  }
});

describe('a clock that is twenty minutes off', () => {
  test.each([
    [20, 'behind'],
    [-20, 'ahead of'],
  ])('AWS %d minutes ahead: what AWS does is done, and no token is signed that would fail', async (minutes, says) => {
    const w = await begin({ skew: minutes * MINUTE });
    await w.look();
    const { arn } = w.user('erin');
    expect(await w.iam.settle({ principalArn: arn, desired: [w.dbUser('erin')] })).toBe(1);
    const refusal = await refusalOf(w.session());
    expect(refusal).toMatchObject({ kind: 'unavailable', code: 'aws_denied' });
    expect(refusal.message).toContain(`clock of Usher's host is 20 minutes ${says} that of AWS`);
  });

  test('a minute is no matter', async () => {
    await (await begin({ skew: MINUTE })).session();
  });
});

describe('an answer that comes too late', () => {
  const impatient = { timeoutMs: 1_500, maxAttempts: 1 };

  test('of STS is told with a time to wait', async () => {
    const w = await begin({ config: impatient });
    w.aws.faults.delay(4_000, { service: 'sts' });
    const refusal = await refusalOf(w.session());
    expect(refusal).toMatchObject({ kind: 'unavailable', code: 'aws_unavailable', retryAfterSeconds: 5 });
    expect(`${refusal.message} ${refusal.advice ?? ''}`).toMatch(/sts:AssumeRole.*network/);
    w.aws.faults.clear();
    await w.session();
  });

  test.each(['PutUserPolicy', 'DeleteUserPolicy'])(
    'of iam:%s loses nothing, whether it took effect or not',
    async (action) => {
      const w = await begin({ config: impatient });
      const { arn, inline } = w.user('erin');
      const reach = { principalArn: arn, desired: [w.dbUser('erin')] };
      if (action === 'DeleteUserPolicy') await w.iam.settle(reach);
      const wanted = action === 'DeleteUserPolicy' ? { ...reach, desired: [] } : reach;
      w.aws.faults.delay(4_000, { service: 'iam', action });
      expect(await refusalOf(w.iam.settle(wanted))).toMatchObject({ code: 'aws_unavailable' });
      w.aws.faults.clear();
      await w.iam.settle(wanted);
      expect((await w.iam.readScopedPolicies(arn)).flatMap(({ arns }) => arns)).toEqual(wanted.desired);
      expect(inline.size).toBe(wanted.desired.length);
    },
  );
});

describe('what AWS refuses', () => {
  const everywhere = [
    ['session mode', (w: World) => w.session()],
    ['attached mode', (w: World) => w.iam.settle({ principalArn: w.user('erin').arn, desired: [w.dbUser('erin')] })],
    ['discovery', (w: World) => w.look()],
  ] as const;

  test.each(
    everywhere.flatMap(([where, ask]) =>
      [
        ['AccessDenied', /Allow|allow/],
        ['ExpiredToken', /expired/],
        ['InvalidClientTokenId', /access key/],
        ['SignatureDoesNotMatch', /secret access key/],
      ].map(([code, advice]) => [where, code as string, advice as RegExp, ask] as const),
    ),
  )('%s: %s is told with what to do, and nothing is left', async (_where, code, advice, ask) => {
    const w = await begin();
    w.aws.faults.refuse(1_000, code);
    const refusal = await refusalOf(ask(w));
    expect(refusal).toMatchObject({ kind: 'unavailable', code: 'aws_denied' });
    expect(refusal.advice).toMatch(advice);
    expect([...w.other.iam.users.values()].flatMap(({ inline }) => [...inline.keys()])).toEqual([]);
  });

  test('a session that the role does not allow for so long', async () => {
    const w = await begin();
    Reflect.set(w.connect, 'maxSessionSeconds', 1_800);
    const refusal = await refusalOf(w.session());
    expect(refusal).toMatchObject({ code: 'aws_denied' });
    expect(refusal.advice).toMatch(/USHER_CONNECT_SECONDS.*MaxSessionDuration/);
  });

  test('a session whose packed policy and tags are too large', async () => {
    const w = await begin();
    await w.session();
    w.aws.faults.refuse(1, 'PackedPolicyTooLarge', { service: 'sts' });
    const refusal = await refusalOf(w.session());
    expect(refusal).toMatchObject({ kind: 'invalid', code: 'policy_too_large' });
    expect(refusal.advice).toMatch(/USHER_SESSION_TAGS=false/);
  });
});

test('an address of its own is asked for one service of one account, and no other', async () => {
  const elsewhere = await begin();
  const w = await begin({ endpoints: { iam: elsewhere.aws.url } });
  const [here, there] = [w.user('erin'), elsewhere.user('erin')];
  // the keys come from the STS that was asked here, which the other does not know
  expect(await refusalOf(w.iam.settle({ principalArn: here.arn, desired: [w.dbUser('erin')] }))).toMatchObject({
    code: 'aws_denied',
    message: expect.stringContaining('iam:GetUser') as string,
  });
  expect([here.inline.size, there.inline.size]).toEqual([0, 0]);
  await w.look();
  const both = await begin({ endpoints: { iam: elsewhere.aws.url, sts: elsewhere.aws.url } });
  await both.iam.settle({ principalArn: there.arn, desired: [both.dbUser('erin')] });
  expect(there.inline.size).toBe(1);
  expect(both.aws.trail.events()).toEqual([]);
});

describe.each([
  ['aws', 'eu-west-1'],
  ['aws-cn', 'cn-north-1'],
  ['aws-us-gov', 'us-gov-west-1'],
])('in the partition %s', (partition, region) => {
  test('accounts are entered, tokens signed, policies written and databases found by the printed policies', async () => {
    const w = await begin({ region });
    const { credentials, principalArn } = await w.session();
    expect(principalArn).toBe(`arn:${partition}:sts::${OTHER}:assumed-role/usher-connect/alice`);
    const { token } = await new SignerService({ connectRoleName: '' }).mintToken({
      ...login('alice'),
      region,
      credentials,
    });
    expect(token).toContain(encodeURIComponent(`/${region}/rds-db/aws4_request`));
    const { arn, inline, attached } = w.user('erin');
    expect(arn).toBe(`arn:${partition}:iam::${OTHER}:user/people/erin`);
    const desired = Array.from({ length: 40 }, (_, n) => w.dbUser(`person_${n}`));
    await w.iam.settle({ principalArn: arn, desired });
    expect([inline.size, attached.size]).toEqual([1, 1]);
    expect(await w.iam.probe(arn, w.dbUser('person_7'))).toBe('allowed');
    w.other.rds.addCluster({ identifier: 'orders', resourceId, port: 5432, engineVersion: '17.4' });
    expect(await w.look()).toMatchObject([{ resourceId }]);
  });
});
