/** STS, request signatures and login tokens of the stand-in, through the real AWS SDK. */
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import type { AssumeRoleCommandInput } from '@aws-sdk/client-sts';
import { Signer } from '@aws-sdk/rds-signer';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startAws } from '../../local/aws/server.ts';
import type { AwsStandIn } from '../../local/aws/server.ts';

const account = '123456789012';
const connectRole = `arn:aws:iam::${account}:role/usher/connect`;
const dbuser = (user: string) => `arn:aws:rds-db:eu-west-1:${account}:dbuser:cluster-ABC/${user}`;
const allow = (Action: string | string[], Resource?: string, extra: object = {}) => ({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action, ...(Resource === undefined ? {} : { Resource }), ...extra }],
});
const trustAccount = (actions: string[]) =>
  allow(actions, undefined, { Principal: { AWS: `arn:aws:iam::${account}:root` } });
const trustActions = ['sts:AssumeRole', 'sts:SetSourceIdentity', 'sts:TagSession'];

interface Keys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

let aws: AwsStandIn;
let now: Date | undefined;
let broker: Keys;
const open: STSClient[] = [];

beforeAll(async () => {
  aws = await startAws({ now: () => now ?? new Date() });
  aws.iam.createUser('broker');
  broker = aws.iam.createAccessKey('broker');
  aws.iam.putInline(aws.iam.user('broker'), 'assume', allow('sts:*', '*'));
  aws.iam.createRole('connect', trustAccount(trustActions), { path: '/usher/' });
  aws.iam.putInline(aws.iam.role('connect'), 'connect', allow(['rds-db:connect', 'sts:*'], '*'));
});
beforeEach(() => {
  now = undefined;
});
afterAll(async () => {
  for (const client of open) client.destroy();
  await aws.close();
});

function sts(credentials: Keys): STSClient {
  const client = new STSClient({ endpoint: aws.url, region: aws.region, credentials, maxAttempts: 1 });
  open.push(client);
  return client;
}

async function assume(input: Partial<AssumeRoleCommandInput> = {}, as: Keys = broker) {
  const command = new AssumeRoleCommand({ RoleArn: connectRole, RoleSessionName: 'alice', ...input });
  const answer = await sts(as).send(command);
  const { AccessKeyId = '', SecretAccessKey = '', SessionToken = '', Expiration } = answer.Credentials ?? {};
  const keys = { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken };
  return { answer, keys, expiresAt: Expiration };
}

const refused = (name: string, message: string | RegExp = '') =>
  expect.objectContaining({ name, message: expect.stringMatching(message) });

describe('request signatures', () => {
  const whoAmI = (credentials: Keys) => sts(credentials).send(new GetCallerIdentityCommand({}));

  test('a user is known by its key', async () => {
    expect(await whoAmI(broker)).toMatchObject({ Arn: `arn:aws:iam::${account}:user/broker`, Account: account });
  });

  test('an unknown key, a wrong secret and a foreign session token are refused', async () => {
    await expect(whoAmI({ ...broker, accessKeyId: 'AKIAUNKNOWN' })).rejects.toEqual(refused('InvalidClientTokenId'));
    await expect(whoAmI({ ...broker, secretAccessKey: 'x' })).rejects.toEqual(refused('SignatureDoesNotMatch'));
    await expect(whoAmI({ ...broker, sessionToken: 'x' })).rejects.toEqual(refused('InvalidClientTokenId'));
    const { keys } = await assume();
    const { sessionToken, ...without } = keys;
    await expect(whoAmI(without)).rejects.toEqual(refused('InvalidClientTokenId'));
    await expect(whoAmI({ ...keys, sessionToken: `${sessionToken.slice(0, -1)}x` })).rejects.toEqual(
      refused('InvalidClientTokenId'),
    );
  });

  test('an inactive key is refused', async () => {
    aws.iam.createUser('idle');
    const key = aws.iam.createAccessKey('idle');
    key.status = 'Inactive';
    await expect(whoAmI(key)).rejects.toEqual(refused('InvalidClientTokenId'));
  });

  test('a request is good for 15 minutes, a session until its end', async () => {
    const { keys } = await assume({ DurationSeconds: 900 });
    now = new Date(Date.now() + 16 * 60_000);
    await expect(whoAmI(broker)).rejects.toEqual(refused('RequestExpired'));
    now = new Date(Date.now() - 16 * 60_000);
    await expect(whoAmI(broker)).rejects.toEqual(refused('RequestExpired'));
    now = new Date(Date.now() + 14 * 60_000);
    expect((await whoAmI(keys)).Arn).toContain('assumed-role/connect/alice');
    now = new Date(Date.now() + 905_000);
    const late = new STSClient({
      endpoint: aws.url,
      region: aws.region,
      credentials: keys,
      maxAttempts: 1,
      systemClockOffset: 900_000,
    });
    open.push(late);
    await expect(late.send(new GetCallerIdentityCommand({}))).rejects.toEqual(refused('ExpiredToken'));
  });

  test('an unsigned request, and one whose body was changed on the way', async () => {
    const unsigned = await fetch(aws.url, { method: 'POST', body: 'Action=GetCallerIdentity' });
    expect([unsigned.status, await unsigned.text()]).toEqual([
      403,
      expect.stringContaining('MissingAuthenticationToken'),
    ]);
    const client = sts(broker);
    client.middlewareStack.add(
      (next) => (args) => {
        Object.assign(args.request as object, { body: 'Action=GetCallerIdentity&Version=2011-06-16' });
        return next(args);
      },
      { step: 'finalizeRequest', priority: 'low' },
    );
    await expect(client.send(new GetCallerIdentityCommand({}))).rejects.toEqual(refused('SignatureDoesNotMatch'));
  });
});

