/** IAM of the stand-in through the real SDK: quotas, versions, conflicts, and the caller's own permissions. */
import {
  AttachRolePolicyCommand,
  AttachUserPolicyCommand,
  CreateAccessKeyCommand,
  CreatePolicyCommand,
  CreatePolicyVersionCommand,
  CreateRoleCommand,
  CreateUserCommand,
  DeletePolicyCommand,
  DeletePolicyVersionCommand,
  DeleteRoleCommand,
  DeleteUserCommand,
  DeleteUserPolicyCommand,
  DetachUserPolicyCommand,
  GetAccountSummaryCommand,
  GetPolicyVersionCommand,
  GetRoleCommand,
  GetUserCommand,
  GetUserPolicyCommand,
  IAMClient,
  ListAttachedUserPoliciesCommand,
  ListPoliciesCommand,
  ListPolicyVersionsCommand,
  ListUserPoliciesCommand,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
  SetDefaultPolicyVersionCommand,
  SimulatePrincipalPolicyCommand,
} from '@aws-sdk/client-iam';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAws } from '../../local/aws/server.ts';
import type { AwsStandIn } from '../../local/aws/server.ts';

const account = '123456789012';
const arn = (rest: string) => `arn:aws:iam::${account}:${rest}`;
const statement = (Action: string, Resource: string | string[], Effect = 'Allow') => ({ Effect, Action, Resource });
const document = (...Statement: object[]) => JSON.stringify({ Version: '2012-10-17', Statement });
const connect = (user: string) =>
  document(statement('rds-db:connect', `arn:aws:rds-db:eu-west-1:${account}:dbuser:*/${user}`));
const trust = document({ Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { AWS: account } });

/** A valid policy of exactly so many characters that count, and some whitespace that does not. */
function sized(characters: number): string {
  const empty = document(statement('rds-db:connect', 'arn:aws:rds-db:::'));
  const padded = document(statement('rds-db:connect', `arn:aws:rds-db:::${'x'.repeat(characters - empty.length)}`));
  return padded.replaceAll(',', ' ,\n');
}

let aws: AwsStandIn;
let iam: IAMClient;
const clients: IAMClient[] = [];
function clientOf(userName: string): IAMClient {
  const credentials = aws.iam.createAccessKey(userName);
  const client = new IAMClient({ endpoint: aws.url, region: 'us-east-1', credentials, maxAttempts: 1 });
  clients.push(client);
  return client;
}
beforeAll(async () => {
  aws = await startAws();
  aws.iam.putInline(aws.iam.createUser('operator'), 'all', document(statement('*', '*')));
  iam = clientOf('operator');
});
afterAll(async () => {
  for (const client of clients) client.destroy();
  await aws.close();
});
const refused = (name: string, message = '') =>
  expect.objectContaining({ name: expect.stringContaining(name), message: expect.stringContaining(message) });

