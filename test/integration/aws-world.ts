import { vi } from 'vitest';
import { startAws } from '../../local/aws/server.ts';
import { accountPolicies, usualModes } from '../../src/aws/account-policies.ts';
import type { RegisteredAccount } from '../../src/aws/account-register.ts';
import { AwsAccounts } from '../../src/aws/accounts.ts';
import type { AwsConfig } from '../../src/aws/config.ts';
import { connectPolicy, dbUserArn } from '../../src/aws/connect-policy.ts';
import { IamService } from '../../src/aws/iam.service.ts';
import { RdsService } from '../../src/aws/rds.service.ts';
import { StsService } from '../../src/aws/sts.service.ts';
import { SystemClock } from '../../src/platform/clock.ts';
import { resourceId } from './aws-account.ts';

export const OTHER = '210987654321';
/** Usher's own, in the environment as well. */
export const keys = { accessKeyId: 'AKIAFAULTSFAULTSFAUL', secretAccessKey: 'faults-secret-0123456789-0123456789' };
export const externalId = 'ext-of-theirs';

/** Where the stand-ins are. */
const onThisMachine = { outboundNetworks: ['127.0.0.0/8', '::1/128'] };

interface WorldOf {
  region?: string;
  /** Milliseconds by which the time of AWS is ahead of this host's. */
  skew?: number;
  config?: Partial<AwsConfig>;
  endpoints?: RegisteredAccount['endpoints'];
}

/** Usher in one account, its roles in another by the policies that are printed; whose clock is another or the same. */
export async function world({ region = 'eu-west-1', skew = 0, config: more, endpoints = {} }: WorldOf = {}) {
  const aws = await startAws({ region, now: () => new Date(Date.now() + skew) });
  const other = aws.addAccount(OTHER);
  const usher = aws.iam.createUser('usher');
  aws.iam.createAccessKey('usher', keys);
  const partition = usher.arn.split(':')[1] ?? '';
  const place = { partition, accountId: OTHER, region };
  const roles = { brokerRole: 'usher-broker', connectRole: 'usher-connect', peoplePath: 'people/' };
  const printed = accountPolicies({ ...place, ...roles, usherArn: usher.arn, externalId }, usualModes);
  aws.iam.putInline(usher, 'printed', { ...printed.usher });
  const broker = other.iam.createRole('usher-broker', { ...printed.brokerTrust });
  other.iam.putInline(broker, 'printed', { ...printed.broker });
  const connect = other.iam.createRole('usher-connect', { ...printed.connectTrust });
  other.iam.putInline(connect, 'printed', { ...printed.connect });
  const registered: RegisteredAccount = {
    ...{ id: 'other', accountId: OTHER, name: 'other', partition, connectRole: null, enabled: true, endpoints },
    ...{ brokerRoleArn: broker.arn, externalId, regions: [region] },
  };
  const config: AwsConfig = {
    endpointUrl: aws.url,
    connectRoleName: 'usher-connect',
    maxAttempts: 2,
    ...onThisMachine,
    ...more,
  };
  const register = { all: () => Promise.resolve([registered]) };
  const accounts = new AwsAccounts(config, register, new SystemClock());
  const [sts, iam, rds] = [new StsService(config, accounts), new IamService(accounts), new RdsService(accounts)];
  const dbUser = (user: string) => dbUserArn({ ...place, resourceId, user });
  return {
    ...{ aws, other, broker, connect, place, sts, iam, rds, dbUser },
    assumed: () => aws.trail.events('AssumeRole').filter(({ requestParameters: p }) => p['RoleArn'] === broker.arn),
    session: () => {
      const who = { sessionName: 'alice', sourceIdentity: 'alice' };
      return sts.assumeConnectRole({ ...place, ...who, policy: connectPolicy([dbUser('alice')]) });
    },
    look: async () => {
      for await (const page of rds.clusters(place)) return page;
      return [];
    },
    user: (name: string) => other.iam.createUser(name, { path: '/people/' }),
    close: async () => {
      for (const service of [sts, iam, rds]) service.onApplicationShutdown();
      await aws.close();
    },
  };
}
export type World = Awaited<ReturnType<typeof world>>;

/** So that the SDK finds these keys and no others. */
export function ownKeys(): void {
  vi.stubEnv('AWS_ACCESS_KEY_ID', keys.accessKeyId);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', keys.secretAccessKey);
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  vi.stubEnv('AWS_SESSION_TOKEN', undefined);
  vi.stubEnv('AWS_PROFILE', undefined);
}