describe('AssumeRole', () => {
  test('names the person in the session, in the trail and in the source identity', async () => {
    const { answer, keys } = await assume({
      RoleSessionName: 'alice@example.com',
      SourceIdentity: 'alice@example.com',
      Tags: [{ Key: 'grant', Value: 'g1' }],
      Policy: JSON.stringify(allow('rds-db:connect', dbuser('alice'))),
    });
    expect(answer.AssumedRoleUser?.Arn).toBe(`arn:aws:sts::${account}:assumed-role/connect/alice@example.com`);
    expect(answer.SourceIdentity).toBe('alice@example.com');
    expect(answer.PackedPolicySize).toBeGreaterThan(0);
    expect(keys.accessKeyId).toMatch(/^ASIA[A-Z2-7]{16}$/);
    expect(keys.sessionToken.length).toBeGreaterThan(600);
    expect(aws.trail.events('AssumeRole').at(-1)).toMatchObject({
      principalArn: `arn:aws:iam::${account}:user/broker`,
      errorCode: undefined,
      requestParameters: { RoleSessionName: 'alice@example.com', SourceIdentity: 'alice@example.com' },
    });
  });

  test.each<[string, Partial<AssumeRoleCommandInput>, string, RegExp]>([
    [
      'a name of one character',
      { RoleSessionName: 'a' },
      'ValidationError',
      /roleSessionName.*greater than or equal to 2/,
    ],
    ['a name of 65', { RoleSessionName: 'a'.repeat(65) }, 'ValidationError', /less than or equal to 64/],
    ['a name with a blank', { RoleSessionName: 'a b' }, 'ValidationError', /pattern/],
    ['a source identity with a slash', { SourceIdentity: 'a/b' }, 'ValidationError', /sourceIdentity/],
    ['899 s', { DurationSeconds: 899 }, 'ValidationError', /900/],
    ['more than the role allows', { DurationSeconds: 3601 }, 'ValidationError', /MaxSessionDuration/],
    [
      'a policy of 2,049 characters',
      { Policy: JSON.stringify(allow('a:b', '*')).padEnd(2049) },
      'ValidationError',
      /2048/,
    ],
    ['a policy that is none', { Policy: '{"Version":"2012-10-17"}' }, 'MalformedPolicyDocumentException', /Syntax/],
    ['a role that is not there', { RoleArn: `arn:aws:iam::${account}:role/none` }, 'AccessDenied', /sts:AssumeRole/],
    ['a role without its path', { RoleArn: `arn:aws:iam::${account}:role/connect` }, 'AccessDenied', /role\/connect/],
  ])('%s is refused', async (_what, input, name, message) => {
    await expect(assume(input)).rejects.toEqual(refused(name, message));
  });

  test('a policy of 2,048 characters is taken', async () => {
    const Policy = JSON.stringify(allow('a:b', '*')).padEnd(2048);
    expect((await assume({ Policy })).answer.PackedPolicySize).toBe(100);
  });

  test('source identity and tags need a trust policy that says so', async () => {
    aws.iam.createRole('bare', trustAccount(['sts:AssumeRole']));
    const RoleArn = `arn:aws:iam::${account}:role/bare`;
    await expect(assume({ RoleArn, SourceIdentity: 'alice' })).rejects.toEqual(
      refused('AccessDenied', 'sts:SetSourceIdentity'),
    );
    await expect(assume({ RoleArn, Tags: [{ Key: 'a', Value: 'b' }] })).rejects.toEqual(
      refused('AccessDenied', 'sts:TagSession'),
    );
    expect((await assume({ RoleArn })).keys.accessKeyId).toMatch(/^ASIA/);
  });

  test('the account is trusted, but a caller without permission is not', async () => {
    aws.iam.createUser('nobody');
    const nobody = aws.iam.createAccessKey('nobody');
    await expect(assume({}, nobody)).rejects.toEqual(
      refused('AccessDenied', `User: arn:aws:iam::${account}:user/nobody is not authorized to perform: sts:AssumeRole`),
    );
  });

  test('a chained session lasts an hour at most and keeps its source identity', async () => {
    aws.iam.createRole('second', trustAccount(trustActions), { maxSessionSeconds: 7200 });
    const RoleArn = `arn:aws:iam::${account}:role/second`;
    const { keys } = await assume({ SourceIdentity: 'alice' });
    await expect(assume({ RoleArn, DurationSeconds: 3601 }, keys)).rejects.toEqual(
      refused('ValidationError', 'role chaining'),
    );
    await expect(assume({ RoleArn, SourceIdentity: 'bob' }, keys)).rejects.toEqual(refused('AccessDenied'));
    expect((await assume({ RoleArn, DurationSeconds: 3600 }, keys)).answer.SourceIdentity).toBe('alice');
    expect((await assume({ RoleArn, DurationSeconds: 7200 })).answer.AssumedRoleUser?.Arn).toContain('second');
  });
});

