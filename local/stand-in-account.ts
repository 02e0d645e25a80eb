/** The AWS account of the stand-in: what an administrator would have set up in IAM before Usher is started. */
import { X509Certificate } from 'node:crypto';
import type { AwsStandIn } from './aws/server.ts';
import type { RdsInstance } from './rds/instance.ts';

export interface AccessKeys {
  accessKeyId: string;
  secretAccessKey: string;
}

export const ACCOUNT = '123456789012';
export const REGION = 'eu-west-1';
export const CONNECT_ROLE = 'usher-connect';
export const CA_IDENTIFIER = 'rds-ca-rsa2048-g1';
/** Attached mode: the IAM user that is alice's own. */
export const ALICE_ARN = `arn:aws:iam::${ACCOUNT}:user/people/alice`;

const policy = (...Statement: Readonly<Record<string, unknown>>[]) => ({ Version: '2012-10-17', Statement });
const assume = ['sts:AssumeRole', 'sts:SetSourceIdentity', 'sts:TagSession'];
const people = ['user', 'role'].map((kind) => `arn:aws:iam::${ACCOUNT}:${kind}/people/*`);

/** Only what Usher does, on nobody but the people. */
const servicePolicy = policy(
  { Effect: 'Allow', Action: assume, Resource: `arn:aws:iam::${ACCOUNT}:role/${CONNECT_ROLE}` },
  {
    Effect: 'Allow',
    Action: ['User', 'Role']
      .flatMap((kind) => [
        `iam:Get${kind}`,
        `iam:List${kind}Policies`,
        `iam:Get${kind}Policy`,
        `iam:Put${kind}Policy`,
        `iam:Delete${kind}Policy`,
        `iam:ListAttached${kind}Policies`,
        `iam:Attach${kind}Policy`,
        `iam:Detach${kind}Policy`,
      ])
      .concat('iam:SimulatePrincipalPolicy'),
    Resource: people,
  },
  {
    Effect: 'Allow',
    Action: ['Create', 'Delete'].flatMap((what) => [`iam:${what}Policy`, `iam:${what}PolicyVersion`]),
    Resource: `arn:aws:iam::${ACCOUNT}:policy/usher/*`,
  },
  {
    Effect: 'Allow',
    Action: ['iam:GetPolicyVersion', 'iam:ListPolicyVersions'],
    Resource: `arn:aws:iam::${ACCOUNT}:policy/usher/*`,
  },
  { Effect: 'Allow', Action: 'iam:ListPolicies', Resource: '*' },
  { Effect: 'Allow', Action: 'rds:DownloadDBLogFilePortion', Resource: `arn:aws:rds:*:${ACCOUNT}:db:*` },
  {
    Effect: 'Allow',
    Action: ['logs:DescribeLogStreams', 'logs:GetLogEvents'],
    Resource: `arn:aws:logs:*:${ACCOUNT}:log-group:/aws/rds/*`,
  },
  { Effect: 'Allow', Action: ['iam:GetAccountSummary', 'rds:Describe*', 'rds:ListTagsForResource'], Resource: '*' },
);

/** Makes Usher's own user, the role it assumes to sign tokens, and alice's user, which may do nothing at all. */
export function createPrincipals({ iam }: AwsStandIn): { service: AccessKeys; alice: AccessKeys } {
  const service = iam.createUser('usher-service');
  iam.putInline(service, 'usher-service', servicePolicy);
  const connect = iam.createRole(
    CONNECT_ROLE,
    policy({ Effect: 'Allow', Principal: { AWS: service.arn }, Action: assume }),
    { maxSessionSeconds: 3600, description: 'Signs login tokens; each session is narrowed to one database user' },
  );
  iam.putInline(
    connect,
    'connect',
    policy({
      Effect: 'Allow',
      Action: 'rds-db:connect',
      Resource: `arn:aws:rds-db:${REGION}:${ACCOUNT}:dbuser:*/*`,
    }),
  );
  iam.createUser('alice', { path: '/people/' });
  return { service: keysOf(iam.createAccessKey('usher-service')), alice: keysOf(iam.createAccessKey('alice')) };
}

const keysOf = ({ accessKeyId, secretAccessKey }: AccessKeys): AccessKeys => ({ accessKeyId, secretAccessKey });

interface DescribedDatabase {
  rds: RdsInstance;
  registration: { target: { engineVersion: string } };
}

/** What the RDS API says of the two databases and of the authority that signs their certificates. */
export function describeDatabases(
  { rds }: AwsStandIn,
  databases: { orders: DescribedDatabase; billing: DescribedDatabase },
  caPem: string,
): void {
  const {
    orders: { rds: orders, registration: ofOrders },
    billing: { rds: billing, registration: ofBilling },
  } = databases;
  const ca = new X509Certificate(caPem);
  const [writer, reader] = orders.endpoints;
  rds.addCertificate({
    identifier: CA_IDENTIFIER,
    validFrom: new Date(ca.validFrom),
    validTill: new Date(ca.validTo),
    thumbprint: ca.fingerprint.replaceAll(':', '').toLowerCase(),
  });
  const common = { iamAuthentication: true, caIdentifier: CA_IDENTIFIER, status: 'available' };
  rds.addCluster({
    identifier: 'orders',
    resourceId: orders.resourceId,
    endpoint: 'localhost',
    readerEndpoint: 'localhost',
    port: writer?.port ?? 0,
    engineVersion: ofOrders.target.engineVersion,
    iamAuthentication: true,
    masterUsername: orders.master.user,
    databaseName: 'orders',
    members: ['orders-1', 'orders-2'],
    status: 'available',
  });
  [writer, reader].forEach((endpoint, i) =>
    rds.addInstance({
      ...common,
      identifier: `orders-${i + 1}`,
      resourceId: `db-ORDERSMEMBER${i + 1}`,
      endpoint: { address: 'localhost', port: endpoint?.port ?? 0 },
      engine: 'aurora-postgresql',
      engineVersion: ofOrders.target.engineVersion,
      clusterIdentifier: 'orders',
    }),
  );
  rds.addInstance({
    ...common,
    identifier: 'billing',
    resourceId: billing.resourceId,
    endpoint: { address: 'localhost', port: billing.endpoints[0]?.port ?? 0 },
    engineVersion: ofBilling.target.engineVersion,
    masterUsername: billing.master.user,
    databaseName: 'billing',
  });
}
