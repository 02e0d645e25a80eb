import { Inject, Injectable } from '@nestjs/common';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { Allowance, Call } from '../call.js';
import { SETTINGS, type Settings } from '../config.js';
import { DomainError } from '../errors.js';
import { networkOf } from '../network.js';

const WINDOW_SECONDS = 60;
/** A token that is no good costs more to look at than none, and may be one of many guesses. */
const BAD_TOKEN = 2;

/** How many people's worth of calls a service has for all of them together. */
export const FOR_PEOPLE = 10;

/** Only these two: whoever watches over the process must hear from it, whatever else goes on. */
export const isHealth = (url: string): boolean => /^\/health\/(?:live|ready)(?:\?|$)/.test(url);

/**
 * How often one person, and one address without a valid token, may call in a minute; counted in this process alone. Whoever brings
 * a valid token is never held to what others at the same address did: nobody locks out a colleague.
 */
@Injectable()
export class RateLimits {
  private readonly people: RateLimiterMemory | undefined;
  private readonly services: RateLimiterMemory | undefined;
  private readonly addresses: RateLimiterMemory | undefined;

  constructor(@Inject(SETTINGS) settings: Pick<Settings, 'callsPerMinute' | 'anonymousCallsPerMinute'>) {
    this.people = limiter(settings.callsPerMinute);
    this.services = limiter(settings.callsPerMinute * FOR_PEOPLE);
    this.addresses = limiter(settings.anonymousCallsPerMinute);
  }

  /** Counts a call of somebody who is known. @throws DomainError `too_many_requests` */
  async countPerson(call: Call, personId: string): Promise<void> {
    await spend(
      this.people,
      'person',
      call,
      personId,
      1,
      'One program should not need so many: ask for lists, and wait.',
    );
  }

  /** Counts a call that a service makes for anybody. @throws DomainError `too_many_requests` */
  async countService(call: Call, serviceId: string): Promise<void> {
    await spend(this.services, 'person', call, serviceId, 1, 'Ask for lists, and wait; or have the limit raised.');
  }

  /**
   * Counts a call without a valid token.
   * @param bad it carries one that is no good
   * @throws DomainError `too_many_requests`
   */
  async countAddress(call: Call, bad: boolean): Promise<void> {
    const advice = 'Calls with a valid access token are counted apart: send one.';
    await spend(this.addresses, 'address', call, networkOf(call.address), bad ? BAD_TOKEN : 1, advice);
  }
}

const limiter = (points: number): RateLimiterMemory | undefined =>
  points === 0 ? undefined : new RateLimiterMemory({ points, duration: WINDOW_SECONDS });

async function spend(
  limit: RateLimiterMemory | undefined,
  policy: Allowance['policy'],
  call: Call,
  key: string,
  points: number,
  advice: string,
): Promise<void> {
  if (!limit) return;
  const allowance = ({ remainingPoints, msBeforeNext }: RateLimiterRes): Allowance => ({
    ...{ policy, limit: limit.points, windowSeconds: WINDOW_SECONDS },
    ...{ left: Math.max(0, remainingPoints), resetSeconds: Math.max(1, Math.ceil(msBeforeNext / 1_000)) },
  });
  try {
    call.allowance = allowance(await limit.consume(key, points));
  } catch (error) {
    if (!(error instanceof RateLimiterRes)) throw error;
    call.allowance = allowance(error);
    const of = policy === 'person' ? 'you' : 'your address';
    const message = `More calls came from ${of} than the ${limit.points} of a minute.`;
    const retryAfterSeconds = call.allowance.resetSeconds;
    throw new DomainError('quota', 'too_many_requests', message, advice, { retryAfterSeconds });
  }
}

/**
 * The fields of draft-ietf-httpapi-ratelimit-headers-10: what is allowed (`q` calls in `w` seconds) and what is left of it
 * (`r` calls, whole again in `t` seconds).
 */
export const rateLimitHeaders = ({ policy, limit, windowSeconds, left, resetSeconds }: Allowance) => ({
  'RateLimit-Policy': `"${policy}";q=${limit};w=${windowSeconds}`,
  RateLimit: `"${policy}";r=${left};t=${resetSeconds}`,
});
