import { DomainError } from '../platform/errors.js';
import type { GuardHello, GuardProfile, Proof } from './target-session.js';

/** Runs one statement on the one session of a proof. Failures are DomainErrors with advice, without the server's text. */
export type Ask = <Row>(text: string, values?: readonly unknown[]) => Promise<Row[]>;

/** What the lines of a proof are judged by. */
export interface Ground {
  hello: GuardHello;
  profiles: readonly GuardProfile[];
  /** E.g. 17. */
  major: number;
}

export const ok = (right: string, finding: string): Proof => ({ right, verdict: 'ok', finding, remedy: null });
export const warn = (right: string, finding: string, remedy: string): Proof => ({
  right,
  verdict: 'warn',
  finding,
  remedy,
});
export const missing = (right: string, finding: string, remedy: string): Proof => ({
  right,
  verdict: 'missing',
  finding,
  remedy,
});

/** What installs and repairs the guard, as a person would type it. */
export const runTargetSql =
  'npm run usher -- target-sql > usher.sql, and run it with psql as the user who installed it, in the same database';

/** A refusal as the line of a right that is missing, in the words of its advice. */
export function refusedLine(right: string, error: unknown): Proof {
  if (!(error instanceof DomainError)) throw error;
  return missing(right, error.message, error.advice ?? 'Look at the PostgreSQL log of the target.');
}

/** A right that could not even be tried is a missing one. */
export async function attempt(right: string, look: () => Promise<Proof | Proof[]>): Promise<Proof[]> {
  try {
    return [await look()].flat();
  } catch (error) {
    return [refusedLine(right, error)];
  }
}

/** Certainly no key word of PostgreSQL: those that hold an underscore begin with current, session or system. */
export const isPlain = (name: string): boolean =>
  /^(?!current_|session_|system_)[a-z_][a-z]*[_0-9][a-z0-9_]*$/.test(name);

/** A name as it stands in a statement that a person is to run: plain where PostgreSQL is sure to read it as itself. */
export const quoted = (name: string): string => (isPlain(name) ? name : `"${name.replaceAll('"', '""')}"`);