describe('login tokens of the SDK signer', () => {
  const login = { host: 'localhost', port: 5432, user: 'alice', region: 'eu-west-1', resourceId: 'cluster-ABC' };
  const sign = (credentials: Keys, username = 'alice') =>
    new Signer({ hostname: 'localhost', port: 5432, username, region: 'eu-west-1', credentials }).getAuthToken();
  const forAlice = { Policy: JSON.stringify(allow('rds-db:connect', dbuser('alice'))) };

  test('a session narrowed to one user logs that user in, and no other', async () => {
    const { keys } = await assume(forAlice);
    const token = await sign(keys);
    const principal = `arn:aws:sts::${account}:assumed-role/connect/alice`;
    expect(aws.verifyToken(token, login)).toEqual({ ok: true, principal });
    expect(aws.verifyToken(await sign(keys, 'bob'), { ...login, user: 'bob' })).toMatchObject({
      code: 'NotAuthorized',
    });
    expect(aws.verifyToken(token, { ...login, resourceId: 'cluster-XYZ' })).toMatchObject({ code: 'NotAuthorized' });
    for (const other of [{ host: 'other' }, { port: 5433 }, { user: 'bob' }, { region: 'us-east-1' }])
      expect(aws.verifyToken(token, { ...login, ...other })).toMatchObject({ code: 'InvalidToken' });
  });

  test('the session policy cannot give what the role has not', async () => {
    aws.iam.createRole('powerless', trustAccount(['sts:AssumeRole']));
    const { keys } = await assume({ RoleArn: `arn:aws:iam::${account}:role/powerless`, ...forAlice });
    expect(aws.verifyToken(await sign(keys), login)).toMatchObject({ code: 'NotAuthorized' });
  });

  test('a user signs while a policy is attached, and not after', async () => {
    const user = aws.iam.createUser('alice');
    const token = await sign(aws.iam.createAccessKey('alice'));
    expect(aws.verifyToken(token, login)).toMatchObject({ code: 'NotAuthorized' });
    aws.iam.putInline(
      user,
      'connect',
      allow('rds-db:connect', `arn:aws:rds-db:eu-west-1:${account}:dbuser:*/\${aws:username}`),
    );
    expect(aws.verifyToken(token, login)).toMatchObject({ ok: true });
    user.inline.delete('connect');
    expect(aws.verifyToken(token, login)).toMatchObject({ code: 'NotAuthorized' });
  });

  test('a policy that asks for the address never holds, as at RDS', async () => {
    const condition = { Condition: { IpAddress: { 'aws:SourceIp': '0.0.0.0/0' } } };
    const { keys } = await assume({ Policy: JSON.stringify(allow('rds-db:connect', dbuser('alice'), condition)) });
    expect(aws.verifyToken(await sign(keys), login)).toMatchObject({ code: 'NotAuthorized' });
  });

  test('when the role is deleted, its sessions lose every right, even if it is made anew', async () => {
    const role = aws.iam.createRole('brief', trustAccount(['sts:AssumeRole']));
    aws.iam.putInline(role, 'connect', allow('rds-db:connect', '*'));
    const { keys } = await assume({ RoleArn: role.arn });
    const token = await sign(keys);
    expect(aws.verifyToken(token, login)).toMatchObject({ ok: true });
    role.inline.clear();
    aws.iam.deleteRole('brief');
    aws.iam.putInline(aws.iam.createRole('brief', trustAccount(['sts:AssumeRole'])), 'connect', allow('rds-db:*', '*'));
    expect(aws.verifyToken(token, login)).toMatchObject({ code: 'NotAuthorized' });
  });
});
