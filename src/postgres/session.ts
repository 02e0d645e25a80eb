import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import pg from 'pg';
import { faultBehind, TargetFault, toDomainError } from './advice.js';
import { prove } from './proof.js';
import { closeParameters, openParameters, statements } from './calls.js';
import type {
  BrokerLogin,
  ClosedLease,
  GuardHello,
  GuardProfile,
  InspectedLogin,
  LeaseToClose,
  LeaseToOpen,
  OpenedLease,
  PasswordToSet,
  Proof,
  Sighting,
  Survey,
  LeaseState,
  TargetAddress,
  TargetBackend,
  TargetSession,
} from './target-session.js';
import { presentFacts, serverSettings, type FactsAsked, type FactsRow, type ServerFacts } from './server-facts.js';
import {
  presentBackend,
  presentHello,
  presentLease,
  presentLogin,
  presentProfile,
  presentSighting,
  presentSurvey,
  type BackendRow,
  type HelloRow,
  type InspectRow,
  type LeaseRow,
  type ProfileRow,
  type SightingRow,
  type SurveyRow,
} from './present.js';

const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 15_000;
/** A sweep of a thousand expired leases, each with a session, took 6 to 27 s on a busy 17; each batch commits on its own. */
const SWEEP_TIMEOUT_MS = 120_000;
/** Logins whose sessions one call ends, as in a batch of the sweep: from 16 on each takes milliseconds under the guard's lock. */
const ENDED_AT_ONCE = 200;
/** The client's own patience, for a server that no longer answers at all. */
const PATIENCE_MS = 5_000;

/** Trusts `ca` only, always checks the certificate against `servername`, never goes below TLS 1.2. */
export function tlsOf({ servername, ca }: TargetAddress): pg.ClientConfig['ssl'] {
  // Node takes an empty ca for "the authorities of the public web"
  if (!ca.includes('-----BEGIN CERTIFICATE-----')) throw toDomainError(new TargetFault('NO_CA'));
  return {
    ca,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    // pg overwrites servername with the host it dials, so the name is checked here against the one that was asked for
    checkServerIdentity: (_dialled, certificate) => checkServerIdentity(servername, certificate),
    ...(isIP(servername) === 0 ? { servername } : {}),
  };
}

/**
 * Any role may change its own settings, so a thief of the broker's login could have left others. What is said at the start
 * of a session outranks them. The last: an answer is only given for what survives a crash of the target.
 */
const OWN_SETTINGS = [
  'default_transaction_isolation=read\\ committed',
  'default_transaction_read_only=off',
  'search_path=pg_catalog',
  'local_preload_libraries=',
  'idle_session_timeout=0',
  'synchronous_commit=on',
]
  .map((setting) => `-c ${setting}`)
  .join(' ');

/**
 * At most three sessions to one target, ended after 30 s of idleness, and after 15 minutes in any case so that a revoked
 * broker is out. `password` is asked for each.
 * @throws DomainError target_untrusted when there is no CA to verify with
 */
export function poolOf(address: TargetAddress, login: BrokerLogin): pg.Pool {
  const pool = new pg.Pool({
    host: address.hostaddr ?? address.host,
    port: address.port,
    database: address.database,
    user: login.user,
    password: login.password,
    ssl: tlsOf(address),
    application_name: 'usher',
    options: OWN_SETTINGS,
    max: 3,
    idleTimeoutMillis: 30_000,
    maxLifetimeSeconds: 900,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    lock_timeout: 10_000,
    idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
  });
  // an idle session that the server ended: the pool drops it by itself, and without a listener the process would end
  pool.on('error', () => undefined);
  return pool;
}

/**
 * Lends one session of a pool to `work`; one that fails there is not used again, with `once` none is. The pool listens to idle
 * sessions only: a server that ended a lent one would end this process, too, if nobody listened.
 */
export async function lend<T>(
  pool: pg.Pool,
  work: (session: pg.PoolClient) => Promise<T>,
  { once = false } = {},
): Promise<T> {
  const session = await pool.connect();
  const heard = (): void => undefined; // the statement that it was asked fails by itself
  session.on('error', heard);
  let spoilt = true;
  try {
    const done = await work(session);
    spoilt = once;
    return done;
  } finally {
    session.release(spoilt);
    if (!spoilt) session.off('error', heard);
  }
}

/** Why the guard has nothing to close: it would refuse the opening for the same reason. */
const UNOPENABLE = new Set(['no_such_lease', 'login_name', 'grant_id']);

/** The guard of one target over its pool. */
export class GuardSession implements TargetSession {
  private readonly pool: pg.Pool;
  constructor(pool: pg.Pool) {
    this.pool = pool;
  }

  async open(lease: LeaseToOpen): Promise<OpenedLease> {
    const row = await this.one<LeaseRow>(statements.open, openParameters(lease));
    return { ...presentLease(lease.login, row), created: row.created === true };
  }

