/** The time of day as policies read it: Cedar's own clock is UTC, and knows no weekday. */
export interface LocalTime {
  /** 1 is Monday, 7 is Sunday. */
  readonly weekday: number;
  /** Minutes since midnight as clocks show it, 0 to 1439: where the clock is changed some come twice, or not at all. */
  readonly minute: number;
}

/** What is meant where nothing is said. */
export const UTC = 'UTC';

const weekdays = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
/** Making one costs more than a decision does. */
const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known) return known;
  const format = new Intl.DateTimeFormat('en-US', {
    ...{ timeZone: zone, calendar: 'gregory', numberingSystem: 'latn', hourCycle: 'h23' },
    ...{ weekday: 'short', hour: '2-digit', minute: '2-digit' },
  });
  formats.set(zone, format);
  return format;
}

/**
 * @param zone name of a time zone, such as Europe/Berlin
 * @throws RangeError for a zone or a time that is none
 */
export function localTime(at: Date, zone: string): LocalTime {
  const parts = new Map(
    formatOf(zone)
      .formatToParts(at)
      .map(({ type, value }) => [type, value]),
  );
  const [hour, minute] = [Number(parts.get('hour')), Number(parts.get('minute'))];
  return { weekday: weekdays.indexOf(parts.get('weekday') ?? '') + 1, minute: hour * 60 + minute };
}
