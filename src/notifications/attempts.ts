/** For so long an event is tried, counted from its first try, in milliseconds. */
export const GIVE_UP_MS = 24 * 3_600_000;
/** Pause before the second try; each further one is twice as long, up to the longest. */
const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 3_600_000;
/** While nothing arrives at all, one event is tried at least so often: what comes back is soon found. */
const LONGEST_SILENCE_MS = 300_000;
/** After so many failures and nothing that arrived, it is the receiver and not the event. */
export const SILENT_AFTER = 5;

/** What one try came to. */
export interface Try {
  readonly firstAttemptAt: Date | null;
  /** HTTP status of the answer; null: none came. */
  readonly status: number | null;
  /** Why it did not arrive; null: it did. */
  readonly problem: string | null;
}

/** What a round of tries says of the receiver. */
export interface Standing {
  failures: number;
  pausedUntil: Date | null;
  /** It was taken for silent and is not: what waits is worth another try at once. */
  isBack: boolean;
  /** Why nothing is sent any more, and how that is called. */
  ended?: { state: 'disabled' | 'failing'; reason: string };
}

/**
 * Milliseconds until the next try.
 * @param attempts that were made, at least 1
 * @param random from 0 to 1: those that failed together are not tried again together
 */
export const pauseAfter = (attempts: number, random: number, longest = LONGEST_PAUSE_MS): number =>
  Math.round(Math.min(FIRST_PAUSE_MS * 2 ** Math.min(attempts - 1, 20), longest) * (0.8 + 0.4 * random));

/** Says that nothing is wanted there any more (Standard Webhooks, "Responses"). */
const GONE = 410;

/**
 * @param before failures since something last arrived
 * @param tries at least one, made at the same time
 */
export function standingAfter(before: number, tries: readonly Try[], now: Date, random: number): Standing {
  const failed = tries.filter(({ problem }) => problem !== null);
  const arrived = failed.length < tries.length;
  const failures = arrived ? 0 : before + failed.length;
  const isSilent = failures >= SILENT_AFTER;
  const pause = pauseAfter(failures - SILENT_AFTER + 1, random, LONGEST_SILENCE_MS);
  const standing: Standing = {
    failures,
    pausedUntil: isSilent ? new Date(now.getTime() + pause) : null,
    isBack: arrived && before >= SILENT_AFTER,
  };
  const ended = endOf(failed, now);
  return ended ? { ...standing, pausedUntil: null, ended } : standing;
}

function endOf(failed: readonly Try[], now: Date): Standing['ended'] {
  if (failed.some(({ status }) => status === GONE))
    return { state: 'disabled', reason: 'The receiver answered 410: nothing is wanted there any more.' };
  const over = failed.find(
    ({ firstAttemptAt }) => firstAttemptAt !== null && now.getTime() - firstAttemptAt.getTime() >= GIVE_UP_MS,
  );
  return over && { state: 'failing', reason: `An event could not be delivered for 24 hours: ${over.problem ?? ''}` };
}
