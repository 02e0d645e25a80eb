import pg from 'pg';
import { DomainError } from '../platform/errors.js';
import { toDomainError } from './advice.js';
import { heldHere, lookAhead, park, remediesFor, type Held } from './custody-database.js';
import { tlsOf } from './session.js';
import type { BrokerLogin, TargetAddress } from './target-session.js';

/** What retiring a login did, or would do, in one database. */
export interface DatabaseCustody {
  database: string;
  /** Objects that went to usher_parked, as PostgreSQL describes them. Of a dry run: that would go. */
  parked: string[];
  /** Rights, default privileges and user mappings: they had no owner but the person, and ended. */
  ended: string[];
  /** Objects and rights that are still there. */
  left: string[];
  /** Why they are; null when nothing is left. */
  why: string | null;
  /** Statements that mend it, each for the database it names. */
  remedies: string[];
  /** What earlier remedies gave usher_parked, and is not needed any more. */
  takeBack: string[];
}

/** As a whole: `databases` are those where something was found. */
export interface Custody {
  databases: DatabaseCustody[];
  /** What stands against retiring at all, e.g. a live lease; nothing was changed then. */
  blockers: string[];
  /** Statements that end a loan which could not be taken back. Empty unless the target was lost at that moment. */
  loans: string[];
  /** True when somebody ended it half way. Running it again finishes. */
  interrupted: boolean;
}

export interface ToRetire {
  login: string;
  /** The guard's database of the target; the others are reached at the same address. */
  address: TargetAddress;
  /** The one who installed the guard. */
  dba: BrokerLogin;
  /** Looks only. */
  dryRun: boolean;
  /** Ends the statement that runs, takes the loan back, and stops. */
  signal: AbortSignal;
}

interface Dependent {
  database: string;
  connectable: boolean;
}

/** Custody across the databases of a target, for the DBA: each has to be entered, and none but the guard's knows usher. */
export class CustodyService {
  /**
   * Retires a login and parks what it owns, database by database. Can be repeated, also after it was cut short.
   * @throws DomainError when the guard's database cannot be entered, or does not know the login
   */
  async retire(ask: ToRetire): Promise<Custody> {
    const guard = await enter(ask, ask.address.database).catch((error: unknown) => {
      throw told(error);
    });
    try {
      const blockers = await standing(guard, ask.login);
      if (ask.dryRun) return { ...nothing, blockers, databases: await this.each(ask, guard, lookAhead) };
      const refusal = await refusalOf(guard, 'SELECT FROM usher.retire($1)', ask.login);
      if (refusal !== null) return { ...nothing, blockers: [refusal] };
      return await this.lent(ask, guard);
    } catch (error) {
      throw told(error);
    } finally {
      await guard.end().catch(() => undefined);
    }
  }

  /** The loan is taken back whatever happens: while it lasts, the DBA acts with the rights of the login. */
  private async lent(ask: ToRetire, guard: pg.Client): Promise<Custody> {
    const outcome = await this.parked(ask, guard).catch((error: unknown) => told(error));
    const loans = (await takeBack(ask, guard)) ? [] : [`SELECT usher.lend('${ask.login}', false);`];
    if (!(outcome instanceof DomainError)) return { ...outcome, loans, interrupted: ask.signal.aborted };
    if (loans.length === 0) throw outcome;
    return { ...nothing, blockers: [outcome.message], loans };
  }

  private async parked(ask: ToRetire, guard: pg.Client): Promise<Custody> {
    if ((await dependents(guard, ask.login, ask.address.database)).length === 0) return nothing;
    const refusal = await refusalOf(guard, 'SELECT usher.lend($1)', ask.login);
    if (refusal !== null) return { ...nothing, blockers: [refusal] };
    return { ...nothing, databases: await this.each(ask, guard, park) };
  }

  private async each(
    ask: ToRetire,
    guard: pg.Client,
    work: (client: pg.Client, login: string) => Promise<Held>,
  ): Promise<DatabaseCustody[]> {
    const done: DatabaseCustody[] = [];
    for (const { database, connectable } of await dependents(guard, ask.login, ask.address.database)) {
      if (ask.signal.aborted) break;
      done.push(connectable ? await inside(ask, guard, database, work) : closedDatabase(database));
    }
    return done;
  }
}

const nothing: Custody = { databases: [], blockers: [], loans: [], interrupted: false };

