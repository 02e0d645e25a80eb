/** The databases that the RDS API describes. Tests and the demo add them; nothing here creates a real one. */
import { partitionOf } from './arn.ts';

export type Tags = Readonly<Record<string, string>>;

export interface ClusterSeed {
  readonly identifier: string;
  /** `cluster-…` */
  readonly resourceId: string;
  /** Absent while the cluster is being created. */
  readonly endpoint?: string;
  readonly readerEndpoint?: string;
  readonly customEndpoints?: readonly { identifier: string; address: string; staticMembers?: readonly string[] }[];
  readonly port: number;
  readonly engineVersion: string;
  /** Default `aurora-postgresql`. */
  readonly engine?: string;
  /** Default `provisioned`; `serverless` is Aurora Serverless v1. */
  readonly engineMode?: string;
  /** Default `default.{engine}`. */
  readonly parameterGroup?: string;
  /** Of Multi-AZ DB clusters alone: Aurora tells it of each instance. */
  readonly caIdentifier?: string;
  readonly certificateValidTill?: Date;
  readonly iamAuthentication?: boolean;
  readonly masterUsername?: string;
  readonly databaseName?: string;
  /** Instance identifiers; the first is the writer. */
  readonly members?: readonly string[];
  readonly status?: string;
  readonly tags?: Tags;
  /** Default: the stand-in's. */
  readonly region?: string;
}

export interface InstanceSeed {
  readonly identifier: string;
  /** `db-…` */
  readonly resourceId: string;
  /** Absent while the instance is being created. */
  readonly endpoint?: { readonly address: string; readonly port: number };
  readonly engineVersion: string;
  /** Default `postgres`. */
  readonly engine?: string;
  readonly instanceClass?: string;
  /** Default `default.{engine}`. */
  readonly parameterGroup?: string;
  readonly iamAuthentication?: boolean;
  readonly masterUsername?: string;
  readonly databaseName?: string;
  readonly clusterIdentifier?: string;
  /** Default `rds-ca-rsa2048-g1`. */
  readonly caIdentifier?: string;
  readonly certificateValidTill?: Date;
  readonly status?: string;
  /** Of its server, on this machine; absent: it has no log files. */
  readonly logDirectory?: string;
  readonly tags?: Tags;
  readonly region?: string;
}

export interface ProxySeed {
  readonly name: string;
  /** `prx-…`, the last part of the ARN. */
  readonly resourceId: string;
  readonly endpoint: string;
  readonly requireTls?: boolean;
  readonly defaultAuthScheme?: 'IAM_AUTH' | 'NONE';
  /** Default `POSTGRESQL`. */
  readonly engineFamily?: string;
  /** Beside the default one. */
  readonly endpoints?: readonly { name: string; address: string; role?: 'READ_WRITE' | 'READ_ONLY' }[];
  /** Identifier of the cluster, or of the instance, that stands behind it. */
  readonly cluster?: string;
  readonly instance?: string;
  readonly status?: string;
  readonly tags?: Tags;
  readonly region?: string;
}

export interface CertificateSeed {
  readonly identifier: string;
  readonly validFrom: Date;
  readonly validTill: Date;
  /** SHA-1 of the certificate, hex. */
  readonly thumbprint: string;
  readonly region?: string;
}

export interface EngineVersion {
  readonly engine: string;
  readonly version: string;
  readonly authorities: readonly string[];
  readonly rotatesWithoutRestart: boolean;
}

interface Placed {
  readonly arn: string;
  readonly region: string;
}
export type Cluster = ClusterSeed & Placed;
export type Instance = InstanceSeed & Placed;
export type Proxy = ProxySeed & Placed;
export type Certificate = CertificateSeed & Placed;

export class RdsStore {
  readonly accountId: string;
  readonly region: string;
  readonly clusters: Cluster[] = [];
  readonly instances: Instance[] = [];
  readonly proxies: Proxy[] = [];
  readonly certificates: Certificate[] = [];
  readonly engineVersions: EngineVersion[] = [];
  /** By name; a parameter that is not there has the engine's default, of which the API says no value. */
  readonly parameterGroups = new Map<string, Readonly<Record<string, string>>>();

  constructor(accountId: string, region: string) {
    this.accountId = accountId;
    this.region = region;
  }

  /** @param type `cluster`, `db`, `db-proxy`, `cert` or `cluster-endpoint` */
  arn(region: string, type: string, id: string): string {
    return `arn:${partitionOf(region)}:rds:${region}:${this.accountId}:${type}:${id}`;
  }

  addCluster(seed: ClusterSeed): Cluster {
    const region = seed.region ?? this.region;
    return push(this.clusters, { ...seed, region, arn: this.arn(region, 'cluster', seed.identifier) });
  }

  addInstance(seed: InstanceSeed): Instance {
    const region = seed.region ?? this.region;
    return push(this.instances, { ...seed, region, arn: this.arn(region, 'db', seed.identifier) });
  }

  addProxy(seed: ProxySeed): Proxy {
    const region = seed.region ?? this.region;
    return push(this.proxies, { ...seed, region, arn: this.arn(region, 'db-proxy', seed.resourceId) });
  }

  /** What a change of the resource leaves behind: a rename keeps the resource id, and has another ARN. */
  changeCluster(resourceId: string, change: Partial<ClusterSeed>): void {
    replace(this.clusters, resourceId, (found) => {
      const changed = { ...found, ...change };
      return { ...changed, arn: this.arn(changed.region, 'cluster', changed.identifier) };
    });
  }

  changeInstance(resourceId: string, change: Partial<InstanceSeed>): void {
    replace(this.instances, resourceId, (found) => {
      const changed = { ...found, ...change };
      return { ...changed, arn: this.arn(changed.region, 'db', changed.identifier) };
    });
  }

  /** Takes a cluster, instance or proxy away, by its resource id. */
  remove(resourceId: string): void {
    for (const list of [this.clusters, this.instances, this.proxies]) {
      const at = list.findIndex((one) => one.resourceId === resourceId);
      if (at >= 0) list.splice(at, 1);
    }
  }

  addCertificate(seed: CertificateSeed): Certificate {
    const region = seed.region ?? this.region;
    return push(this.certificates, { ...seed, region, arn: this.arn(region, 'cert', seed.identifier) });
  }
}

function replace<T extends { readonly resourceId: string }>(
  list: T[],
  resourceId: string,
  change: (found: T) => T,
): void {
  const at = list.findIndex((one) => one.resourceId === resourceId);
  const found = list[at];
  if (found === undefined) throw new Error(`the stand-in has no ${resourceId}`);
  list[at] = change(found);
}

function push<T>(list: T[], entry: T): T {
  list.push(entry);
  return entry;
}
