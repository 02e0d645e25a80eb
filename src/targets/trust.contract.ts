import { ObjectType } from '@nestjs/graphql';

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
}
