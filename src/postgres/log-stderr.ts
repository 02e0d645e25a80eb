import { NAME, namesIn, splitsOf } from './log-names.js';
import { matters, momentOf, textOf, type LogRecord } from './log-record.js';
import type { FormatReading, LogState, LogTally } from './log-tally.js';
import type { ServerLogPlace } from './server-log.contract.js';

/**
 * The text log with the prefix of RDS. It has no quotes: what a client sends as its user or database stands in the prefix as it
 * is, line breaks too, before anything is proven. Whoever reaches the port could so write lines that look like the server's. What
 * helps is their length: PostgreSQL keeps 63 bytes of each name. Where these bytes leave more than one place for the end of the
 * prefix, none is believed. In messages a line break is followed by a tab, so that a line of theirs never looks like a record.
 */
const START = /(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?:[A-Z]{1,5}|[+-]\d{2,4})):(\[local\]|[^\s()]{1,255}\((\d{1,5})\)|):/y;
/** With the SQLSTATE where the server is verbose; what pgaudit writes only looks like one. */
const CLOSE = /:\[(\d{1,10})\]:([A-Z]{3,10}\d?):  (?:(?!AUDIT)([0-9A-Z]{5}): )?/y;
const NAMES = 2 * NAME + 1;
/** The longest end of a prefix: pid and level. */
const CLOSING = 40;
/** A line that is longer and has not begun as a record is none. */
const LONGEST_START = 4_096;
/** A record of a connection that is longer is none of the server's. */
const LONGEST_RECORD = 1_048_576;
/** A start of a record inside of another: what a crash tore, and the next server went on behind. */
const TORN_WITHIN =
  /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?:[A-Z]{1,5}|[+-]\d{2,4}):[^\s]{0,262}:[^]{0,127}:\[\d{1,10}\]:[A-Z]/;
/** Written with a message in one piece; only what runs in SQL has one of these. */
const BY_SQL = new Set(['CONTEXT', 'STATEMENT', 'QUERY', 'HINT']);
const AUDITED = 'AUDIT: ';
const FOLLOWERS = new Set([...BY_SQL, 'DETAIL', 'LOCATION', 'BACKTRACE']);
const TAB = 9;

interface Prefix {
  readonly moment: string;
  readonly remote: string;
  readonly names: string;
  readonly pid: number;
  readonly level: string;
  readonly sqlstate: string | null;
  readonly messageAt: number;
}

/** Where the prefix may end in more than one way: whose record it is by each, of those that only SQL brings, and the last of them. */
interface Doubtful {
  readonly bySql: readonly number[];
  readonly last: number;
}

type Beginning = Prefix | 'foreign' | 'torn' | Doubtful;

/** A record that matters, until what follows it is known. */
interface Open {
  readonly at: number;
  readonly prefix: Prefix;
  end: number;
  /** false: lines that are indented belong to what follows it. */
  grows: boolean;
  /** Records that were counted before it: it is counted when it is told. */
  readonly before: number;
}

/**
 * @param text latin1
 * @param state `growing`: the last record is left until it is known what follows it
 */
export function readStderr(text: string, from: ServerLogPlace, state: LogState, tally: LogTally): FormatReading {
  return new StderrReading(text, from.offset, state, tally).run(from.within === 'line');
}

class StderrReading {
  private open: Open | undefined;

  constructor(
    private readonly text: string,
    private readonly offset: number,
    private readonly state: LogState,
    private readonly tally: LogTally,
  ) {}

  run(withinLine: boolean): FormatReading {
    const { text } = this;
    let at = 0;
    if (withinLine) {
      at = text.indexOf('\n') + 1;
      if (at === 0) return { end: text.length, within: 'line' };
    }
    while (at < text.length) {
      const end = text.indexOf('\n', at);
      const next = this.line(at, end);
      if (next === undefined) break;
      at = next;
    }
    // none of the server's is so long, and what says of it that SQL wrote it may not have been seen
    if (this.open && at - this.open.at > LONGEST_RECORD) this.refuse();
    if (this.open && this.mayGoOn(at)) {
      this.tally.records = this.open.before;
      return { end: this.open.at, within: null };
    }
    this.conclude();
    return at > text.length ? { end: text.length, within: 'line' } : { end: at, within: null };
  }

  private mayGoOn(at: number): boolean {
    const { state, text, open } = this;
    if (open === undefined || at - open.at > LONGEST_RECORD) return false;
    return state === 'growing' || (state === 'quiet' && at < text.length);
  }

  /** @returns where the next line begins; beyond the text: this one may be skipped; undefined: it is not complete */
  private line(at: number, end: number): number | undefined {
    const { text, tally } = this;
    if (text.charCodeAt(at) === TAB) {
      if (end < 0) return this.open ? undefined : text.length + 1;
      if (this.open?.grows) this.open.end = end;
      return end + 1;
    }
    const begins = beginningAt(text, at, this.state !== 'growing');
    if (begins === 'torn' || (end < 0 && typeof begins === 'string')) {
      if (text.length - at < LONGEST_START) return undefined;
      tally.foreign++;
      return end < 0 ? text.length + 1 : end + 1;
    }
    if (begins === 'foreign') {
      this.conclude();
      tally.foreign++;
      return end + 1;
    }
    return 'bySql' in begins ? this.doubtful(begins) : this.record(at, begins);
  }

