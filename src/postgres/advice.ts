import { DomainError } from '../platform/errors.js';
import { bundle, faults, network, refused, unreachable, untrusted, type Advice } from './faults.js';
import { reasons } from './reasons.js';

/**
 * What may be kept of a failure of `pg`: its code and nothing else. PostgreSQL's own message, detail and context can quote
 * statements, and with them a verifier.
 */
export class TargetFault extends Error {
  override readonly name = 'TargetFault';
  constructor(
    /** SQLSTATE, Node error code, or `NO_TLS`, `NO_CA`, `CONNECT_TIMEOUT`, `CONNECTION_LOST`, `UNKNOWN`. */
    readonly fault: string,
    /** The guard's own reason for a refusal, e.g. `paused`, `profile`, `ends_at`, `quota`; or `rds_password`, which RDS only words. */
    readonly reason?: string,
  ) {
    super(reason === undefined ? fault : `${fault} ${reason}`);
  }
}

const textOf = (error: object, key: string): string | undefined => {
  const value: unknown = Reflect.get(error, key);
  return typeof value === 'string' ? value : undefined;
};

/** `pg` reports these by message only. */
const worded: [RegExp, string][] = [
  [/does not support SSL connections/, 'NO_TLS'],
  [/error establishing an SSL connection/, 'NO_TLS'],
  [
    /timeout exceeded when trying to connect|timeout expired|Connection terminated due to connection timeout/,
    'CONNECT_TIMEOUT',
  ],
  [/Query read timeout|Cannot use a pool after calling end/, 'CONNECTION_LOST'],
  [
    /Connection terminated|Client has encountered a connection error|socket disconnected before secure TLS/,
    'CONNECTION_LOST',
  ],
];

function faultOf(error: unknown): TargetFault {
  if (error instanceof TargetFault) return error;
  if (error instanceof AggregateError && error.errors.length > 0) return faultOf(error.errors[0]);
  if (typeof error !== 'object' || error === null) return new TargetFault('UNKNOWN');
  const code = textOf(error, 'code');
  if (code !== undefined && /^[A-Z0-9_]{5,60}$/.test(code))
    return new TargetFault(code, reasonOf(error) ?? restrictionOf(error));
  const message = textOf(error, 'message') ?? '';
  return new TargetFault(worded.find(([pattern]) => pattern.test(message))?.[1] ?? 'UNKNOWN');
}

/** The guard says why in fields that carry no user text. A server that is not what it seems could write anything there. */
function reasonOf(error: object): string | undefined {
  const reason = textOf(error, 'schema') === 'usher' ? textOf(error, 'constraint') : undefined;
  return reason !== undefined && /^[a-z_]{1,40}$/.test(reason) ? reason : undefined;
}

/**
 * With rds.restrict_password_commands RDS refuses with these words, and with no code of its own. They are only looked for,
 * never passed on. https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.PostgreSQL.CommonDBATasks.RestrictPasswordMgmt.html
 */
function restrictionOf(error: object): string | undefined {
  return /must be a member of rds_password to alter passwords/.test(textOf(error, 'message') ?? '')
    ? 'rds_password'
    : undefined;
}

function adviceFor({ fault, reason }: TargetFault): Advice {
  const known = reasons.get(reason ?? '') ?? faults.get(fault);
  if (known !== undefined) return known;
  // class 08 is "connection exception"; 57P is "operator intervention"
  if (/^08...$|^57P..$/.test(fault)) return unreachable('The connection to the target was cut.', network);
  if (/^(ERR_SSL_|ERR_TLS_|ERR_OSSL_|CERT_)/.test(fault)) {
    return untrusted('TLS with the target could not be verified.', bundle);
  }
  return refused(
    'The target failed in a way Usher does not know.',
    'Look at the PostgreSQL log of the target at this moment.',
  );
}

/**
 * Any failure of talking to a target as the one refusal the caller shows. Holds no statement, no parameter, no text of the
 * server: only our own words and the code.
 */
export function toDomainError(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  const fault = faultOf(error);
  const { kind, code, message, advice } = adviceFor(fault);
  return new DomainError(kind, code, `${message} (${fault.message})`, advice, { cause: fault });
}

/** True when the same call may succeed a little later with nobody doing anything: worth a retry at once, with backoff. */
export function isTransient(error: unknown): boolean {
  if (error instanceof DomainError) return error.cause instanceof TargetFault && isTransient(error.cause);
  return adviceFor(faultOf(error)).transient === true;
}

/** The SQLSTATE, Node code or own word behind a refusal of {@link toDomainError}; undefined for any other error. */
export function faultBehind(error: unknown): TargetFault | undefined {
  return error instanceof DomainError && error.cause instanceof TargetFault ? error.cause : undefined;
}
