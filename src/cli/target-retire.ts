import { environment } from '../platform/environment.js';
import { DomainError } from '../platform/errors.js';
import { CustodyService, type Custody, type DatabaseCustody } from '../postgres/custody.service.js';
import { addressHelp, addressOf, addressOptions } from './address.js';
import { fileOf, needed, read, shown, UsageError, type Command } from './command.js';

const help = `usage: npm run usher -- target-retire <login> --host <name> --user <master> --ca <file> [options]

For the DBA: takes a login out for good. What it owns goes to usher_parked, which can do nothing, in every database of
the cluster; its rights end; its name is never given to anybody else. Can be repeated, also after it was cut short.
Ends with 0 when nothing is left, with 1 when something is, with 2 for a wrong call.

${addressHelp}
  --user <name>        who installed the guard. The password comes from PGPASSWORD, or:
  --password-file <f>  its first line
  --dry-run            only says what would be parked, and what would stand against it`;

const options = {
  ...addressOptions,
  user: { type: 'string' },
  'password-file': { type: 'string' },
  'dry-run': { type: 'boolean' },
} as const;

export const command: Command = {
  help,
  run: async (args) => {
    const { values, positionals } = read(args, options, ['login']);
    const [login] = positionals;
    if (login === undefined) throw new UsageError('Name the login to retire, e.g. jane_doe.');
    if (!/^[a-z_][a-z0-9_]{0,62}$/.test(login))
      throw new UsageError(`${JSON.stringify(login)} is no login of the guard's.`);
    const address = await addressOf(values);
    const user = needed(values.user, '--user', 'postgres');
    const password = await passwordOf(values['password-file']);
    const dryRun = values['dry-run'] === true;
    return untilInterrupted(async (signal) => {
      const dba = { user, password: () => Promise.resolve(password) };
      const custody = await new CustodyService().retire({ login, address, dba, dryRun, signal });
      console.log(custodyText(login, custody, dryRun));
      return isDone(custody) ? 0 : 1;
    });
  },
};

async function passwordOf(file: string | undefined): Promise<string> {
  if (file !== undefined) return (await fileOf('--password-file', file)).split(/\r?\n/)[0] ?? '';
  const password = environment()['PGPASSWORD'];
  if (password === undefined || password === '')
    throw new UsageError('PGPASSWORD is not set. Set it, or give --password-file.');
  return password;
}

/** A first Ctrl-C ends the work in order: the DBA must not stay a member of the login. */
async function untilInterrupted(work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const stop = new AbortController();
  const abort = (): void => {
    if (!stop.signal.aborted) console.error('usher: taking the loan back, then stopping');
    stop.abort();
  };
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, abort);
  try {
    return await work(stop.signal);
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    console.error([error.message, error.advice].filter(Boolean).join('\n'));
    return 1;
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, abort);
  }
}

const isDone = ({ databases, blockers, loans, interrupted }: Custody): boolean =>
  blockers.length === 0 && loans.length === 0 && !interrupted && databases.every(({ why }) => why === null);

function custodyText(login: string, custody: Custody, dryRun: boolean): string {
  const lines = custody.databases.flatMap((one) => databaseLines(one, dryRun));
  const { blockers, loans, interrupted } = custody;
  if (blockers.length > 0) lines.push(...blockers.map((why) => `${login} is not retired: ${why}`));
  if (loans.length > 0)
    lines.push('STILL LENT: the rights of the login are yours until you run', ...loans.map(indented));
  else if (interrupted) lines.push('Cut short; run it again to finish.');
  else if (isDone(custody)) {
    lines.push(
      dryRun
        ? 'Nothing stands against it. Nothing was changed.'
        : `Nothing is left of ${login}. SELECT usher.drop('${login}'); removes the role; its name stays taken.`,
    );
  }
  return lines.map(shown).join('\n');
}

const indented = (line: string): string => `  ${line}`;

function databaseLines(one: DatabaseCustody, dryRun: boolean): string[] {
  const lines = [one.database];
  const part = (word: string, things: readonly string[]): void => {
    if (things.length > 0) lines.push(indented(`${word.padEnd(12)}${listed(things)}`));
  };
  part(dryRun ? 'would park' : 'parked', one.parked);
  part(dryRun ? 'would end' : 'ended', one.ended);
  part('LEFT', one.left);
  if (one.why !== null) lines.push(indented(`because     ${one.why}`));
  if (one.remedies.length > 0)
    lines.push(indented(`run there   ${one.remedies.join(' ')}`), indented('            and this command again'));
  if (one.takeBack.length > 0) lines.push(indented(`take back   ${one.takeBack.join(' ')}`));
  return lines;
}

const LISTED = 20;

const listed = (things: readonly string[]): string =>
  things.length <= LISTED
    ? things.join(', ')
    : `${things.slice(0, LISTED).join(', ')} and ${things.length - LISTED} more`;
