import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAws, type AwsStandIn } from '../../local/aws/server.ts';
import type { AwsConfig } from '../../src/aws/config.ts';
import { dbUserArn } from '../../src/aws/connect-policy.ts';
import { IamService } from '../../src/aws/iam.service.ts';
import { readDocument } from '../../src/aws/packing-slot.ts';
import { SigningCredentials } from '../../src/aws/secret.ts';
import { SignerService } from '../../src/aws/signer.service.ts';
import { accountsOf, login, refusalOf as refusalWithout, resourceId, startBrokerAccount } from './aws-account.ts';
import type { BrokerAccount } from './aws-account.ts';

let account: BrokerAccount;
let aws: AwsStandIn;
let config: AwsConfig;
let accountId: string;
let iam: IamService;

const refusalOf = (attempt: Promise<unknown>) => refusalWithout(attempt, account.secrets);
const userArn = (name: string) => `arn:aws:iam::${accountId}:user/people/${name}`;
const dbUser = (user: string) =>
  dbUserArn({ partition: 'aws', region: 'eu-west-1', accountId, resourceId: 'cluster-ABCDEFGHIJKL01234', user });
const many = (count: number) => Array.from({ length: count }, (_, n) => dbUser(`person_${n}`));

const reached = async (arn: string) =>
  (await iam.readScopedPolicies(arn)).flatMap(({ document }) => readDocument(document).arns).sort();

beforeAll(async () => {
  account = await startBrokerAccount();
  ({ aws, config } = account);
  ({ accountId } = aws);
  iam = new IamService(account.accounts);
});
afterAll(async () => {
  iam.onApplicationShutdown();
  await account.close();
});

