import { DomainError } from '../errors.js';

/** One of the limits that something counts against. */
export interface Claim {
  /** Whose limit it is. */
  readonly of: string;
  readonly most: number;
}

/** How many of something there are at once, by any number of limits. */
export class Seats {
  readonly #taken = new Map<string, number>();

  taken(of: string): number {
    return this.#taken.get(of) ?? 0;
  }

  /**
   * Takes one under each of these limits, or none at all.
   * @returns gives them back; a second time it does nothing
   * @throws DomainError `too_many_requests`
   */
  take(claims: readonly Claim[]): () => void {
    for (const { of, most } of claims) if (this.taken(of) >= most) throw full(most);
    for (const { of } of claims) this.#taken.set(of, this.taken(of) + 1);
    let left = claims;
    return () => {
      for (const { of } of left) this.#give(of);
      left = [];
    };
  }

  #give(of: string): void {
    const rest = this.taken(of) - 1;
    if (rest > 0) this.#taken.set(of, rest);
    else this.#taken.delete(of);
  }
}

const full = (most: number): DomainError =>
  new DomainError(
    'quota',
    'too_many_requests',
    `There are ${most} such connections already.`,
    'Close one, or wait: one connection carries many subscriptions.',
    { retryAfterSeconds: 5 },
  );
