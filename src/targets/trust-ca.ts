/** One certificate authority that signs the server certificates of RDS (AWS docs UsingWithRDS.SSL; roots parsed 2025). */
export interface CertificateAuthority {
  /** As in `DBInstance.CACertificateIdentifier`. */
  readonly identifier: string;
  readonly algorithm: 'RSA2048' | 'RSA4096' | 'ECC384';
  readonly signature: 'SHA256' | 'SHA384';
  readonly validityYears: number;
  readonly status: 'default' | 'available' | 'expired';
  /** Regions AWS' documentation leaves out. */
  readonly notIn: readonly string[];
  /** What becomes of the certificates that it signs, and what is to be done about it. */
  readonly rotation: string;
}

/** AWS docs UsingWithRDS.SSL and UsingWithRDS.SSL-certificate-rotation; `DescribeDBEngineVersions` says which engine can. */
const BY_ITSELF =
  'RDS renews the certificate of a server by itself: each year, without a restart, where the engine version can do so; else every 3 years, with one. Clients trust the root, never the certificate of a server.';

const LATE_REGIONS = ['ap-south-1', 'ap-southeast-4', 'ca-west-1', 'eu-central-2', 'eu-south-2', 'il-central-1'];

export const caCatalogue: readonly CertificateAuthority[] = [
  {
    identifier: 'rds-ca-rsa2048-g1',
    algorithm: 'RSA2048',
    signature: 'SHA256',
    validityYears: 40,
    status: 'default',
    notIn: [],
    rotation: BY_ITSELF,
  },
  {
    identifier: 'rds-ca-rsa4096-g1',
    algorithm: 'RSA4096',
    signature: 'SHA384',
    validityYears: 100,
    status: 'available',
    notIn: LATE_REGIONS,
    rotation: BY_ITSELF,
  },
  {
    identifier: 'rds-ca-ecc384-g1',
    algorithm: 'ECC384',
    signature: 'SHA384',
    validityYears: 100,
    status: 'available',
    notIn: LATE_REGIONS,
    rotation: BY_ITSELF,
  },
  {
    identifier: 'rds-ca-2019',
    algorithm: 'RSA2048',
    signature: 'SHA256',
    validityYears: 5,
    status: 'expired',
    notIn: [],
    rotation:
      'Its certificates are over: aws rds modify-db-instance --ca-certificate-identifier rds-ca-rsa2048-g1 --apply-immediately, once clients have the bundle of today.',
  },
];

export const certificateAuthority = (identifier: string): CertificateAuthority | undefined =>
  caCatalogue.find((ca) => ca.identifier === identifier);

/** GovCloud signs its 2048-bit roots with SHA-384 too (its bundle, parsed). */
export const signatureIn = (ca: CertificateAuthority, partition: string): CertificateAuthority['signature'] =>
  partition === 'aws-us-gov' ? 'SHA384' : ca.signature;

/** When the 2019 authority ended; its roots in three regions had dates of their own. */
const END_OF_2019 = new Date('2024-08-22T17:08:50Z');
const END_OF_2019_ROOT: Readonly<Record<string, Date>> = {
  'me-south-1': new Date('2024-05-08T00:00:00Z'),
  'af-south-1': new Date('2024-10-26T00:00:00Z'),
  'eu-south-1': new Date('2024-10-28T00:00:00Z'),
};

/** Years after 2061 in which a region's RSA2048 G1 root ends, by when the region opened; the 100-year roots end 60 years later. */
const LATER_BY: Readonly<Record<string, number>> = {
  'ap-south-2': 1,
  'ap-southeast-4': 1,
  'eu-central-2': 1,
  'eu-south-2': 1,
  'il-central-1': 1,
  'me-central-1': 1,
  'ca-west-1': 2,
  'ap-southeast-5': 3,
  'ap-southeast-7': 3,
  'mx-central-1': 3,
};

/**
 * When the authority's root ends, at the earliest: for the G1 roots only the year is known without the bundle, so this is
 * the start of that year. `CheckedBundle.authorities` has the exact date. Null where no root was ever read.
 * @param seen whether the region's roots were read from a real bundle (evidence `…+bundle-contents`)
 */
export const caExpiry = (identifier: string, region: string, seen: boolean): Date | null => {
  if (identifier === 'rds-ca-2019') return END_OF_2019_ROOT[region] ?? END_OF_2019;
  const ca = certificateAuthority(identifier);
  if (ca === undefined || !seen) return null;
  const year = 2061 + (LATER_BY[region] ?? 0) + (ca.validityYears === 100 ? 60 : 0);
  return new Date(Date.UTC(year, 0, 1));
};
