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
  // eslint-disable-next-line no-control-regex -- whether all is ASCII, as almost all is
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

const MOMENT = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{3}))? (UTC|GMT|Z|[+-]\d\d(?:\d\d)?)$/;

/**
 * A moment as a log writes it. Other zones than UTC only as numbers: an abbreviation such as CST means more than one.
 * @returns undefined for what is none
 */
export function momentOf(text: string): Date | undefined {
  const [all, year, month, day, hour, minute, second, milli, zone = ''] = MOMENT.exec(text) ?? [];
  if (all === undefined) return undefined;
  const utc = Date.UTC(
    ...([Number(year), Number(month) - 1, Number(day)] as const),
    ...([Number(hour), Number(minute), Number(second), Number(milli ?? 0)] as const),
  );
  const sign = zone.startsWith('-') ? -1 : zone.startsWith('+') ? 1 : 0;
  const minutes = sign * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(3, 5) || 0));
  return new Date(utc - (sign === 0 ? 0 : minutes * 60_000));
}
