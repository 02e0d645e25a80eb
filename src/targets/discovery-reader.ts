import type { RdsPlace, RdsProxy, RdsProxyEndpoint, RdsProxyTarget, RdsTags } from '../aws/rds.contract.js';
import type { RdsService } from '../aws/rds.service.js';
import {
  clusterMember,
  type ClusterMember,
  type DiscoveredFacts,
  fromCluster,
  fromInstance,
  fromProxy,
} from './discovery.js';

/** Proxies that are asked for their tags and targets at the same time: RDS has no call for those of many. */
const PARALLEL = 4;

interface ReadProxy {
  readonly proxy: RdsProxy;
  readonly target: RdsProxyTarget | undefined;
  readonly endpoints: readonly RdsProxyEndpoint[];
  readonly tags: RdsTags;
}

/**
 * All PostgreSQL databases of one account and region, a page of RDS at a time. Clusters, instances and custom endpoints are
 * read in bulk: the calls grow with the pages, not with the databases. Held in between are the custom endpoints, the few
 * fields of each instance that its cluster needs, and the proxies.
 * @throws DomainError `aws_denied`, `aws_unavailable`, `account_not_registered`
 */
export async function* databasesIn(rds: RdsService, place: RdsPlace): AsyncGenerator<DiscoveredFacts[]> {
  const proxies = await readProxies(rds, place);
  const behind = new BehindProxies(proxies);
  const custom = new Map<string, string[]>();
  for await (const page of rds.customEndpoints(place))
    for (const { clusterIdentifier, host } of page)
      custom.set(clusterIdentifier, [...(custom.get(clusterIdentifier) ?? []), host]);
  const members = new Map<string, ClusterMember[]>();
  for await (const page of rds.instances(place)) {
    const alone: DiscoveredFacts[] = [];
    for (const instance of page) {
      const of = instance.clusterIdentifier;
      if (of === null) alone.push(fromInstance(instance));
      else members.set(of, [...(members.get(of) ?? []), clusterMember(instance)]);
    }
    yield behind.noted(alone);
  }
  for await (const page of rds.clusters(place))
    yield behind.noted(
      page.map((cluster) => {
        const own = members.get(cluster.identifier) ?? [];
        members.delete(cluster.identifier);
        return fromCluster(cluster, own, custom.get(cluster.identifier) ?? []);
      }),
    );
  yield proxies.map((read) => fromProxy(read.proxy, { ...read, behind: behind.of(read.target) }));
}

/** Remembers the databases that stand behind proxies, while all pass by. */
class BehindProxies {
  readonly #found = new Map<string, DiscoveredFacts | undefined>();

  constructor(proxies: readonly ReadProxy[]) {
    for (const { target } of proxies) if (target) this.#found.set(keyOf(target), undefined);
  }

  noted(page: DiscoveredFacts[]): DiscoveredFacts[] {
    for (const facts of page) {
      const { kind, identifier } = facts;
      const key = keyOf(kind === 'aurora-cluster' ? { cluster: identifier } : { instance: identifier });
      if (this.#found.has(key)) this.#found.set(key, facts);
    }
    return page;
  }

  of(target: RdsProxyTarget | undefined): DiscoveredFacts | undefined {
    return target && this.#found.get(keyOf(target));
  }
}

const keyOf = (target: RdsProxyTarget): string =>
  'cluster' in target ? `cluster/${target.cluster}` : `instance/${target.instance}`;

async function readProxies(rds: RdsService, place: RdsPlace): Promise<ReadProxy[]> {
  const all: RdsProxy[] = [];
  for await (const page of rds.proxies(place)) all.push(...page);
  if (all.length === 0) return [];
  const endpoints: RdsProxyEndpoint[] = [];
  for await (const page of rds.proxyEndpoints(place)) endpoints.push(...page);
  const read: ReadProxy[] = [];
  for (let at = 0; at < all.length; at += PARALLEL) {
    const some = all.slice(at, at + PARALLEL).map(async (proxy) => ({
      proxy,
      target: await rds.proxyTarget(place, proxy.name),
      endpoints: endpoints.filter(({ proxyName, isDefault }) => proxyName === proxy.name && !isDefault),
      tags: await rds.tags(place, proxy.arn),
    }));
    read.push(...(await Promise.all(some)));
  }
  return read;
}
