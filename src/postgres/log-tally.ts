import { eventOf } from './log-message.js';
import type { LogRecord } from './log-record.js';
import type { ServerLogEvent, SkippedPart } from './server-log.contract.js';

/** What a reading collects, whatever the format. */
export class LogTally {
  readonly events: ServerLogEvent[] = [];
  records = 0;
  foreign = 0;
  doubtful = 0;

  /** A record that may tell of a connection. */
  tell(record: LogRecord): void {
    const told = eventOf(record);
    if (told === 'doubtful') this.doubtful++;
    else if (told) this.events.push(told);
  }
}

/** How a format is read: the place where to go on, as an index of the text. */
export interface FormatReading {
  readonly end: number;
  readonly within: SkippedPart | null;
}
