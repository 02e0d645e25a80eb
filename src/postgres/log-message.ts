import type { LogRecord } from './log-record.js';
import type { LoggedTls, LoginFailure, ServerLogEvent } from './server-log.contract.js';

/** What a record says of a connection; `doubtful` when it cannot be the server that said it; undefined: nothing. */
export type Told = ServerLogEvent | 'doubtful' | undefined;

/**
 * The event that a record is. A message repeats who logs in, in a form that a name can be made to confuse: it counts only
 * when it says the same as the record's own fields, which are those that the event has.
 */
export function eventOf(record: LogRecord): Told {
  const { level, message } = record;
  if (level === 'FATAL') return failed(record);
  if (level !== 'LOG') return undefined;
  if (message.startsWith('connection received: ')) return received(record);
  if (message.startsWith('connection authenticated: ')) return authenticated(record);
  if (/^(?:replication )?connection authorized: /.test(message)) return authorized(record);
  if (message.startsWith('disconnection: ')) return disconnected(record);
  if (message.startsWith('AUDIT: ')) return audited(record);
  return undefined;
}

/** What all events have. Field by field: rest and spread of every record would take as long as reading it. */
const logged = (record: LogRecord) => ({
  at: record.at,
  toTheMillisecond: record.toTheMillisecond,
  pid: record.pid,
  sessionId: record.sessionId,
  startedAt: record.startedAt,
  address: record.address,
  port: record.port,
  offset: record.offset,
});

/** Of a record whose client has said who it wants to be. */
function namedIn(record: LogRecord) {
  const { login, database } = record;
  return login === null || database === null ? undefined : { ...logged(record), login, database };
}

const RECEIVED = /^connection received: host=(\S+)(?: port=(\d{1,5}))?$/;

/** The server writes it before it has read a byte of the client: whoever has a name already is somebody who repeats it. */
function received(record: LogRecord): Told {
  const [all, host = null, port] = RECEIVED.exec(record.message) ?? [];
  if (all === undefined || record.login !== null || record.database !== null) return 'doubtful';
  return {
    ...logged(record),
    kind: 'received',
    address: record.address ?? host,
    port: record.port ?? (port === undefined ? null : Number(port)),
  };
}

const AUTHENTICATED =
  /^connection authenticated: (?:identity|user)="([^]*)" method=([a-z0-9-]{1,30}) \(([^]*):(\d{1,9})\)$/;

/** An identity may hold what looks like the rest of the line; the server's own rest is the last. */
function authenticated(record: LogRecord): Told {
  const named = namedIn(record);
  const [, identity, method, hbaFile, hbaLine] = AUTHENTICATED.exec(record.message) ?? [];
  if (!named || identity === undefined || method === undefined || hbaFile === undefined) return 'doubtful';
  return { ...named, kind: 'authenticated', identity, method, hbaFile, hbaLine: Number(hbaLine) };
}

/** PostgreSQL, `PerformAuthentication`; before 14 it also tells of compression. */
const TLS = / SSL enabled \(protocol=([\w.]{1,20}), cipher=([\w-]{1,60}), bits=\d{1,5}(?:, compression=(?:on|off))?\)$/;
const GSS = / GSS \((?:authenticated=(?:yes|no), )?encrypted=(?:yes|no)[^()]*\)$/;
const APPLICATION = /^ application_name=([^]*)$/;

/** What stands behind the names: of the client an application name of any length, then of the server what it knows of encryption. */
function authorized(record: LogRecord): Told {
  const named = namedIn(record);
  const { message } = record;
  const who = named && beginningOf(message, named);
  if (!named || who === undefined || !message.startsWith(who)) return 'doubtful';
  const behind = message.slice(who.length);
  const rest = behind.includes(' GSS (') ? behind.replace(GSS, '') : behind;
  const found = TLS.exec(rest);
  const asked = found ? rest.slice(0, found.index) : rest;
  const applicationName = APPLICATION.exec(asked)?.[1] ?? null;
  if (applicationName === null && asked !== '') return 'doubtful';
  return { ...named, kind: 'authorized', applicationName, tls: tlsOf(found, applicationName) };
}

