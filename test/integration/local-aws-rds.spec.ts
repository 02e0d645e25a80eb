/** RDS, Secrets Manager, CA bundles and faults of the stand-in, through the real SDK. */
import {
  DescribeCertificatesCommand,
  DescribeDBClusterEndpointsCommand,
  DescribeDBClustersCommand,
  DescribeDBInstancesCommand,
  DescribeDBProxiesCommand,
  ListTagsForResourceCommand,
  paginateDescribeDBInstances,
  RDSClient,
} from '@aws-sdk/client-rds';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAws } from '../../local/aws/server.ts';
import type { AwsStandIn } from '../../local/aws/server.ts';

const account = '123456789012';
let aws: AwsStandIn;
let rds: RDSClient;
let elsewhere: RDSClient;
let secrets: SecretsManagerClient;

beforeAll(async () => {
  aws = await startAws();
  aws.iam.putInline(aws.iam.createUser('reader'), 'read', {
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Action: ['rds:Describe*', 'rds:ListTagsForResource'], Resource: '*' },
      {
        Effect: 'Allow',
        Action: 'secretsmanager:GetSecretValue',
        Resource: `arn:aws:secretsmanager:*:${account}:secret:usher/*`,
      },
    ],
  });
  const config = {
    endpoint: aws.url,
    region: aws.region,
    credentials: aws.iam.createAccessKey('reader'),
    maxAttempts: 1,
  };
  rds = new RDSClient(config);
  elsewhere = new RDSClient({ ...config, region: 'us-east-1' });
  secrets = new SecretsManagerClient(config);
  seed();
});
afterAll(async () => {
  for (const client of [rds, elsewhere, secrets]) client.destroy();
  await aws.close();
});

function seed(): void {
  aws.rds.addCluster({
    identifier: 'orders',
    resourceId: 'cluster-ORDERS',
    endpoint: 'orders.cluster-x.eu-west-1.rds.amazonaws.com',
    readerEndpoint: 'orders.cluster-ro-x.eu-west-1.rds.amazonaws.com',
    customEndpoints: [{ identifier: 'reports', address: 'reports.cluster-custom-x.eu-west-1.rds.amazonaws.com' }],
    port: 5432,
    engineVersion: '17.4',
    iamAuthentication: true,
    tags: { team: 'orders' },
  });
  for (const name of ['orders-1', 'orders-2'])
    aws.rds.addInstance({
      identifier: name,
      resourceId: `db-${name}`,
      engine: 'aurora-postgresql',
      engineVersion: '17.4',
      clusterIdentifier: 'orders',
      endpoint: { address: `${name}.x.eu-west-1.rds.amazonaws.com`, port: 5432 },
    });
  for (let n = 0; n < 48; n++)
    aws.rds.addInstance({ identifier: `many-${n}`, resourceId: `db-${n}`, engineVersion: '15.8', engine: 'mysql' });
  aws.rds.addInstance({ identifier: 'far', resourceId: 'db-far', engineVersion: '16.4', region: 'us-east-1' });
  aws.rds.addProxy({ name: 'front', resourceId: 'prx-1', endpoint: 'front.proxy-x.eu-west-1.rds.amazonaws.com' });
  aws.rds.addCertificate({
    identifier: 'rds-ca-rsa2048-g1',
    validFrom: new Date('2021-05-21T22:00:00Z'),
    validTill: new Date('2061-05-21T23:00:00Z'),
    thumbprint: 'ab'.repeat(20),
  });
}

const refused = (name: string, message = '') =>
  expect.objectContaining({ name: expect.stringContaining(name), message: expect.stringContaining(message) });

