import { eventOf } from './log-message.js';
import type { LogRecord } from './log-record.js';
import type { ServerLogEvent, SkippedPart } from './server-log.contract.js';

/** What a table of PostgreSQL can hold. */
const isText = (text: string | null): boolean => text === null || (!text.includes('\0') && text.isWellFormed());
/** A pid is of 32 bits. */
const MOST_PID = 2_147_483_647;
const isWhole = ({ pid, message, login, database, address }: LogRecord): boolean =>
  pid <= MOST_PID && isText(message) && isText(login) && isText(database) && isText(address);

/** What a reading collects, whatever the format. */
export class LogTally {
  readonly events: ServerLogEvent[] = [];
  records = 0;
  foreign = 0;
  doubtful = 0;

  /** A record that may tell of a connection. */
  tell(record: LogRecord): void {
    // what PostgreSQL wrote a table can hold; a file that lost its last blocks has NULs there, and would stop all that follows
    const told = isWhole(record) ? eventOf(record) : 'doubtful';
    if (told === 'doubtful') this.doubtful++;
    else if (told) this.events.push(told);
  }
}

/**
 * `growing`: more is written, and the last record may not be whole. `quiet`: nothing was written for a while; what ends with a
 * line break is whole. `ended`: nothing ever will be; what is not whole is none.
 */
export type LogState = 'growing' | 'quiet' | 'ended';

/** How a format is read: the place where to go on, as an index of the text. */
export interface FormatReading {
  readonly end: number;
  readonly within: SkippedPart | null;
}
