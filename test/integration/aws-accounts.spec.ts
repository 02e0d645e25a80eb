import { GetUserCommand, IAMClient, PutUserPolicyCommand } from '@aws-sdk/client-iam';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { AwsStandIn } from '../../local/aws/server.ts';
import type { RegisteredAccount } from '../../src/aws/account-register.ts';
import { AccountClients } from '../../src/aws/accounts.ts';
import { askAws } from '../../src/aws/aws-fault.ts';
import { iamRegion } from '../../src/aws/principal.ts';
import type { AwsConfig } from '../../src/aws/config.ts';
import { StsService } from '../../src/aws/sts.service.ts';
import { SystemClock } from '../../src/platform/clock.ts';
import { TargetAccess } from '../../src/targets/target-access.service.ts';
import { connectPolicy, dbUserArn } from '../../src/aws/connect-policy.ts';
import { accountsOf, partition, refusalOf as refusalWithout, resourceId, startBrokerAccount } from './aws-account.ts';
import type { BrokerAccount } from './aws-account.ts';

const OTHER = '210987654321';
const EXTERNAL_ID = 'usher:7d1c';
const policy = (...Statement: object[]) => ({ Version: '2012-10-17', Statement });

let account: BrokerAccount;
let aws: AwsStandIn;
let other: ReturnType<AwsStandIn['addAccount']>;
let registered: RegisteredAccount;
const closers: (() => void)[] = [];

const refusalOf = (attempt: Promise<unknown>) => refusalWithout(attempt, [...account.secrets, EXTERNAL_ID]);
const servicesWith = (rows: readonly RegisteredAccount[]) => {
  const accounts = accountsOf(account.config, rows);
  const clients = new AccountClients(accounts, 'iam', (settings) => new IAMClient(settings));
  const iam = (accountId: string) => clients.in({ partition, accountId, region: iamRegion(partition) });
  const sts = new StsService(account.config, accounts);
  closers.push(
    () => clients.destroy(),
    () => sts.onApplicationShutdown(),
  );
  return { accounts, iam, sts };
};
const session = () => {
  const place = { partition, region: aws.region, accountId: OTHER };
  const policyOf = connectPolicy([dbUserArn({ ...place, resourceId, user: 'alice' })]);
  return { ...place, sessionName: 'alice-1', sourceIdentity: 'alice-1', policy: policyOf };
};
const look = async (client: Promise<IAMClient>) => {
  const there = await client;
  return askAws({ action: 'iam:GetUser', on: 'itself' }, () => there.send(new GetUserCommand({ UserName: 'erin' })));
};
const assumed = () => aws.trail.events('AssumeRole').map(({ requestParameters }) => requestParameters['RoleArn']);

beforeAll(async () => {
  account = await startBrokerAccount();
  ({ aws } = account);
  other = aws.addAccount(OTHER);
  const usher = `arn:aws:iam::${aws.accountId}:user/usher`;
  const broker = other.iam.createRole(
    'usher-broker',
    policy({
      Effect: 'Allow',
      Principal: { AWS: usher },
      Action: 'sts:AssumeRole',
      Condition: { StringEquals: { 'sts:ExternalId': EXTERNAL_ID } },
    }),
  );
  other.iam.putInline(broker, 'broker', policy({ Effect: 'Allow', Action: ['iam:*', 'sts:*'], Resource: '*' }));
  other.iam.createRole(
    'usher-connect',
    policy({
      Effect: 'Allow',
      Principal: { AWS: broker.arn },
      Action: ['sts:AssumeRole', 'sts:SetSourceIdentity', 'sts:TagSession'],
    }),
  );
  registered = {
    id: 'other',
    accountId: OTHER,
    name: 'other',
    partition,
    brokerRoleArn: broker.arn,
    externalId: EXTERNAL_ID,
    connectRole: null,
    regions: [aws.region],
    endpoints: {},
    enabled: true,
  };
});
afterEach(() => aws.faults.clear());
afterAll(async () => {
  closers.forEach((close) => close());
  await account.close();
});

