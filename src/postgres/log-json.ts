import { matters, momentOf, textOf, type LogRecord } from './log-record.js';
import type { FormatReading, LogTally } from './log-tally.js';
import type { ServerLogPlace } from './server-log.contract.js';

/** Quotes inside of a value are escaped: no value can hold this. */
const MESSAGE = ',"message":"';
/** Of PostgreSQL's fields before the message, the longest: two names of 63 bytes, each of them six characters when escaped. */
const LONGEST_START = 4_096;

/** One JSON object a line (PostgreSQL 15 and newer). @param text latin1 */
export function readJson(text: string, from: ServerLogPlace, tally: LogTally): FormatReading {
  let at = 0;
  if (from.within === 'line') {
    at = text.indexOf('\n') + 1;
    if (at === 0) return { end: text.length, within: 'line' };
  }
  for (let found = -1; at < text.length;) {
    const end = text.indexOf('\n', at);
    if (found < at) found = placeOf(MESSAGE, text, at);
    const message = found < (end < 0 ? text.length : end) ? found + MESSAGE.length : undefined;
    const interesting = message === undefined ? false : worthIt(text, at, message);
    if (end < 0) {
      const known = message === undefined ? text.length - at > LONGEST_START : interesting === false;
      return known ? { end: text.length, within: 'line' } : { end: at, within: null };
    }
    if (interesting !== false) line(textOf(text.slice(at, end)), from.offset + at, tally);
    else if (message !== undefined && text.charCodeAt(at) === BRACE) tally.records++;
    else tally.foreign++;
    at = end + 1;
  }
  return { end: at, within: null };
}

/** Beyond the text where there is none: it is not looked for again in every line. */
function placeOf(part: string, text: string, from: number): number {
  const found = text.indexOf(part, from);
  return found < 0 ? text.length : found;
}

const BRACE = 123;
const FATAL = '"error_severity":"FATAL"';

function worthIt(text: string, at: number, message: number): boolean | undefined {
  const level = text.slice(at, message).includes(FATAL) ? 'FATAL' : 'LOG';
  return matters(level, text, message);
}

function line(text: string, offset: number, tally: LogTally): void {
  const fields = parsed(text);
  const record = fields && recordOf(fields, offset);
  if (!fields || !record) {
    tally.foreign++;
    return;
  }
  tally.records++;
  // what runs in SQL says so; the server's own lines of a connection have neither
  const bySql = record.level === 'LOG' && (fields['context'] !== undefined || fields['statement'] !== undefined);
  if (bySql) tally.doubtful++;
  else tally.tell(record);
}

type Fields = Readonly<Record<string, unknown>>;

function parsed(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
  } catch {
    return undefined;
  }
}

function recordOf(fields: Fields, offset: number): LogRecord | undefined {
  const word = (name: string): string | null => {
    const value = fields[name];
    return typeof value === 'string' ? value : null;
  };
  const whole = (name: string): number | null => {
    const value = fields[name];
    return Number.isSafeInteger(value) ? (value as number) : null;
  };
  const at = momentOf(word('timestamp') ?? '');
  const pid = whole('pid');
  const level = word('error_severity');
  const message = word('message');
  if (!at || pid === null || level === null || message === null) return undefined;
  return {
    at,
    toTheMillisecond: true,
    pid,
    offset,
    level,
    message,
    sessionId: word('session_id'),
    startedAt: momentOf(word('session_start') ?? '') ?? null,
    address: word('remote_host'),
    port: whole('remote_port'),
    login: word('user'),
    database: word('dbname'),
    sqlstate: word('state_code'),
  };
}
