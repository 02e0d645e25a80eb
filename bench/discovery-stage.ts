/** What a look needs around it: the stand-in with fleets of databases, a durable PostgreSQL, and the built service. */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { addFleet } from '../local/aws/rds-fleet.ts';
import { startStandIn } from '../local/stand-in.ts';
import type { StandIn } from '../local/stand-in.ts';
import { binariesOf, startPostgres } from '../src/platform/embedded-postgres.ts';
import { startServer, startWorker } from './processes.ts';
import type { Started } from './processes.ts';
import type { FloorAnswer, FloorAsk } from './discovery-floor.ts';

/** One look of the service at one region. */
export interface Look {
  seconds: number;
  found: { databases: number; added: number; changed: number; missing: number };
  /** To RDS that were answered, and beside them those that were throttled. */
  calls: number;
  throttled: number;
  /** Rows of discovered databases that were written: added, changed, or written again as they were. */
  rows: number;
  /** Most memory of the service while it looked, MiB. */
  peakMiB: number;
}

interface Place {
  state: string;
  error: string | null;
  databases: number;
  added: number;
  changed: number;
  missing: number;
}
interface Run {
  id: string;
  finishedAt: string | null;
  places: Place[];
}

/** How often the end of a look is asked for: short beside what is measured. */
const ASK_MS = 50;
const MIB = 1_024;

export class DiscoveryStage {
  private readonly outside: StandIn;
  private readonly service: Started;
  private readonly state: pg.Pool;
  private readonly token: string;
  private readonly closers: (() => Promise<unknown>)[];

  private constructor(
    { outside, service, state, token }: { outside: StandIn; service: Started; state: pg.Pool; token: string },
    closers: (() => Promise<unknown>)[],
  ) {
    this.outside = outside;
    this.service = service;
    this.state = state;
    this.token = token;
    this.closers = closers;
  }

  /** @param fleets clusters of each region, with so many instances each */
  static async open(fleets: ReadonlyMap<string, number>, instancesEach: number): Promise<DiscoveryStage> {
    const closers: (() => Promise<unknown>)[] = [];
    try {
      const outside = await startStandIn();
      closers.push(() => outside.close());
      for (const [region, clusters] of fleets) addFleet(outside.aws.rds, { clusters, instancesEach, region });
      const databaseUrl = await startDatabase(closers);
      const env = { ...outside.env, DATABASE_URL: databaseUrl, USHER_PORT: '0', USHER_SAMPLE_SECONDS: '0' };
      const service = await startServer('dist/main.js', { ...env, USHER_LOG_LEVEL: 'error' });
      closers.push(() => service.stop());
      const state = new pg.Pool({ connectionString: databaseUrl, max: 1 });
      state.on('error', () => undefined);
      closers.push(() => state.end());
      const token = await outside.oidc.tokenFor('dave');
      const stage = new DiscoveryStage({ outside, service, state, token }, closers);
      const { accountId } = outside.aws;
      const account = { accountId, name: 'fleet', partition: 'aws', regions: [...fleets.keys()] };
      await stage.call('POST', '/v1/accounts', account);
      return stage;
    } catch (error) {
      await closeAll(closers);
      throw error;
    }
  }

  close(): Promise<void> {
    return closeAll(this.closers);
  }

  /** One in so many calls to RDS is refused; 0 none. */
  throttle(oneIn: number): void {
    this.outside.aws.faults.throttleOneIn(oneIn, { service: 'rds' });
  }

  async floor(region: string): Promise<FloorAnswer> {
    const worker = startWorker<FloorAsk & Record<string, string>, FloorAnswer>('bench/discovery-floor.ts');
    const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = this.outside.env;
    try {
      return await worker.ask({ endpoint: this.outside.aws.url, region, accessKeyId, secretAccessKey });
    } finally {
      await worker.stop();
    }
  }

  /** @throws Error when the look fails */
  async look(region: string): Promise<Look> {
    const already = this.outside.aws.trail.events().length;
    const { rows } = await this.state.query<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid');
    await forgetPeak(this.service.pid);
    const since = performance.now();
    let run = await this.call<Run>('POST', '/v1/discoveries', { regions: [region] });
    while (run.finishedAt === null) {
      await wait(ASK_MS);
      run = await this.call<Run>('GET', `/v1/discoveries/${run.id}`);
    }
    const seconds = (performance.now() - since) / 1_000;
    const [place] = run.places;
    if (place?.state !== 'done') throw new Error(`the look at ${region} failed: ${place?.error ?? 'no reason given'}`);
    const { databases, added, changed, missing } = place;
    const events = this.outside.aws.trail.events().slice(already);
    const written = await this.state.query<{ count: number }>(
      'SELECT count(*)::int FROM discovered_database WHERE xmin::text::bigint > $1::bigint',
      [rows[0]?.xid],
    );
    return {
      seconds,
      found: { databases, added, changed, missing },
      calls: events.filter(({ eventSource }) => eventSource.startsWith('rds.')).length,
      throttled: this.outside.aws.faults.refusedOfMany,
      rows: written.rows[0]?.count ?? NaN,
      peakMiB: await peakOf(this.service.pid),
    };
  }

  private async call<T>(method: string, route: string, body?: unknown): Promise<T> {
    const response = await fetch(`${this.service.url}${route}`, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${route}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }
}

/** proc(5): 5 in clear_refs sets the high-water mark to what is used now. */
const forgetPeak = (pid: number): Promise<void> => writeFile(`/proc/${pid}/clear_refs`, '5');

async function peakOf(pid: number): Promise<number> {
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) / MIB;
}

async function closeAll(closers: (() => Promise<unknown>)[]): Promise<void> {
  for (const one of closers.splice(0).reverse()) await one();
}

/** With fsync: what was found is on disk before the look ends. */
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
