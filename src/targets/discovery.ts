import { createHash } from 'node:crypto';
import type { RdsCluster, RdsInstance, RdsProxy, RdsProxyEndpoint, RdsTags } from '../aws/rds.contract.js';
import type { EndpointKind } from './targets.contract.js';

/** One address of a database as AWS tells it; the fields of an endpoint of a target. */
export interface FoundEndpoint {
  readonly kind: `${EndpointKind}`;
  readonly connectHost: string;
  /** The name that tokens are signed for: of a custom endpoint the writer's, for AWS cannot sign for the custom name. */
  readonly tokenHost: string;
  readonly port: number;
}

/** An instance of a database, or the database itself where it is one instance. */
export interface FoundMember {
  readonly identifier: string;
  readonly instanceClass: string;
  readonly status: string;
  readonly writer: boolean;
  readonly caIdentifier: string | null;
  /** End of the server certificate, ISO 8601. */
  readonly certificateValidTill: string | null;
}

/** A database as AWS describes it. Kept as JSON, and compared as such: times are text, lists are sorted. */
export interface DiscoveredFacts {
  readonly kind: 'aurora-cluster' | 'rds-instance' | 'rds-proxy';
  readonly identifier: string;
  readonly arn: string;
  /** `DbClusterResourceId` of clusters, `DbiResourceId` of instances in no cluster, the `prx-…` of proxies. */
  readonly resourceId: string;
  readonly partition: string;
  readonly accountId: string;
  readonly region: string;
  readonly engine: string;
  readonly engineVersion: string;
  readonly engineMode: string | null;
  readonly status: string;
  readonly iamAuthentication: boolean;
  readonly masterUser: string | null;
  readonly databaseName: string | null;
  /** Of the writer; certificates are per instance, see `members`. */
  readonly caIdentifier: string | null;
  /** The first of its server certificates to end. */
  readonly certificateValidTill: string | null;
  readonly endpoints: readonly FoundEndpoint[];
  readonly members: readonly FoundMember[];
  readonly tags: RdsTags;
}

/** Region, partition and account come from the ARN. Host names are no source: in China the service stands before the region. */
export function placeOf(arn: string): { partition: string; region: string; accountId: string } {
  const [, partition = '', , region = '', accountId = ''] = arn.split(':');
  return { partition, region, accountId };
}

/** What of an instance its cluster needs: a few hundred bytes, so that those of a whole region can be held. */
export type ClusterMember = Pick<RdsInstance, 'identifier' | 'endpoint'> & { readonly member: FoundMember };

export const clusterMember = (instance: RdsInstance): ClusterMember => ({
  identifier: instance.identifier,
  endpoint: instance.endpoint,
  member: memberOf(instance, false),
});

const memberOf = (instance: RdsInstance, writer: boolean): FoundMember => ({
  identifier: instance.identifier,
  instanceClass: instance.instanceClass,
  status: instance.status,
  writer,
  caIdentifier: instance.certificate?.caIdentifier ?? null,
  certificateValidTill: instance.certificate?.validTill?.toISOString() ?? null,
});

/** An Aurora or Multi-AZ cluster with the instances that belong to it. */
export function fromCluster(
  cluster: RdsCluster,
  instances: readonly ClusterMember[],
  customHosts: readonly string[],
): DiscoveredFacts {
  const { port } = cluster;
  const writers = new Set(cluster.members.filter(({ writer }) => writer).map(({ identifier }) => identifier));
  const sorted = instances.toSorted((a, b) => (a.identifier < b.identifier ? -1 : 1));
  const members = sorted.map(({ member }) => ({ ...member, writer: writers.has(member.identifier) }));
  const endpoint = (kind: FoundEndpoint['kind'], connectHost: string, tokenHost = connectHost, at = port) => ({
    kind,
    connectHost,
    tokenHost,
    port: at,
  });
  const { endpoint: writerHost } = cluster;
  return {
    ...common(cluster),
    kind: 'aurora-cluster',
    engineMode: cluster.engineMode,
    caIdentifier: cluster.certificate?.caIdentifier ?? authorityOf(members),
    certificateValidTill: cluster.certificate?.validTill?.toISOString() ?? firstEnd(members),
    endpoints: [
      ...(writerHost === null ? [] : [endpoint('writer', writerHost)]),
      ...(cluster.readerEndpoint === null ? [] : [endpoint('reader', cluster.readerEndpoint)]),
      ...(writerHost === null ? [] : [...customHosts].sort().map((host) => endpoint('custom', host, writerHost))),
      ...sorted.flatMap(({ endpoint: own }) =>
        own === null ? [] : [endpoint('instance', own.host, own.host, own.port)],
      ),
    ],
    members,
  };
}

