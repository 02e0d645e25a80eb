import { textOf } from './log-record.js';

/** User and database of a prefix; nulls before the client has said them. */
export interface Names {
  readonly login: string | null;
  readonly database: string | null;
}

/** NAMEDATALEN - 1, in bytes: PostgreSQL keeps no more of a name. */
export const NAME = 63;
const UNKNOWN = '[unknown]';

/** Every way in which a user and a database, parted by @, can stand between two places. */
export function splitsOf(text: string, from: number, to: number): number[] {
  const found: number[] = [];
  for (let at = text.indexOf('@', from); at >= 0 && at < to && at - from <= NAME; at = text.indexOf('@', at + 1))
    if (to - at - 1 <= NAME) found.push(at);
  return found;
}

/**
 * The names of a prefix. Both may hold an @: then the message must say which it is, in a place where the server alone writes.
 * @param names latin1, `user@database`
 * @returns undefined where it does not
 */
export function namesIn(names: string, message: string): Names | undefined {
  const splits = splitsOf(names, 0, names.length).map((at) => ({
    login: textOf(names.slice(0, at)),
    database: textOf(names.slice(at + 1)),
  }));
  const fitting = splits.length === 1 ? splits : splits.filter((split) => agrees(split, message));
  const [split] = fitting;
  if (!split || fitting.length > 1) return undefined;
  if (split.login === UNKNOWN && split.database === UNKNOWN) return { login: null, database: null };
  return split;
}

const SESSION_TIME = /^disconnection: session time: [\d:.]{1,20}/;

function agrees({ login, database }: { login: string; database: string }, message: string): boolean {
  const who = ` user=${login} database=${database}`;
  return (
    [
      `connection authorized:${who}`,
      `connection authenticated: identity="${login}" `,
      `connection authenticated: user="${login}" `,
    ].some((beginning) => message.startsWith(beginning)) ||
    ['password', 'PAM'].some((method) => message === `${method} authentication failed for user "${login}"`) ||
    (SESSION_TIME.test(message) && message.replace(SESSION_TIME, '').startsWith(`${who} host=`))
  );
}
