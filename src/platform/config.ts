import { resolve } from 'node:path';
import { auditSettings, type AuditSettings } from './audit-settings.js';
import {
  ConfigError,
  address,
  document,
  flag,
  integer,
  keys,
  list,
  marks,
  networks,
  oneOf,
  origins,
  required,
  secret,
  text,
  timeZone,
  words,
  type Environment,
} from './config-values.js';
import { oidcDefaults, parseProviders, refuseSameIssuer, type OidcProvider } from './oidc-providers.js';
import type { Secret } from './secret.js';

/** An operator's own bundles: by region, where the PEM (and PKCS7) stands and, for the broker itself, a file that holds it. */
export type TrustOverrides = Readonly<Record<string, { partition?: string; pem: string; p7b?: string; file?: string }>>;

/** Everything that can be configured, read once. `.env.example` lists the same names. */
export interface Settings {
  readonly host: string;
  readonly port: number;
  /** Undefined: an embedded PostgreSQL in `stateDirectory`. */
  readonly databaseUrl: Secret | undefined;
  readonly databasePoolSize: number;
  /** Addresses or networks (CIDR) whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
  /** Origins of pages elsewhere that may call the API from a browser; none by default. */
  readonly corsOrigins: readonly string[];
  /** Seconds within which a whole call must have arrived. */
  readonly requestTimeoutSeconds: number;
  readonly stateDirectory: string;
  /** The first provider: its groups are taken as they are. */
  readonly oidc: OidcProvider;
  readonly furtherProviders: readonly OidcProvider[];
  readonly aws: {
    readonly endpointUrl: string | undefined;
    readonly region: string | undefined;
    readonly connectRoleName: string;
    readonly externalId: Secret | undefined;
    /** How long the keys live that sign tokens. */
    readonly connectSeconds: number;
    /** Whether sessions that sign tokens carry tags; the trust policies must then allow sts:TagSession. */
    readonly sessionTags: boolean;
    /** Sessions for people in one account and region in a second, in this process. */
    readonly stsPerSecond: number;
    /** Networks that are not public and that addresses of AWS services in an account may lead into, as CIDR. */
    readonly outboundNetworks: readonly string[];
    readonly secretsDirectory: string | undefined;
    /** Reads a secret out of the environment at use; only names that start with USHER_SECRET_. */
    readonly env: (name: string) => string | undefined;
  };
  readonly policyFile: string | undefined;
  /** Of whose clocks policies speak, such as Europe/Berlin; the same in all processes. */
  readonly timeZone: string;
  readonly audit: AuditSettings;
  /** Keys that secrets of webhooks are derived from, 32 bytes or more each; the first makes new ones, the others stay known. */
  readonly webhookKeys: readonly Secret[];
  readonly trustOverrides: TrustOverrides;
  readonly trustMirror: {
    /** Hours between two looks at the CA bundles that are mirrored; 0: none is. */
    readonly hours: number;
    /** Where `{region}/{region}-bundle.pem` stand; undefined: at AWS. */
    readonly from: string | undefined;
    /** Where clients reach Usher, for links to the mirror; undefined: they are sent to AWS. */
    readonly at: string | undefined;
  };
  /** Full months for which the record is kept; 0: for ever. */
  readonly retentionMonths: number;
  /** Minutes after which a request that nobody answered expires. */
  readonly requestTtlMinutes: number;
  /** Days for which somebody may let another person vote in their place, at the most. */
  readonly delegationMaxDays: number;
  /** Calls of one person in a minute, in this process; beyond that 429. 0: any number. */
  readonly callsPerMinute: number;
  /**
   * Calls without a valid token from one address (of IPv6: from one /64) in a minute, in this process; one with a bad token counts
   * twice. 0: any number, each of which leaves a line of its own on record.
   */
  readonly anonymousCallsPerMinute: number;
  readonly sockets: {
    /** WebSockets of GraphQL that are open at once in this process; 0: none is opened. */
    readonly most: number;
    /** Of one person; a service has ten times as many, for itself and for people. */
    readonly ofOne: number;
  };
  /** Login tokens for one target in a second, in this process; beyond that 429. */
  readonly tokensPerSecond: number;
  /** Seconds between two looks at who is connected; 0 switches the sampler off. */
  readonly sampleSeconds: number;
  /** Minutes between two looks at the logs of targets that have one to read; 0 reads none. */
  readonly logMinutes: number;
  /** Days for which is kept what the logs of targets said; 0: for ever. */
  readonly serverLogRetentionDays: number;
  /** Below which log files may be read; undefined: none is. */
  readonly logDirectory: string | undefined;
  readonly drift: {
    /** Minutes between two comparisons of a target with the store; 0 switches them off. */
    readonly minutes: number;
    /** `report` tells what was found, `repair` also mends what carries Usher's own marker. */
    readonly mode: 'report' | 'repair';
  };
  /** Minutes between two looks at what databases AWS has; 0: only when somebody asks. */
  readonly discoveryMinutes: number;
  /** Jobs run in this process; false for a process that only answers the API. */
  readonly jobs: boolean;
  readonly graphiql: boolean;
  /** Whether GraphQL tells its schema, to those who have a token. */
  readonly graphqlIntrospection: boolean;
  readonly logLevel: string;
}

