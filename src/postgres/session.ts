import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import pg from 'pg';
import { faultBehind, TargetFault, toDomainError } from './advice.js';
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
  TargetAddress,
  TargetBackend,
  TargetSession,
} from './target-session.js';
import {
  presentBackend,
  presentHello,
  presentLease,
  presentLogin,
  presentProfile,
  type BackendRow,
  type HelloRow,
  type InspectRow,
  type LeaseRow,
  type ProfileRow,
} from './present.js';

const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 15_000;
/** A sweep of a thousand expired leases takes up to 41 s on 16+; each batch of it commits on its own. */
const SWEEP_TIMEOUT_MS = 120_000;
/** The client's own patience, for a server that no longer answers at all. */
const PATIENCE_MS = 5_000;

/** Trusts `ca` only, always checks the certificate against `servername`, never goes below TLS 1.2. */
function tlsOf({ servername, ca }: TargetAddress): pg.ClientConfig['ssl'] {
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
      return { ...presentLease(lease.login, row), known: row.known !== false };
    } catch (error) {
      // somebody else's grant id, or no opening can succeed now: there is nothing to close
      if (faultBehind(error)?.reason !== 'no_such_lease') throw error;
      return { login: lease.login, live: 0, endsAt: null, leftover: [], known: false };
    }
  }

  async reach(login: string, on: boolean): Promise<void> {
    await this.one<boolean>(statements.reach, [login, on]);
  }

  endHere(login: string): Promise<number> {
    return this.one<number>(statements.endHere, [login]);
  }

  async terminate(login: string): Promise<number> {
    try {
      return await this.one<number>(statements.terminate, [login]);
    } catch (error) {
      if (faultBehind(error)?.reason !== 'no_such_login') throw error;
      return 0;
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

  async activity(): Promise<TargetBackend[]> {
    return (await this.all<BackendRow>(statements.activity)).map(presentBackend);
  }

  async sweep(): Promise<void> {
    const client = await this.pool.connect().catch((error: unknown) => {
      throw toDomainError(error);
    });
    try {
      // plain text, no parameters: CALL may COMMIT only as a statement of its own
      await client.query(`SET statement_timeout = ${SWEEP_TIMEOUT_MS}`);
      await client.query({ text: statements.sweep, ...patience(SWEEP_TIMEOUT_MS) });
      await client.query('RESET statement_timeout');
      client.release();
    } catch (error) {
      client.release(true);
      throw toDomainError(error);
    }
  }

  private async all<Row>(text: string, values: unknown[] = []): Promise<Row[]> {
    try {
      const { rows } = await this.pool.query<{ outcome: Row }>({ text, values, ...patience(STATEMENT_TIMEOUT_MS) });
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

/** pg reads it from the query's own configuration; its types do not know that. */
const patience = (statementMs: number): { query_timeout: number } => ({ query_timeout: statementMs + PATIENCE_MS });
