import { createHash } from 'node:crypto';
import type { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { RecentlyUsed } from '../platform/recently-used.js';
import type { TokenVerifierConfig, VerifiedCaller, VerifiedPerson } from './identity.contract.js';
import { readUnverified, TokenFormError, type UnverifiedToken } from './token-form.js';
import { invalidToken } from './token-refusals.js';
import { TrustedProvider, type Verified } from './trusted-provider.js';

/** Longest token that is looked at, in characters. */
const maxTokenLength = 16 * 1024;

/** The token of an `Authorization: Bearer …` header (RFC 6750), if there is one. */
export function bearerToken(header: string | undefined): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(header ?? '')?.[1];
}

/**
 * For how long a token that was verified is taken as verified, in milliseconds. The provider's keys are kept far longer, so this
 * adds nothing to how late a withdrawn key is noticed; a program that calls often spares half of what a call costs.
 */
const takenFor = 10_000;
const maxTaken = 10_000;

interface Taken extends Verified {
  readonly at: number;
}

/**
 * Verifies the access tokens (JWT) of the OpenID providers that are trusted: each by that one provider whose issuer it names,
 * and with no other's keys or rules. Only successes are kept, under the hash of the token, briefly.
 */
export class TokenVerifier {
  /** In the order of the configuration. */
  readonly providers: readonly TrustedProvider[];
  readonly #taken = new RecentlyUsed<Taken>(maxTaken);

  /** @throws Error when the configuration cannot be safe; nothing is fetched yet */
  constructor(
    configs: readonly TokenVerifierConfig[],
    private readonly clock: Clock,
  ) {
    this.providers = configs.map((config) => new TrustedProvider(config, clock));
    if (this.providers.length === 0) throw new Error('There is no provider whose tokens would be accepted.');
    if (new Set(configs.map(({ issuer }) => issuer)).size < configs.length)
      throw new Error('Two providers have the same issuer.');
  }

  /**
   * The person whose token it is. Never a client, which is a service where it is anything.
   * @throws DomainError as {@link verifyCaller}
   */
  async verify(token: string | undefined): Promise<VerifiedPerson> {
    const caller = await this.verifyCaller(token);
    if ('clientId' in caller) throw invalidToken('stands for a client, not for a person', this.#howTo());
    return caller;
  }

  /**
   * @param token what `bearerToken` found
   * @throws DomainError `token_missing`, `token_invalid`, `token_expired` or `identity_provider_unavailable`; none holds
   *   any part of the token
   */
  async verifyCaller(token: string | undefined): Promise<VerifiedCaller> {
    if (!token) {
      throw new DomainError('unauthenticated', 'token_missing', 'There is no access token.', this.#howTo());
    }
    if (token.length > maxTokenLength) throw invalidToken(`is longer than ${maxTokenLength} characters`, this.#howTo());
    const now = this.clock.now().getTime();
    const hash = createHash('sha256').update(token).digest('base64');
    const taken = this.#taken.get(hash);
    if (taken && Math.abs(now - taken.at) < takenFor && now < taken.ends) return taken.caller;
    const { issuer, algorithm } = this.#read(token);
    const provider = this.providers.find(({ config }) => config.issuer === issuer);
    if (!provider) {
      const issuers = this.providers.map(({ config }) => config.issuer).join(' or ');
      throw invalidToken(`was not issued by ${issuers}`, this.#howTo());
    }
    const verified = await provider.verify(token, algorithm);
    this.#taken.set(hash, { ...verified, at: now });
    return verified.caller;
  }

  #read(token: string): UnverifiedToken {
    try {
      return readUnverified(token);
    } catch (error) {
      throw error instanceof TokenFormError ? invalidToken(error.message, this.#howTo()) : error;
    }
  }

  #howTo(): string {
    const [first, ...others] = this.providers;
    const more = others.length > 0 ? ' GET /v1/sign-in lists the other providers.' : '';
    return `${first?.howTo ?? ''}${more}`;
  }
}
