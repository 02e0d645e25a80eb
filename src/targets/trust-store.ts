import { createHash, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { rootCertificates } from 'node:tls';
import type { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { bundleFile, bundleFor, safeUrl, type TrustOverrides } from './trust.js';

export interface TrustedAuthority {
  /** E.g. `Amazon RDS eu-west-1 Root CA RSA2048 G1`. */
  readonly commonName: string;
  /** `CACertificateIdentifier`, for the names RDS uses; else null. */
  readonly identifier: string | null;
  readonly expiresAt: Date;
}

/** Certificates that were read and checked: ready for `tls` as `ca`. */
export interface CheckedBundle {
  readonly pem: string;
  /** Hex, of the bytes as they came. */
  readonly sha256: string;
  /** URL or file, or `node` for the built-in roots. */
  readonly source: string;
  readonly loadedAt: Date;
  readonly authorities: readonly TrustedAuthority[];
}

export interface TrustStoreOptions {
  readonly overrides?: TrustOverrides | undefined;
  /** Milliseconds for a fetch, answer included. Default 10,000. */
  readonly timeoutMs?: number | undefined;
}

const LARGEST_BYTES = 2 * 1024 * 1024;
const FRESH_MS = 24 * 3_600_000;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** The CA certificates for Usher's own connections to targets: loaded once per region, checked, kept for 24 hours. */
export class TrustStore {
  readonly #bundles = new Map<string, CheckedBundle>();
  readonly #loading = new Map<string, Promise<CheckedBundle>>();
  #amazonTrust: CheckedBundle | undefined;

  constructor(
    private readonly options: TrustStoreOptions,
    private readonly clock: Clock,
  ) {}

  /**
   * The certificates that sign the region's servers. When a refresh fails, those of before still serve: roots live for
   * decades, and an unreachable bundle must not cut off closing a grant.
   * @throws DomainError unavailable/`target_untrusted`; invalid/`unknown_region` | `unknown_partition`
   */
  async forRegion(partition: string, region: string): Promise<CheckedBundle> {
    const { pemUrl } = bundleFor(partition, region, this.options.overrides);
    const known = this.#bundles.get(region);
    if (known && this.clock.now().getTime() - known.loadedAt.getTime() < FRESH_MS) return known;
    const loading = this.#loading.get(region) ?? this.#load(region, pemUrl);
    this.#loading.set(region, loading);
    try {
      return await loading;
    } catch (thrown) {
      if (known) return known;
      throw thrown;
    } finally {
      this.#loading.delete(region);
    }
  }

  /** Amazon Trust Services from Node's own roots, for RDS Proxy and Serverless v1: narrower than all public roots. */
  amazonTrust(): CheckedBundle {
    if (this.#amazonTrust) return this.#amazonTrust;
    const pem = rootCertificates.filter((root) => AMAZON.test(new X509Certificate(root).subject)).join('\n');
    this.#amazonTrust = checkBundle(Buffer.from(pem), 'node', this.clock.now());
    return this.#amazonTrust;
  }

  async #load(region: string, url: string): Promise<CheckedBundle> {
    const file = bundleFile(region, this.options.overrides ?? {});
    const bytes =
      file === undefined ? await fetchBundle(url, this.options.timeoutMs ?? 10_000) : await readBundle(file);
    const bundle = checkBundle(bytes, file ?? url, this.clock.now());
    this.#bundles.set(region, bundle);
    return bundle;
  }
}

const AMAZON = /^CN=(?:Amazon Root CA [1-4]|Starfield Services Root Certificate Authority - G2)$/m;

/**
 * Parses and checks: at least one certificate, all of them authorities. A leaf in the list would be trusted for ever.
 * @throws DomainError unavailable/`target_untrusted`
 */
export const checkBundle = (bytes: Buffer, source: string, loadedAt: Date): CheckedBundle => {
  const blocks = bytes.toString('latin1').match(CERTIFICATE) ?? [];
  if (blocks.length === 0) throw untrusted(source, 'holds no certificate');
  const certificates = blocks.map((block) => parse(block, source));
  const leaf = certificates.find((certificate) => !certificate.ca);
  if (leaf) throw untrusted(source, 'holds a certificate that is not an authority');
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { pem: `${blocks.join('\n')}\n`, sha256, source, loadedAt, authorities: certificates.map(authority) };
};

const parse = (block: string, source: string): X509Certificate => {
  try {
    return new X509Certificate(block);
  } catch {
    throw untrusted(source, 'holds something that is not a certificate');
  }
};

const authority = (certificate: X509Certificate): TrustedAuthority => {
  const commonName = /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? '';
  const kind = /^Amazon RDS [a-z0-9-]+ Root CA (RSA2048|RSA4096|ECC384) G1(?: |$)/.exec(commonName)?.[1];
  return {
    commonName,
    identifier: kind === undefined ? null : `rds-ca-${kind.toLowerCase()}-g1`,
    expiresAt: new Date(certificate.validTo),
  };
};

const readBundle = async (file: string): Promise<Buffer> => {
  try {
    if ((await stat(file)).size > LARGEST_BYTES) throw untrusted(file, 'is larger than 2 MB');
    return await readFile(file);
  } catch (thrown) {
    throw thrown instanceof DomainError ? thrown : untrusted(file, 'cannot be read');
  }
};

/** No redirects: one could lead from https to anywhere. */
const fetchBundle = async (url: string, timeoutMs: number): Promise<Buffer> => {
  try {
    const answer = await fetch(safeUrl(url), { redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
    if (answer.status !== 200 || !answer.body) {
      await answer.body?.cancel();
      throw untrusted(url, `was answered with ${answer.status}`);
    }
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
      size += chunk.byteLength;
      if (size > LARGEST_BYTES) throw untrusted(url, 'is larger than 2 MB');
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } catch (thrown) {
    throw thrown instanceof DomainError ? thrown : untrusted(url, 'cannot be fetched');
  }
};

const untrusted = (source: string, why: string): DomainError =>
  new DomainError(
    'unavailable',
    'target_untrusted',
    `The CA bundle ${source} ${why}, so no server of the region can be verified.`,
    'Let the service reach that address, or give it a PEM file for the region.',
  );
