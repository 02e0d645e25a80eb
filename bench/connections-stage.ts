/** Many targets that are looked at: one PostgreSQL with real sessions, registered under many names, and the built service beside it. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startStandIn } from '../local/stand-in.ts';
import type { StandIn } from '../local/stand-in.ts';
import { binariesOf, startPostgres } from '../src/platform/embedded-postgres.ts';
import type * as secrets from '../src/platform/secret.ts';
import type * as scram from '../src/postgres/scram.ts';
import { path, startServer } from './processes.ts';
import type { Started } from './processes.ts';

export interface Size {
  targets: number;
  sessions: number;
  intervalSeconds: number;
}

/** What the service did since it started. */
export interface Looks {
  /** Endpoints that were looked at. */
  seen: number;
  /** Seconds since the last look, of the endpoint that was looked at longest ago. */
  oldest: number;
  rows: number;
  gaps: number;
}

/** proc(5): clock ticks of a second, as Linux tells them to programs. */
const TICKS = 100;
const APPLICATION = 'bench_app';

const { Secret } = (await import(path('dist/platform/secret.js'))) as typeof secrets;
const { scramVerifier } = (await import(path('dist/postgres/scram.js'))) as typeof scram;

export class ConnectionsStage {
  private readonly outside: StandIn;
  private readonly service: Started;
  private readonly state: pg.Pool;
  private readonly closers: (() => Promise<unknown>)[];

  private constructor(
    { outside, service, state }: { outside: StandIn; service: Started; state: pg.Pool },
    closers: (() => Promise<unknown>)[],
  ) {
    this.outside = outside;
    this.service = service;
    this.state = state;
    this.closers = closers;
  }

  static async open(size: Size): Promise<ConnectionsStage> {
    const closers: (() => Promise<unknown>)[] = [];
    try {
      // each target has a kept connection of its own, beside the sessions that are looked at
      const settings = { max_connections: String(2 * size.targets + size.sessions + 60) };
      const outside = await startStandIn({ settings });
      closers.push(() => outside.close());
      const broker = await letIn(outside);
      for (let i = 0; i < size.sessions; i += 1) closers.push(await enter(outside, broker.application));
      const databaseUrl = await startDatabase(closers);
      const env = { ...outside.env, DATABASE_URL: databaseUrl, USHER_PORT: '0', USHER_DRIFT_MINUTES: '0' };
      const sampling = { USHER_SAMPLE_SECONDS: String(size.intervalSeconds), USHER_SECRET_BENCH: broker.password };
      const limits = { USHER_CALLS_PER_MINUTE: '0', USHER_LOG_LEVEL: 'error' };
      const service = await startServer('dist/main.js', { ...env, ...sampling, ...limits });
      closers.push(() => service.stop());
      const state = new pg.Pool({ connectionString: databaseUrl, max: 1 });
      state.on('error', () => undefined);
      closers.push(() => state.end());
      const stage = new ConnectionsStage({ outside, service, state }, closers);
      await stage.register(size.targets);
      return stage;
    } catch (error) {
      await closeAll(closers);
      throw error;
    }
  }

  close(): Promise<void> {
    return closeAll(this.closers);
  }

  async looks(): Promise<Looks> {
    const { rows } = await this.state.query<Looks>(
      `SELECT count(looked_at)::int AS seen, coalesce(extract(epoch FROM now() - min(looked_at)), 0)::float8 AS oldest,
              (SELECT count(*)::int FROM connection WHERE ended_at IS NULL) AS rows, count(failing_since)::int AS gaps FROM endpoint_look`,
    );
    return rows[0] ?? { seen: 0, oldest: 0, rows: 0, gaps: 0 };
  }

  /** Seconds of processor that the service has used. */
  async processor(): Promise<number> {
    const text = await readFile(`/proc/${this.service.pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS; // utime, stime
  }

  /** Seconds for so many bare looks, one after the other, on one kept connection, with nothing done about what is seen. */
  async floor(looks: number): Promise<number> {
    const admin = new pg.Client({ ...this.outside.targets.billing.rds.admin(), database: 'postgres' });
    await admin.connect();
    const text = `SELECT a.pid, a.usename, a.datname, a.client_addr, a.client_port, a.application_name, a.backend_start, s.ssl, s.version, s.cipher
                    FROM pg_stat_activity a LEFT JOIN pg_stat_ssl s USING (pid) WHERE a.usename = $1`;
    await admin.query(text, [APPLICATION]);
    const since = performance.now();
    for (let i = 0; i < looks; i += 1) await admin.query({ name: 'floor', text, values: [APPLICATION] });
    const seconds = (performance.now() - since) / 1_000;
    await admin.end();
    return seconds;
  }

  private async register(targets: number): Promise<void> {
    const token = await this.outside.oidc.tokenFor('dave');
    const { target } = this.outside.targets.billing.registration;
    for (let i = 0; i < targets; i += 1) {
      const own = { name: `bench-${i}`, resourceId: `db-BENCH${String(i).padStart(18, '0')}` };
      const response = await fetch(`${this.service.url}/v1/targets`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ ...target, ...own, brokerSecret: 'env:USHER_SECRET_BENCH' }),
      });
      if (!response.ok) throw new Error(`POST /v1/targets: ${response.status} ${await response.text()}`);
    }
  }
}

/** The broker by a password, as often as there are targets; and an application's login. */
async function letIn(outside: StandIn): Promise<{ password: string; application: string }> {
  const [password, application] = [randomBytes(18).toString('base64url'), randomBytes(18).toString('base64url')];
  const admin = new pg.Client({ ...outside.targets.billing.rds.admin(), database: 'postgres' });
  await admin.connect();
  await admin.query('SELECT usher.broker_auth($1)', [await scramVerifier(new Secret(password))]);
  await admin.query('ALTER ROLE usher_broker CONNECTION LIMIT -1');
  await admin.query(`CREATE ROLE ${APPLICATION} LOGIN PASSWORD '${application}'`);
  await admin.end();
  return { password, application };
}

/** @returns what ends the session */
async function enter(outside: StandIn, password: string): Promise<() => Promise<void>> {
  const { endpoints, rds } = outside.targets.billing;
  const [endpoint] = endpoints;
  const at = { host: endpoint?.host ?? '', port: endpoint?.port ?? 0, database: 'billing', user: APPLICATION };
  const client = new pg.Client({ ...at, password, ssl: { ca: rds.caPem } });
  client.on('error', () => undefined);
  await client.connect();
  return () => client.end();
}

async function closeAll(closers: (() => Promise<unknown>)[]): Promise<void> {
  for (const one of closers.splice(0).reverse()) await one();
}

async function startDatabase(closers: (() => Promise<unknown>)[]): Promise<string> {
  const superuserPassword = randomBytes(18).toString('base64url');
  const postgres = await startPostgres({
    binaries: binariesOf(),
    dataDir: join(tmpdir(), `usher-bench-${process.pid}`),
    superuser: 'usher',
    superuserPassword,
    settings: { fsync: 'on', synchronous_commit: 'on', max_connections: '100' },
    ephemeral: true,
  });
  closers.push(() => postgres.stop());
  return `postgresql://usher:${superuserPassword}@${postgres.host}:${postgres.port}/postgres`;
}
