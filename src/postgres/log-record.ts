/** One record of a server's log, whatever the format. Texts are UTF-8; what is not is shown with replacement characters. */
export interface LogRecord {
  readonly at: Date;
  readonly toTheMillisecond: boolean;
  readonly pid: number;
  readonly sessionId: string | null;
  readonly startedAt: Date | null;
  readonly address: string | null;
  readonly port: number | null;
  /** Null: nobody has said it yet. */
  readonly login: string | null;
  readonly database: string | null;
  /** `LOG` or `FATAL`: nothing else is looked at. */
  readonly level: string;
  readonly sqlstate: string | null;
  readonly message: string;
  readonly offset: number;
}

/**
 * Logs are split as latin1, where one character is one byte: offsets are indexes, and line breaks are where they are in bytes.
 * @returns the same bytes as the text that they are
 */
export const textOf = (bytes: string): string =>
  /^[\x00-\x7f]*$/.test(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8');

/** How messages begin that are looked at closely. All are written by the server in English (`lc_messages`), as RDS has it. */
const beginnings = [
  'connection received: ',
  'connection authenticated: ',
  'connection authorized: ',
  'replication connection authorized: ',
  'disconnection: ',
  'AUDIT: ',
] as const;
const LONGEST_BEGINNING = Math.max(...beginnings.map(({ length }) => length));

/**
 * Whether the message that stands at a place may become an event.
 * @returns undefined when the text ends before that can be told
 */
export function matters(level: string, text: string, at: number): boolean | undefined {
  if (level === 'FATAL') return true;
  if (level !== 'LOG') return false;
  if (beginnings.some((beginning) => text.startsWith(beginning, at))) return true;
  const rest = text.length - at;
  if (rest >= LONGEST_BEGINNING) return false;
  return beginnings.some((beginning) => beginning.startsWith(text.slice(at))) ? undefined : false;
}

const ZONE = /^(?:UTC|GMT|Z|([+-])(\d\d)(\d\d)?)$/;
/** Where a moment has no digit. */
const MARKS = [
  [4, '-'],
  [7, '-'],
  [10, ' '],
  [13, ':'],
  [16, ':'],
] as const;

/**
 * A moment as a log writes it. Other zones than UTC only as numbers: an abbreviation such as CST means more than one.
 * @returns undefined for what is none
 */
export function momentOf(text: string): Date | undefined {
  // two of them in every record: by hand, for a pattern with ten groups would take longer than all the rest
  for (const [at, mark] of MARKS) if (text[at] !== mark) return undefined;
  const milli = text[19] === '.' ? digits(text, 20, 23) : 0;
  const zoneAt = text[19] === '.' ? 23 : 19;
  const utc = Date.UTC(
    digits(text, 0, 4),
    digits(text, 5, 7) - 1,
    digits(text, 8, 10),
    digits(text, 11, 13),
    digits(text, 14, 16),
    digits(text, 17, 19),
    milli,
  );
  const zone = text[zoneAt] === ' ' ? text.slice(zoneAt + 1) : '';
  const behind = zone === 'UTC' ? 0 : minutesOf(zone);
  return Number.isNaN(utc) || behind === undefined ? undefined : new Date(utc - behind * 60_000);
}

/** NaN where one is none. */
function digits(text: string, from: number, to: number): number {
  let number = 0;
  for (let at = from; at < to; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (!(digit >= 0 && digit <= 9)) return NaN;
    number = number * 10 + digit;
  }
  return number;
}

function minutesOf(zone: string): number | undefined {
  const [all, sign, hours = '0', minutes = '0'] = ZONE.exec(zone) ?? [];
  if (all === undefined) return undefined;
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
}
