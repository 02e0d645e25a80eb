/** No endpoint is left alone for longer, however slow or dead it is. */
const LONGEST_MS = 60_000;
/** Of its time a server that is slow to answer spends no more than a fifth on being looked at. */
const REST = 4;
/** A look is late when so many could have been made since the last one; and never before so long. */
const LATE = 3;
const LATE_MS = 15_000;

/** Over so long the first looks of a process spread, where there are few. */
const FIRST_MS = 5_000;
/**
 * And where there are many, so long for each: it enters a server, and writes down everybody who is there already, which took 36 ms
 * for 100 sessions where two cores did all of it. Faster than that, they would only wait for one another, and the next looks for them.
 */
const ENTER_MS = 50;

/** How the last look at an endpoint went. */
export interface LastLook {
  tookMs: number;
  /** Looks without an answer, one after the other; 0 when there was one. */
  failures: number;
}

/**
 * Milliseconds until the next look: an interval from start to start at the most, longer for a server that answers slowly or not at all.
 * @param random of [0, 1): looks at many endpoints, and by many processes, spread. Up to a tenth sooner and never later, so that a
 *   session that lasts for an interval is not missed for it
 */
export function pauseAfter(intervalMs: number, { tookMs, failures }: LastLook, random: number): number {
  const jitter = 0.9 + random * 0.1;
  const longest = Math.max(LONGEST_MS, intervalMs);
  const wanted =
    failures === 0 ? Math.max(intervalMs - tookMs, REST * tookMs) : intervalMs * 2 ** Math.min(failures - 1, 10);
  return Math.min(longest, wanted) * jitter;
}

/**
 * Milliseconds until the first look at one of several endpoints that a process begins to look at, evenly spread.
 * @param nth from 0
 * @param random of [0, 1)
 */
export const firstPause = (intervalMs: number, { nth, of }: { nth: number; of: number }, random: number): number =>
  ((nth + random) / of) * Math.max(Math.min(intervalMs, FIRST_MS), of * ENTER_MS);

/** After so long without a look an endpoint was not watched: what is not seen then may have been there. */
export const lateMs = (intervalMs: number): number => Math.max(LATE_MS, LATE * intervalMs);
