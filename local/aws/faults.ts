/** Trouble on demand, for tests: what AWS does on a bad day. */
import { setTimeout as wait } from 'node:timers/promises';
import { ApiError } from './api.ts';

/** Narrows a fault to some calls; without it every call is met. */
export interface FaultMatch {
  /** As in the signature: `sts`, `iam`, `rds`, `secretsmanager`. */
  readonly service?: string;
  readonly action?: string;
}

/** `before` the call takes effect, or `after`: the caller then cannot know that it did. */
export type FaultMoment = 'before' | 'after';

interface Pending {
  remaining: number;
  readonly match: FaultMatch;
  readonly moment: FaultMoment;
  readonly error: () => ApiError;
}

export class Faults {
  readonly #pending: Pending[] = [];
  #delayMs = 0;

  /** The next `count` calls are answered `Throttling: Rate exceeded`. */
  throttle(count: number, match: FaultMatch = {}): void {
    this.#add(count, match, 'before', () => new ApiError('Throttling', 'Rate exceeded'));
  }

  /** The next `count` calls are answered with a 503. */
  fail(count: number, match: FaultMatch = {}, moment: FaultMoment = 'before'): void {
    this.#add(count, match, moment, () => new ApiError('ServiceUnavailable', 'Service is unavailable', 503));
  }

  /** Every call takes this much longer, until it is set to 0. */
  delay(milliseconds: number): void {
    this.#delayMs = milliseconds;
  }

  clear(): void {
    this.#pending.length = 0;
    this.#delayMs = 0;
  }

  #add(count: number, match: FaultMatch, moment: FaultMoment, error: () => ApiError): void {
    this.#pending.push({ remaining: count, match, moment, error });
  }

  async slow(): Promise<void> {
    if (this.#delayMs > 0) await wait(this.#delayMs);
  }

  /** @throws ApiError when a fault is due */
  strike(service: string, action: string, moment: FaultMoment): void {
    const due = this.#pending.find(
      ({ remaining, match, moment: when }) =>
        remaining > 0 &&
        when === moment &&
        (match.service ?? service) === service &&
        (match.action ?? action) === action,
    );
    if (due === undefined) return;
    due.remaining--;
    throw due.error();
  }
}