describe('users, roles and inline policies', () => {
  test('a user comes, holds a policy, and goes', async () => {
    const { User } = await iam.send(
      new CreateUserCommand({ UserName: 'ann', Path: '/people/', Tags: [{ Key: 'a', Value: 'b&<' }] }),
    );
    expect(User).toMatchObject({ Arn: arn('user/people/ann'), Path: '/people/', Tags: [{ Key: 'a', Value: 'b&<' }] });
    await expect(iam.send(new CreateUserCommand({ UserName: 'Ann' }))).rejects.toEqual(refused('EntityAlreadyExists'));
    const policy = { UserName: 'ann', PolicyName: 'usher' };
    await iam.send(new PutUserPolicyCommand({ ...policy, PolicyDocument: connect('ann') }));
    expect(decodeURIComponent((await iam.send(new GetUserPolicyCommand(policy))).PolicyDocument ?? '')).toBe(
      connect('ann'),
    );
    expect((await iam.send(new ListUserPoliciesCommand({ UserName: 'ann' }))).PolicyNames).toEqual(['usher']);
    await expect(iam.send(new DeleteUserCommand({ UserName: 'ann' }))).rejects.toEqual(
      refused('DeleteConflict', 'policies'),
    );
    await iam.send(new DeleteUserPolicyCommand(policy));
    await expect(iam.send(new DeleteUserPolicyCommand(policy))).rejects.toEqual(refused('NoSuchEntity', 'usher'));
    await iam.send(new DeleteUserCommand({ UserName: 'ann' }));
    await expect(iam.send(new GetUserCommand({ UserName: 'ann' }))).rejects.toEqual(refused('NoSuchEntity', 'ann'));
  });

  test('a role keeps its trust policy', async () => {
    await iam.send(
      new CreateRoleCommand({ RoleName: 'r1', AssumeRolePolicyDocument: trust, MaxSessionDuration: 7200 }),
    );
    const { Role } = await iam.send(new GetRoleCommand({ RoleName: 'r1' }));
    expect(Role).toMatchObject({ Arn: arn('role/r1'), MaxSessionDuration: 7200 });
    expect(decodeURIComponent(Role?.AssumeRolePolicyDocument ?? '')).toBe(trust);
    await iam.send(new DeleteRoleCommand({ RoleName: 'r1' }));
    await expect(iam.send(new GetRoleCommand({ RoleName: 'r1' }))).rejects.toEqual(refused('NoSuchEntity'));
  });

  test('the quota of a user is 2,048 over all its inline policies, whitespace not counted', async () => {
    aws.iam.createUser('quota');
    const put = (PolicyName: string, size: number) =>
      iam.send(new PutUserPolicyCommand({ UserName: 'quota', PolicyName, PolicyDocument: sized(size) }));
    await put('one', 1024);
    await put('two', 1024);
    await expect(put('three', 200)).rejects.toEqual(refused('LimitExceeded', '2048'));
    await expect(put('two', 1025)).rejects.toEqual(refused('LimitExceeded', '2048'));
    await put('two', 824);
    await put('three', 200);
  });

  test('the quota of a role is 10,240', async () => {
    aws.iam.createRole('quota', trust);
    const put = (size: number) =>
      iam.send(new PutRolePolicyCommand({ RoleName: 'quota', PolicyName: 'one', PolicyDocument: sized(size) }));
    await put(10_240);
    await expect(put(10_241)).rejects.toEqual(refused('LimitExceeded', '10240'));
  });

  test('a malformed policy changes nothing', async () => {
    const user = aws.iam.createUser('mal');
    const put = new PutUserPolicyCommand({
      UserName: 'mal',
      PolicyName: 'p',
      PolicyDocument: document(statement('connect', '*')),
    });
    await expect(iam.send(put)).rejects.toEqual(refused('MalformedPolicyDocument', 'vendor'));
    expect(user.inline.size).toBe(0);
  });

  test('the roles of Identity Center cannot be changed', async () => {
    const RoleName = 'AWSReservedSSO_Dev_0123456789abcdef';
    aws.iam.createRole(RoleName, trust, { path: '/aws-reserved/sso.amazonaws.com/' });
    const put = new PutRolePolicyCommand({ RoleName, PolicyName: 'p', PolicyDocument: connect('x') });
    await expect(iam.send(put)).rejects.toEqual(refused('UnmodifiableEntity', 'only modifiable by AWS'));
    const managed = aws.iam.createPolicy('for-sso', connect('x'));
    const attach = new AttachRolePolicyCommand({ RoleName, PolicyArn: managed.arn });
    await expect(iam.send(attach)).rejects.toEqual(refused('UnmodifiableEntity'));
  });
});

