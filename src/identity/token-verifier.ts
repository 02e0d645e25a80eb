import { createHash } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, errors, jwtVerify, type JWTPayload } from 'jose';
import type { Clock } from '../platform/clock.js';
import { DomainError, type ErrorCode } from '../platform/errors.js';
import { RecentlyUsed } from '../platform/recently-used.js';
import { ClaimError, personFromClaims } from './claims.js';
import { tokenAlgorithms, type TokenVerifierConfig, type VerifiedPerson } from './identity.contract.js';
import { ProviderKeys } from './provider-keys.js';

/** Longest token that is looked at, in characters. */
const maxTokenLength = 16 * 1024;
/** RFC 9068 access tokens, plain JWTs, and providers that send no `typ`. Anything else is another kind of token. */
const acceptedTypes = new Set(['jwt', 'at+jwt', 'application/at+jwt']);

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

interface Taken {
  readonly person: VerifiedPerson;
  readonly at: number;
  /** `exp` of the token, with the tolerance: looked at in every call. */
  readonly ends: number;
}

/** Verifies the access tokens (JWT) of one OpenID provider. Only successes are kept, under the hash of the token, briefly. */
export class TokenVerifier {
  readonly #keys: ProviderKeys;
  readonly #algorithms: string[];
  readonly #tolerance: number;
  readonly #taken = new RecentlyUsed<Taken>(maxTaken);

  /** @throws Error when the configuration cannot be safe; nothing is fetched yet */
  constructor(
    private readonly config: TokenVerifierConfig,
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
    this.#keys = new ProviderKeys(config.issuer, clock);
  }

  /**
   * @param token what `bearerToken` found
   * @throws DomainError `token_missing`, `token_invalid`, `token_expired` or `identity_provider_unavailable`; none holds
   *   any part of the token
   */
  async verify(token: string | undefined): Promise<VerifiedPerson> {
    if (!token) {
      throw new DomainError('unauthenticated', 'token_missing', 'There is no access token.', this.#howTo());
    }
    if (token.length > maxTokenLength) throw this.#invalid(`is longer than ${maxTokenLength} characters`);
    const now = this.clock.now();
    const hash = createHash('sha256').update(token).digest('base64');
    const taken = this.#taken.get(hash);
    if (taken && Math.abs(now.getTime() - taken.at) < takenFor && now.getTime() < taken.ends) return taken.person;
    this.#refuseUnlikely(token);
    try {
      const { payload } = await jwtVerify(token, (header, input) => this.#keys.find(header, input), {
        issuer: this.config.issuer,
        audience: this.config.audience,
        algorithms: this.#algorithms,
        clockTolerance: this.#tolerance,
        currentDate: now,
        requiredClaims: ['exp', 'iat', 'sub'],
      });
      // jose looks at `iat` only together with a maximum age
      if ((payload.iat ?? Infinity) > now.getTime() / 1_000 + this.#tolerance)
        throw new ClaimError('is from the future');
      const person = personFromClaims(payload, this.config.groupsClaim, this.config.awsPrincipalClaim);
      const ends = ((payload.exp ?? 0) + this.#tolerance) * 1_000;
      this.#taken.set(hash, { person, at: now.getTime(), ends });
      return person;
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  /** What no key could make good is refused before a key is fetched: nobody makes Usher call the provider with junk. */
  #refuseUnlikely(token: string): void {
    let header: ReturnType<typeof decodeProtectedHeader>;
    let claims: JWTPayload;
    try {
      header = decodeProtectedHeader(token);
      claims = decodeJwt(token);
    } catch {
      throw this.#invalid('is not a signed JWT');
    }
    if (typeof header.alg !== 'string' || !this.#algorithms.includes(header.alg)) {
      throw this.#invalid(`is not signed with one of ${this.#algorithms.join(', ')}`);
    }
    if (header.typ !== undefined && !(typeof header.typ === 'string' && acceptedTypes.has(header.typ.toLowerCase()))) {
      throw this.#invalid('is not an access token');
    }
    if (claims.iss !== this.config.issuer) throw this.#invalid(`was not issued by ${this.config.issuer}`);
  }

  #refusal(error: unknown): unknown {
    if (error instanceof DomainError) return error;
    if (error instanceof errors.JWTExpired) {
      return this.#unauthenticated(
        'token_expired',
        'The access token has expired.',
        'Sign in again, or refresh the token.',
      );
    }
    if (error instanceof ClaimError) return this.#invalid(error.message);
    if (error instanceof errors.JWTClaimValidationFailed) return this.#invalid(this.#wrongClaim(error));
    if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) {
      return this.#invalid('is not signed with a key of the provider');
    }
    if (error instanceof errors.JWSSignatureVerificationFailed) return this.#invalid('has a wrong signature');
    if (error instanceof errors.JOSEError || error instanceof TypeError) return this.#invalid('is malformed');
    return error;
  }

  #wrongClaim({ claim, reason }: errors.JWTClaimValidationFailed): string {
    if (reason === 'missing') return `has no ${claim}`;
    if (claim === 'aud') return `is for another audience than ${this.config.audience}`;
    if (claim === 'nbf') return 'is not valid yet';
    return `has a wrong ${claim}`;
  }

  #invalid(what: string): DomainError {
    return this.#unauthenticated('token_invalid', `The access token ${what}.`, this.#howTo());
  }

  #unauthenticated(code: ErrorCode, message: string, advice: string): DomainError {
    return new DomainError('unauthenticated', code, message, advice);
  }

  #howTo(): string {
    return `Send "Authorization: Bearer …" with an access token from ${this.config.issuer} for the audience ${this.config.audience}.`;
  }
}
