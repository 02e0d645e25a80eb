import { createHash, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';

/** Prisma's own lock for migrations, so that its CLI and we exclude each other. */
const MIGRATION_LOCK = 72_707_369;

const JOURNAL = `CREATE TABLE IF NOT EXISTS _prisma_migrations (
  id varchar(36) PRIMARY KEY NOT NULL, checksum varchar(64) NOT NULL, finished_at timestamptz, migration_name varchar(255) NOT NULL,
  logs text, rolled_back_at timestamptz, started_at timestamptz NOT NULL DEFAULT now(), applied_steps_count integer NOT NULL DEFAULT 0)`;

interface Applied {
  migration_name: string;
  checksum: string;
}

/**
 * Applies the migrations that the database lacks, in order, each in its own transaction, in Prisma's own journal:
 * `prisma migrate status` agrees afterwards. Any number of processes may start at once; one works, the others wait.
 * @param url of a role that may create tables
 * @param afterwards done under the same lock, whether or not anything was missing
 * @returns the names applied by this call
 * @throws Error when an applied migration was edited since, or PostgreSQL is older than 14
 */
export async function migrate(
  url: string,
  directory: string,
  afterwards: () => Promise<void> = async () => {},
): Promise<string[]> {
  const client = new pg.Client({ connectionString: url, application_name: 'usher migrate' });
  await client.connect();
  try {
    await refuseOld(client);
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await client.query(JOURNAL);
    const done = await applyMissing(client, directory);
    await afterwards();
    return done;
  } finally {
    await client.end(); // also gives the lock back
  }
}

async function refuseOld(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ version: string }>(`SELECT current_setting('server_version_num') AS version`);
  const version = Number(rows[0]?.version);
  if (version < 140_000) throw new Error(`Usher keeps its state in PostgreSQL 14 or newer; this is ${version}`);
}

async function applyMissing(client: pg.Client, directory: string): Promise<string[]> {
  const journal = await client.query<Applied>(
    'SELECT migration_name, checksum FROM _prisma_migrations WHERE rolled_back_at IS NULL AND finished_at IS NOT NULL',
  );
  const applied = new Map(journal.rows.map((row) => [row.migration_name, row.checksum]));
  const done: string[] = [];
  for (const name of migrationNames(directory)) {
    const sql = readFileSync(join(directory, name, 'migration.sql'), 'utf8');
    const checksum = createHash('sha256').update(sql).digest('hex');
    const known = applied.get(name);
    if (known === checksum) continue;
    if (known !== undefined) throw new Error(`migration ${name} was changed after it was applied to this database`);
    await applyOne(client, name, sql, checksum);
    done.push(name);
  }
  return done;
}

const migrationNames = (directory: string): string[] =>
  readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();

async function applyOne(client: pg.Client, name: string, sql: string, checksum: string): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query(sql);
    await client.query(
      `INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name, applied_steps_count) VALUES ($1, $2, clock_timestamp(), $3, 1)`,
      [randomUUID(), checksum, name],
    );
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw new Error(`migration ${name} failed: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}
