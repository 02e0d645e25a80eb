import { DomainError } from '../platform/errors.js';
import globalData from './rds-ca-bundles-global.json' with { type: 'json' };
import regionalData from './rds-ca-bundles.json' with { type: 'json' };

/** Where the certificates are that sign the RDS servers of one region. */
export interface TrustBundle {
  readonly region: string;
  readonly partition: string;
  readonly pemUrl: string;
  /** PKCS #7, for Windows, .NET and Java key stores. */
  readonly pkcs7Url: string | null;
  /** How sure the URLs are: `aws-docs-table…`, `inferred-url-pattern`, `configured`, … */
  readonly evidence: string;
}

/** What an operator says about a region: AWS publishes no bundle for some partitions, and a stand-in has its own. */
export interface TrustOverride {
  readonly partition?: string | undefined;
  /** https, or http on loopback. */
  readonly pem: string;
  readonly p7b?: string | undefined;
  /** PEM file for Usher's own connections, instead of fetching `pem`. */
  readonly file?: string | undefined;
}
export type TrustOverrides = Readonly<Record<string, TrustOverride>>;

interface BundleRow {
  readonly partition: string;
  readonly pem: string;
  readonly p7b: string;
  readonly evidence: string;
}
const regional: Readonly<Record<string, BundleRow>> = regionalData;
const partitions = [...new Set(Object.values(regional).map((row) => row.partition))];

/** The name under which roots of Amazon Trust are configured and mirrored, beside regions: no region is called so. */
export const AMAZON_TRUST = 'amazon-trust';

/** Amazon Trust Services, which signs RDS Proxy and Aurora Serverless v1. Roots 2 to 4 stand beside it under their numbers. */
export const AMAZON_TRUST_PEM_URL = 'https://www.amazontrust.com/repository/AmazonRootCA1.pem';

interface GlobalRow {
  readonly pem: string;
  readonly p7b: string;
  /** Present where the PKCS #7 URL has no source. */
  readonly p7b_evidence?: string;
  readonly sha256_pem: string;
  readonly certificates: number;
  readonly asOf: string;
}

/** The bundle with all regions of a partition, and what it held when it was last looked at. */
export const globalBundles: Readonly<Record<string, GlobalRow>> = globalData;

/**
 * The global bundle of one partition.
 * @throws DomainError invalid/`unknown_partition` with the setting to make
 */
export const globalBundleOf = (partition: string): GlobalRow => {
  const row = own(globalBundles, partition);
  if (row === undefined) throw unknownPartition(partition, 'each of its regions');
  return row;
};

/** Every region, sorted; configured ones replace and add. */
export const bundles = (overrides: TrustOverrides = {}): TrustBundle[] =>
  [...new Set([...Object.keys(regional), ...Object.keys(overrides)])]
    .sort()
    .map((region) => find(region, overrides))
    .filter((bundle) => bundle !== undefined);

/**
 * The bundle of one region. Never guesses a URL and never cuts a region out of a host name.
 * @throws DomainError invalid/`unknown_region` | `unknown_partition` with the setting to make
 */
export const bundleFor = (partition: string, region: string, overrides: TrustOverrides = {}): TrustBundle => {
  const bundle = find(region, overrides);
  if (bundle !== undefined && bundle.partition === partition) return bundle;
  if (!partitions.includes(partition)) throw unknownPartition(partition, `region ${named(region)}`);
  if (bundle !== undefined) {
    throw new DomainError(
      'invalid',
      'unknown_region',
      `Region ${named(region)} is in partition ${bundle.partition}, not in ${named(partition)}.`,
      'Correct the partition of the target.',
    );
  }
  throw new DomainError(
    'invalid',
    'unknown_region',
    `No CA bundle is known for region ${named(region)}.`,
    `${SETTING} region ${named(region)}.`,
  );
};

/**
 * As `bundleFor`, for callers who have only a region, as in a URL path.
 * @throws DomainError invalid/`unknown_region`
 */
export const bundleOf = (region: string, overrides: TrustOverrides = {}): TrustBundle =>
  bundleFor(find(region, overrides)?.partition ?? 'aws', region, overrides);

/** The PEM file the operator gave for the region, for Usher's own connections. */
export const bundleFile = (region: string, overrides: TrustOverrides): string | undefined =>
  own(overrides, region)?.file;

const SETTING = 'Set USHER_TRUST_BUNDLES to a JSON object with {"pem": "https://…", "p7b": "https://…"} for';

const unknownPartition = (partition: string, place: string): DomainError =>
  new DomainError(
    'invalid',
    'unknown_partition',
    `No CA bundle is known for partition ${named(partition)}.`,
    `${SETTING} ${place}.`,
  );

const find = (region: string, overrides: TrustOverrides): TrustBundle | undefined => {
  if (region === AMAZON_TRUST) return undefined;
  const row = own(regional, region);
  const override = own(overrides, region);
  if (override !== undefined) {
    const partition = override.partition ?? row?.partition ?? 'aws';
    const pkcs7Url = override.p7b === undefined ? null : safeUrl(override.p7b);
    return { region, partition, pemUrl: safeUrl(override.pem), pkcs7Url, evidence: 'configured' };
  }
  if (row === undefined) return undefined;
  return { region, partition: row.partition, pemUrl: row.pem, pkcs7Url: row.p7b, evidence: row.evidence };
};

// Own properties only: a "region" named `constructor` must not be found.
const own = <T>(map: Readonly<Record<string, T>>, key: string): T | undefined =>
  Object.hasOwn(map, key) ? map[key] : undefined;

/**
 * Certificates fetched over plain http could be anybody's, so http is for this machine alone.
 * @throws DomainError invalid/`invalid_input`
 */
export const safeUrl = (text: string): string => {
  const url = URL.parse(text);
  const loopback = url !== null && /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(url.hostname);
  if (url !== null && (url.protocol === 'https:' || (url.protocol === 'http:' && loopback))) return url.href;
  throw new DomainError('invalid', 'invalid_input', 'A CA bundle is fetched over https (http on loopback only).');
};

const named = (text: string): string => JSON.stringify(text.slice(0, 60));
