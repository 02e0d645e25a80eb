/** What AWS says of the logs of a PostgreSQL server (RDS API 2014-10-31, CloudWatch Logs API 2014-03-28), in plain types. */

/** One log file of an instance. */
export interface RdsLogFile {
  /** With its directory: `error/postgresql.log.2026-03-01-09` */
  readonly name: string;
  /** Bytes */
  readonly size: number;
  readonly writtenAt: Date;
}

/** A piece of a log file. */
export interface RdsLogPortion {
  readonly text: string;
  /** Where the next piece begins; the same place gives the same text again, and what was written since. */
  readonly marker: string;
  readonly more: boolean;
}

/** The log of one instance in a log group of CloudWatch. */
export interface CloudWatchStream {
  readonly name: string;
  readonly writtenAt: Date | null;
}

/** One event of a stream: a record of the log, or a line of it, as RDS hands it on. */
export interface LoggedLine {
  readonly at: Date;
  readonly text: string;
}
