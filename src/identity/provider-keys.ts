import {
  createRemoteJWKSet,
  customFetch,
  errors,
  type CryptoKey,
  type FlattenedJWSInput,
  type JWSHeaderParameters,
  type RemoteJWKSet,
} from 'jose';
import type { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';

const timeoutMs = 5_000;
const maxDocumentBytes = 256 * 1024;
const discoveryMaxAgeMs = 3_600_000;
const rediscoveryPauseMs = 60_000;
/** After a failed fetch the next ones fail at once for this long: a provider in trouble is not helped by a crowd. */
const failureCooldownMs = 1_000;

/**
 * The signing keys of an OpenID provider, by discovery (OpenID Connect Discovery 1.0 §4). Nothing is fetched before the
 * first token comes, so a provider that is down does not stop the start, and it is asked again when it is back.
 * Keys are kept 10 minutes; a token with an unknown key makes at most one fetch in 30 seconds.
 */
export class ProviderKeys {
  readonly #issuer: URL;
  #keys: RemoteJWKSet | undefined;
  #jwksUri: string | undefined;
  #discoveredAt = 0;
  #discovering: Promise<RemoteJWKSet> | undefined;
  #failure: { at: number; error: unknown } | undefined;

  /** @throws Error when the issuer is no URL that tokens could be trusted from */
  constructor(
    private readonly issuer: string,
    private readonly clock: Clock,
  ) {
    this.#issuer = trustedUrl(issuer, 'The issuer');
    if (this.#issuer.search || this.#issuer.hash)
      throw new Error(`The issuer ${issuer} must have no query and no fragment.`);
  }

  /**
   * @throws DomainError `identity_provider_unavailable`
   * @throws errors.JWKSNoMatchingKey, errors.JWKSMultipleMatchingKeys, errors.JOSENotSupported when the token is to blame
   */
  async find(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> {
    try {
      const keys = await this.#current();
      return await keys(header, token);
    } catch (error) {
      throw isTokensFault(error) ? error : unavailable(this.#issuer.host, error);
    }
  }

  #now(): number {
    return this.clock.now().getTime();
  }

  /** An hour-old discovery is made anew, and kept when that fails: the keys behind it expire by themselves. */
  async #current(): Promise<RemoteJWKSet> {
    const age = this.#now() - this.#discoveredAt;
    if (this.#keys && age >= 0 && age < discoveryMaxAgeMs) return this.#keys;
    this.#discovering ??= this.#discover().finally(() => (this.#discovering = undefined));
    try {
      return await this.#discovering;
    } catch (error) {
      if (!this.#keys) throw error;
      this.#discoveredAt = this.#now() - discoveryMaxAgeMs + rediscoveryPauseMs;
      return this.#keys;
    }
  }

  async #discover(): Promise<RemoteJWKSet> {
    const url = `${this.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const response = await this.#fetch(url, AbortSignal.timeout(timeoutMs));
    const document: unknown = await response.json();
    const { issuer, jwks_uri: jwksUri } = (document ?? {}) as { issuer?: unknown; jwks_uri?: unknown };
    if (issuer !== this.issuer) throw new Error(`${url} names another issuer than ${this.issuer}`);
    if (typeof jwksUri !== 'string') throw new Error(`${url} has no jwks_uri`);
    const address = trustedUrl(jwksUri, 'The jwks_uri');
    if (this.#issuer.protocol === 'https:' && address.protocol !== 'https:') {
      throw new Error(`${url} names keys without https`);
    }
    // The same address keeps its cache, or a rediscovery would throw away keys that are still good
    if (!this.#keys || this.#jwksUri !== jwksUri) {
      this.#keys = createRemoteJWKSet(address, {
        timeoutDuration: timeoutMs,
        cooldownDuration: 30_000,
        cacheMaxAge: 600_000,
        [customFetch]: (address, { signal, headers }) => this.#fetch(address, signal, headers),
      });
      this.#jwksUri = jwksUri;
    }
    this.#discoveredAt = this.#now();
    return this.#keys;
  }

  /** Only fetching pauses after a failure: tokens whose key is known are verified all the while. */
  async #fetch(url: string, signal: AbortSignal, headers?: Headers): Promise<Response> {
    const recent = this.#failure;
    if (recent && Math.abs(this.#now() - recent.at) < failureCooldownMs) throw recent.error;
    try {
      const response = await fetchSmall(url, signal, headers);
      if (response.status !== 200) throw new Error(`${url} answered ${response.status}`);
      this.#failure = undefined;
      return response;
    } catch (error) {
      this.#failure = { at: this.#now(), error };
      throw error;
    }
  }
}

const isTokensFault = (error: unknown): boolean =>
  error instanceof errors.JWKSNoMatchingKey ||
  error instanceof errors.JWKSMultipleMatchingKeys ||
  error instanceof errors.JOSENotSupported;

const unavailable = (host: string, cause: unknown): DomainError =>
  new DomainError(
    'unavailable',
    'identity_provider_unavailable',
    `The identity provider ${host} cannot be asked for its keys.`,
    'Try again in a moment; if it lasts, an operator should check that Usher reaches OIDC_ISSUER and what it answers.',
    { cause, retryAfterSeconds: 5 },
  );

/** Redirects are not followed: they could lead from the trusted host to any other. */
async function fetchSmall(url: string, signal: AbortSignal, headers = new Headers()): Promise<Response> {
  headers.set('accept', 'application/json');
  const response = await fetch(url, { signal, headers, redirect: 'manual' });
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += part.byteLength;
    if (bytes > maxDocumentBytes) throw new Error(`${url} is larger than ${maxDocumentBytes / 1024} KB`);
    parts.push(part);
  }
  const bodyless = [204, 205, 304].includes(response.status);
  return new Response(bodyless ? null : Buffer.concat(parts), { status: response.status, headers: response.headers });
}

/** https, or http where nobody can listen in: on this very machine. */
function trustedUrl(text: string, what: string): URL {
  const url = URL.parse(text);
  if (!url) throw new Error(`${what} ${text} is not a URL.`);
  const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback)) {
    throw new Error(`${what} ${url.protocol}//${url.host} must use https; http is for loopback hosts only.`);
  }
  if (url.username || url.password) throw new Error(`${what} must not hold credentials.`);
  return url;
}