describe('clusters, instances, proxies', () => {
  test('a cluster with its members, endpoints and tags', async () => {
    const { DBClusters } = await rds.send(new DescribeDBClustersCommand({ DBClusterIdentifier: 'Orders' }));
    expect(DBClusters).toEqual([
      expect.objectContaining({
        DBClusterArn: `arn:aws:rds:eu-west-1:${account}:cluster:orders`,
        DbClusterResourceId: 'cluster-ORDERS',
        Endpoint: 'orders.cluster-x.eu-west-1.rds.amazonaws.com',
        CustomEndpoints: ['reports.cluster-custom-x.eu-west-1.rds.amazonaws.com'],
        Port: 5432,
        IAMDatabaseAuthenticationEnabled: true,
        TagList: [{ Key: 'team', Value: 'orders' }],
      }),
    ]);
    expect(
      DBClusters?.[0]?.DBClusterMembers?.map((member) => [member.DBInstanceIdentifier, member.IsClusterWriter]),
    ).toEqual([
      ['orders-1', true],
      ['orders-2', false],
    ]);
    const { DBClusterEndpoints } = await rds.send(
      new DescribeDBClusterEndpointsCommand({ DBClusterIdentifier: 'orders' }),
    );
    expect(DBClusterEndpoints?.map((endpoint) => endpoint.EndpointType)).toEqual(['WRITER', 'READER', 'CUSTOM']);
  });

  test('pages of 20, until the last', async () => {
    const sizes: (number | undefined)[] = [];
    for await (const page of paginateDescribeDBInstances({ client: rds, pageSize: 20 }, {}))
      sizes.push(page.DBInstances?.length);
    expect(sizes).toEqual([20, 20, 10]);
    await expect(rds.send(new DescribeDBInstancesCommand({ MaxRecords: 5 }))).rejects.toEqual(
      refused('InvalidParameterValue', '20'),
    );
    await expect(rds.send(new DescribeDBInstancesCommand({ Marker: 'x' }))).rejects.toEqual(
      refused('InvalidParameterValue', 'Marker'),
    );
  });

  test('filters, and the unknown one', async () => {
    const named = async (Name: string, ...Values: string[]) => {
      const { DBInstances } = await rds.send(new DescribeDBInstancesCommand({ Filters: [{ Name, Values }] }));
      return DBInstances?.map((instance) => instance.DBInstanceIdentifier);
    };
    expect(await named('db-cluster-id', 'orders')).toEqual(['orders-1', 'orders-2']);
    expect(await named('dbi-resource-id', 'db-7', 'db-9')).toEqual(['many-7', 'many-9']);
    expect(await named('engine', 'postgres')).toEqual([]);
    await expect(named('colour', 'red')).rejects.toEqual(refused('InvalidParameterValue', 'colour'));
  });

  test('a region knows its own', async () => {
    const { DBInstances } = await elsewhere.send(new DescribeDBInstancesCommand({}));
    expect(DBInstances?.map((instance) => instance.DBInstanceArn)).toEqual([`arn:aws:rds:us-east-1:${account}:db:far`]);
  });

  test('an instance still being created has no endpoint', async () => {
    const { DBInstances } = await rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: 'many-1' }));
    expect(DBInstances?.[0]).not.toHaveProperty('Endpoint');
  });

  test('what is not there', async () => {
    await expect(rds.send(new DescribeDBClustersCommand({ DBClusterIdentifier: 'x' }))).rejects.toEqual(
      refused('DBClusterNotFoundFault'),
    );
    await expect(rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: 'x' }))).rejects.toEqual(
      refused('DBInstanceNotFound'),
    );
    await expect(rds.send(new DescribeDBProxiesCommand({ DBProxyName: 'x' }))).rejects.toEqual(
      refused('DBProxyNotFoundFault'),
    );
    await expect(rds.send(new DescribeCertificatesCommand({ CertificateIdentifier: 'x' }))).rejects.toEqual(
      refused('CertificateNotFound'),
    );
  });

  test('proxies, certificates, tags', async () => {
    const { DBProxies } = await rds.send(new DescribeDBProxiesCommand({}));
    expect(DBProxies?.[0]).toMatchObject({
      DBProxyArn: `arn:aws:rds:eu-west-1:${account}:db-proxy:prx-1`,
      RequireTLS: true,
    });
    const { Certificates, DefaultCertificateForNewLaunches } = await rds.send(new DescribeCertificatesCommand({}));
    expect(DefaultCertificateForNewLaunches).toBe('rds-ca-rsa2048-g1');
    expect(Certificates?.[0]?.ValidTill).toEqual(new Date('2061-05-21T23:00:00Z'));
    const ResourceName = `arn:aws:rds:eu-west-1:${account}:cluster:orders`;
    expect((await rds.send(new ListTagsForResourceCommand({ ResourceName }))).TagList).toEqual([
      { Key: 'team', Value: 'orders' },
    ]);
  });
});

describe('secrets', () => {
  test('are read by name and by ARN, where the policy allows', async () => {
    const arn = aws.secrets.put('usher/broker', 's3cret');
    for (const SecretId of ['usher/broker', arn])
      expect(await secrets.send(new GetSecretValueCommand({ SecretId }))).toMatchObject({
        ARN: arn,
        SecretString: 's3cret',
        VersionStages: ['AWSCURRENT'],
        CreatedDate: expect.any(Date),
      });
    aws.secrets.put('other', 'x');
    await expect(secrets.send(new GetSecretValueCommand({ SecretId: 'other' }))).rejects.toEqual(
      refused('AccessDeniedException'),
    );
    await expect(secrets.send(new GetSecretValueCommand({ SecretId: 'usher/none' }))).rejects.toEqual(
      refused('ResourceNotFoundException'),
    );
  });
});

describe('CA bundles', () => {
  test('are served to anybody at their path, and nothing else is', async () => {
    const url = aws.bundles.addBundle('eu-west-1/eu-west-1-bundle.pem', '-----BEGIN CERTIFICATE-----\n');
    const response = await fetch(url);
    expect([response.status, await response.text()]).toEqual([200, '-----BEGIN CERTIFICATE-----\n']);
    expect((await fetch(`${aws.url}/trust/eu-west-1/none.pem`)).status).toBe(404);
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(404);
  });
});

describe('faults', () => {
  const describeAll = () => rds.send(new DescribeDBProxiesCommand({}));
  test('throttling and 5xx strike the calls they name, as often as asked', async () => {
    aws.faults.throttle(1, { service: 'rds', action: 'DescribeDBProxies' });
    aws.faults.fail(1, { service: 'iam' });
    await rds.send(new DescribeCertificatesCommand({}));
    await expect(describeAll()).rejects.toEqual(refused('Throttling', 'Rate exceeded'));
    await describeAll();
    aws.faults.clear();
    aws.faults.fail(1);
    await expect(describeAll()).rejects.toEqual(refused('ServiceUnavailable'));
    await describeAll();
  });

  test('a lost answer leaves the effect', async () => {
    aws.faults.fail(1, {}, 'after');
    const before = aws.trail.events('DescribeDBProxies').length;
    await expect(describeAll()).rejects.toEqual(refused('ServiceUnavailable'));
    expect(aws.trail.events('DescribeDBProxies').length).toBe(before + 1);
  });
});
