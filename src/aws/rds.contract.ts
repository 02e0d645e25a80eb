/**
 * What Usher reads of the RDS API, in the words of its reference (Amazon RDS API Reference, 2014-10-31). Plain, so that no
 * other module knows a shape of the SDK. A field that AWS may leave out is null.
 */
import type { AccountPlace } from './accounts.js';

export type RdsPlace = AccountPlace;

export type RdsTags = Readonly<Record<string, string>>;

/** An Aurora cluster or a Multi-AZ DB cluster, of a PostgreSQL engine. */
export interface RdsCluster {
  readonly identifier: string;
  readonly arn: string;
  /** `DbClusterResourceId`, `cluster-…`. */
  readonly resourceId: string;
  readonly engine: string;
  readonly engineVersion: string;
  /** `serverless` is Aurora Serverless v1. */
  readonly engineMode: string | null;
  readonly status: string;
  /** Null while the cluster is being created. */
  readonly endpoint: string | null;
  readonly readerEndpoint: string | null;
  readonly port: number;
  readonly iamAuthentication: boolean;
  readonly masterUser: string | null;
  readonly databaseName: string | null;
  readonly parameterGroup: string | null;
  /** Of Multi-AZ DB clusters; of Aurora each instance tells its own. */
  readonly certificate: RdsCertificate | null;
  readonly members: readonly { readonly identifier: string; readonly writer: boolean }[];
  readonly tags: RdsTags;
}

export interface RdsInstance {
  readonly identifier: string;
  readonly arn: string;
  /** `DbiResourceId`, `db-…`. */
  readonly resourceId: string;
  readonly engine: string;
  readonly engineVersion: string;
  readonly status: string;
  readonly instanceClass: string;
  /** Null while the instance is being created. */
  readonly endpoint: { readonly host: string; readonly port: number } | null;
  /** Of an instance in a cluster the cluster's setting is the one that holds. */
  readonly iamAuthentication: boolean;
  readonly masterUser: string | null;
  readonly databaseName: string | null;
  readonly clusterIdentifier: string | null;
  readonly parameterGroup: string | null;
  readonly certificate: RdsCertificate | null;
  readonly tags: RdsTags;
}

/** The server certificate of an instance: who signed it, and when it ends. */
export interface RdsCertificate {
  readonly caIdentifier: string;
  readonly validTill: Date | null;
}

export interface RdsCustomEndpoint {
  readonly clusterIdentifier: string;
  readonly host: string;
  readonly status: string;
}

export interface RdsProxy {
  readonly name: string;
  readonly arn: string;
  /** `prx-…`, the last part of the ARN: RDS has no field for it. */
  readonly resourceId: string;
  readonly status: string;
  readonly endpoint: string | null;
  /** `IAM_AUTH`: by IAM end to end; `NONE`: the proxy logs in with passwords of its secrets. */
  readonly defaultAuthScheme: string | null;
  readonly requireTls: boolean;
}

export interface RdsProxyEndpoint {
  readonly proxyName: string;
  readonly host: string;
  readonly readOnly: boolean;
  readonly isDefault: boolean;
}

/** What stands behind a proxy, by identifier. */
export type RdsProxyTarget = { readonly cluster: string } | { readonly instance: string };

/** What one engine version allows, as `DescribeDBEngineVersions` says. */
export interface RdsEngineVersion {
  readonly authorities: readonly string[];
  readonly rotatesWithoutRestart: boolean;
}
