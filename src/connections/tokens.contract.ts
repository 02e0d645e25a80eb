import { Field, InputType, Int, ObjectType } from '@nestjs/graphql';
import { Transform } from 'class-transformer';
import { ArrayMaxSize, IsEnum, IsIn, IsOptional, IsUUID } from 'class-validator';
import { EndpointKind } from '../targets/targets.contract.js';

/** Clients that there are recipes for; each answer has those that fit its grant. */
export const recipeClients = [
  'psql',
  'psql-powershell',
  'libpq-service',
  'pgpass',
  'libpq-uri',
  'psycopg',
  'psycopg2',
  'jdbc',
  'jdbc-truststore',
  'aws-jdbc-wrapper',
  'node-postgres',
  'pgx',
  'npgsql',
  'pgadmin',
  'dbeaver',
  'sql-workbench',
  'aws-cli',
] as const;

/** How a client must verify the server. */
@ObjectType()
export class ConnectTls {
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

/** A client, or what stands before the server, that would cut a token of this length; the login would then fail. */
@ObjectType()
export class TokenCut {
  client: string;
  /** Characters that get through */
  @Field(() => Int)
  limit: number;
  advice: string;
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
  /** The name that the token is signed for: with any other it opens nothing, wherever the client connects */
  tokenHost: string;
  @Field(() => Int)
  tokenPort: number;
  endpointId: string;
  database: string;
  user: string;
  tls: ConnectTls;
  recipes: ConnectRecipe[];
  warnings: string[];
  /** Known clients that are too short for it, the tightest first */
  cutBy: TokenCut[];
}

/** What somebody needs who signs their own tokens: all but the token. */
@ObjectType()
export class SelfSigning {
  host: string;
  @Field(() => Int)
  port: number;
  /** The name to sign for */
  tokenHost: string;
  @Field(() => Int)
  tokenPort: number;
  region: string;
  endpointId: string;
  database: string;
  user: string;
  /** The end of the grant; each token is good for 15 minutes */
  expiresAt: Date;
  tls: ConnectTls;
  recipes: ConnectRecipe[];
  warnings: string[];
}

/** Which endpoint, and for which clients. */
@InputType({ isAbstract: true })
export class WayInput {
  /** Which kind of endpoint; the proxy, the writer or the instance when left out */
  @IsOptional()
  @IsEnum(EndpointKind)
  endpoint?: EndpointKind;
  /** Which endpoint, where there are several of a kind: an id of the target's endpoints */
  @IsOptional()
  @IsUUID()
  endpointId?: string;
  /** Clients that recipes are wanted for; all when left out, none for a program that wants the token alone */
  @IsOptional()
  @Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? value.split(',') : value))
  @ArrayMaxSize(recipeClients.length)
  @IsIn(recipeClients, { each: true })
  clients?: string[];
}

@InputType()
export class MintToken extends WayInput {}

@InputType()
export class SelfSigningQuery extends WayInput {}
