import { DomainError } from '../platform/errors.js';

/** An identity policy that allows `rds-db:connect` on named database users and nothing else. */
export interface PolicyDocument {
  readonly Version: '2012-10-17';
  readonly Statement: readonly [
    {
      readonly Sid: 'UsherConnect';
      readonly Effect: 'Allow';
      readonly Action: 'rds-db:connect';
      readonly Resource: readonly string[];
    },
  ];
}

export interface DbUser {
  readonly partition: string;
  readonly region: string;
  readonly accountId: string;
  /** `DbiResourceId`, `DbClusterResourceId` or the `prx-…` at the end of a proxy's ARN. */
  readonly resourceId: string;
  /** The PostgreSQL login role; its case must match. */
  readonly user: string;
}

// Only such names: `*`, `?` and `${…}` in a user name would widen the policy to other people.
const LOGIN_ROLE = /^[a-z_][a-z0-9_]{0,62}$/;
const RESERVED_LOGIN = /^(?:pg_.*|rds.*|public|none)$/;
const PARTITION = /^aws(?:-cn|-us-gov|-eusc|-iso(?:-[a-z])?)?$/;
const REGION = /^[a-z]{2,4}(?:-[a-z]+){1,2}-[0-9]{1,2}$/;
const ACCOUNT = /^[0-9]{12}$/;
const DATABASE_ID = /^(?:db|cluster)-[A-Z0-9]{1,64}$/;
const PROXY_ID = /^prx-(?!endpoint)[A-Za-z0-9]{1,64}$/;
const ARN =
  /^arn:(?<partition>[^:]+):rds-db:(?<region>[^:]+):(?<accountId>[^:]+):dbuser:(?<resourceId>[^/:]+)\/(?<user>[^/:]+)$/;

/**
 * The ARN that `rds-db:connect` is allowed on. The separator after `dbuser` is a colon; with a slash IAM denies without a word.
 * @throws DomainError invalid: `unknown_partition`, `unknown_region`, `invalid_login_name`, `reserved_login_name`, `invalid_input`
 */
export const dbUserArn = (of: DbUser): string => {
  if (!PARTITION.test(of.partition)) {
    throw new DomainError('invalid', 'unknown_partition', `"${shown(of.partition)}" is not an AWS partition.`);
  }
  if (!REGION.test(of.region)) {
    throw new DomainError('invalid', 'unknown_region', `"${shown(of.region)}" is not an AWS region.`);
  }
  if (!ACCOUNT.test(of.accountId)) {
    throw new DomainError('invalid', 'invalid_input', 'An AWS account id has 12 digits.');
  }
  refuseResourceId(of.resourceId);
  refuseLoginRole(of.user);
  return `arn:${of.partition}:rds-db:${of.region}:${of.accountId}:dbuser:${of.resourceId}/${of.user}`;
};

/**
 * The one policy shape Usher writes. Same ARNs in any order or number give the same bytes, so a diff means a change.
 * @throws DomainError invalid, also for an ARN that `dbUserArn` would not have built
 */
export const connectPolicy = (arns: readonly string[]): PolicyDocument => {
  if (arns.length === 0) throw new DomainError('invalid', 'invalid_input', 'A connect policy needs at least one ARN.');
  for (const arn of arns) refuseArn(arn);
  const Resource = [...new Set(arns)].sort();
  return {
    Version: '2012-10-17',
    Statement: [{ Sid: 'UsherConnect', Effect: 'Allow', Action: 'rds-db:connect', Resource }],
  };
};

/** Characters IAM counts against its quotas: all but white space. */
export const countedLength = (json: string): number => json.replace(/\s/g, '').length;

const refuseArn = (arn: string): void => {
  const parts = ARN.exec(arn)?.groups;
  const { partition = '', region = '', accountId = '', resourceId = '', user = '' } = parts ?? {};
  if (!parts || dbUserArn({ partition, region, accountId, resourceId, user }) !== arn) {
    throw new DomainError('invalid', 'invalid_input', `"${shown(arn)}" is not the ARN of one database user.`);
  }
};

const refuseResourceId = (id: string): void => {
  if (DATABASE_ID.test(id) || PROXY_ID.test(id)) return;
  throw new DomainError(
    'invalid',
    'invalid_input',
    `"${shown(id)}" is not an RDS resource id.`,
    'Use DbiResourceId (db-…) of an instance, DbClusterResourceId (cluster-…) of a cluster, both in upper case, or the prx-… that ends the ARN of a proxy, never prx-endpoint-….',
  );
};

const refuseLoginRole = (user: string): void => {
  if (!LOGIN_ROLE.test(user)) {
    throw new DomainError('invalid', 'invalid_login_name', `"${shown(user)}" is not a login role Usher hands out.`);
  }
  if (RESERVED_LOGIN.test(user)) {
    throw new DomainError('invalid', 'reserved_login_name', `"${user}" is reserved by PostgreSQL or RDS.`);
  }
};

/** What a caller sent, short and without control characters, to put into a message. */
const shown = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]/gu, '?').slice(0, 80);
