import { matters, momentOf, textOf, type LogRecord } from './log-record.js';
import type { FormatReading, LogTally } from './log-tally.js';
import type { ServerLogPlace } from './server-log.contract.js';

/** Columns of csvlog (PostgreSQL, "Using CSV-Format Log Output"); 13 has 24 of them, 14 and newer 26. */
const Column = {
  at: 0,
  user: 1,
  database: 2,
  pid: 3,
  from: 4,
  session: 5,
  start: 8,
  level: 11,
  sqlstate: 12,
  message: 13,
} as const;
const CONTEXT = 18;
const QUERY = 19;
const FEWEST = 23;
const MOST = 30;
/** PostgreSQL quotes these wherever they are not empty: a line inside of a quoted text, whose quotes are doubled, never looks so. */
const QUOTED = [Column.user, Column.database, Column.from, Column.message];

const QUOTE = 34;
const COMMA = 44;
const NEWLINE = 10;

/** Where the fields of a record are, quotes included. */
interface Bounds {
  readonly starts: number[];
  /** Its line break; where the text ends, when it is not complete; where it breaks the rules of quoting, when it does. */
  readonly end: number;
  readonly state: 'complete' | 'torn' | 'broken';
  /** With `torn`: whether a quoted field is open. */
  readonly quoted: boolean;
}

/** Comma-separated values, quoted as PostgreSQL does it. @param text latin1 */
export function readCsv(text: string, from: ServerLogPlace, tally: LogTally): FormatReading {
  let at = 0;
  if (from.within !== null) {
    const quoted = from.within === 'quoted';
    const rest = recordAt(text, 0, quoted);
    if (rest.state === 'torn') return skipped(text, 0, quoted);
    at = after(text, rest);
    if (at === 0) return { end: text.length, within: 'record' };
  }
  while (at < text.length) {
    const record = recordAt(text, at, false);
    if (record.state === 'torn') {
      const { starts } = record;
      const message = starts[Column.message];
      const dull = message !== undefined && matters(levelOf(text, starts), text, message + 1) === false;
      return dull ? skipped(text, at, false) : { end: at, within: null };
    }
    tell(text, at, record, from.offset, tally);
    const next = after(text, record);
    if (next === 0) return { end: at, within: null };
    at = next;
  }
  return { end: at, within: null };
}

/** What a record that is not complete and does not matter leaves to be skipped. Quotes at the end may be half of a doubled one. */
function skipped(text: string, at: number, within: boolean): FormatReading {
  let end = text.length;
  while (end > at && text.charCodeAt(end - 1) === QUOTE) end--;
  const known = recordAt(text.slice(0, end), at, within);
  return { end, within: known.quoted ? 'quoted' : 'record' };
}

/** Behind a record; behind a broken one, at the line after the break: there, the server began anew. 0: there is nothing yet. */
const after = (text: string, { state, end }: Bounds): number =>
  state === 'complete' ? end + 1 : text.indexOf('\n', end) + 1;

function recordAt(text: string, at: number, within: boolean): Bounds {
  const starts = [at];
  for (let place = at, quoted = within; ; quoted = false) {
    if (quoted || text.charCodeAt(place) === QUOTE) {
      const closed = closingQuote(text, quoted ? place : place + 1);
      if (closed === undefined) return { starts, end: text.length, state: 'torn', quoted: true };
      place = closed + 1;
    } else place = unquotedEnd(text, place);
    if (place >= text.length) return { starts, end: place, state: 'torn', quoted: false };
    const follows = text.charCodeAt(place);
    if (follows === NEWLINE) return { starts, end: place, state: 'complete', quoted: false };
    if (follows !== COMMA) return { starts, end: place, state: 'broken', quoted: false };
    starts.push(++place);
  }
}

/** The quote that is not one of two. */
function closingQuote(text: string, from: number): number | undefined {
  for (let at = text.indexOf('"', from); at >= 0; at = text.indexOf('"', at + 2)) {
    if (text.charCodeAt(at + 1) !== QUOTE) return at;
  }
  return undefined;
}

function unquotedEnd(text: string, from: number): number {
  let at = from;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === COMMA || code === NEWLINE || code === QUOTE) break;
  }
  return at;
}

function levelOf(text: string, starts: readonly number[]): string {
  return text.slice(starts[Column.level], (starts[Column.level + 1] ?? 0) - 1);
}

function tell(text: string, at: number, record: Bounds, offset: number, tally: LogTally): void {
  const { starts, state } = record;
  const message = starts[Column.message];
  if (state !== 'complete' || message === undefined || starts.length < FEWEST || starts.length > MOST) {
    tally.foreign++;
    return;
  }
  if (matters(levelOf(text, starts), text, message + 1) !== true) {
    tally.records++;
    return;
  }
  const raw = (column: number): string => text.slice(starts[column], (starts[column + 1] ?? record.end + 1) - 1);
  const read = recordOf(raw, offset + at);
  if (!read) {
    tally.foreign++;
    return;
  }
  tally.records++;
  // what runs in SQL says so; the server's own lines of a connection have neither
  const bySql = read.level === 'LOG' && (raw(CONTEXT) !== '' || raw(QUERY) !== '');
  if (bySql) tally.doubtful++;
  else tally.tell(read);
}

const ADDRESS = /^(.*?)(?::(\d{1,5}))?$/s;
const SESSION = /^[0-9a-f]{1,16}\.[0-9a-f]{1,8}$/;

function recordOf(raw: (column: number) => string, offset: number): LogRecord | undefined {
  const at = momentOf(raw(Column.at));
  const pid = Number(raw(Column.pid));
  const session = raw(Column.session);
  const [user, database, client, text] = QUOTED.map(raw);
  const message = quoted(text);
  if (!at || !Number.isInteger(pid) || !SESSION.test(session) || message === null) return undefined;
  if ([user, database, client, text].some((field) => field !== '' && field?.startsWith('"') !== true)) return undefined;
  const from = quoted(client) ?? '';
  // an address of the local socket has no port, and one of IPv6 has colons of its own
  const [, address, port] = from.startsWith('[') ? [from, from] : (ADDRESS.exec(from) ?? []);
  return {
    at,
    toTheMillisecond: true,
    pid,
    offset,
    message,
    sessionId: session,
    startedAt: momentOf(raw(Column.start)) ?? null,
    address: address === undefined || address === '' ? null : address,
    port: port === undefined ? null : Number(port),
    login: quoted(user),
    database: quoted(database),
    level: raw(Column.level),
    sqlstate: quoted(raw(Column.sqlstate)),
  };
}

/** Null: the column is empty. */
function quoted(raw: string | undefined): string | null {
  if (raw === undefined || raw === '') return null;
  if (!raw.startsWith('"')) return textOf(raw);
  const inside = raw.slice(1, -1);
  return textOf(inside.includes('"') ? inside.replaceAll('""', '"') : inside);
}
