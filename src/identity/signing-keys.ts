import { createLocalJWKSet, errors, type CryptoKey, type FlattenedJWSInput, type JWSHeaderParameters } from 'jose';
import type { Clock } from '../platform/clock.js';

type KeySet = ReturnType<typeof createLocalJWKSet>;

/** Milliseconds for which keys are taken as they were fetched: how late a key that the provider withdrew is noticed. */
const fresh = 600_000;
/**
 * Milliseconds for which they are used while the provider cannot be asked. An outage of the provider shuts nobody out who has
 * a token; a key that was withdrawn in that time is what it costs, so it ends.
 */
const stale = 4 * 3_600_000;
/** Between two tries while there are keys to go on with: a provider in trouble holds up one call in a minute. */
const retryPause = 60_000;
/** Between two fetches for keys that nobody knows: tokens with made-up keys make no more calls than that. */
const unknownPause = 30_000;

/** The keys of one address, fetched when they are needed, kept within bounds. */
export class SigningKeys {
  #keys: KeySet | undefined;
  #fetchedAt = 0;
  #triedAt = 0;
  #failure: Error | undefined;
  #fetching: Promise<KeySet> | undefined;

  constructor(
    private readonly fetchSet: () => Promise<unknown>,
    private readonly clock: Clock,
  ) {}

  /** @throws errors.JWKSNoMatchingKey, errors.JWKSMultipleMatchingKeys; else what kept the keys from being fetched */
  async find(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> {
    const keys = await this.#current();
    try {
      return await keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      const newer = await this.#newer(error);
      return newer(header, token);
    }
  }

  async #current(): Promise<KeySet> {
    const keys = this.#keys;
    if (!keys || !this.#isWithin(stale, this.#fetchedAt)) return this.#fetch();
    if (this.#isWithin(fresh, this.#fetchedAt)) return keys;
    if (this.#failure !== undefined && this.#isWithin(retryPause, this.#triedAt)) return keys;
    return this.#fetch().catch(() => keys);
  }

  /** A key that is not known may be a new one. While the provider could not be asked, nobody can say that it is not. */
  async #newer(unknown: errors.JWKSNoMatchingKey): Promise<KeySet> {
    if (this.#isWithin(unknownPause, this.#triedAt)) throw this.#failure ?? unknown;
    return this.#fetch();
  }

  #fetch(): Promise<KeySet> {
    return (this.#fetching ??= this.#load().finally(() => (this.#fetching = undefined)));
  }

  async #load(): Promise<KeySet> {
    this.#triedAt = this.clock.now().getTime();
    try {
      const keys = createLocalJWKSet((await this.fetchSet()) as Parameters<typeof createLocalJWKSet>[0]);
      this.#keys = keys;
      this.#fetchedAt = this.#triedAt;
      this.#failure = undefined;
      return keys;
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error('The keys could not be fetched.', { cause: error });
      throw error;
    }
  }

  #isWithin(duration: number, since: number): boolean {
    const age = this.clock.now().getTime() - since;
    return age >= 0 && age < duration;
  }
}
