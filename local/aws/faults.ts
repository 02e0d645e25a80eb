/** Trouble on demand, for tests: what AWS does on a bad day. */
import { setTimeout as wait } from 'node:timers/promises';
import { ApiError } from './api.ts';

/** Narrows a fault to some calls; without it every call is met. */
export interface FaultMatch {
  /** As in the signature: `sts`, `iam`, `rds`, `secretsmanager`, `kms`. */
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
  #delayed: FaultMatch = {};
  #oneIn = 0;
  #throttled: FaultMatch = {};
  #asked = 0;
  #refused = 0;

  /** The next `count` calls are answered `Throttling: Rate exceeded`. */
  throttle(count: number, match: FaultMatch = {}): void {
    this.#add(count, match, 'before', () => new ApiError('Throttling', 'Rate exceeded'));
  }

  /** One in so many of these calls is answered `Throttling: Rate exceeded`, from now on; 0 switches it off. */
  throttleOneIn(calls: number, match: FaultMatch = {}): void {
    this.#oneIn = calls;
    this.#throttled = match;
    this.#asked = 0;
    this.#refused = 0;
  }

  /** Calls that `throttleOneIn` has refused; they are not in the trail. */
  get refusedOfMany(): number {
    return this.#refused;
  }

  /** The next `count` calls are answered with a 503. */
  fail(count: number, match: FaultMatch = {}, moment: FaultMoment = 'before'): void {
    this.#add(count, match, moment, () => new ApiError('ServiceUnavailable', 'Service is unavailable', 503));
  }

  /** The next `count` calls are answered with this error of AWS, as `AccessDenied`, `ExpiredToken` or `LimitExceeded`. */
  refuse(count: number, code: string, match: FaultMatch = {}): void {
    this.#add(count, match, 'before', () => new ApiError(code, 'Refused on demand.', 403));
  }

  /** Each of these calls takes so much longer, until it is set to 0. */
  delay(milliseconds: number, match: FaultMatch = {}): void {
    this.#delayMs = milliseconds;
    this.#delayed = match;
  }

  clear(): void {
    this.#pending.length = 0;
    this.#delayMs = 0;
    this.#oneIn = 0;
  }

  #add(count: number, match: FaultMatch, moment: FaultMoment, error: () => ApiError): void {
    this.#pending.push({ remaining: count, match, moment, error });
  }

  async slow(service: string, action: string): Promise<void> {
    if (this.#delayMs > 0 && matches(this.#delayed, service, action)) await wait(this.#delayMs);
  }

  /** @throws ApiError when a fault is due */
  strike(service: string, action: string, moment: FaultMoment): void {
    if (moment === 'before' && this.#oneIn > 0 && matches(this.#throttled, service, action))
      if (++this.#asked % this.#oneIn === 0) {
        this.#refused++;
        throw new ApiError('Throttling', 'Rate exceeded');
      }
    const due = this.#pending.find(
      ({ remaining, match, moment: when }) => remaining > 0 && when === moment && matches(match, service, action),
    );
    if (due === undefined) return;
    due.remaining--;
    throw due.error();
  }
}

const matches = (match: FaultMatch, service: string, action: string): boolean =>
  (match.service ?? service) === service && (match.action ?? action) === action;
