/** A person as a verified token describes him. Nothing here was checked against our own rows yet. */
export interface VerifiedPerson {
  readonly issuer: string;
  readonly subject: string;
  /** What people call this person: the token's e-mail, else the preferred user name, else the subject. */
  readonly name: string;
  /** Absent too when the provider says that it did not verify it. */
  readonly email?: string;
  readonly preferredUsername?: string;
  /** Without duplicates, in the token's order. */
  readonly groups: readonly string[];
  /** ARN of the person's own IAM user or role, when the provider knows it: what attached mode attaches to. */
  readonly awsPrincipal?: string;
  /** When the person last proved who he is (`auth_time`). */
  readonly authenticatedAt?: Date;
  readonly acr?: string;
  readonly amr?: readonly string[];
}

/** A client of a provider that calls with a token of its own, for no person. */
export interface VerifiedClient {
  readonly issuer: string;
  readonly clientId: string;
}
export type VerifiedCaller = VerifiedPerson | VerifiedClient;

/** Signature algorithms that a token may use. No HMAC and no `none`: a public key must never verify as a shared secret. */
export const tokenAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;
export type TokenAlgorithm = (typeof tokenAlgorithms)[number];

export interface TokenVerifierConfig {
  /** Exactly as in the token and in the provider's discovery document; https, or http to a loopback host. */
  readonly issuer: string;
  readonly audience: string;
  /** Clients (`azp`, `client_id`) whose tokens are accepted; absent: those of any client for this audience. */
  readonly authorizedParties?: readonly string[] | undefined;
  /** How tokens of clients are told: `subject`, a claim, or a claim and its value; absent: none of its clients is a service. */
  readonly serviceTokens?: readonly string[] | undefined;
  /** Out of `tokenAlgorithms`; defaults to all of them. */
  readonly algorithms?: readonly string[];
  /** Defaults to 30. */
  readonly clockToleranceSeconds?: number;
  /** Path of the groups in the claims, dots for nesting; defaults to `groups`. */
  readonly groupsClaim?: string;
  /** Put before each group; absent: groups are taken as they are. */
  readonly groupsPrefix?: string | undefined;
  /** Claim that holds the ARN of the person's own IAM user or role; absent: none is believed. */
  readonly awsPrincipalClaim?: string | undefined;
  /** The client as which a command line signs people in, and what it asks for. */
  readonly cliClientId?: string | undefined;
  readonly cliScope?: string;
}
