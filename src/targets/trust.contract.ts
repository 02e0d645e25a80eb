import { Field, Int, ObjectType } from '@nestjs/graphql';

/** An authority whose root is in the bundle of a region. */
@ObjectType()
export class RegionAuthority {
  /** As in CACertificateIdentifier of an instance */
  identifier: string;
  /** What its root is signed with there */
  signature: string;
  /** Its root is good until then at least; null where nobody has read it */
  expiresAt: Date | null;
  /** false where the documentation of AWS leaves the region out */
  documented: boolean;
}

/** Where the CA bundle of a region stands. */
@ObjectType()
export class TrustBundle {
  region: string;
  partition: string;
  /** PEM: libpq, psql, Node, Python, Go, pgjdbc */
  pemUrl: string;
  /** PKCS7: Windows, .NET, Java key stores */
  pkcs7Url: string | null;
  /** How sure the URLs are */
  evidence: string;
  /** What the bundle of AWS holds; empty for one of your own */
  authorities: RegionAuthority[];
}

/** A partition of AWS: its regions, and one bundle for all of them. */
@ObjectType()
export class TrustPartition {
  partition: string;
  /** PEM with the roots of every region */
  pemUrl: string;
  /** PKCS7 of the same */
  pkcs7Url: string;
  /** false where the PKCS7 URL follows the pattern of AWS but stands in no source */
  pkcs7Documented: boolean;
  /** Of the PEM when it was last looked at; AWS adds regions to it */
  sha256: string;
  @Field(() => Int)
  certificates: number;
  /** The day of that look */
  asOf: string;
  regions: string[];
}

/** A certificate authority of RDS. */
@ObjectType()
export class TrustAuthority {
  /** As in CACertificateIdentifier of an instance */
  identifier: string;
  /** RSA2048, RSA4096 or ECC384 */
  algorithm: string;
  /** SHA256 or SHA384; GovCloud uses SHA384 throughout */
  signature: string;
  @Field(() => Int)
  validityYears: number;
  /** default, available or expired */
  status: string;
  /** When the authority ended, for one that has; see the regions for the others */
  expiredAt: Date | null;
  /** Regions where the documentation of AWS does not offer it */
  notInRegions: string[];
  /** What becomes of the certificates it signs, and what is to be done about it */
  rotation: string;
}

/** A CA bundle that Usher mirrors. */
@ObjectType()
export class TrustMirror {
  /** A region, or amazon-trust: the roots for RDS Proxy and Aurora Serverless v1 */
  name: string;
  /** Where this Usher hands it out, without a token */
  path: string;
  /** URL or file that it comes from; node: the roots that come with it */
  source: string;
  /** Of what is handed out; null until one was good */
  sha256: string | null;
  /** Since when it is this one */
  changedAt: Date | null;
  /** When it was last found to be still this one */
  checkedAt: Date | null;
  /** Why the last try brought nothing; the last good one is handed out meanwhile */
  problem: string | null;
}
