import { certificateAuthority, caExpiry } from './trust-ca.js';
import { AMAZON_TRUST, AMAZON_TRUST_PEM_URL, bundleFor, safeUrl, type TrustOverrides } from './trust.js';

export type EndpointKind = 'writer' | 'reader' | 'instance' | 'custom' | 'proxy';

export interface TlsQuestion {
  readonly kind: EndpointKind;
  /** Where the client connects: the endpoint, an alias or the near end of a tunnel. */
  readonly connectHost: string;
  /** The real RDS endpoint that tokens are signed for. */
  readonly tokenHost: string;
  /** The cluster's writer endpoint, for custom endpoints. */
  readonly writerHost?: string | undefined;
  readonly partition: string;
  readonly region: string;
  /** `CACertificateIdentifier` of the instance, when known. */
  readonly caIdentifier?: string | null | undefined;
  /** Exact end of that authority, when it was read from the bundle (`CheckedBundle.authorities`). */
  readonly caExpiresAt?: Date | undefined;
  /** `DBCluster.EngineMode`: `serverless` is Aurora Serverless v1. */
  readonly engineMode?: string | undefined;
  readonly overrides?: TrustOverrides | undefined;
  /** For saying that an authority has expired or soon will. */
  readonly now: Date;
}

export interface TlsAdvice {
  readonly mode: 'verify-full' | 'verify-ca';
  /** The name the certificate must carry; with verify-ca it is only sent. */
  readonly servername: string;
  /** The address differs from `servername`: libpq needs `host=<servername> hostaddr=<address of the connect host>`. */
  readonly hostaddrNeeded: boolean;
  readonly authority: 'rds' | 'amazon-trust';
  readonly caBundleUrl: string;
  readonly caBundlePkcs7Url: string | null;
  readonly caIdentifier: string | null;
  readonly caExpiresAt: Date | null;
  readonly warnings: readonly string[];
}

export interface TrustedEndpoint {
  readonly kind: string;
  readonly connectHost: string;
  readonly tokenHost: string;
}

/** What of a registered target says how it is verified. */
export interface TrustedTarget {
  readonly partition: string;
  readonly region: string;
  readonly caIdentifier: string;
  readonly engineMode: string;
  readonly endpoints: readonly TrustedEndpoint[];
}

/** The question for one endpoint of a registered target. */
export const tlsQuestion = (
  { partition, region, caIdentifier, engineMode, endpoints }: TrustedTarget,
  { kind, connectHost, tokenHost }: TrustedEndpoint,
): Omit<TlsQuestion, 'overrides' | 'now'> => ({
  kind: kind as EndpointKind,
  connectHost,
  tokenHost,
  // every instance of a cluster carries the name of the writer; that of an instance stands in its own certificate alone
  writerHost: endpoints.find((one) => one.kind === 'writer')?.tokenHost,
  partition,
  region,
  caIdentifier,
  engineMode,
});

const SOON_MS = 180 * 86_400_000;

/**
 * How a client must verify this endpoint.
 * @throws DomainError invalid/`unknown_region` | `unknown_partition`
 */
export const tlsAdvice = (ask: TlsQuestion): TlsAdvice =>
  ask.kind === 'proxy' || ask.engineMode === 'serverless' ? amazonTrustAdvice(ask) : rdsAdvice(ask);

/** RDS Proxy and Serverless v1 carry ACM certificates; the RDS bundle fails on them. */
const amazonTrustAdvice = (ask: TlsQuestion): TlsAdvice => {
  const hostaddrNeeded = ask.connectHost !== ask.tokenHost;
  const what = ask.kind === 'proxy' ? 'RDS Proxy' : 'Aurora Serverless v1';
  return {
    mode: 'verify-full',
    servername: ask.tokenHost,
    hostaddrNeeded,
    authority: 'amazon-trust',
    caBundleUrl: amazonTrustUrl(ask.overrides),
    caBundlePkcs7Url: null,
    caIdentifier: null,
    caExpiresAt: null,
    warnings: [
      `${what} presents a certificate of Amazon Trust Services: the RDS CA bundle does not verify it.`,
      ...(hostaddrNeeded ? [alias(ask)] : []),
    ],
  };
};

