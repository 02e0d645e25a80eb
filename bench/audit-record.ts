/** A record of a company: a durable PostgreSQL with Usher's own schema, and lines of a year spread over people, targets and grants. */
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { binariesOf, startPostgres } from '../src/platform/embedded-postgres.ts';
import type * as jobs from '../src/platform/jobs/jobs.ts';
import type * as migrations from '../src/platform/state/migrate.ts';
import { path } from './processes.ts';

const { migrate } = (await import(path('dist/platform/state/migrate.js'))) as typeof migrations;
const { installJobs } = (await import(path('dist/platform/jobs/jobs.js'))) as typeof jobs;

export const PEOPLE = 2_000;
export const TARGETS = 500;
/** Lines of one grant. */
export const OF_A_GRANT = 40;
const MONTHS = 12;
const BATCH = 250_000;

/** The nth person, target, request or grant, of this record and of no other. */
export const idOf = (kind: 1 | 2 | 3 | 4, n: number): string =>
  `0000000${kind}-0000-7000-8000-${n.toString(16).padStart(12, '0')}`;

export interface Record {
  /** A secret: it holds a password. */
  url: string;
  owner: pg.Pool;
  close(): Promise<void>;
}

/** @param sealed whether each line has its place in the sealed record too */
export async function openRecord(events: number, { sealed }: { sealed: boolean }): Promise<Record> {
  const superuserPassword = randomBytes(18).toString('base64url');
  const postgres = await startPostgres({
    binaries: binariesOf(),
    dataDir: join(tmpdir(), `usher-bench-record-${process.pid}`),
    superuser: 'usher',
    superuserPassword,
    settings: { shared_buffers: '512MB', maintenance_work_mem: '256MB', max_wal_size: '4GB', jit: 'off' },
    ephemeral: true,
  });
  const url = `postgresql://usher:${superuserPassword}@${postgres.host}:${postgres.port}/postgres`;
  const owner = new pg.Pool({ connectionString: url, max: 2 });
  const close = async (): Promise<void> => {
    await owner.end();
    await postgres.stop('fast');
  };
  try {
    await migrate(url, path('prisma/migrations'), () => installJobs(url));
    await fill(owner, events);
    if (sealed) await seal(owner);
    await owner.query('VACUUM ANALYZE');
    return { url, owner, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A year of months, empty as they are; then the lines, and the indexes over all of them at once. */
async function fill(owner: pg.Pool, events: number): Promise<void> {
  await owner.query(`
    DROP TABLE audit_event_before;
    DELETE FROM audit_partition;
    INSERT INTO audit_partition (name, to_at)
    VALUES ('audit_event_none', (date_trunc('month', now() AT TIME ZONE 'UTC') - interval '${MONTHS - 1} months') AT TIME ZONE 'UTC')`);
  await owner.query(`
    DO $$ DECLARE name text; BEGIN
      FOR name IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'audit_event'::regclass AND inhrelid <> 'audit_event_default'::regclass LOOP
        EXECUTE 'DROP TABLE ' || name;
      END LOOP;
    END $$`);
  await owner.query('SELECT audit_make_partitions(3)');
  const { rows: indexes } = await owner.query<{ name: string; made: string }>(
    `SELECT indexrelid::regclass AS name, pg_get_indexdef(indexrelid) AS made FROM pg_index WHERE indrelid = 'audit_event'::regclass AND NOT indisprimary`,
  );
  for (const { name } of indexes) await owner.query(`DROP INDEX ${name}`);
  const say = progress(events);
  for (let from = 0; from < events; from += BATCH) {
    await owner.query(LINES, [from, Math.min(from + BATCH, events), events]);
    if ((from / BATCH) % 4 === 3) say(`${((from + BATCH) / 1e6).toFixed(1)} million lines`);
  }
  for (const [at, { made }] of indexes.entries()) {
    await owner.query(made.replace(' ON ONLY ', ' ON ')); // on every month, too
    say(`index ${at + 1} of ${indexes.length}`);
  }
}

/** Says what is there by now, where it takes minutes. */
function progress(events: number): (what: string) => void {
  const start = performance.now();
  return (what) => {
    if (events > 1_000_000) console.log(`record   ${what} after ${((performance.now() - start) / 1_000).toFixed(0)} s`);
  };
}

const sqlId = (kind: number, n: string): string =>
  `('0000000${kind}-0000-7000-8000-' || lpad(to_hex(${n}), 12, '0'))::uuid`;

/** Grants follow each other and overlap, so that neighbours in time are of many people, as they are; one in ten also acts for others. */
const GRANT = `(n / ${OF_A_GRANT * 100} * 100 + n % 100)`;
const LINES = `
  INSERT INTO audit_event (id, at, actor_kind, actor_id, actor_name, subject_id, action, outcome, target_id, request_id, grant_id, code, details,
                           address, correlation_id)
  SELECT (lpad(to_hex((extract(epoch FROM t.at) * 1000)::bigint), 12, '0') || '70008' || lpad(to_hex(n), 15, '0'))::uuid, t.at, 'person',
         ${sqlId(1, `(CASE WHEN n % 3 = 0 THEN (${GRANT} * 13 + 7) % ${PEOPLE / 10} ELSE ${GRANT} % ${PEOPLE} END)`)}, 'person' || n % ${PEOPLE} || '@example.com',
         ${sqlId(1, `(${GRANT} % ${PEOPLE})`)}, (ARRAY['token.mint', 'connection.seen', 'connection.ended', 'grant.active'])[1 + n % 4],
         CASE WHEN n % 50 = 0 THEN 'refused' ELSE 'success' END::"Outcome", ${sqlId(2, `(${GRANT} * 7 % ${TARGETS})`)}, ${sqlId(3, GRANT)}, ${sqlId(4, GRANT)},
         CASE WHEN n % 50 = 0 THEN 'policy_denied' END,
         jsonb_build_object('login', 'person' || n % ${PEOPLE}, 'database', 'orders', 'endpoint', 'writer', 'expiresAt', t.at, 'decidedBy',
           jsonb_build_object('policies', jsonb_build_array('own-grants'), 'sha256', '0123456789ab')) ||
           CASE WHEN n % ${OF_A_GRANT} = 0 THEN jsonb_build_object('reason', 'to look into case ' || n % 10007, 'ticket', 'OPS-' || n % 100003) ELSE '{}' END,
         '10.' || n % 200 || '.' || n % 250 || '.' || n % 240, ${sqlId(4, 'n')}::text
    FROM generate_series($1::int, $2::int - 1) n,
         LATERAL (SELECT now() - interval '${MONTHS - 1} months' * (($3::int - n)::float8 / $3::int) AS at) t`;

/** Nobody verifies it: what is measured only reads the order. */
const seal = (owner: pg.Pool): Promise<unknown> =>
  owner.query(`
    INSERT INTO audit_seal (seq, event_id, leaf) SELECT row_number() OVER (ORDER BY ordinal), id, sha256('leaf') FROM audit_event;
    INSERT INTO audit_checkpoint (size, root, settled, at, note)
    SELECT max(seq), sha256('root'), max(seq), now(), NULL FROM audit_seal HAVING max(seq) IS NOT NULL`);
