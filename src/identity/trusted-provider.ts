import { errors, jwtVerify, type JWTPayload } from 'jose';
import type { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { ClaimError, personFromClaims, refuseForeignKind, refuseForeignParty } from './claims.js';
import { clientIn } from './client-token.js';
import { tokenAlgorithms, type TokenVerifierConfig, type VerifiedCaller } from './identity.contract.js';
import { ProviderKeys } from './provider-keys.js';
import { invalidToken } from './token-refusals.js';

/** A person or a client, and when the token that names them ends, with the tolerance, in milliseconds. */
export interface Verified {
  readonly caller: VerifiedCaller;
  readonly ends: number;
}

/** One OpenID provider: its keys, and the rules for its tokens. It never sees those of another. */
export class TrustedProvider {
  readonly keys: ProviderKeys;
  readonly #algorithms: string[];
  readonly #tolerance: number;

  /** @throws Error when the configuration cannot be safe; nothing is fetched yet */
  constructor(
    readonly config: TokenVerifierConfig,
    private readonly clock: Clock,
  ) {
    if (!config.audience) throw new Error('The audience that tokens must be for is not set.');
    this.#algorithms = [...(config.algorithms ?? tokenAlgorithms)];
    const unknown = this.#algorithms.filter((name) => !(tokenAlgorithms as readonly string[]).includes(name));
    if (unknown.length > 0 || this.#algorithms.length === 0) {
      throw new Error(
        `Token algorithms must be out of ${tokenAlgorithms.join(', ')}; not ${unknown.join(', ') || 'none at all'}.`,
      );
    }
    this.#tolerance = config.clockToleranceSeconds ?? 30;
    if (!(this.#tolerance >= 0 && this.#tolerance <= 300))
      throw new Error('The clock tolerance must be 0 to 300 seconds.');
    this.keys = new ProviderKeys(config.issuer, clock);
  }

  /** What a caller may do about a refusal. */
  get howTo(): string {
    const { issuer, audience } = this.config;
    return `Send "Authorization: Bearer …" with an access token from ${issuer} for the audience ${audience}.`;
  }

  /**
   * @param algorithm that the token names, before anything is fetched for it
   * @throws DomainError `token_invalid`, `token_expired` or `identity_provider_unavailable`
   */
  async verify(token: string, algorithm: unknown): Promise<Verified> {
    if (typeof algorithm !== 'string' || !this.#algorithms.includes(algorithm))
      throw invalidToken(`is not signed with one of ${this.#algorithms.join(', ')}`, this.howTo);
    try {
      return await this.#verify(token, this.clock.now());
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  async #verify(token: string, now: Date): Promise<Verified> {
    const { payload } = await jwtVerify(token, (header, input) => this.keys.find(header, input), {
      issuer: this.config.issuer,
      audience: this.config.audience,
      algorithms: this.#algorithms,
      clockTolerance: this.#tolerance,
      currentDate: now,
      requiredClaims: ['exp', 'iat', 'sub'],
    });
    const latest = now.getTime() + this.#tolerance * 1_000;
    // jose looks at `iat` only together with a maximum age
    if ((payload.iat ?? Infinity) * 1_000 > latest) throw new ClaimError('is from the future');
    return { caller: this.#caller(payload, latest), ends: ((payload.exp ?? 0) + this.#tolerance) * 1_000 };
  }

  /** Which clients are services is registered one by one: the clients through which people come are another list. */
  #caller(payload: JWTPayload, latest: number): VerifiedCaller {
    const { issuer, serviceTokens, authorizedParties } = this.config;
    refuseForeignKind(payload);
    const clientId = clientIn(payload, serviceTokens);
    if (clientId !== undefined) return { issuer, clientId };
    refuseForeignParty(payload, authorizedParties);
    const person = personFromClaims(payload, this.config);
    if ((person.authenticatedAt?.getTime() ?? 0) > latest) throw new ClaimError('has an auth_time in the future');
    return person;
  }

  #refusal(error: unknown): unknown {
    if (error instanceof DomainError) return error;
    if (error instanceof errors.JWTExpired)
      return new DomainError(
        'unauthenticated',
        'token_expired',
        'The access token has expired.',
        'Sign in again, or refresh the token.',
      );
    const what = this.#fault(error);
    return what === undefined ? error : invalidToken(what, this.howTo);
  }

  #fault(error: unknown): string | undefined {
    if (error instanceof ClaimError) return error.message;
    if (error instanceof errors.JWTClaimValidationFailed) return this.#wrongClaim(error);
    if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
      return 'is not signed with a key of the provider';
    if (error instanceof errors.JWSSignatureVerificationFailed) return 'has a wrong signature';
    return error instanceof errors.JOSEError || error instanceof TypeError ? 'is malformed' : undefined;
  }

  #wrongClaim({ claim, reason }: errors.JWTClaimValidationFailed): string {
    if (reason === 'missing') return `has no ${claim}`;
    if (claim === 'aud') return `is for another audience than ${this.config.audience}`;
    if (claim === 'nbf') return 'is not valid yet';
    return `has a wrong ${claim}`;
  }
}
