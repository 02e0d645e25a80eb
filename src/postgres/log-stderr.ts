import { NAME, namesIn, splitsOf } from './log-names.js';
import { matters, momentOf, textOf, type LogRecord } from './log-record.js';
import type { FormatReading, LogTally } from './log-tally.js';
import type { ServerLogPlace } from './server-log.contract.js';

/**
 * The text log with the prefix of RDS. It has no quotes: what a client sends as its user or database stands in the prefix as it
 * is, line breaks too, before anything is proven. Whoever reaches the port could so write lines that look like the server's. What
 * helps is their length: PostgreSQL keeps 63 bytes of each name. Where these bytes leave more than one place for the end of the
 * prefix, none is believed. In messages a line break is followed by a tab, so that a line of theirs never looks like a record.
 */
const START = /(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?:[A-Z]{1,5}|[+-]\d{2,4})):(\[local\]|[^\s()]{1,255}\((\d{1,5})\)|):/y;
const CLOSE = /:\[(\d{1,10})\]:([A-Z]{3,10}\d?):  (?:([0-9A-Z]{5}): )?/y;
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

type Beginning = Prefix | 'foreign' | 'torn' | { readonly doubtfulUntil: number };

/** A record that matters, until what follows it is known. */
interface Open {
  readonly at: number;
  readonly prefix: Prefix;
  end: number;
}

/**
 * @param text latin1
 * @param settled nothing was written for a while: what ends with a line break is complete
 */
export function readStderr(text: string, from: ServerLogPlace, settled: boolean, tally: LogTally): FormatReading {
  return new StderrReading(text, from.offset, settled, tally).run(from.within === 'line');
}

class StderrReading {
  private open: Open | undefined;

  constructor(
    private readonly text: string,
    private readonly offset: number,
    private readonly settled: boolean,
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
      if (next > text.length) return { end: text.length, within: 'line' };
      at = next;
    }
    if (this.open && (!this.settled || at < text.length) && at - this.open.at < LONGEST_RECORD)
      return { end: this.open.at, within: null };
    this.conclude();
    return { end: at, within: null };
  }

  /** @returns where the next line begins; beyond the text: this one may be skipped; undefined: it is not complete */
  private line(at: number, end: number): number | undefined {
    const { text, tally } = this;
    if (text.charCodeAt(at) === TAB) {
      if (end < 0) return this.open ? undefined : text.length + 1;
      if (this.open) this.open.end = end;
      return end + 1;
    }
    const begins = beginningAt(text, at, this.settled);
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
    if ('doubtfulUntil' in begins) {
      const until = text.indexOf('\n', begins.doubtfulUntil);
      if (until < 0) return undefined;
      this.conclude();
      tally.doubtful++;
      return until + 1;
    }
    return this.record(at, begins);
  }

  private record(at: number, prefix: Prefix): number | undefined {
    const { text } = this;
    const interesting = matters(prefix.level, text, prefix.messageAt);
    const end = text.indexOf('\n', prefix.messageAt);
    if (end < 0 && interesting !== false) return undefined;
    const follows = this.open?.prefix.pid === prefix.pid && FOLLOWERS.has(prefix.level);
    if (follows && BY_SQL.has(prefix.level) && this.open?.prefix.level === 'LOG') {
      this.tally.doubtful++;
      this.open = undefined;
    } else if (!follows) this.conclude();
    this.tally.records++;
    if (interesting === true) this.open = { at, prefix, end };
    return end < 0 ? text.length + 1 : end + 1;
  }

  private conclude(): void {
    const { open, text } = this;
    this.open = undefined;
    if (!open) return;
    const { prefix } = open;
    const message = textOf(text.slice(prefix.messageAt, open.end).replaceAll('\n\t', '\n'));
    const record = TORN_WITHIN.test(message) ? 'doubtful' : recordOf(prefix, message, this.offset + open.at);
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
  const second = remote === '' ? undefined : closeFrom(text, from, index + 1, remote);
  if (second) return { doubtfulUntil: lastClose(text, from, second.index, remote) };
  const [closing, pid, level = '', sqlstate] = close;
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

/** The next place where the names may end. Without a client there are none. */
function closeFrom(
  text: string,
  from: number,
  after: number,
  remote: string,
): { index: number; close: RegExpExecArray } | undefined {
  for (
    let index = text.indexOf(':[', after);
    index >= 0 && index <= from + NAMES;
    index = text.indexOf(':[', index + 1)
  ) {
    CLOSE.lastIndex = index;
    const close = CLOSE.exec(text);
    if (!close) continue;
    if (remote === '' ? text.slice(from, index) === '@' : splitsOf(text, from, index).length > 0)
      return { index, close };
  }
  return undefined;
}

function lastClose(text: string, from: number, known: number, remote: string): number {
  for (let last = known; ;) {
    const next = closeFrom(text, from, last + 1, remote);
    if (!next) return last;
    last = next.index;
  }
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
    ...{ at, toTheMillisecond: false, pid: prefix.pid, sessionId: null, startedAt: null, offset },
    ...{ address, port: port === undefined ? null : Number(port) },
    ...names,
    ...{ level: prefix.level, sqlstate: prefix.sqlstate, message },
  };
}