describe('another account, entered by its broker role', () => {
  test('session mode signs there as the person', async () => {
    const { sts } = servicesWith([registered]);
    const { principalArn } = await sts.assumeConnectRole(session());
    expect(principalArn).toBe(`arn:aws:sts::${OTHER}:assumed-role/usher-connect/alice-1`);
  });

  test('attached mode writes there, and nowhere else', async () => {
    const { iam } = servicesWith([registered]);
    const user = other.iam.createUser('erin', { path: '/people/' });
    aws.iam.createUser('erin', { path: '/people/' });
    const PolicyDocument = JSON.stringify(session().policy);
    const write = new PutUserPolicyCommand({ UserName: 'erin', PolicyName: 'usher-grant-1', PolicyDocument });
    await (await iam(OTHER)).send(write);
    expect([user.inline.size, aws.iam.user('erin').inline.size]).toEqual([1, 0]);
  });

  test('many who come at once enter it once', async () => {
    const { iam } = servicesWith([registered]);
    const before = assumed().length;
    await Promise.all(Array.from({ length: 20 }, () => look(iam(OTHER))));
    expect(assumed().slice(before)).toEqual([registered.brokerRoleArn]);
  });

  test.each([['another'], [null]])('the external id %s is refused, and named nowhere', async (externalId) => {
    const { iam, sts } = servicesWith([{ ...registered, externalId }]);
    for (const attempt of [() => sts.assumeConnectRole(session()), () => look(iam(OTHER))]) {
      const refusal = await refusalOf(attempt());
      expect(refusal).toMatchObject({ kind: 'unavailable', code: 'aws_denied' });
      expect(refusal.message).toContain(`sts:AssumeRole on ${registered.brokerRoleArn}`);
    }
  });

  test('its connect role does not trust Usher itself: only the broker role opens it', async () => {
    const { sts } = servicesWith([]);
    expect(await refusalOf(sts.assumeConnectRole(session()))).toMatchObject({ code: 'aws_denied' });
  });

  test('throttling and faults on the way in are survived', async () => {
    const { sts } = servicesWith([registered]);
    aws.faults.throttle(2, { service: 'sts', action: 'AssumeRole' });
    aws.faults.fail(1, { service: 'sts', action: 'AssumeRole' }, 'after');
    await sts.assumeConnectRole(session());
  });
});

describe('an account that nobody registered', () => {
  test('is refused with what to do, and AWS is not asked', async () => {
    const { iam } = servicesWith([]);
    const refusal = await refusalOf(look(iam(OTHER)));
    expect(refusal).toMatchObject({ kind: 'invalid', code: 'account_not_registered' });
    expect(refusal.advice).toContain('POST /v1/accounts');
  });

  test('of Usher itself works', async () => {
    const { iam } = servicesWith([registered]);
    await look(iam(aws.accountId));
  });

  test('a registered account without a broker role is none that IAM may be changed in', async () => {
    const { iam } = servicesWith([{ ...registered, brokerRoleArn: null }]);
    const refusal = await refusalOf(look(iam(OTHER)));
    expect(refusal).toMatchObject({ code: 'account_not_registered' });
  });
});

describe('keys that sign tokens', () => {
  const target = () => ({ partition, region: aws.region, accountId: OTHER, resourceId, connectRole: null });
  const person = (login: string, grant = 'grant-1') => ({
    login,
    sessionName: login,
    sourceIdentity: login,
    tags: { 'usher:grant': grant, 'usher:person': 'anna*müller\n' },
  });
  /** Only its keys: neither a database nor trust nor a secret is asked for. */
  const accessWith = (config: Partial<AwsConfig> = {}) => {
    const sts = new StsService({ ...account.config, ...config }, accountsOf(account.config, [registered]));
    closers.push(() => sts.onApplicationShutdown());
    const none = undefined as never;
    return new TargetAccess(none, none, sts, none, new SystemClock(), none);
  };
  const connected = () => aws.trail.events('AssumeRole').filter((event) => event.requestParameters['SourceIdentity']);

  test('a thousand asks of one person, many at once, cost one call; another login costs another', async () => {
    const access = accessWith();
    const before = connected().length;
    const sessions = await Promise.all(
      Array.from({ length: 1_000 }, () => access.signingSession(target(), person('alice'))),
    );
    expect(new Set(sessions).size).toBe(1);
    await access.signingSession(target(), person('bob'));
    expect(connected()).toHaveLength(before + 2);
    expect(Object.keys(connected().at(-1)?.requestParameters ?? {}).join()).not.toMatch(/Tags/);
  });

  test('keys that would not outlive a token are not used again', async () => {
    const access = accessWith({ connectSeconds: 900 });
    const before = connected().length;
    const first = await access.signingSession(target(), person('alice'));
    const second = await access.signingSession(target(), person('alice'));
    expect(first).not.toBe(second);
    expect(connected().slice(before)).toHaveLength(2);
    expect(connected().at(-1)?.requestParameters).toMatchObject({ DurationSeconds: '900' });
  });

  test('tags are cleaned, and keep the keys of two grants apart', async () => {
    const access = accessWith({ sessionTags: true });
    const first = await access.signingSession(target(), person('alice', 'grant-1'));
    expect(await access.signingSession(target(), person('alice', 'grant-2'))).not.toBe(first);
    expect(await access.signingSession(target(), person('alice', 'grant-1'))).toBe(first);
    expect(connected().at(-1)?.requestParameters).toMatchObject({ 'Tags.member.2.Value': 'anna_müller_' });
  });

  test('beyond the rate people are told to come again, and Usher itself is not', async () => {
    const access = accessWith({ stsPerSecond: 1 });
    const asks = Array.from({ length: 8 }, (_, n) => access.signingSession(target(), person(`person_${n}`)));
    const outcomes = await Promise.allSettled(asks);
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(8);
    for (const { reason } of refused)
      expect(reason).toMatchObject({ kind: 'quota', code: 'too_many_requests', retryAfterSeconds: 2 });
    const more = Array.from({ length: 8 }, (_, n) =>
      access.signingSession(target(), { login: `broker_${n}`, sessionName: 'usher' }),
    );
    expect(await Promise.all(more)).toHaveLength(8);
  });
});
