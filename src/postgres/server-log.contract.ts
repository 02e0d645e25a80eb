/**
 * What the log of a PostgreSQL server says of connections, as plain types. A line is believed only as far as the server
 * alone wrote it: names are those of the prefix or of their own fields, never what a message repeats of them.
 */

/** The three ways in which PostgreSQL writes its log (`log_destination`); of `stderr` only with the prefix of RDS. */
export const serverLogFormats = ['stderr', 'csv', 'json'] as const;
export type ServerLogFormat = (typeof serverLogFormats)[number];

/** The prefix that RDS fixes: time, remote host and port, user@database, pid. */
export const RDS_LINE_PREFIX = '%t:%r:%u@%d:[%p]:';

interface Logged {
  /** By the clock of the server, as precise as it was logged: see `toTheMillisecond`. */
  readonly at: Date;
  /** false: the format tells whole seconds, and the moment lies within the second that begins `at`. */
  readonly toTheMillisecond: boolean;
  readonly pid: number;
  /** `%c`, start of the process in seconds and its pid, hexadecimal; only csv and json have it. */
  readonly sessionId: string | null;
  /** When the process began, in whole seconds; only csv and json have it. */
  readonly startedAt: Date | null;
  /** Of the client, or `[local]`; a name instead where the server looks names up (`log_hostname`). */
  readonly address: string | null;
  readonly port: number | null;
  /** Byte in the file, or in all that was read of a stream, where the record begins. Unique in it, and the same whenever it is read. */
  readonly offset: number;
}

/** What is known once the client has said who it wants to be. */
interface Named extends Logged {
  /** Of the startup packet, before anything is proven. */
  readonly login: string;
  readonly database: string;
}

/** A connection was accepted; nothing is known of it but where it comes from. */
export interface ConnectionReceived extends Logged {
  readonly kind: 'received';
}

/** The client proved who it is (PostgreSQL 14 and newer). */
export interface ConnectionAuthenticated extends Named {
  readonly kind: 'authenticated';
  /** What the method knows it by: the user name, or the subject of a certificate. For `trust` nothing was proven. */
  readonly identity: string;
  /** As in pg_hba.conf: `pam` of a token on RDS; `scram-sha-256` and `md5` of a password. */
  readonly method: string;
  readonly hbaFile: string;
  readonly hbaLine: number;
}

/** The client may come in. It can still fail: a missing database is found after this. */
export interface ConnectionAuthorized extends Named {
  readonly kind: 'authorized';
  /** Chosen by the client: a hint, not a proof. Null where it sent none. */
  readonly applicationName: string | null;
  /** Null: there is none. The server adds it to every line of a session that has it. */
  readonly tls: LoggedTls | null;
}

export interface LoggedTls {
  readonly version: string;
  readonly cipher: string;
  /**
   * false: the client's own application name stands before it in the same text, and a client without TLS can write there what
   * the server would write. Only pg_stat_ssl decides.
   */
  readonly certain: boolean;
}

/** The session is over. */
export interface ConnectionEnded extends Named {
  readonly kind: 'disconnected';
  /** Since the connection was received. */
  readonly durationMs: number;
}

/** Why nobody was let in, by what the server said; the text itself repeats what the client sent, and is not kept. */
export const loginFailures = [
  /** Password, token, certificate: not proven */
  'authentication',
  /** No line of pg_hba.conf lets it in, as without TLS */
  'rejected',
  /** No such role, or one without LOGIN */
  'role',
  /** No such database, or no CONNECT on it */
  'database',
  /** Too many connections: of the role, the database, the server */
  'limit',
  /** Starting, stopping, recovering */
  'unavailable',
  /** It took longer than authentication_timeout */
  'timeout',
] as const;
export type LoginFailure = (typeof loginFailures)[number];

export interface ConnectionFailed extends Named {
  readonly kind: 'failed';
  readonly failure: LoginFailure;
  /** Only csv and json have it, and stderr where the server is verbose. */
  readonly sqlstate: string | null;
}

/**
 * A statement on record by pgaudit. Its text and its parameters are left out on purpose: a password may stand in either.
 * Source: pgaudit, README, "Format".
 */
export interface StatementAudited extends Named {
  readonly kind: 'statement';
  readonly auditType: 'SESSION' | 'OBJECT';
  /** In the session, from 1; statements within one have numbers of their own. */
  readonly statementId: number;
  readonly substatementId: number;
  /** READ, WRITE, FUNCTION, ROLE, DDL, MISC, MISC_SET */
  readonly statementClass: string;
  readonly command: string;
  readonly objectType: string | null;
  readonly objectName: string | null;
}

export type ServerLogEvent =
  | ConnectionReceived
  | ConnectionAuthenticated
  | ConnectionAuthorized
  | ConnectionEnded
  | ConnectionFailed
  | StatementAudited;

/** What a reading met beside its events. Nothing of it is lost silently. */
export interface ServerLogCounts {
  /** Records of the format, interesting or not */
  readonly records: number;
  /** Lines that are none: fragments of RDS' own, torn ones, other formats */
  readonly foreign: number;
  /**
   * Records that could be read in two ways, or that say of a connection what only a client's SQL can have written. None is
   * believed.
   */
  readonly doubtful: number;
}

/**
 * Inside of what a reading begins: nothing that matters, and so it may be skipped. `line` of stderr and json; of csv a `record`,
 * or in it a `quoted` field.
 */
export const skippedParts = ['line', 'record', 'quoted'] as const;
export type SkippedPart = (typeof skippedParts)[number];

/** Where a reading begins. */
export interface ServerLogPlace {
  /** Bytes before it, in the file or stream. */
  readonly offset: number;
  /** Null: with a record, or with a line that is none. */
  readonly within: SkippedPart | null;
}

/** What was read of a piece of log. */
export interface ServerLogReading {
  readonly events: readonly ServerLogEvent[];
  /** Where to go on: what lies behind it was not complete, and has to be read again. */
  readonly next: ServerLogPlace;
  readonly counts: ServerLogCounts;
}
