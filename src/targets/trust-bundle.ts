import { createHash, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { rootCertificates } from 'node:tls';
import { DomainError } from '../platform/errors.js';
import { safeUrl } from './trust.js';

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

const LARGEST_BYTES = 2 * 1024 * 1024;
/** Of a fetch, answer included. */
const PATIENCE_MS = 10_000;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;
const AMAZON = /^CN=(?:Amazon Root CA [1-4]|Starfield Services Root Certificate Authority - G2)$/m;

/** Amazon Trust Services among the roots of Node: narrower than all public ones. */
export const amazonRootsOfNode = (): Buffer =>
  Buffer.from(
    rootCertificates
      .filter((root) => AMAZON.test(new X509Certificate(root).subject))
      .map((root) => `${root.trim()}\n`)
      .join(''),
  );

/**
 * Parses and checks: all certificates are authorities, for a leaf in the list would be trusted for ever; what calls itself a
 * root is signed by its own key; and one root at least is still good. Intermediates are let pass, as the bundles of GovCloud
 * have some: beside their roots they add nothing.
 * @throws DomainError unavailable/`target_untrusted`
 */
export const checkBundle = (bytes: Buffer, source: string, loadedAt: Date): CheckedBundle => {
  const blocks = bytes.toString('latin1').match(CERTIFICATE) ?? [];
  if (blocks.length === 0) throw untrusted(source, 'holds no certificate');
  const certificates = blocks.map((block) => parse(block, source));
  const leaf = certificates.find((certificate) => !certificate.ca);
  if (leaf) throw untrusted(source, 'holds a certificate that is not an authority');
  const roots = certificates.filter(({ subject, issuer }) => subject === issuer);
  if (!roots.every((root) => root.verify(root.publicKey)))
    throw untrusted(source, 'holds a root that was tampered with');
  if (!roots.some(({ validToDate }) => validToDate > loadedAt))
    throw untrusted(source, 'holds no root that is still good');
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { pem: `${blocks.join('\n')}\n`, sha256, source, loadedAt, authorities: certificates.map(authority) };
};

/**
 * As {@link checkBundle}, for what is handed on to others byte by byte: beside the certificates there are comments and blank
 * lines at most.
 * @throws DomainError unavailable/`target_untrusted`
 */
export const checkForOthers = (bytes: Buffer, source: string, loadedAt: Date): CheckedBundle => {
  const beside = bytes.toString('latin1').replace(CERTIFICATE, '');
  if (!/^(?:(?:#[\t\x20-\x7e]*|[\t ]*)\r?\n)*(?:#[\t\x20-\x7e]*|[\t ]*)$/.test(beside))
    throw untrusted(source, 'holds something beside certificates');
  return checkBundle(bytes, source, loadedAt);
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

/** @throws DomainError unavailable/`target_untrusted` */
export const readBundle = async (file: string): Promise<Buffer> => {
  try {
    if ((await stat(file)).size > LARGEST_BYTES) throw untrusted(file, 'is larger than 2 MB');
    return await readFile(file);
  } catch (thrown) {
    throw thrown instanceof DomainError ? thrown : untrusted(file, 'cannot be read');
  }
};

/**
 * Over verified TLS, or from this machine. No redirects: one could lead from https to anywhere.
 * @throws DomainError unavailable/`target_untrusted`
 */
export const fetchBundle = async (url: string, timeoutMs = PATIENCE_MS): Promise<Buffer> => {
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