export { ConfigError };

/** Injection token of {@link Settings}. */
export const SETTINGS = Symbol('settings');

function parseTrustOverrides(parsed: unknown): TrustOverrides {
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw new Error('not an object');
  for (const [region, bundle] of Object.entries(parsed as Record<string, unknown>)) {
    const pem = (bundle as { pem?: unknown } | null)?.pem;
    if (typeof pem !== 'string') throw new Error(`${region}.pem must be the URL of a PEM bundle`);
  }
  return parsed as TrustOverrides;
}

function firstProvider(env: Environment): OidcProvider {
  return {
    issuer: required(env, 'OIDC_ISSUER', 'people sign in with the tokens of your OpenID Connect provider'),
    audience: text(env, 'OIDC_AUDIENCE') ?? oidcDefaults.audience,
    algorithms: words(env, 'OIDC_ALGORITHMS') ?? oidcDefaults.algorithms,
    clockToleranceSeconds: integer(env, 'OIDC_CLOCK_TOLERANCE_SECONDS', oidcDefaults.clockToleranceSeconds, 0, 300),
    groupsClaim: text(env, 'OIDC_GROUPS_CLAIM') ?? oidcDefaults.groupsClaim,
    groupsPrefix: undefined,
    awsPrincipalClaim: text(env, 'OIDC_AWS_PRINCIPAL_CLAIM') ?? 'aws_principal',
    authorizedParties: words(env, 'OIDC_AUTHORIZED_PARTIES'),
    serviceTokens: marks(env, 'OIDC_SERVICE_TOKENS'),
    cliClientId: text(env, 'OIDC_CLI_CLIENT_ID'),
    cliScope: text(env, 'OIDC_CLI_SCOPE') ?? oidcDefaults.cliScope,
  };
}

/**
 * Reads the settings out of an environment.
 * @throws ConfigError naming the variable and what it must be
 */
