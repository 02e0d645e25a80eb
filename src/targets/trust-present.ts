import { caCatalogue, caExpiry, signatureIn } from './trust-ca.js';
import type { TrustAuthority, TrustBundle, TrustPartition } from './trust.contract.js';
import { bundles, globalBundleOf, type TrustBundle as Bundle } from './trust.js';

/** A bundle as it goes out, with what is known of its contents: an authority that has expired is in no bundle of today. */
export const presentBundle = ({ region, partition, pemUrl, pkcs7Url, evidence }: Bundle): TrustBundle => ({
  region,
  partition,
  pemUrl,
  pkcs7Url,
  evidence,
  authorities:
    evidence === 'configured'
      ? []
      : caCatalogue
          .filter(({ status }) => status !== 'expired')
          .map((ca) => ({
            identifier: ca.identifier,
            signature: signatureIn(ca, partition),
            expiresAt: caExpiry(ca.identifier, region, evidence.endsWith('+bundle-contents')),
            documented: !ca.notIn.includes(region),
          })),
});

/** @throws DomainError `unknown_partition` */
export function presentPartition(partition: string): TrustPartition {
  const { pem, p7b, p7b_evidence, sha256_pem, certificates, asOf } = globalBundleOf(partition);
  return {
    partition,
    pemUrl: pem,
    pkcs7Url: p7b,
    pkcs7Documented: p7b_evidence === undefined,
    sha256: sha256_pem,
    certificates,
    asOf,
    regions: bundles()
      .filter((bundle) => bundle.partition === partition)
      .map(({ region }) => region),
  };
}

export const presentAuthorities = (): TrustAuthority[] =>
  caCatalogue.map(({ identifier, algorithm, signature, validityYears, status, notIn, rotation }) => ({
    identifier,
    algorithm,
    signature,
    validityYears,
    status,
    expiredAt: status === 'expired' ? caExpiry(identifier, '', true) : null,
    notInRegions: [...notIn],
    rotation,
  }));