describe('managed policies', () => {
  test('five versions, the default stays, the numbers are not used again', async () => {
    const { Policy } = await iam.send(
      new CreatePolicyCommand({ PolicyName: 'v', Path: '/rds-broker/', PolicyDocument: connect('v1') }),
    );
    const PolicyArn = Policy?.Arn ?? '';
    expect(PolicyArn).toBe(arn('policy/rds-broker/v'));
    const add = (user: string, SetAsDefault: boolean) =>
      iam.send(new CreatePolicyVersionCommand({ PolicyArn, PolicyDocument: connect(user), SetAsDefault }));
    for (const user of ['v2', 'v3', 'v4', 'v5']) await add(user, user === 'v5');
    await expect(add('v6', true)).rejects.toEqual(refused('LimitExceeded', 'up to 5 versions'));
    const drop = (VersionId: string) => iam.send(new DeletePolicyVersionCommand({ PolicyArn, VersionId }));
    await expect(drop('v5')).rejects.toEqual(refused('DeleteConflict', 'default version'));
    await drop('v1');
    expect((await add('v6', false)).PolicyVersion?.VersionId).toBe('v6');
    const { Versions } = await iam.send(new ListPolicyVersionsCommand({ PolicyArn }));
    expect(Versions?.map((version) => `${version.VersionId}${version.IsDefaultVersion ? '*' : ''}`)).toEqual([
      'v6',
      'v5*',
      'v4',
      'v3',
      'v2',
    ]);
    await iam.send(new SetDefaultPolicyVersionCommand({ PolicyArn, VersionId: 'v2' }));
    const { PolicyVersion } = await iam.send(new GetPolicyVersionCommand({ PolicyArn, VersionId: 'v2' }));
    expect(PolicyVersion?.IsDefaultVersion).toBe(true);
    expect(decodeURIComponent(PolicyVersion?.Document ?? '')).toBe(connect('v2'));
    await expect(iam.send(new DeletePolicyCommand({ PolicyArn }))).rejects.toEqual(
      refused('DeleteConflict', 'more than one version'),
    );
  });

  test('a policy holds 6,144 characters', async () => {
    const create = (PolicyName: string, size: number) =>
      iam.send(new CreatePolicyCommand({ PolicyName, PolicyDocument: sized(size) }));
    await create('full', 6144);
    await expect(create('over', 6145)).rejects.toEqual(refused('LimitExceeded', '6144'));
  });

  test('ten attachments, listed by path and in pages', async () => {
    aws.iam.createUser('attached');
    const arns = Array.from(
      { length: 11 },
      (_, n) => aws.iam.createPolicy(`a${n}`, connect('x'), { path: n < 3 ? '/usher/' : '/' }).arn,
    );
    const attach = (PolicyArn: string) => iam.send(new AttachUserPolicyCommand({ UserName: 'attached', PolicyArn }));
    for (const one of arns.slice(0, 10)) await attach(one);
    await attach(arns[0] ?? '');
    await expect(attach(arns[10] ?? '')).rejects.toEqual(refused('LimitExceeded', 'PoliciesPerUser: 10'));
    await expect(attach(arn('policy/none'))).rejects.toEqual(refused('NoSuchEntity'));
    const list = async (input: object) =>
      iam.send(new ListAttachedUserPoliciesCommand({ UserName: 'attached', ...input }));
    expect((await list({ PathPrefix: '/usher/' })).AttachedPolicies?.map((policy) => policy.PolicyName)).toEqual([
      'a0',
      'a1',
      'a2',
    ]);
    const first = await list({ MaxItems: 7 });
    expect([first.IsTruncated, first.AttachedPolicies?.length]).toEqual([true, 7]);
    expect((await list({ MaxItems: 7, Marker: first.Marker })).AttachedPolicies?.length).toBe(3);
    await expect(iam.send(new DeletePolicyCommand({ PolicyArn: arns[0] }))).rejects.toEqual(
      refused('DeleteConflict', 'attached'),
    );
    const detach = new DetachUserPolicyCommand({ UserName: 'attached', PolicyArn: arns[0] });
    await iam.send(detach);
    await expect(iam.send(detach)).rejects.toEqual(refused('NoSuchEntity'));
    await iam.send(new DeletePolicyCommand({ PolicyArn: arns[0] }));
    const { Policies } = await iam.send(new ListPoliciesCommand({ Scope: 'Local', PathPrefix: '/usher/' }));
    expect(Policies?.map((policy) => [policy.PolicyName, policy.AttachmentCount])).toEqual([
      ['a1', 1],
      ['a2', 1],
    ]);
  });

  test('the account tells its quotas', async () => {
    const { SummaryMap } = await iam.send(new GetAccountSummaryCommand({}));
    expect(SummaryMap).toMatchObject({
      UserPolicySizeQuota: 2048,
      RolePolicySizeQuota: 10_240,
      PolicySizeQuota: 6144,
      VersionsPerPolicyQuota: 5,
      AttachedPoliciesPerUserQuota: 10,
      AttachedPoliciesPerRoleQuota: 10,
    });
  });
});

describe("the caller's own permissions", () => {
  test('a broker that is limited to a path and a boundary cannot step outside', async () => {
    const boundary = aws.iam.createPolicy('boundary', document(statement('iam:*', arn('user/people/*'))));
    const user = aws.iam.createUser('limited', { boundaryArn: boundary.arn });
    aws.iam.putInline(user, 'p', document(statement('iam:*', '*'), statement('iam:DeleteUser', '*', 'Deny')));
    const limited = clientOf('limited');
    await limited.send(new CreateUserCommand({ UserName: 'in', Path: '/people/' }));
    await expect(limited.send(new CreateUserCommand({ UserName: 'out' }))).rejects.toEqual(
      refused(
        'AccessDenied',
        `${arn('user/limited')} is not authorized to perform: iam:CreateUser on resource: ${arn('user/out')} because no permissions boundary`,
      ),
    );
    await expect(limited.send(new DeleteUserCommand({ UserName: 'in' }))).rejects.toEqual(
      refused('AccessDenied', 'explicit deny'),
    );
    expect(aws.iam.users.has('out')).toBe(false);
    expect(aws.trail.events('CreateUser').at(-1)).toMatchObject({
      errorCode: 'AccessDenied',
      principalArn: arn('user/limited'),
    });
  });

  test('a new key works at once, and a deleted user has none', async () => {
    aws.iam.createUser('keyed');
    const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: 'keyed' }));
    expect(aws.iam.credentials.find(AccessKey?.AccessKeyId ?? '')).toMatchObject({ userName: 'keyed' });
    await expect(iam.send(new DeleteUserCommand({ UserName: 'keyed' }))).rejects.toEqual(
      refused('DeleteConflict', 'access keys'),
    );
  });

  test('the simulator answers by the same evaluator', async () => {
    const user = aws.iam.createUser('sim');
    aws.iam.putInline(user, 'p', connect('${aws:username}'));
    const resource = (name: string) => `arn:aws:rds-db:eu-west-1:${account}:dbuser:cluster-ABC/${name}`;
    const { EvaluationResults } = await iam.send(
      new SimulatePrincipalPolicyCommand({
        PolicySourceArn: user.arn,
        ActionNames: ['rds-db:connect'],
        ResourceArns: [resource('sim'), resource('bob')],
      }),
    );
    expect(EvaluationResults?.map((result) => result.EvalDecision)).toEqual(['allowed', 'implicitDeny']);
  });
});