  /** Nothing of it is believed; whichever end is the right one, behind the line of the last a line is one again. */
  private doubtful({ bySql, last }: Doubtful): number | undefined {
    const end = this.text.indexOf('\n', last);
    if (end < 0) return undefined;
    // it may be what says of the record before it that SQL wrote it
    if (this.open && bySql.includes(this.open.prefix.pid)) this.refuse();
    else this.conclude();
    this.tally.doubtful++;
    return end + 1;
  }

  private refuse(): void {
    this.tally.doubtful++;
    this.open = undefined;
  }

  private record(at: number, prefix: Prefix): number | undefined {
    const { text } = this;
    const interesting = matters(prefix.level, text, prefix.messageAt);
    const end = text.indexOf('\n', prefix.messageAt);
    const follows = this.open?.prefix.pid === prefix.pid && FOLLOWERS.has(prefix.level);
    if (end < 0 && (interesting !== false || follows)) return undefined;
    if (follows && BY_SQL.has(prefix.level) && this.open?.prefix.level === 'LOG') this.refuse();
    else if (!follows) this.conclude();
    else if (this.open) this.open.grows = false;
    if (interesting === true) this.open = { at, prefix, end, grows: true, before: this.tally.records };
    this.tally.records++;
    return end < 0 ? text.length + 1 : end + 1;
  }

  private conclude(): void {
    const { open, text } = this;
    this.open = undefined;
    if (!open) return;
    const { prefix } = open;
    const message = textOf(text.slice(prefix.messageAt, open.end).replaceAll('\n\t', '\n'));
    const torn = message.search(TORN_WITHIN);
    if (torn >= 0) this.tally.doubtful++;
    // the text of a statement may look so by the will of who runs it: what pgaudit says of it stands in front
    if (torn >= 0 && !message.startsWith(AUDITED)) return;
    const record = recordOf(prefix, torn < 0 ? message : message.slice(0, torn), this.offset + open.at);
    if (record === 'doubtful') this.tally.doubtful++;
    else if (record) this.tally.tell(record);
    else this.tally.foreign++;
  }
}

/** What begins at the beginning of a line that is not indented. */
function beginningAt(text: string, at: number, settled: boolean): Beginning {
  START.lastIndex = at;
  const start = START.exec(text);
  if (!start) return 'foreign';
  const [all, moment = '', remote = ''] = start;
  const from = at + all.length;
  // the zone of the names must be seen whole
  if (!settled && text.length < from + NAMES + CLOSING) return 'torn';
  const first = closeFrom(text, from, from, remote);
  if (!first) return text.length < from + NAMES + CLOSING ? 'torn' : 'foreign';
  const { index, close } = first;
  const [closing, pid, level = '', sqlstate] = close;
  if (remote !== '') {
    const others = closesFrom(text, from, index + 1, remote);
    if (others.length > 0) return doubtfulOf([first, ...others]);
  }
  return {
    moment,
    remote,
    names: text.slice(from, index),
    pid: Number(pid),
    level,
    sqlstate: sqlstate ?? null,
    messageAt: index + closing.length,
  };
}

interface Close {
  readonly index: number;
  readonly close: RegExpExecArray;
}

function doubtfulOf(closes: readonly Close[]): Doubtful {
  const bySql = closes.filter(({ close }) => BY_SQL.has(close[2] ?? '')).map(({ close }) => Number(close[1]));
  return { bySql, last: closes.at(-1)?.index ?? 0 };
}

/** The next place where the names may end. Without a client there are none. */
function closeFrom(text: string, from: number, after: number, remote: string): Close | undefined {
  for (let at = text.indexOf(':[', after); at >= 0 && at <= from + NAMES; at = text.indexOf(':[', at + 1)) {
    CLOSE.lastIndex = at;
    const close = CLOSE.exec(text);
    if (!close) continue;
    const fits = remote === '' ? text.slice(from, at) === '@' : splitsOf(text, from, at).length > 0;
    if (fits) return { index: at, close };
  }
  return undefined;
}

function closesFrom(text: string, from: number, after: number, remote: string): Close[] {
  const found: Close[] = [];
  for (let next = closeFrom(text, from, after, remote); next; next = closeFrom(text, from, next.index + 1, remote))
    found.push(next);
  return found;
}

const PORT = /^(.*)\((\d{1,5})\)$/;

/** @returns doubtful where the names can be read in two ways; undefined for a moment in a zone that is not known */
function recordOf(prefix: Prefix, message: string, offset: number): LogRecord | 'doubtful' | undefined {
  const at = momentOf(prefix.moment);
  if (!at) return undefined;
  const names = namesIn(prefix.names, message);
  if (!names) return 'doubtful';
  const [, address = prefix.remote === '' ? null : prefix.remote, port] = PORT.exec(prefix.remote) ?? [];
  return {
    at,
    toTheMillisecond: false,
    pid: prefix.pid,
    sessionId: null,
    startedAt: null,
    address,
    port: port === undefined ? null : Number(port),
    login: names.login,
    database: names.database,
    level: prefix.level,
    sqlstate: prefix.sqlstate,
    message,
    offset,
  };
}
