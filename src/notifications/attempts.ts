/** For so long an event is tried, counted from its first try, in milliseconds. */
export const GIVE_UP_MS = 24 * 3_600_000;
/** Messages, each of another subject, that are under way to one receiver at the same time. */
export const AT_ONCE = 8;
/** Pause before the second try; each further one is twice as long, up to the longest: a receiver that is back is soon found. */
const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 300_000;

/** What one try came to. */
export interface Try {
  readonly firstAttemptAt: Date | null;
  /** HTTP status of the answer; null: none came. */
  readonly status: number | null;
  /** Why it did not arrive; null: it did. */
  readonly problem: string | null;
  /** Milliseconds for which the receiver asked to be left in peace. */
  readonly asked?: number | undefined;
}

/** What is known of a receiver. */
export interface Standing {
  /** Tries that failed since the last that did not. */
  readonly failures: number;
  /** Nothing is tried before: each event has pauses of its own, and thousands of them would still leave it no peace. */
  readonly pausedUntil: Date | null;
}

export interface NextStanding extends Standing {
  /** It took nothing for a while, and does now: what waits is worth another try at once. */
  readonly isBack: boolean;
  /** Why nothing is sent any more, and how that is called. */
  readonly ended?: { readonly state: 'disabled' | 'failing'; readonly reason: string };
}

/**
 * Milliseconds until the next try.
 * @param attempts that were made, at least 1
 * @param random from 0 to 1: those that failed together are not tried again together
 */
export const pauseAfter = (attempts: number, random: number): number =>
  Math.round(Math.min(FIRST_PAUSE_MS * 2 ** Math.min(attempts - 1, 20), LONGEST_PAUSE_MS) * (0.8 + 0.4 * random));

/** Says that nothing is wanted there any more (Standard Webhooks, "Delivery success and failure"). */
const GONE = 410;
/** Say that the receiver has too much to do, whatever the event is (the same). */
const OVERLOADED: ReadonlySet<number | null> = new Set([429, 502, 504]);

/**
 * What tries that were made at the same time say of the receiver. As long as fewer fail than may be under way, it may be the events:
 * then only their own subjects wait. When all fail that may be, it is the receiver; and when it says so itself.
 * @param tries at least one
 */
export function standingAfter(before: Standing, tries: readonly Try[], now: Date, random: number): NextStanding {
  const failed = tries.filter(({ problem }) => problem !== null);
  const arrived = failed.length < tries.length;
  const failures = arrived ? 0 : before.failures + failed.length;
  const pause = pauseOf(failed, failures, random);
  const ended = endOf(failed, now);
  return {
    failures,
    pausedUntil: pause === undefined || ended ? null : new Date(now.getTime() + pause),
    isBack: arrived && before.pausedUntil !== null && pause === undefined,
    ...(ended && { ended }),
  };
}

function pauseOf(failed: readonly Try[], failures: number, random: number): number | undefined {
  const asked = failed.flatMap((one) => one.asked ?? []);
  if (failed.length < AT_ONCE && asked.length === 0 && !failed.some(({ status }) => OVERLOADED.has(status)))
    return undefined;
  return Math.max(pauseAfter(Math.max(1, Math.ceil(failures / AT_ONCE)), random), ...asked);
}

function endOf(failed: readonly Try[], now: Date): NextStanding['ended'] {
  if (failed.some(({ status }) => status === GONE))
    return { state: 'disabled', reason: 'The receiver answered 410: nothing is wanted there any more.' };
  const over = failed.find(
    ({ firstAttemptAt }) => firstAttemptAt !== null && now.getTime() - firstAttemptAt.getTime() >= GIVE_UP_MS,
  );
  return over && { state: 'failing', reason: `An event could not be delivered for 24 hours: ${over.problem ?? ''}` };
}