/** A mirror of one's own is configured as a region of this name is. */
const amazonTrustUrl = (overrides: TrustOverrides = {}): string => {
  const mirror = overrides[AMAZON_TRUST];
  return mirror === undefined ? AMAZON_TRUST_PEM_URL : safeUrl(mirror.pem);
};

const rdsAdvice = (ask: TlsQuestion): TlsAdvice => {
  const bundle = bundleFor(ask.partition, ask.region, ask.overrides);
  const name = certificateName(ask);
  const caIdentifier = ask.caIdentifier ?? null;
  const seen = bundle.evidence.endsWith('+bundle-contents');
  const caExpiresAt = ask.caExpiresAt ?? (caIdentifier === null ? null : caExpiry(caIdentifier, ask.region, seen));
  return {
    ...name,
    authority: 'rds',
    caBundleUrl: bundle.pemUrl,
    caBundlePkcs7Url: bundle.pkcs7Url,
    caIdentifier,
    caExpiresAt,
    warnings: [
      ...nameWarnings(ask, name),
      ...caWarnings(ask, caIdentifier, caExpiresAt),
      ...evidenceWarnings(ask.region, bundle.evidence),
    ],
  };
};

const evidenceWarnings = (region: string, evidence: string): string[] => [
  ...(evidence.startsWith('inferred')
    ? [`The bundle URL of ${region} follows AWS' pattern but stands in no AWS table: check it.`]
    : []),
  ...(evidence.includes('p7b-by-pattern') ? [`The PKCS #7 URL of ${region} follows AWS' pattern: check it.`] : []),
];

type CertificateName = Pick<TlsAdvice, 'mode' | 'servername' | 'hostaddrNeeded'>;

/** The name to verify. A custom endpoint's own name enters a certificate only when its instance restarts. */
const certificateName = (ask: TlsQuestion): CertificateName => {
  const { kind, connectHost, tokenHost, writerHost } = ask;
  const other = tokenHost === connectHost ? undefined : tokenHost;
  const servername = kind === 'custom' ? (writerHost ?? other) : tokenHost;
  if (servername === undefined) return { mode: 'verify-ca', servername: connectHost, hostaddrNeeded: false };
  return { mode: 'verify-full', servername, hostaddrNeeded: servername !== connectHost };
};

const nameWarnings = (ask: TlsQuestion, name: CertificateName): string[] => {
  if (ask.kind === 'custom') {
    const unsigned = ask.tokenHost === ask.connectHost;
    return [
      name.mode === 'verify-ca'
        ? 'The host name is not verified: the name of a custom endpoint may not be in the certificate yet. Register the writer endpoint to get verify-full.'
        : `The certificate is checked against ${name.servername}: the name of a custom endpoint may not be in it yet.`,
      ...(unsigned ? ['AWS does not promise tokens signed for a custom endpoint: sign for the writer endpoint.'] : []),
    ];
  }
  return [
    ...(name.hostaddrNeeded ? [alias(ask)] : []),
    ...(ask.kind === 'reader'
      ? ['If the name check fails on this reader, its certificate is old: connect to an instance endpoint instead.']
      : []),
  ];
};

const alias = (ask: TlsQuestion): string =>
  `${ask.connectHost} is not the name in the certificate, nor the one in the token: both are ${ask.tokenHost}.`;

const caWarnings = (ask: TlsQuestion, identifier: string | null, expiresAt: Date | null): string[] => {
  if (identifier === null) return [];
  if (certificateAuthority(identifier) === undefined) {
    return [`${identifier} is not a certificate authority known here: compare it with the bundle's contents.`];
  }
  const left = (expiresAt?.getTime() ?? Infinity) - ask.now.getTime();
  const day = expiresAt?.toISOString().slice(0, 10);
  if (left <= 0) {
    return [
      `${identifier} expired on ${day}: verified connections fail until the instance moves to rds-ca-rsa2048-g1.`,
    ];
  }
  return left < SOON_MS ? [`${identifier} expires on ${day}: plan the move to another CA.`] : [];
};
