import { errors, type CryptoKey, type FlattenedJWSInput, type JWSHeaderParameters } from 'jose';
import type { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { SigningKeys } from './signing-keys.js';

const timeoutMs = 5_000;
const maxDocumentBytes = 256 * 1024;
const discoveryMaxAgeMs = 3_600_000;
const rediscoveryPauseMs = 60_000;
/** After a failed fetch the next ones fail at once for this long: a provider in trouble is not helped by a crowd. */
const failureCooldownMs = 1_000;

/** Where people sign in by device (RFC 8628, RFC 8414); null what the provider does not offer. */
export interface ProviderEndpoints {
  readonly deviceAuthorization: string | null;
  readonly token: string | null;
}

interface Discovered {
  readonly keys: SigningKeys;
  readonly jwksUri: string;
  readonly endpoints: ProviderEndpoints;
}

/**
 * The signing keys of an OpenID provider, by discovery (OpenID Connect Discovery 1.0 §4). Nothing is fetched before the
 * first token comes, so a provider that is down does not stop the start, and it is asked again when it is back.
 * How long keys are kept, and how often they are asked for: {@link SigningKeys}.
 */
export class ProviderKeys {
  readonly #issuer: URL;
  #discovered: Discovered | undefined;
  #discoveredAt = 0;
  #discovering: Promise<Discovered> | undefined;
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
      const { keys } = await this.#current();
      return await keys.find(header, token);
    } catch (error) {
      throw isTokensFault(error) ? error : unavailable(this.#issuer.host, error);
    }
  }

  /** What the discovery document says, kept as long as it is; undefined while the provider cannot be asked. */
  async endpoints(): Promise<ProviderEndpoints | undefined> {
    return this.#current().then(
      ({ endpoints }) => endpoints,
      () => undefined,
    );
  }

  #now(): number {
    return this.clock.now().getTime();
  }

  /** An hour-old discovery is made anew, and kept when that fails: the keys behind it expire by themselves. */
  async #current(): Promise<Discovered> {
    const age = this.#now() - this.#discoveredAt;
    if (this.#discovered && age >= 0 && age < discoveryMaxAgeMs) return this.#discovered;
    this.#discovering ??= this.#discover().finally(() => (this.#discovering = undefined));
    try {
      return await this.#discovering;
    } catch (error) {
      if (!this.#discovered) throw error;
      this.#discoveredAt = this.#now() - discoveryMaxAgeMs + rediscoveryPauseMs;
      return this.#discovered;
    }
  }

  async #discover(): Promise<Discovered> {
    const url = `${this.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const document = ((await this.#fetchJson(url)) ?? {}) as Readonly<Record<string, unknown>>;
    const { issuer, jwks_uri: jwksUri } = document;
    if (issuer !== this.issuer) throw new Error(`${url} names another issuer than ${this.issuer}`);
    if (typeof jwksUri !== 'string') throw new Error(`${url} has no jwks_uri`);
    this.#trust(jwksUri, 'The jwks_uri');
    // The same address keeps its cache, or a rediscovery would throw away keys that are still good
    const keys =
      this.#discovered?.jwksUri === jwksUri
        ? this.#discovered.keys
        : new SigningKeys(() => this.#fetchJson(jwksUri), this.clock);
    const endpoints = {
      deviceAuthorization: this.#endpoint(document['device_authorization_endpoint']),
      token: this.#endpoint(document['token_endpoint']),
    };
    this.#discovered = { keys, jwksUri, endpoints };
    this.#discoveredAt = this.#now();
    return this.#discovered;
  }

  /** @throws Error for an address that is worth less trust than the issuer's own */
  #trust(address: string, what: string): string {
    const url = trustedUrl(address, what);
    if (this.#issuer.protocol === 'https:' && url.protocol !== 'https:') throw new Error(`${what} is without https`);
    return address;
  }

  /** An address that nobody should be sent to is as good as none: verifying does not need it. */
  #endpoint(address: unknown): string | null {
    try {
      return typeof address === 'string' ? this.#trust(address, 'The endpoint') : null;
    } catch {
      return null;
    }
  }

  async #fetchJson(url: string): Promise<unknown> {
    const response = await this.#fetch(url);
    return response.json();
  }

  /** Only fetching pauses after a failure: tokens whose key is known are verified all the while. */
  async #fetch(url: string): Promise<Response> {
    const recent = this.#failure;
    if (recent && Math.abs(this.#now() - recent.at) < failureCooldownMs) throw recent.error;
    try {
      const response = await fetchSmall(url, AbortSignal.timeout(timeoutMs));
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
    'Try again in a moment; if it lasts, an operator should check that Usher reaches this issuer (OIDC_ISSUER, OIDC_PROVIDERS) and what it answers.',
    { cause, retryAfterSeconds: 5 },
  );

/** Redirects are not followed: they could lead from the trusted host to any other. */
async function fetchSmall(url: string, signal: AbortSignal): Promise<Response> {
  const headers = { accept: 'application/json, application/jwk-set+json' };
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
