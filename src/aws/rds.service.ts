import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import {
  DescribeDBClustersCommand,
  DescribeDBEngineVersionsCommand,
  DescribeDBInstancesCommand,
  ListTagsForResourceCommand,
  ModifyDBClusterCommand,
  ModifyDBInstanceCommand,
  paginateDescribeDBClusterEndpoints,
  paginateDescribeDBClusterParameters,
  paginateDescribeDBClusters,
  paginateDescribeDBInstances,
  paginateDescribeDBParameters,
  paginateDescribeDBProxies,
  paginateDescribeDBProxyEndpoints,
  paginateDescribeDBProxyTargets,
  type Parameter,
  RDSClient,
} from '@aws-sdk/client-rds';
import { AccountClients, AwsAccounts } from './accounts.js';
import { askAws, awsFault } from './aws-fault.js';
import {
  clusterOf,
  customEndpointOf,
  instanceOf,
  POSTGRES_ENGINES,
  proxyEndpointOf,
  proxyOf,
  tagsOf,
} from './rds-answers.js';
import type {
  RdsCluster,
  RdsCustomEndpoint,
  RdsEngineVersion,
  RdsInstance,
  RdsPlace,
  RdsProxy,
  RdsProxyEndpoint,
  RdsProxyTarget,
  RdsTags,
} from './rds.contract.js';

/** What is changed of a database, and how: by its identifier, as the RDS API wants it. */
export interface RdsDatabase {
  readonly kind: 'cluster' | 'instance';
  readonly identifier: string;
}

/** The most that one page may hold. */
const PAGE = 100;
/** Discovery reads in the background: it may wait out a throttled minute, where a person's call may not. */
const ATTEMPTS = 10;
/** A parameter group has some 400 parameters; Usher knows a handful. */
type Parameters = ReadonlyMap<string, string>;

const postgresOnly = [{ Name: 'engine', Values: [...POSTGRES_ENGINES] }];
const onDatabases = ({ accountId, region }: RdsPlace): string => `the databases of ${accountId} in ${region}`;

/**
 * What RDS says of the databases of one account and region, page by page: nothing is held beyond the page that is read.
 * Other engines than PostgreSQL are left out, on the wire where RDS can filter and here in any case.
 * Every method throws DomainError `aws_denied`, `aws_unavailable` or `account_not_registered`.
 */
@Injectable()
export class RdsService implements OnApplicationShutdown {
  readonly #clients: AccountClients<RDSClient>;

  constructor(private readonly accounts: AwsAccounts) {
    const build = (settings: ConstructorParameters<typeof RDSClient>[0]): RDSClient =>
      new RDSClient({ ...settings, maxAttempts: ATTEMPTS });
    this.#clients = new AccountClients(accounts, 'rds', build);
  }

  /** Where discovery looks: the regions of every registered account that is enabled. */
  async places(): Promise<RdsPlace[]> {
    const enabled = (await this.accounts.all()).filter((account) => account.enabled);
    return enabled.flatMap(({ partition, accountId, regions }) =>
      regions.map((region) => ({ partition, accountId, region })),
    );
  }