describe('attached mode', () => {
  test('the person signs with own keys while the policy is on, and not after', async () => {
    aws.iam.createUser('alice', { path: '/people/' });
    const { accessKeyId, secretAccessKey } = aws.iam.createAccessKey('alice');
    const principalArn = userArn('alice');
    const must = dbUser('alice');
    expect(await iam.settle({ principalArn, desired: [must] }, { must })).toBe(1);
    expect(await reached(principalArn)).toEqual([must]);
    expect(await iam.probe(principalArn, must)).toBe('allowed');

    const credentials = new SigningCredentials({ accessKeyId, secretAccessKey });
    const { token } = await new SignerService(config).mintToken({ ...login('alice'), credentials });
    expect(aws.verifyToken(token, { ...login('alice'), resourceId })).toEqual({ ok: true, principal: principalArn });

    expect(await iam.settle({ principalArn, desired: [] })).toBe(1);
    expect(aws.verifyToken(token, { ...login('alice'), resourceId })).toMatchObject({ code: 'NotAuthorized' });
    expect(await reached(principalArn)).toEqual([]);
    expect(await iam.probe(principalArn, must)).toBe('implicitDeny');
    expect(await iam.settle({ principalArn, desired: [] })).toBe(0);
  });

  test('a principal that is gone has nothing left to take off', async () => {
    expect(await iam.settle({ principalArn: userArn('nobody'), desired: [] })).toBe(0);
    expect(await iam.settle({ principalArn: `arn:aws:iam::${accountId}:role/nothing`, desired: [] })).toBe(0);
    expect(await iam.readScopedPolicies(userArn('nobody'))).toEqual([]);
  });

  test('what our policies say is read as it was last written, and nothing of other policies', async () => {
    const user = aws.iam.createUser('read', { path: '/people/' });
    const theirs = { Effect: 'Deny', Action: 's3:*', Resource: '*' };
    aws.iam.putInline(user, 'theirs', { Version: '2012-10-17', Statement: [theirs] });
    const odd = { Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::bucket/a b+c%20&é' };
    const edited = { Version: '2012-10-17', Statement: [odd] };
    aws.iam.putInline(user, 'usher-grant-0', edited);
    const read = await iam.readScopedPolicies(user.arn);
    expect(read.map((policy) => [policy.principalArn, policy.policyName])).toEqual([[user.arn, 'usher-grant-0']]);
    expect(read.map((policy) => JSON.parse(policy.document) as unknown)).toEqual([edited]);
  });

  test('what does not fit inline goes into managed policies under a path of their own, and all comes off again', async () => {
    const user = aws.iam.createUser('many', { path: '/people/' });
    const desired = many(100);
    await iam.settle({ principalArn: user.arn, desired });
    expect(await reached(user.arn)).toEqual([...desired].sort());
    expect([...user.inline.keys()]).toEqual(['usher-connect']);
    expect([...user.attached].sort()).toEqual(
      [1, 2].map((n) => `arn:aws:iam::${accountId}:policy/usher/user/many/usher-user-many-${n}`),
    );
    for (let left = 100; left > 60; left -= 7)
      expect(await iam.settle({ principalArn: user.arn, desired: desired.slice(0, left) })).toBeLessThanOrEqual(9);
    expect(await reached(user.arn)).toEqual(desired.slice(0, 65).sort());
    await iam.settle({ principalArn: user.arn, desired: [] }, { most: 50 });
    expect([user.inline.size, user.attached.size]).toEqual([0, 0]);
    expect([...aws.iam.policies.keys()].filter((arn) => arn.includes('/many/'))).toEqual([]);
  });

  test('a user that is full is refused with the numbers and the ways out, before anything is written', async () => {
    const user = aws.iam.createUser('full', { path: '/people/' });
    const filler = { Effect: 'Deny', Action: 's3:*', Resource: `arn:aws:s3:::${'x'.repeat(1_850)}` };
    aws.iam.putInline(user, 'theirs', JSON.stringify({ Version: '2012-10-17', Statement: [filler] }, null, 8));
    for (let n = 0; n < 10; n++) {
      const Statement = [{ ...filler, Resource: 'arn:aws:s3:::b' }];
      aws.iam.attach(user, aws.iam.createPolicy(`theirs-${n}`, { Version: '2012-10-17', Statement }).arn);
    }
    const before = aws.trail.events().length;
    const must = dbUser('alice');
    const refusal = await refusalOf(iam.settle({ principalArn: user.arn, desired: [must] }, { must }));
    expect(refusal).toMatchObject({ kind: 'invalid', code: 'quota' });
    expect(refusal.message).toMatch(/may have 2048 characters, of which those of others use 19\d\d/);
    expect(refusal.message).toContain("10 of 10 managed policies are attached, 0 of them Usher's");
    expect(refusal.advice).toMatch(/IAM role.*Service Quotas.*session mode/);
    expect(await refusalOf(iam.fits({ principalArn: user.arn, desired: [] }, must))).toMatchObject({ code: 'quota' });
    const written = aws.trail
      .events()
      .slice(before)
      .filter(({ eventName }) => !/^(?:Get|List)/.test(eventName));
    expect(written).toEqual([]);
    // to take away what is not there is no matter of room
    expect(await iam.settle({ principalArn: user.arn, desired: [] })).toBe(0);
    expect([...user.inline.keys()]).toEqual(['theirs']);
  });

  test('a principal that IAM does not know, or knows otherwise, is refused', async () => {
    const must = dbUser('alice');
    const stranger = userArn('alice').replace(accountId, '210987654321');
    for (const principalArn of [userArn('nobody'), stranger, `arn:aws:iam::${accountId}:user/alice`]) {
      const refusal = await refusalOf(iam.settle({ principalArn, desired: [must] }, { must }));
      expect(refusal.kind).toBe('invalid');
    }
    expect(await refusalOf(iam.settle({ principalArn: stranger, desired: [] }))).toMatchObject({ kind: 'invalid' });
    expect(aws.iam.user('alice').inline.size).toBe(0);
  });
});

describe('a bad day of IAM', () => {
  const settled = async (name: string) => {
    const user = aws.iam.createUser(name, { path: '/people/' });
    const desired = many(30);
    await iam.settle({ principalArn: user.arn, desired });
    return { user, reach: { principalArn: user.arn, desired: [...desired, dbUser('late')] } };
  };

  test.each(['before', 'after'] as const)('answers that fail %s the effect are survived', async (moment) => {
    const { reach } = await settled(`failing-${moment}`);
    aws.faults.throttle(1, { service: 'iam', action: 'ListUserPolicies' });
    aws.faults.fail(1, { service: 'iam', action: 'CreatePolicyVersion' }, moment);
    await iam.settle(reach);
    expect(await reached(reach.principalArn)).toEqual([...reach.desired].sort());
  });

  test.each([
    ['AccessDenied', 'aws_denied', 'iam:CreatePolicyVersion'],
    ['ExpiredToken', 'aws_denied', 'expired'],
    ['LimitExceeded', 'aws_unavailable', 'changed after they were read'],
  ])('%s is told, and nothing that was there is lost', async (code, told, words) => {
    const { user, reach } = await settled(`refused-${code}`);
    const before = await reached(user.arn);
    // the SDK takes LimitExceeded for throttling, and tries again
    aws.faults.refuse(10, code, { service: 'iam', action: 'CreatePolicyVersion' });
    const refusal = await refusalOf(iam.settle(reach, { must: dbUser('late') }));
    aws.faults.clear();
    expect(refusal.code).toBe(told);
    expect(`${refusal.message} ${refusal.advice ?? ''}`).toContain(words);
    expect(await reached(user.arn)).toEqual(before);
    await iam.settle(reach);
    expect(await reached(user.arn)).toEqual([...reach.desired].sort());
  });

  test('a policy that was deleted by hand is written again', async () => {
    const { user, reach } = await settled('by-hand');
    const [arn = ''] = user.attached;
    user.attached.clear();
    aws.iam.policies.delete(arn);
    await iam.settle(reach);
    expect(await reached(user.arn)).toEqual([...reach.desired].sort());
  });

  test('where Usher may not ask the simulator that is no failure', async () => {
    aws.faults.refuse(1, 'AccessDenied', { service: 'iam', action: 'SimulatePrincipalPolicy' });
    expect(await iam.probe(userArn('alice'), dbUser('alice'))).toBe('unknown');
  });
});

test('a host whose clock is twenty minutes off is told by AWS, and by what it says the clock is put right', async () => {
  const late = await startAws({ now: () => new Date(Date.now() + 20 * 60_000) });
  const skewed = new IamService(accountsOf({ ...config, endpointUrl: late.url }));
  try {
    const broker = late.iam.createUser('usher');
    late.iam.putInline(broker, 'broker', {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 'iam:*', Resource: '*' }],
    });
    const [accessKeyId, secretAccessKey] = [process.env['AWS_ACCESS_KEY_ID'], process.env['AWS_SECRET_ACCESS_KEY']];
    late.iam.createAccessKey('usher', { accessKeyId: accessKeyId ?? '', secretAccessKey: secretAccessKey ?? '' });
    const user = late.iam.createUser('ana', { path: '/people/' });
    expect(await skewed.settle({ principalArn: user.arn, desired: many(1) })).toBe(1);
  } finally {
    skewed.onApplicationShutdown();
    await late.close();
  }
});

test('a policy is felt only when it has propagated, and until its end has', async () => {
  let now = Date.now();
  const slow = await startAws({ now: () => new Date(now) });
  try {
    const user = slow.iam.createUser('ana', { path: '/people/' });
    const { accessKeyId, secretAccessKey } = slow.iam.createAccessKey('ana');
    slow.iam.propagationSeconds = 60;
    const verdict = async () => {
      const credentials = new SigningCredentials({ accessKeyId, secretAccessKey });
      const { token } = await new SignerService(config).mintToken({ ...login('ana'), credentials });
      return slow.verifyToken(token, { ...login('ana'), resourceId }).ok;
    };
    expect(await verdict()).toBe(false);
    slow.iam.putInline(user, 'usher-connect', { ...account.policyFor('ana') });
    expect(await verdict()).toBe(false);
    now += 61_000;
    expect(await verdict()).toBe(true);
    user.inline.clear();
    expect(await verdict()).toBe(true);
    now += 61_000;
    expect(await verdict()).toBe(false);
  } finally {
    await slow.close();
  }
});
