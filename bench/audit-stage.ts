/** A state with nothing but its schema, and tables beside it that say what a line and a seal cost at the least. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { binariesOf, startPostgres } from '../src/platform/embedded-postgres.ts';
import { migrate } from '../src/platform/state/migrate.ts';
import { path } from './processes.ts';

export interface AuditStage {
  url: string;
  /** As the owner. */
  pool: pg.Pool;
  stop(): Promise<void>;
}

export async function auditStage(): Promise<AuditStage> {
  const superuserPassword = randomBytes(12).toString('hex');
  const server = await startPostgres({
    binaries: binariesOf(),
    dataDir: join(mkdtempSync(join(tmpdir(), 'usher-bench-audit-')), 'data'),
    superuser: 'usher',
    superuserPassword,
    settings: { fsync: 'on', synchronous_commit: 'on', max_wal_size: '2GB' },
    ephemeral: true,
  });
  const url = `postgresql://usher:${superuserPassword}@${server.host}:${server.port}/postgres`;
  await migrate(url, path('prisma/migrations'));
  const pool = new pg.Pool({ connectionString: url, max: 16 });
  pool.on('error', () => undefined); // the server may end a connection before its pool has
  // the same line with the same indexes, without what gives it an order and keeps it
  await pool.query('CREATE TABLE bare_event (LIKE audit_event INCLUDING ALL)');
  await pool.query('ALTER TABLE bare_event DROP COLUMN ordinal');
  await pool.query('CREATE TABLE bare_seal (LIKE audit_seal INCLUDING ALL)');
  const stop = async (): Promise<void> => {
    await pool.end();
    await server.stop();
  };
  return { url, pool, stop };
}

export const COLUMNS =
  'id, at, actor_kind, actor_id, actor_name, subject_id, action, outcome, details, address, correlation_id';

/** Lines of fifty people, as a connection leaves them. */
export const madeLines = (table: string, count: number): string => `
  INSERT INTO ${table} (${COLUMNS})
  SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || right(replace(gen_random_uuid()::text, '-', ''), 20))::uuid, now(), 'person', md5((n % 50)::text)::uuid, 'Person ' || n % 50, md5((n % 50)::text)::uuid, 'connection.seen',
         'success', jsonb_build_object('database', 'orders', 'login', 'u_person' || n % 50, 'tls', 'TLSv1.3', 'number', n), '192.0.2.7', 'c' || n
    FROM generate_series(1, ${count}) n`;