async function enter({ address, dba }: ToRetire, database: string): Promise<pg.Client> {
  const client = new pg.Client({
    host: address.hostaddr ?? address.host,
    port: address.port,
    database,
    user: dba.user,
    password: dba.password,
    ssl: tlsOf(address),
    application_name: 'usher target-retire',
    connectionTimeoutMillis: 10_000,
    lock_timeout: 10_000,
    keepAlive: true,
  });
  // a session that the server ended is told by the next statement; without a listener the process would end
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** Databases where the login owns something or is named, the guard's first; rights on the cluster itself count as there. */
async function dependents(guard: pg.Client, login: string, home: string): Promise<Dependent[]> {
  const { rows } = await guard.query<Dependent>(
    `SELECT d.datname AS database, d.datallowconn AS connectable
       FROM pg_database d WHERE d.datname IN (SELECT CASE o.database WHEN '(shared)' THEN $2 ELSE o.database END FROM usher.owned($1) o)
      ORDER BY d.datname <> $2, d.datname`,
    [login, home],
  );
  return rows;
}

/** What a dry run can say beforehand of why nothing could be parked. */
async function standing(guard: pg.Client, login: string): Promise<string[]> {
  const { rows } = await guard.query<{ why: string }>(
    `SELECT format('it has a live lease until %s', x.ends_at) AS why FROM usher.lease x WHERE x.login = $1 AND x.closed_at IS NULL
     UNION ALL SELECT format('session %s is still there', pid) FROM pg_stat_activity WHERE usename = $1
     UNION ALL SELECT format('it has the prepared transaction %s in %s', gid, database) FROM pg_prepared_xacts WHERE owner = $1`,
    [login],
  );
  return rows.map(({ why }) => why);
}

/** @returns why the guard refuses it, or null when it is done */
async function refusalOf(guard: pg.Client, sql: string, login: string): Promise<string | null> {
  try {
    await guard.query(sql, [login]);
    return null;
  } catch (error) {
    if (isRefusal(error)) return error.message;
    throw error;
  }
}

async function inside(
  ask: ToRetire,
  guard: pg.Client,
  database: string,
  work: (client: pg.Client, login: string) => Promise<Held>,
): Promise<DatabaseCustody> {
  let client: pg.Client;
  try {
    client = await enter(ask, database);
  } catch (error) {
    return {
      ...untouched(database),
      why: plainly(error),
      remedies: remediesFor(error, { database, dba: ask.dba.user }),
    };
  }
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const cancel = (): void => void guard.query('SELECT pg_cancel_backend($1)', [rows[0]?.pid]).catch(() => undefined);
  ask.signal.addEventListener('abort', cancel, { once: true });
  try {
    return { database, ...(await work(client, ask.login)) };
  } catch (error) {
    const left = await heldHere(client, ask.login).catch(() => []);
    return { ...untouched(database), left: left.map(({ what }) => what), why: plainly(error) };
  } finally {
    ask.signal.removeEventListener('abort', cancel);
    await client.end().catch(() => undefined);
  }
}

const untouched = (database: string): DatabaseCustody => ({
  ...{ database, parked: [], ended: [], left: ['whatever it has there'], why: null, remedies: [], takeBack: [] },
});

const closedDatabase = (database: string): DatabaseCustody => ({
  ...untouched(database),
  why: 'the database takes no connections',
  remedies: [`ALTER DATABASE ${pg.escapeIdentifier(database)} ALLOW_CONNECTIONS true;`],
});

/** On a session of its own where the first is lost: the loan must not stay. */
async function takeBack(ask: ToRetire, guard: pg.Client): Promise<boolean> {
  const end = (client: pg.Client): Promise<unknown> => client.query('SELECT usher.lend($1, false)', [ask.login]);
  try {
    await end(guard);
    return true;
  } catch {
    try {
      const fresh = await enter(ask, ask.address.database);
      await end(fresh).finally(() => fresh.end());
      return true;
    } catch {
      return false;
    }
  }
}

/** The guard's own words, which name no secret; see `_refuse` in sql/30-inner.sql. */
const isRefusal = (error: unknown): error is pg.DatabaseError =>
  error instanceof pg.DatabaseError && error.schema === 'usher' && error.constraint !== undefined;

/** What the DBA's own server says to the DBA. None of these statements holds a secret. */
const plainly = (error: unknown): string => (error instanceof pg.DatabaseError ? error.message : told(error).message);

function told(error: unknown): DomainError {
  if (isRefusal(error))
    return new DomainError('conflict', 'target_refused', error.message, undefined, { cause: error });
  const code = error instanceof pg.DatabaseError ? error.code : undefined;
  if (code === '28000' || code === '28P01') {
    const advice = 'Check --user and PGPASSWORD. This is for the user who installed the guard, not for the broker.';
    return new DomainError('unavailable', 'target_refused', 'The target refused the login of the DBA.', advice);
  }
  if (code === '42501') {
    const advice = 'Run it as the user who installed the guard: only that one may call usher.retire().';
    return new DomainError('forbidden', 'target_refused', 'This user may not retire logins there.', advice);
  }
  return toDomainError(error);
}
