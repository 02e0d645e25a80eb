import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { binariesOf, startPostgres } from '../../src/platform/embedded-postgres.js';
import { installJobs } from '../../src/platform/jobs/jobs.js';
import { migrate } from '../../src/platform/state/migrate.js';
import { prepareServerLogs } from '../../src/platform/state/retention.js';
import { migrationsDirectory } from '../../src/platform/state/state.js';
import { refuseSecrets } from './secrets.ts';

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
  await migrate(urlOf('template_usher'), migrationsDirectory, async () => {
    await installJobs(urlOf('template_usher'));
    await prepareServerLogs(urlOf('template_usher'), 0); // tests read logs of a year that goes by
  });
  return { urlOf, admin };
}

export interface TestDatabase {
  url: string;
  /** As the owner, who may do more than Usher itself. */
  owner: pg.Pool;
  /** @throws Error when a secret is in it, which is then gone all the same */
  drop(): Promise<void>;
}

/** A migrated database of one's own, copied from a template in some 20 ms. */
export const freshDatabase = (): Promise<TestDatabase> => create('test', 'TEMPLATE template_usher');

/** An empty database, for tests of the migrations themselves. */
export const emptyDatabase = (): Promise<TestDatabase> => create('empty');

async function create(prefix: string, how = ''): Promise<TestDatabase> {
  const { urlOf, admin } = await server();
  const name = `${prefix}_${process.pid}_${++made}`;
  await admin.query(`CREATE DATABASE ${name} ${how}`);
  const owner = new pg.Pool({ connectionString: urlOf(name), max: 2 });
  owner.on('error', () => undefined);
  const drop = async (): Promise<void> => {
    try {
      for (const [table, rows] of await dump(owner)) refuseSecrets(`table ${table}`, rows);
    } finally {
      await owner.end();
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    }
  };
  return { url: urlOf(name), owner, drop };
}

/** Every column of every row as text, by table. */
export async function dump(owner: pg.Pool): Promise<Map<string, string>> {
  const { rows: tables } = await owner.query<{ name: string }>(
    `SELECT oid::regclass::text AS name FROM pg_class
      WHERE relkind = 'r' AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)`,
  );
  if (tables.length === 0) return new Map();
  const each = tables.map(({ name }) => `SELECT '${name}' AS name, string_agg(t::text, E'\\n') AS rows FROM ${name} t`);
  const { rows } = await owner.query<{ name: string; rows: string | null }>(each.join(' UNION ALL '));
  return new Map(rows.map(({ name, rows: text }) => [name, text ?? '']));
}