export function readSettings(env: Environment): Settings {
  const oidc = firstProvider(env);
  return {
    host: text(env, 'USHER_HOST') ?? '127.0.0.1',
    port: integer(env, 'USHER_PORT', 3000, 0, 65535),
    databaseUrl: secret(env, 'DATABASE_URL'),
    trustedProxies: list(env, 'USHER_TRUSTED_PROXIES'),
    corsOrigins: origins(env, 'USHER_CORS_ORIGINS'),
    requestTimeoutSeconds: integer(env, 'USHER_REQUEST_TIMEOUT_SECONDS', 20, 1, 300),
    databasePoolSize: integer(env, 'USHER_DATABASE_POOL_SIZE', 20, 4, 500),
    stateDirectory: resolve(text(env, 'USHER_STATE_DIR') ?? '.usher/state'),
    oidc,
    furtherProviders: document(env, 'OIDC_PROVIDERS', [], (parsed) => {
      const further = parseProviders(parsed);
      refuseSameIssuer([oidc, ...further]);
      return further;
    }),
    aws: {
      endpointUrl: text(env, 'AWS_ENDPOINT_URL'),
      region: text(env, 'AWS_REGION') ?? text(env, 'AWS_DEFAULT_REGION'),
      connectRoleName: text(env, 'USHER_CONNECT_ROLE') ?? 'usher-connect',
      externalId: secret(env, 'USHER_EXTERNAL_ID'),
      connectSeconds: integer(env, 'USHER_CONNECT_SECONDS', 3600, 900, 3600),
      sessionTags: flag(env, 'USHER_SESSION_TAGS', false),
      stsPerSecond: integer(env, 'USHER_STS_PER_SECOND', 100, 1, 600),
      outboundNetworks: networks(env, 'USHER_OUTBOUND_NETWORKS'),
      secretsDirectory: text(env, 'USHER_SECRETS_DIR'),
      env: (name) => (name.startsWith('USHER_SECRET_') ? env[name] : undefined),
    },
    policyFile: text(env, 'USHER_POLICY_FILE'),
    timeZone: timeZone(env, 'USHER_TIME_ZONE'),
    audit: auditSettings(env),
    webhookKeys: keys(env, 'USHER_WEBHOOK_KEY'),
    trustOverrides: document(env, 'USHER_TRUST_BUNDLES', {}, parseTrustOverrides),
    trustMirror: {
      hours: integer(env, 'USHER_TRUST_MIRROR_HOURS', 0, 0, 720),
      from: address(env, 'USHER_TRUST_MIRROR_FROM'),
      at: address(env, 'USHER_TRUST_MIRROR_AT'),
    },
    retentionMonths: integer(env, 'USHER_AUDIT_RETENTION_MONTHS', 0, 0, 1200),
    requestTtlMinutes: integer(env, 'USHER_REQUEST_TTL_MINUTES', 1440, 1, 43200),
    delegationMaxDays: integer(env, 'USHER_DELEGATION_MAX_DAYS', 30, 1, 365),
    callsPerMinute: integer(env, 'USHER_CALLS_PER_MINUTE', 1200, 0, 1_000_000),
    anonymousCallsPerMinute: integer(env, 'USHER_ANONYMOUS_CALLS_PER_MINUTE', 120, 0, 1_000_000),
    sockets: {
      most: integer(env, 'USHER_SOCKETS', 500, 0, 100_000),
      ofOne: integer(env, 'USHER_SOCKETS_PER_PERSON', 10, 1, 10_000),
    },
    tokensPerSecond: integer(env, 'USHER_TOKENS_PER_SECOND', 150, 1, 1_000_000),
    sampleSeconds: integer(env, 'USHER_SAMPLE_SECONDS', 5, 0, 3600),
    logMinutes: integer(env, 'USHER_LOG_MINUTES', 1, 0, 1440),
    serverLogRetentionDays: integer(env, 'USHER_SERVER_LOG_RETENTION_DAYS', 400, 0, 3650),
    logDirectory: text(env, 'USHER_LOG_DIR'),
    drift: {
      minutes: integer(env, 'USHER_DRIFT_MINUTES', 5, 0, 1440),
      mode: oneOf(env, 'USHER_DRIFT_MODE', 'repair', ['report', 'repair']),
    },
    discoveryMinutes: integer(env, 'USHER_DISCOVERY_MINUTES', 0, 0, 10_080),
    jobs: flag(env, 'USHER_JOBS', true),
    graphiql: flag(env, 'USHER_GRAPHIQL', true),
    graphqlIntrospection: flag(env, 'USHER_GRAPHQL_INTROSPECTION', flag(env, 'USHER_GRAPHIQL', true)),
    logLevel: text(env, 'USHER_LOG_LEVEL') ?? 'info',
  };
}