/** A connection for replication names no database. */
const beginningOf = (message: string, { login, database }: { login: string; database: string }): string =>
  message.startsWith('replication ')
    ? `replication connection authorized: user=${login}`
    : `connection authorized: user=${login} database=${database}`;

const tlsOf = (found: RegExpExecArray | null, applicationName: string | null): LoggedTls | null =>
  found && { version: found[1] ?? '', cipher: found[2] ?? '', certain: applicationName === null };

const ENDED = /^disconnection: session time: (\d{1,6}):(\d\d):(\d\d)\.(\d{3})([^]*)$/;
const HOST = /^ host=\S{1,255}(?: port=\d{1,5})?$/;

function disconnected(record: LogRecord): Told {
  const named = namedIn(record);
  const [all, hours, minutes, seconds, milli, rest = ''] = ENDED.exec(record.message) ?? [];
  if (!named || all === undefined) return 'doubtful';
  const who = ` user=${named.login} database=${named.database}`;
  if (!rest.startsWith(who) || !HOST.test(rest.slice(who.length))) return 'doubtful';
  const whole = (Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds);
  return { ...named, kind: 'disconnected', durationMs: whole * 1000 + Number(milli) };
}

/** By how the server's message begins: what a client sent stands behind it. PostgreSQL 13 to 18, and RDS' own of PAM. */
const failures: readonly (readonly [RegExp, LoginFailure])[] = [
  [
    /^(?:password|PAM|LDAP|certificate|Ident|peer|GSSAPI|RADIUS|"trust"|SSPI|OAuth bearer) authentication failed for /,
    'authentication',
  ],
  [/^(?:pg_hba\.conf rejects|no pg_hba\.conf entry for) /, 'rejected'],
  [/^(?:role "[^]*" (?:does not exist|is not permitted to log in)$|permission denied to set role)/, 'role'],
  [
    /^(?:database "[^]*" does not exist$|database "[^]*" is not currently accepting connections$|permission denied for database )/,
    'database',
  ],
  [/^(?:too many connections for |sorry, too many clients already|remaining connection slots are reserved )/, 'limit'],
  [/^the database system is /, 'unavailable'],
  [/^canceling authentication due to timeout$/, 'timeout'],
];

/** Of other ends that are fatal, as an administrator's, the session itself tells. */
function failed(record: LogRecord): Told {
  const named = namedIn(record);
  const failure = failures.find(([begins]) => begins.test(record.message))?.[1];
  if (!named || failure === undefined) return undefined;
  return { ...named, kind: 'failed', failure, sqlstate: record.sqlstate };
}

const AUDITED =
  /^AUDIT: (SESSION|OBJECT),(\d{1,9}),(\d{1,9}),([A-Z_]{1,20}),("(?:[^"]|"")*"|[^",]*),("(?:[^"]|"")*"|[^",]*),("(?:[^"]|"")*"|[^",]*),/;

/** pgaudit writes the fields of its line as CSV, so that a name cannot reach into its neighbour. */
function audited(record: LogRecord): Told {
  const named = namedIn(record);
  const [, auditType, statementId, substatementId, statementClass, ...names] = AUDITED.exec(record.message) ?? [];
  if (!named || auditType === undefined || statementClass === undefined) return 'doubtful';
  const [command = '', objectType = '', objectName = ''] = names.map(unquoted);
  return {
    ...named,
    kind: 'statement',
    auditType: auditType === 'OBJECT' ? 'OBJECT' : 'SESSION',
    statementId: Number(statementId),
    substatementId: Number(substatementId),
    statementClass,
    command,
    objectType: objectType === '' ? null : objectType,
    objectName: objectName === '' ? null : objectName,
  };
}

const unquoted = (field: string): string => (field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field);
