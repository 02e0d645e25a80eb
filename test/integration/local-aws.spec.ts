import { CreateUserCommand, GetUserCommand, IAMClient, PutUserPolicyCommand } from '@aws-sdk/client-iam';
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { Signer } from '@aws-sdk/rds-signer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAws } from '../../local/aws/server.ts';
import type { AwsStandIn } from '../../local/aws/server.ts';

const account = '123456789012';
let aws: AwsStandIn;
let operator: { accessKeyId: string; secretAccessKey: string };
beforeAll(async () => {
  aws = await startAws();
  aws.iam.createUser('operator');
  operator = aws.iam.createAccessKey('operator');
  aws.iam.putInline(aws.iam.user('operator'), 'all', {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }],
  });
});
afterAll(() => aws.close());

describe('smoke', () => {
  test('who am I, assume, sign, verify', async () => {
    const config = { endpoint: aws.url, region: aws.region, credentials: operator };
    const sts = new STSClient(config);
    expect((await sts.send(new GetCallerIdentityCommand({}))).Arn).toBe(`arn:aws:iam::${account}:user/operator`);
    aws.iam.createRole('connect', {
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Action: ['sts:AssumeRole', 'sts:SetSourceIdentity', 'sts:TagSession'],
          Principal: { AWS: `arn:aws:iam::${account}:root` },
        },
      ],
    });
    aws.iam.putInline(aws.iam.role('connect'), 'connect', {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 'rds-db:connect', Resource: '*' }],
    });
    const { Credentials } = await sts.send(
      new AssumeRoleCommand({
        RoleArn: `arn:aws:iam::${account}:role/connect`,
        RoleSessionName: 'alice',
        SourceIdentity: 'alice',
        Policy: JSON.stringify({
          Version: '2012-10-17',
          Statement: [
            {
              Effect: 'Allow',
              Action: 'rds-db:connect',
              Resource: `arn:aws:rds-db:eu-west-1:${account}:dbuser:cluster-ABC/alice`,
            },
          ],
        }),
      }),
    );
    const signer = new Signer({
      hostname: 'localhost',
      port: 5432,
      username: 'alice',
      region: 'eu-west-1',
      credentials: {
        accessKeyId: Credentials?.AccessKeyId ?? '',
        secretAccessKey: Credentials?.SecretAccessKey ?? '',
        sessionToken: Credentials?.SessionToken ?? '',
      },
    });
    const token = await signer.getAuthToken();
    const login = { host: 'localhost', port: 5432, user: 'alice', region: 'eu-west-1', resourceId: 'cluster-ABC' };
    expect(aws.verifyToken(token, login)).toEqual({
      ok: true,
      principal: `arn:aws:sts::${account}:assumed-role/connect/alice`,
    });
    const iam = new IAMClient(config);
    await iam.send(new CreateUserCommand({ UserName: 'x' }));
    await iam.send(new GetUserCommand({ UserName: 'x' }));
    await iam.send(
      new PutUserPolicyCommand({
        UserName: 'x',
        PolicyName: 'p',
        PolicyDocument:
          '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"rds-db:connect","Resource":"*"}]}',
      }),
    );
  });
});
