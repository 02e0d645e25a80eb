import { cp, mkdtemp, rm, writeFile, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { installJobs, queues } from '../../src/platform/jobs/jobs.js';
import { migrate } from '../../src/platform/state/migrate.js';
import { migrationsDirectory, openState, type State } from '../../src/platform/state/state.js';
import { emptyDatabase, type TestDatabase } from '../support/state.ts';

let database: TestDatabase;
let directory: string;
beforeEach(async () => {
  database = await emptyDatabase();
  directory = await mkdtemp(join(tmpdir(), 'usher-migrations-'));
});
afterEach(async () => {
  await database.drop();
  await rm(directory, { recursive: true, force: true });
});

const journal = async (): Promise<string[]> =>
  (
    await database.owner.query<{ migration_name: string }>(
      'SELECT migration_name FROM _prisma_migrations ORDER BY finished_at',
    )
  ).rows.map((row) => row.migration_name);
const write = async (name: string, sql: string): Promise<void> => {
  await mkdir(join(directory, name), { recursive: true });
  await writeFile(join(directory, name, 'migration.sql'), sql);
};
const exists = async (relation: string): Promise<boolean> =>
  (await database.owner.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [relation])).rows[0]
    ?.there === true;

describe('the migrations of this package', () => {
  test('are applied once when many start at once, and everybody can go on', async () => {
    const start = (): Promise<string[]> => migrate(database.url, migrationsDirectory, () => installJobs(database.url));
    const done = await Promise.all([start(), start(), start(), start(), start()]);
    const applied = await journal();
    expect(applied.length).toBeGreaterThan(1);
    expect(done.filter((names) => names.length > 0)).toEqual([applied]);
    const { rows } = await database.owner.query<{ name: string }>('SELECT name FROM pgboss.queue');
    expect(rows.map(({ name }) => name)).toEqual(expect.arrayContaining([...queues]));
  });

  test('a second start applies nothing and changes nothing', async () => {
    await migrate(database.url, migrationsDirectory);
    const first = await database.owner.query('SELECT * FROM _prisma_migrations ORDER BY id');
    expect(await migrate(database.url, migrationsDirectory)).toEqual([]);
    expect((await database.owner.query('SELECT * FROM _prisma_migrations ORDER BY id')).rows).toEqual(first.rows);
  });

  test('two databases of one server may be made at once, although roles belong to both', async () => {
    const other = await emptyDatabase();
    try {
      const done = await Promise.all([
        migrate(database.url, migrationsDirectory),
        migrate(other.url, migrationsDirectory),
      ]);
      expect(done[0]).toEqual(done[1]);
    } finally {
      await other.drop();
    }
  });

  test('may stand in another schema, where functions find all that is theirs', async () => {
    await database.owner.query(`CREATE SCHEMA state`);
    await database.owner.query(
      `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = state', current_database()); END $$`,
    );
    await migrate(database.url, migrationsDirectory);
    const app = new pg.Client({ connectionString: database.url, options: '-c role=usher_app' });
    await app.connect();
    try {
      const { rows } = await app.query<{ made: string }>('SELECT audit_make_partitions(5) AS made');
      expect(rows).toHaveLength(2);
      expect((await app.query('SELECT * FROM audit_drop_expired()')).rows).toEqual([]);
    } finally {
      await app.end();
    }
    const tables = `SELECT DISTINCT relnamespace::regnamespace::text AS schema FROM pg_class WHERE relname ~ '^audit_' AND relkind IN ('r', 'p')`;
    expect((await database.owner.query(tables)).rows).toEqual([{ schema: 'state' }]);
  });

  test('one that was edited after it was applied stops the start', async () => {
    await cp(migrationsDirectory, directory, { recursive: true });
    await migrate(database.url, directory);
    const [first = ''] = await journal();
    await write(first, '-- edited');
    await expect(migrate(database.url, directory)).rejects.toThrow(`${first} was changed after it was applied`);
  });
});

describe('any migrations', () => {
  test('are applied in the order of their names, only those that lack', async () => {
    await write('2_second', 'ALTER TABLE a ADD COLUMN y int');
    await write('1_first', 'CREATE TABLE a (x int)');
    expect(await migrate(database.url, directory)).toEqual(['1_first', '2_second']);
    await write('3_third', 'CREATE TABLE b (x int)');
    expect(await migrate(database.url, directory)).toEqual(['3_third']);
  });

  test('one that fails leaves nothing of itself, is named, and is tried again at the next start', async () => {
    await write('1_first', 'CREATE TABLE a (x int)');
    await write('2_broken', 'CREATE TABLE b (x int); SELECT 1 / 0');
    await expect(migrate(database.url, directory)).rejects.toThrow(/2_broken.*division by zero/);
    expect([await exists('a'), await exists('b'), await journal()]).toEqual([true, false, ['1_first']]);
    await write('2_broken', 'CREATE TABLE b (x int)');
    expect(await migrate(database.url, directory)).toEqual(['2_broken']);
  });

  test('what comes afterwards is done by one at a time', async () => {
    let inside = 0;
    let most = 0;
    const afterwards = async (): Promise<void> => {
      most = Math.max(most, ++inside);
      await database.owner.query('SELECT 1');
      inside -= 1;
    };
    await Promise.all([1, 2, 3].map(() => migrate(database.url, directory, afterwards)));
    expect(most).toBe(1);
  });

  test('a start that fails gives the lock back', async () => {
    const failing = migrate(database.url, directory, () => Promise.reject(new Error('no room')));
    await expect(failing).rejects.toThrow('no room');
    expect(await migrate(database.url, directory)).toEqual([]);
  });
});

describe('the embedded state', () => {
  async function inState<T>(work: (client: pg.Client, state: State) => Promise<T>): Promise<T> {
    const state = await openState({
      databaseUrl: undefined,
      stateDirectory: directory,
      retentionMonths: 0,
      serverLogRetentionDays: 0,
    });
    const client = new pg.Client({ connectionString: state.url });
    try {
      await client.connect();
      return await work(client, state);
    } finally {
      await client.end();
      await state.stop();
    }
  }

  test('is kept from one start to the next', async () => {
    const person = [`00000000-0000-7000-8000-000000000001`, 'https://idp.example', 'ana', 'Ana'];
    const where = await inState(async (client, state) => {
      await client.query(
        'INSERT INTO person (id, issuer, subject, name, first_seen_at, last_seen_at) VALUES ($1, $2, $3, $4, now(), now())',
        person,
      );
      expect(state.where).not.toContain(new URL(state.url).password);
      return (await client.query<{ data_directory: string }>('SHOW data_directory')).rows[0]?.data_directory ?? '';
    });
    try {
      const found = await inState(async (client) => (await client.query('SELECT name FROM person')).rows);
      expect(found).toEqual([{ name: 'Ana' }]);
    } finally {
      if (where.startsWith('/')) await rm(where, { recursive: true, force: true }); // as root it stands outside the directory
    }
  });
});
