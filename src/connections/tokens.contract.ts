import { Field, InputType, Int, ObjectType } from '@nestjs/graphql';
import { IsEnum, IsOptional } from 'class-validator';
import { EndpointKind } from '../targets/targets.contract.js';

/** How a client must verify the server. */
@ObjectType()
export class TokenTls {
  /** libpq's sslmode */
  mode: string;
  /** The name that the certificate must carry */
  servername: string;
  /** rds, or amazon-trust for RDS Proxy */
  authority: string;
  /** PEM */
  caBundleUrl: string;
  caBundlePkcs7Url: string | null;
  caIdentifier: string | null;
  caExpiresAt: Date | null;
}

/** How to connect with one client. */
@ObjectType()
export class ConnectRecipe {
  client: string;
  /** To be used as it is */
  text: string;
  notes: string[];
}

/** A login token. A bearer secret: shown once, never kept, never logged. */
@ObjectType()
export class LoginToken {
  token: string;
  @Field(() => Int)
  tokenLength: number;
  issuedAt: Date;
  /** The earliest of 15 minutes, the end of the signing credentials, and the end of the grant */
  expiresAt: Date;
  host: string;
  @Field(() => Int)
  port: number;
  /** The name that the token is signed for */
  tokenHost: string;
  database: string;
  user: string;
  tls: TokenTls;
  recipes: ConnectRecipe[];
  warnings: string[];
}

@InputType()
export class MintToken {
  /** Which endpoint; the writer, the instance or the proxy when left out */
  @IsOptional()
  @IsEnum(EndpointKind)
  endpoint?: EndpointKind;
}