  async *clusters(place: RdsPlace): AsyncGenerator<RdsCluster[]> {
    const pages = paginateDescribeDBClusters(await this.#pages(place), { Filters: postgresOnly });
    for await (const page of asked('rds:DescribeDBClusters', place, pages)) yield known(page.DBClusters, clusterOf);
  }

  async *instances(place: RdsPlace): AsyncGenerator<RdsInstance[]> {
    const pages = paginateDescribeDBInstances(await this.#pages(place), { Filters: postgresOnly });
    for await (const page of asked('rds:DescribeDBInstances', place, pages)) yield known(page.DBInstances, instanceOf);
  }

  /** Custom endpoints of all clusters; the writer's and reader's stand with their cluster. */
  async *customEndpoints(place: RdsPlace): AsyncGenerator<RdsCustomEndpoint[]> {
    const Filters = [{ Name: 'db-cluster-endpoint-type', Values: ['custom'] }];
    const pages = paginateDescribeDBClusterEndpoints(await this.#pages(place), { Filters });
    for await (const page of asked('rds:DescribeDBClusterEndpoints', place, pages))
      yield known(page.DBClusterEndpoints, customEndpointOf);
  }

  async *proxies(place: RdsPlace): AsyncGenerator<RdsProxy[]> {
    const pages = paginateDescribeDBProxies(await this.#pages(place), {});
    for await (const page of asked('rds:DescribeDBProxies', place, pages)) yield known(page.DBProxies, proxyOf);
  }

  /** Of all proxies, also of those before other engines; the default one of each is among them or not, as AWS likes. */
  async *proxyEndpoints(place: RdsPlace): AsyncGenerator<RdsProxyEndpoint[]> {
    const pages = paginateDescribeDBProxyEndpoints(await this.#pages(place), {});
    for await (const page of asked('rds:DescribeDBProxyEndpoints', place, pages))
      yield known(page.DBProxyEndpoints, proxyEndpointOf);
  }

  /** The cluster or instance behind a proxy; undefined while none is registered with it. */
  async proxyTarget(place: RdsPlace, proxyName: string): Promise<RdsProxyTarget | undefined> {
    const pages = paginateDescribeDBProxyTargets(await this.#pages(place), { DBProxyName: proxyName });
    let instance: string | undefined;
    for await (const page of asked('rds:DescribeDBProxyTargets', place, pages))
      for (const target of page.Targets ?? []) {
        const cluster = target.Type === 'TRACKED_CLUSTER' ? target.RdsResourceId : target.TrackedClusterId;
        if (cluster) return { cluster };
        if (target.Type === 'RDS_INSTANCE') instance ??= target.RdsResourceId;
      }
    return instance === undefined ? undefined : { instance };
  }

  /** The tags of one resource: of proxies RDS tells them in no other way. */
  async tags(place: RdsPlace, arn: string): Promise<RdsTags> {
    const client = await this.#clients.in(place);
    const command = new ListTagsForResourceCommand({ ResourceName: arn });
    return tagsOf((await askAws({ action: 'rds:ListTagsForResource', on: arn }, () => client.send(command))).TagList);
  }

  /** A cluster by its resource id, which a rename does not change. */
  async cluster(place: RdsPlace, resourceId: string): Promise<RdsCluster | undefined> {
    const client = await this.#clients.in(place);
    const Filters = [{ Name: 'db-cluster-resource-id', Values: [resourceId] }];
    const answer = await askAws({ action: 'rds:DescribeDBClusters', on: resourceId }, () =>
      client.send(new DescribeDBClustersCommand({ Filters })),
    );
    return known(answer.DBClusters, clusterOf).find((found) => found.resourceId === resourceId);
  }

  /** An instance by its resource id, or all instances of a cluster by the cluster's identifier. */
  async instancesOf(
    place: RdsPlace,
    by: { readonly resourceId: string } | { readonly clusterIdentifier: string },
  ): Promise<RdsInstance[]> {
    const client = await this.#clients.in(place);
    const [Name, value] =
      'resourceId' in by ? ['dbi-resource-id', by.resourceId] : ['db-cluster-id', by.clusterIdentifier];
    const answer = await askAws({ action: 'rds:DescribeDBInstances', on: value }, () =>
      client.send(new DescribeDBInstancesCommand({ Filters: [{ Name, Values: [value] }] })),
    );
    return known(answer.DBInstances, instanceOf);
  }

  async engineVersion(place: RdsPlace, engine: string, version: string): Promise<RdsEngineVersion | undefined> {
    const client = await this.#clients.in(place);
    const command = new DescribeDBEngineVersionsCommand({ Engine: engine, EngineVersion: version });
    const call = { action: 'rds:DescribeDBEngineVersions', on: `${engine} ${version}` };
    const [found] = (await askAws(call, () => client.send(command))).DBEngineVersions ?? [];
    return found === undefined
      ? undefined
      : {
          authorities: found.SupportedCACertificateIdentifiers ?? [],
          rotatesWithoutRestart: found.SupportsCertificateRotationWithoutRestart ?? false,
        };
  }

  /** Values that a parameter group sets. One that is not there has the engine's default: only the server knows it. */
  async parameters(
    place: RdsPlace,
    group: { readonly kind: RdsDatabase['kind']; readonly name: string },
  ): Promise<Parameters> {
    const config = await this.#pages(place);
    const [action, pages] =
      group.kind === 'cluster'
        ? ([
            'rds:DescribeDBClusterParameters',
            paginateDescribeDBClusterParameters(config, { DBClusterParameterGroupName: group.name }),
          ] as const)
        : ([
            'rds:DescribeDBParameters',
            paginateDescribeDBParameters(config, { DBParameterGroupName: group.name }),
          ] as const);
    const values = new Map<string, string>();
    for await (const page of asked<{ Parameters?: Parameter[] | undefined }>(action, place, pages))
      for (const { ParameterName, ParameterValue } of page.Parameters ?? [])
        if (ParameterName !== undefined && ParameterValue !== undefined) values.set(ParameterName, ParameterValue);
    return values;
  }

  /** Switches IAM database authentication on, at once; no restart is needed. Safe to repeat. */
  async enableIamAuthentication(place: RdsPlace, { kind, identifier }: RdsDatabase): Promise<void> {
    const client = await this.#clients.in(place);
    const change = { EnableIAMDatabaseAuthentication: true, ApplyImmediately: true };
    if (kind === 'cluster')
      await askAws({ action: 'rds:ModifyDBCluster', on: identifier }, () =>
        client.send(new ModifyDBClusterCommand({ DBClusterIdentifier: identifier, ...change })),
      );
    else
      await askAws({ action: 'rds:ModifyDBInstance', on: identifier }, () =>
        client.send(new ModifyDBInstanceCommand({ DBInstanceIdentifier: identifier, ...change })),
      );
  }

  onApplicationShutdown(): void {
    this.#clients.destroy();
  }

  async #pages(place: RdsPlace): Promise<{ client: RDSClient; pageSize: number; stopOnSameToken: true }> {
    return { client: await this.#clients.in(place), pageSize: PAGE, stopOnSameToken: true };
  }
}

/** Pages as they come, with failures told as refusals. */
async function* asked<P>(action: string, place: RdsPlace, pages: AsyncIterable<P>): AsyncGenerator<P> {
  try {
    yield* pages;
  } catch (thrown) {
    throw awsFault(thrown, { action, on: onDatabases(place) });
  }
}

const known = <A, T>(answers: readonly A[] | undefined, read: (answer: A) => T | undefined): T[] =>
  (answers ?? []).map(read).filter((one) => one !== undefined);
