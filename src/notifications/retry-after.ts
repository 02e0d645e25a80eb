/** A receiver may ask for so much patience, and no more: an event is tried for a day, and must be tried some times in it. */
export const LONGEST_ASKED_MS = 4 * 3_600_000;

const SECONDS = /^\d{1,15}$/;
/** IMF-fixdate; the two obsolete forms of RFC 9110, 5.6.7, have no year or no zone that could be relied on. */
const DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/**
 * Milliseconds that a `Retry-After` header asks for (RFC 9110, 10.2.3), at most {@link LONGEST_ASKED_MS}.
 * @param header as it came; seconds, or a date
 * @returns undefined for none, and for what is neither
 */
export function askedPause(header: string | undefined, now: Date): number | undefined {
  const text = header?.trim() ?? '';
  const asked = SECONDS.test(text)
    ? Number(text) * 1000
    : DATE.test(text)
      ? Date.parse(text) - now.getTime()
      : undefined;
  return asked === undefined || Number.isNaN(asked) ? undefined : Math.min(Math.max(asked, 0), LONGEST_ASKED_MS);
}