  async close(lease: LeaseToClose): Promise<ClosedLease> {
    try {
      const row = await this.one<LeaseRow>(statements.close, closeParameters(lease));
      return { ...presentLease(lease.login, row), known: row.known !== false, locked: row.locked === true };
    } catch (error) {
      // somebody else's grant id, or no opening can succeed: there is nothing to close
      if (!UNOPENABLE.has(faultBehind(error)?.reason ?? '')) throw error;
      return { login: lease.login, live: 0, endsAt: null, leftover: [], known: false, locked: false };
    }
  }

  async reach(login: string, on: boolean): Promise<void> {
    await this.one<boolean>(statements.reach, [login, on]);
  }

  endHere(login: string): Promise<number> {
    return this.one<number>(statements.endHere, [login]);
  }

  async setPassword({ login, grantId, verifier }: PasswordToSet): Promise<void> {
    await this.one<boolean>(statements.setPassword, [login, grantId, verifier]);
  }

  async terminate(logins: readonly string[]): Promise<number> {
    let ended = 0;
    for (let i = 0; i === 0 || i < logins.length; i += ENDED_AT_ONCE) {
      ended += await this.one<number>(statements.terminate, [logins.slice(i, i + ENDED_AT_ONCE)]);
    }
    return ended;
  }

  async repair(login: string): Promise<LeaseState> {
    return presentLease(login, await this.one<LeaseRow>(statements.repair, [login]));
  }

  async survey(): Promise<Survey> {
    return presentSurvey(await this.one<SurveyRow>(statements.survey));
  }

  async prove(probe?: string): Promise<Proof[]> {
    try {
      // never used again: whatever goes wrong in here, nothing of it is left open
      return await lend(this.pool, (client) => prove(asking(client), probe), { once: true });
    } catch (error) {
      throw toDomainError(error);
    }
  }

  async inspect(logins?: readonly string[]): Promise<InspectedLogin[]> {
    const rows = await this.all<InspectRow>(statements.inspect, [logins === undefined ? null : [...logins]]);
    return rows.map(presentLogin);
  }

  async profiles(): Promise<GuardProfile[]> {
    return (await this.all<ProfileRow>(statements.profiles)).map(presentProfile);
  }

  async hello(): Promise<GuardHello> {
    return presentHello(await this.one<HelloRow>(statements.hello));
  }

  async facts({ roles = [], databases = [] }: FactsAsked = {}): Promise<ServerFacts> {
    return presentFacts(await this.one<FactsRow>(statements.facts, [[...serverSettings], [...roles], [...databases]]));
  }

  async activity(): Promise<TargetBackend[]> {
    return (await this.all<BackendRow>(statements.activity)).map(presentBackend);
  }

  async sessions(): Promise<Sighting> {
    return presentSighting(await this.one<SightingRow>(statements.sessions));
  }

  async sweep(): Promise<void> {
    try {
      await lend(this.pool, async (client) => {
        // plain text, no parameters: CALL may COMMIT only as a statement of its own
        await client.query(`SET statement_timeout = ${SWEEP_TIMEOUT_MS}`);
        await client.query({ text: statements.sweep, ...patience(SWEEP_TIMEOUT_MS) });
        await client.query('RESET statement_timeout');
      });
    } catch (error) {
      throw toDomainError(error);
    }
  }

  private async all<Row>(text: string, values: unknown[] = []): Promise<Row[]> {
    try {
      const query = { name: names.get(text), text, values, ...patience(STATEMENT_TIMEOUT_MS) };
      const { rows } = await this.pool.query<{ outcome: Row }>(query);
      return rows.map((row) => row.outcome);
    } catch (error) {
      throw toDomainError(error);
    }
  }

  private async one<Row>(text: string, values: unknown[] = []): Promise<Row> {
    const [row] = await this.all<Row>(text, values);
    if (row === undefined) throw toDomainError(new Error('no row'));
    return row;
  }
}

/** Statements on one lent session. Each refusal is a DomainError. */
const asking =
  (client: pg.PoolClient) =>
  async <Row>(text: string, values: readonly unknown[] = []): Promise<Row[]> => {
    const query = { text, values: [...values], ...patience(STATEMENT_TIMEOUT_MS) };
    const { rows } = await client.query<pg.QueryResultRow>(query).catch((error: unknown) => {
      throw toDomainError(error);
    });
    return rows as Row[];
  };

/** A statement that has a name is parsed once a session, not at each call. */
const names = new Map(Object.entries(statements).map(([call, text]) => [text as string, `usher ${call}`]));

/** pg reads it from the query's own configuration; its types do not know that. */
const patience = (statementMs: number): { query_timeout: number } => ({ query_timeout: statementMs + PATIENCE_MS });
