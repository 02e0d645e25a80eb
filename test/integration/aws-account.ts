import { inspect } from 'node:util';
import { vi } from 'vitest';
import { startAws } from '../../local/aws/server.ts';
import type { AwsStandIn } from '../../local/aws/server.ts';
import type { RegisteredAccount } from '../../src/aws/account-register.ts';
import { AwsAccounts } from '../../src/aws/accounts.ts';
import type { AwsConfig } from '../../src/aws/config.ts';
import { connectPolicy, dbUserArn } from '../../src/aws/connect-policy.ts';
import type { PolicyDocument } from '../../src/aws/connect-policy.ts';
import { SystemClock } from '../../src/platform/clock.ts';
import { DomainError } from '../../src/platform/errors.ts';

export const partition = 'aws';
export const resourceId = 'cluster-ABCDEFGHIJKL01234';
const host = 'orders.cluster-abc.eu-west-1.rds.amazonaws.com';

/** An account with Usher's own user, whose keys are in the environment, and its connect role. */
export interface BrokerAccount {
  readonly aws: AwsStandIn;
  readonly config: AwsConfig;
  /** Where nothing is registered: Usher's own account alone. */
  readonly accounts: AwsAccounts;
  /** What must never be printed. */
  readonly secrets: string[];
  policyFor: (...users: string[]) => PolicyDocument;
  close(): Promise<void>;
}

export const login = (user: string) => ({ host, port: 5432, region: 'eu-west-1', user });

export const startBrokerAccount = async (): Promise<BrokerAccount> => {
  const aws = await startAws();
  const { region, accountId } = aws;
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
  vi.stubEnv('AWS_ACCESS_KEY_ID', key.accessKeyId);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', key.secretAccessKey);
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  vi.stubEnv('AWS_SESSION_TOKEN', undefined);
  vi.stubEnv('AWS_PROFILE', undefined);
  const config: AwsConfig = { endpointUrl: aws.url, connectRoleName: 'usher-connect', timeoutMs: 3_000 };
  return {
    aws,
    config,
    accounts: accountsOf(config),
    secrets: [key.secretAccessKey],
    policyFor: (...users) =>
      connectPolicy(users.map((user) => dbUserArn({ partition, region, accountId, resourceId, user }))),
    close: async () => {
      vi.unstubAllEnvs();
      await aws.close();
    },
  };
};

/** The ways into these accounts, and into the one that the keys belong to. */
export const accountsOf = (config: AwsConfig, registered: readonly RegisteredAccount[] = []): AwsAccounts =>
  new AwsAccounts(config, { all: () => Promise.resolve(registered) }, new SystemClock());

/** The refusal, after looking that neither it nor its cause prints a secret. */
export const refusalOf = async (attempt: Promise<unknown>, secrets: readonly string[]): Promise<DomainError> => {
  const thrown: unknown = await attempt.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof DomainError)) throw new Error('expected a DomainError', { cause: thrown });
  const print = inspect(thrown, { depth: 20, showHidden: true }) + JSON.stringify(thrown);
  for (const secret of secrets) if (print.includes(secret)) throw new Error('the refusal prints a secret');
  return thrown;
};
