import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AwsStandIn } from '../../local/aws/server.ts';
import type { AwsConfig } from '../../src/aws/config.ts';
import { IamService } from '../../src/aws/iam.service.ts';
import { SigningCredentials } from '../../src/aws/secret.ts';
import { SignerService } from '../../src/aws/signer.service.ts';
import { login, refusalOf as refusalWithout, resourceId, startBrokerAccount } from './aws-account.ts';
import type { BrokerAccount } from './aws-account.ts';

const policyName = 'usher-grant-1';

let account: BrokerAccount;
let aws: AwsStandIn;
let config: AwsConfig;
let accountId: string;
let policyFor: BrokerAccount['policyFor'];
let iam: IamService;

const refusalOf = (attempt: Promise<unknown>) => refusalWithout(attempt, account.secrets);
const userArn = (name: string) => `arn:aws:iam::${accountId}:user/people/${name}`;

beforeAll(async () => {
  account = await startBrokerAccount();
  ({ aws, config, policyFor } = account);
  ({ accountId } = aws);
  iam = new IamService(config);
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
