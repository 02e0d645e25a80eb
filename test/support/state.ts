import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { binariesOf, startPostgres } from '../../src/platform/embedded-postgres.js';
import { installJobs } from '../../src/platform/jobs/jobs.js';
import { migrate } from '../../src/platform/state/migrate.js';
import { migrationsDirectory } from '../../src/platform/state/state.js';

interface StateServer {
  urlOf(database: string): string;
  admin: pg.Pool;
}

let running: Promise<StateServer> | undefined;
let made = 0;

/** One server for all test files of this process; it and its data end with the process. */
const server = (): Promise<StateServer> => (running ??= start());

async function start(): Promise<StateServer> {
  const password = 'only-for-this-run';
  const postgres = await startPostgres({
    binaries: binariesOf(),
    dataDir: join(tmpdir(), `usher-state-${randomUUID()}`),
    superuser: 'owner',
    superuserPassword: password,
    settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '400' },
    ephemeral: true,
  });
  const urlOf = (database: string): string =>
    `postgresql://owner:${password}@${postgres.host}:${postgres.port}/${database}`;
  const admin = new pg.Pool({ connectionString: urlOf('postgres'), max: 1 });
  admin.on('error', () => undefined);
  await admin.query('CREATE DATABASE template_usher');
  await migrate(urlOf('template_usher'), migrationsDirectory, () => installJobs(urlOf('template_usher')));
  return { urlOf, admin };
}

export interface TestDatabase {
  url: string;
  /** As the owner, who may do more than Usher itself. */
  owner: pg.Pool;
  drop(): Promise<void>;
}

/** A migrated database of one's own, copied from a template in some 20 ms. */
export async function freshDatabase(): Promise<TestDatabase> {
  const { urlOf, admin } = await server();
  const name = `test_${process.pid}_${++made}`;
  await admin.query(`CREATE DATABASE ${name} TEMPLATE template_usher`);
  const owner = new pg.Pool({ connectionString: urlOf(name), max: 2 });
  owner.on('error', () => undefined);
  const drop = async (): Promise<void> => {
    await owner.end();
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
  };
  return { url: urlOf(name), owner, drop };
}

/** An empty database, for tests of the migrations themselves. */
export async function emptyDatabase(): Promise<TestDatabase> {
  const { urlOf, admin } = await server();
  const name = `empty_${process.pid}_${++made}`;
  await admin.query(`CREATE DATABASE ${name}`);
  const owner = new pg.Pool({ connectionString: urlOf(name), max: 2 });
  owner.on('error', () => undefined);
  return {
    url: urlOf(name),
    owner,
    drop: async () => {
      await owner.end();
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}