/** An instance that is in no cluster, read replicas included. */
export function fromInstance(instance: RdsInstance): DiscoveredFacts {
  const member = memberOf(instance, true);
  const { endpoint } = instance;
  return {
    ...common(instance),
    kind: 'rds-instance',
    engineMode: null,
    caIdentifier: member.caIdentifier,
    certificateValidTill: member.certificateValidTill,
    endpoints:
      endpoint === null
        ? []
        : [{ kind: 'instance', connectHost: endpoint.host, tokenHost: endpoint.host, port: endpoint.port }],
    members: [member],
  };
}

/** RDS gives proxies no port: for PostgreSQL it is always this one. */
const PROXY_PORT = 5432;

/**
 * A proxy. Roles are made on the database behind it, whose writable endpoint is therefore one of its own; without it the
 * proxy cannot be registered.
 */
export function fromProxy(
  proxy: RdsProxy,
  more: { endpoints: readonly RdsProxyEndpoint[]; behind: DiscoveredFacts | undefined; tags: RdsTags },
): DiscoveredFacts {
  const hosts = [
    ...(proxy.endpoint === null ? [] : [proxy.endpoint]),
    ...more.endpoints.map(({ host }) => host).sort(),
  ];
  const { behind } = more;
  return {
    ...placeOf(proxy.arn),
    kind: 'rds-proxy',
    identifier: proxy.name,
    arn: proxy.arn,
    resourceId: proxy.resourceId,
    engine: behind?.engine ?? 'postgres',
    engineVersion: behind?.engineVersion ?? '',
    engineMode: null,
    status: proxy.status,
    iamAuthentication: behind?.iamAuthentication ?? false,
    masterUser: behind?.masterUser ?? null,
    databaseName: behind?.databaseName ?? null,
    caIdentifier: behind?.caIdentifier ?? null,
    certificateValidTill: behind?.certificateValidTill ?? null,
    endpoints: [
      ...[...new Set(hosts)].map((host) => ({
        kind: 'proxy' as const,
        connectHost: host,
        tokenHost: host,
        port: PROXY_PORT,
      })),
      ...(behind?.endpoints.filter(({ kind }) => kind === 'writer' || kind === 'instance').slice(0, 1) ?? []),
    ],
    members: [],
    tags: more.tags,
  };
}

const common = (of: RdsCluster | RdsInstance) => ({
  ...placeOf(of.arn),
  identifier: of.identifier,
  arn: of.arn,
  resourceId: of.resourceId,
  engine: of.engine,
  engineVersion: of.engineVersion,
  status: of.status,
  iamAuthentication: of.iamAuthentication,
  masterUser: of.masterUser,
  databaseName: of.databaseName,
  tags: of.tags,
});

const authorityOf = (members: readonly FoundMember[]): string | null =>
  (members.find(({ writer }) => writer) ?? members[0])?.caIdentifier ?? null;

const firstEnd = (members: readonly FoundMember[]): string | null =>
  members
    .map(({ certificateValidTill }) => certificateValidTill ?? '')
    .filter((end) => end !== '')
    .sort()[0] ?? null;

/** Whether a tag filter lets it through: every tag named is there, with that value. */
export const hasTags = (facts: DiscoveredFacts, wanted: RdsTags): boolean =>
  Object.entries(wanted).every(([key, value]) => facts.tags[key] === value);

/** The same for what is the same, whatever order AWS answered in. */
export function fingerprintOf(facts: DiscoveredFacts): string {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, one]) => [key, sorted(one)]),
    );
  };
  return createHash('sha256')
    .update(JSON.stringify(sorted(facts)))
    .digest('base64url');
}
