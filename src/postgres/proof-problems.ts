import { missing, ok, runTargetSql, warn, type Ground } from './proof-line.js';
import type { GuardHello, Proof } from './target-session.js';

interface Told {
  right: string;
  /** What is said when the guard does not find the problem. */
  fine: string | ((hello: GuardHello) => string);
  verdict: 'warn' | 'missing';
  /** Undefined: the message of the guard ends with it, behind its first full stop. */
  remedy?: (major: number) => string;
}

/** By the code of `usher._problems()`, in the order of the output. */
const told = new Map<string, Told>([
  [
    'rds_iam_not_grantable',
    {
      right: 'grant rds_iam',
      fine: 'usher_owner holds its ADMIN option',
      verdict: 'missing',
      remedy: (major) =>
        `GRANT rds_iam TO usher_owner WITH ${major >= 16 ? 'ADMIN TRUE, INHERIT FALSE, SET FALSE' : 'ADMIN OPTION'};`,
    },
  ],
  [
    'sessions_hidden',
    {
      right: 'see sessions',
      fine: 'usher_owner sees client addresses and TLS',
      verdict: 'warn',
      // from 16 on a role is granted by who holds its ADMIN option, and of these two the master of RDS holds only one
      remedy: (major) => `GRANT ${major >= 16 ? 'pg_monitor' : 'pg_read_all_stats'} TO usher_owner;`,
    },
  ],
  [
    'owner_has_member',
    {
      right: 'usher_owner is nobody',
      fine: 'it has no member',
      verdict: 'missing',
      remedy: () => 'SELECT usher.leave();   -- as that user; or REVOKE usher_owner FROM it, as who granted it',
    },
  ],
  [
    'broker_uses_password',
    {
      right: 'broker by token',
      fine: 'the broker has no password that could be stolen',
      verdict: 'warn',
      remedy: () => `SELECT usher.broker_auth('iam');`,
    },
  ],
  [
    'prepared_transactions',
    {
      right: 'no prepared transactions',
      fine: 'max_prepared_transactions is 0',
      verdict: 'warn',
      remedy: () => 'Set max_prepared_transactions = 0 in the parameter group, and restart.',
    },
  ],
  [
    'public_schema_writable',
    {
      right: 'schema public closed',
      fine: 'not everybody may create there',
      verdict: 'warn',
      remedy: () => 'REVOKE CREATE ON SCHEMA public FROM PUBLIC;',
    },
  ],
  [
    'no_self_sweep',
    {
      right: 'leases sweep themselves',
      fine: ({ sweptBy, sweptAt }) => `last by ${sweptBy ?? 'nobody'} at ${sweptAt?.toISOString() ?? 'no time'}`,
      verdict: 'warn',
    },
  ],
  [
    'old_server',
    {
      right: 'no role grants itself',
      fine: 'PostgreSQL is 15 or newer',
      verdict: 'warn',
      remedy: () => 'Upgrade to 15 or newer; until then the sweep takes such grants back.',
    },
  ],
]);

/** Found by a line of its own, with the names. */
const toldElsewhere = new Set(['broker_too_rich', 'passwords_not_settable']);
/** Their messages begin with `profile <name>:`; the trial of that profile says the same. */
const ofOneProfile = new Set(['group_refused', 'group_not_grantable']);

/** What the guard says of itself, line by line; a code of a newer guard is passed on in its own words. */
export function problemLines({ hello, major }: Ground, trials: readonly Proof[]): Proof[] {
  const lines = [...told].map(([code, { right, fine, verdict, remedy }]) => {
    const found = hello.problems.filter((problem) => problem.code === code);
    if (found.length === 0) return ok(right, typeof fine === 'string' ? fine : fine(hello));
    const message = found.map((problem) => problem.message).join('; ');
    const [finding = '', ...rest] = remedy === undefined ? message.split('. ') : [message];
    return (verdict === 'warn' ? warn : missing)(right, finding, remedy?.(major) ?? rest.join('. '));
  });
  const others = hello.problems
    .filter(({ code }) => !told.has(code) && !toldElsewhere.has(code))
    .filter(({ code, message }) => !(ofOneProfile.has(code) && triedAndMissing(message, trials)))
    .map(({ code, message }) =>
      ofOneProfile.has(code)
        ? missing(code.replaceAll('_', ' '), message, 'Mend the group, or call usher.allow() again.')
        : warn(code.replaceAll('_', ' '), message, runTargetSql),
    );
  return [...lines, ...others];
}

const triedAndMissing = (message: string, trials: readonly Proof[]): boolean => {
  const profile = /^profile (\S+):/.exec(message)?.[1];
  return trials.some(({ right, verdict }) => verdict === 'missing' && right.endsWith(` ${profile}`));
};
