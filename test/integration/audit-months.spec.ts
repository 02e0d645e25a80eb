import { readFileSync } from 'node:fs';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PinoLogger } from 'nestjs-pino';
import { v7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Verification } from '../../src/audit/verification.js';
import { AuditService } from '../../src/audit/audit.service.js';
import { makeMonths, monthsAhead, toldDropped } from '../../src/audit/months.queries.js';
import { MonthsService } from '../../src/audit/months.service.js';
import { migrate } from '../../src/platform/state/migrate.js';
import { prepareMonths } from '../../src/platform/state/months.js';
import { migrationsDirectory } from '../../src/platform/state/state.js';
import { known } from '../support/people.ts';
import { exported, newSigner, sealingProcess, write as writeLines, type Signer } from '../support/seals.ts';
import { emptyDatabase, freshDatabase, type TestDatabase } from '../support/state.ts';
import { until } from '../support/until.ts';
import { startUsher, type Usher } from '../support/usher.ts';

const DAY_MS = 86_400_000;
let usher: Usher;
beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
});
afterAll(() => usher?.close());

const insert = `INSERT INTO audit_event (id, at, actor_kind, actor_name, action, outcome, details, correlation_id)
  VALUES ($1, now(), 'system', 'test', $2, 'success', '{}', 'months') RETURNING tableoid::regclass::text AS month`;
const write = async (id: string, action = 'test.months', where = usher.database): Promise<string> =>
  (await where.owner.query<{ month: string }>(insert, [id, action])).rows[0]?.month ?? '';
/** The partition of a moment. */
const monthOf = (moment: Date): string => `audit_event_${moment.toISOString().slice(0, 7).replace('-', '_')}`;
const inMonths = (months: number): Date => {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + months, 15));
};
const partitions = async (): Promise<string[]> =>
  (
    await usher.database.owner.query<{ name: string }>(
      `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'audit_event'::regclass ORDER BY 1`,
    )
  ).rows.map(({ name }) => name);

describe('months are made ahead', () => {
  test('three of them at the start, and each line goes where its id says', async () => {
    expect(await partitions()).toEqual(
      ['audit_event_before', 'audit_event_default', ...[1, 2, 3].map((months) => monthOf(inMonths(months)))].sort(),
    );
    expect(await write(v7())).toBe('audit_event_before');
    for (const months of [1, 2, 3])
      expect(await write(v7({ msecs: inMonths(months).getTime() }))).toBe(monthOf(inMonths(months)));
    expect(await write(v7({ msecs: inMonths(200).getTime() }))).toBe('audit_event_default');
    const { body } = await (await known(usher, 'carol')).get<{ text: string }>('/metrics');
    expect(body.text).toContain('usher_audit_stray_lines 1\n');
    const [, days] = /^usher_audit_days_ahead (\S+)$/m.exec(body.text) ?? [];
    expect([Number(days) > 89, Number(days) < 124]).toEqual([true, true]);
  });

  test('once, whoever makes them at the same moment, without a gap at the boundaries', async () => {
    const make = (): Promise<unknown> => usher.db.pool.query('SELECT audit_make_partitions(6)');
    await Promise.all([make(), make(), make()]);
    expect(await partitions()).toEqual(expect.arrayContaining([4, 5, 6].map((months) => monthOf(inMonths(months)))));
    const { rows } = await usher.database.owner.query<{ gaps: number }>(
      `SELECT count(*)::int AS gaps FROM (SELECT from_at, lag(to_at) OVER (ORDER BY to_at) AS before FROM audit_partition) p
        WHERE before IS NOT NULL AND from_at IS DISTINCT FROM before`,
    );
    expect(rows[0]?.gaps).toBe(0);
    const first = new Date(Date.UTC(inMonths(4).getUTCFullYear(), inMonths(4).getUTCMonth(), 1)).getTime();
    expect(await write(v7({ msecs: first - 1 }))).toBe(monthOf(inMonths(3)));
    expect(await write(v7({ msecs: first }))).toBe(monthOf(inMonths(4)));
    await expect(usher.db.pool.query('SELECT audit_make_partitions(1000)')).rejects.toMatchObject({ code: '22023' });
  });

  test('also of a record that was there before, line by line as it was', async () => {
    const old: TestDatabase = await emptyDatabase();
    const directory = await mkdtemp(join(tmpdir(), 'usher-months-'));
    try {
      for (const name of await readdir(migrationsDirectory))
        if (name < '20261130180000' || name.endsWith('.toml'))
          await cp(join(migrationsDirectory, name), join(directory, name), { recursive: true });
      await migrate(old.url, directory);
      const strange = v7({ msecs: Date.now() + 90 * DAY_MS }); // of a clock that was wrong
      for (const id of [v7(), v7(), strange]) await old.owner.query(insert, [id, 'test.before']);
      const all = 'SELECT * FROM audit_event ORDER BY id';
      const before = (await old.owner.query(all)).rows;
      await migrate(old.url, migrationsDirectory);
      expect((await old.owner.query(all)).rows).toEqual(before);
      expect(await write(v7(), 'test.after', old)).toBe('audit_event_before');
      await expect(old.owner.query(`UPDATE audit_event SET action = 'x'`)).rejects.toMatchObject({ code: '42501' });
    } finally {
      await old.drop();
      await rm(directory, { recursive: true, force: true });
    }
  });
});

describe('stray lines', () => {
  const document = readFileSync(join(migrationsDirectory, '../../docs/record.md'), 'utf8');
  const [, procedure = ''] = /### Stray lines[^]*?```sql\n([^]*?)```/.exec(document) ?? [];

  test('find their months by what the document says, and are the record as before', async () => {
    const database = await freshDatabase();
    const signer = newSigner();
    const { sealer, db, close } = sealingProcess(database, signer);
    const strays = [6, 6, 7].map((months, at) => v7({ msecs: inMonths(months).getTime() + at }));
    const rows = async (): Promise<unknown[]> =>
      (await database.owner.query('SELECT * FROM audit_event ORDER BY id')).rows;
    try {
      expect(await write(v7(), 'test.now', database)).toBe('audit_event_before');
      for (const id of strays.slice(0, 2)) expect(await write(id, 'test.stray', database)).toBe('audit_event_default');
      await sealer.seal();
      await write(strays[2] ?? '', 'test.stray', database); // not sealed yet
      expect(await monthsAhead(db.pool)).toMatchObject({ stray: 3 });
      await expect(makeMonths(db.pool, 6)).rejects.toMatchObject({ code: '23514' });
      const before = await rows();
      await database.owner.query(procedure);
      expect(await rows()).toEqual(before);
      expect(await monthsAhead(db.pool)).toMatchObject({ stray: 0 });
      await sealer.seal();
      const counted = await database.owner.query(
        `SELECT name, sealed::int FROM audit_partition WHERE sealed > 0 ORDER BY name`,
      );
      expect(counted.rows).toEqual([
        { name: monthOf(inMonths(6)), sealed: 2 },
        { name: monthOf(inMonths(7)), sealed: 1 },
        { name: 'audit_event_before', sealed: 1 },
      ]);
      const verification = new Verification([signer.publicKey], []);
      for (const line of await exported(db)) verification.read(line);
      expect(verification.verdict()).toMatchObject({ bad: undefined, proved: 4 });

      expect(await write(v7({ msecs: inMonths(200).getTime() }), 'test.stray', database)).toBe('audit_event_default');
      for (const name of ['audit_event', 'audit_event_default', monthOf(inMonths(6))])
        for (const sql of [`UPDATE ${name} SET action = 'x'`, `DELETE FROM ${name}`, `TRUNCATE ${name}`]) {
          await expect(db.pool.query(sql)).rejects.toMatchObject({ code: '42501' });
          await expect(database.owner.query(sql)).rejects.toThrow(/append only/);
        }
    } finally {
      await close();
      await database.drop();
    }
  });
});

describe('a part of the record is the record', () => {
  test.each(['audit_event_before', 'audit_event_default', monthOf(inMonths(1))])('%s', async (name) => {
    for (const sql of [
      `UPDATE ${name} SET action = 'x'`,
      `DELETE FROM ${name}`,
      `TRUNCATE ${name}`,
      'TRUNCATE audit_event',
    ])
      await expect(usher.database.owner.query(sql)).rejects.toMatchObject({
        code: '42501',
        message: expect.stringContaining('append only'),
      });
    for (const sql of [
      `UPDATE ${name} SET action = 'x'`,
      `INSERT INTO ${name} SELECT * FROM audit_event`,
      `TRUNCATE ${name}`,
      `DROP TABLE ${name}`,
    ])
      await expect(usher.db.pool.query(sql)).rejects.toMatchObject({ code: '42501' });
  });

  test.each([
    `ALTER TABLE audit_event DETACH PARTITION audit_event_before`,
    'INSERT INTO audit_retention (months) VALUES (1)',
    'UPDATE audit_partition SET to_at = now()',
    `INSERT INTO audit_partition (name, to_at) VALUES ('audit_event_x', now())`,
    'ALTER FUNCTION audit_drop_expired() SET search_path = pg_temp',
  ])('the service cannot %s', async (sql) => {
    await expect(usher.db.pool.query(sql)).rejects.toMatchObject({ code: '42501' });
  });

  test('tables of the caller are not mistaken for those of the record', async () => {
    const session = await usher.db.pool.connect();
    try {
      await session.query('CREATE TEMP TABLE audit_retention (months integer)').catch(() => undefined);
      await session.query('INSERT INTO pg_temp.audit_retention VALUES (1)').catch(() => undefined);
      expect((await session.query('SELECT * FROM audit_drop_expired()')).rows).toEqual([]);
    } finally {
      session.release(true);
    }
  });
});

describe('retention', () => {
  /** Lines of now are sealed in the months that they are of, whatever a test says of how old these are. */
  async function seal(signer: Signer | null): Promise<void> {
    const process = sealingProcess(usher.database, signer);
    const ended = `UPDATE audit_partition SET to_at = $1 WHERE name = 'audit_event_before'`;
    const { rows } = await usher.database.owner.query<{ to_at: Date; truly: Date }>(
      `SELECT to_at, (SELECT min(from_at) FROM audit_partition) AS truly FROM audit_partition WHERE name = 'audit_event_before'`,
    );
    try {
      await usher.database.owner.query(ended, [rows[0]?.truly]);
      while ((await process.sealer.seal()) > 0);
    } finally {
      await usher.database.owner.query(ended, [rows[0]?.to_at]);
      await process.close();
    }
  }

  const turn = (): Promise<void> => usher.app.get(MonthsService).turn();
  const lines = async (action: string): Promise<Record<string, unknown>[]> =>
    (await usher.database.owner.query<Record<string, unknown>>('SELECT * FROM audit_event WHERE action = $1', [action]))
      .rows;
  /** As if the first partition had ended so many months ago. */
  const age = (months: number): Promise<unknown> =>
    usher.database.owner.query(`UPDATE audit_partition SET to_at = $1 WHERE name = 'audit_event_before'`, [
      inMonths(-months),
    ]);

  test('drops nothing unless it is set, nothing that is young, and nothing that is not proved', async () => {
    await age(30);
    await turn();
    await prepareMonths(usher.database.url, 36);
    await turn();
    await prepareMonths(usher.database.url, 24);
    await expect(turn()).rejects.toThrow(/lines of it are not sealed/);
    await seal(null);
    await expect(turn()).rejects.toThrow(/no signed checkpoint/);
    expect((await partitions()).includes('audit_event_before')).toBe(true);
    expect(await lines('audit.drop')).toEqual([]);
  });

  test('drops a month as a whole, on record, and leaves its seals', async () => {
    await write(v7()); // in the same month, under the next checkpoint
    const signer = newSigner();
    await seal(signer);
    const { rows: before } = await usher.database.owner.query<{ lines: number; last: number }>(
      'SELECT count(*)::int AS lines, max(s.seq)::int AS last FROM audit_event_before e JOIN audit_seal s ON s.event_id = e.id',
    );
    const { rows: seals } = await usher.database.owner.query<{ count: number }>('SELECT count(*)::int FROM audit_seal');
    await turn();
    expect((await partitions()).filter((name) => name === 'audit_event_before')).toEqual([]);
    expect(await lines('audit.drop')).toMatchObject([
      {
        actor_name: 'audit-months',
        details: { name: 'audit_event_before', lines: before[0]?.lines, lastSequence: before[0]?.last },
      },
    ]);
    expect((await usher.database.owner.query('SELECT count(*)::int FROM audit_seal')).rows).toEqual(seals);
    expect(
      (
        await usher.database.owner.query(
          `SELECT events::int, dropped_at IS NOT NULL AS dropped FROM audit_partition WHERE name = 'audit_event_before'`,
        )
      ).rows,
    ).toEqual([{ events: before[0]?.lines, dropped: true }]);
    await turn();
    expect(await lines('audit.drop')).toHaveLength(1);

    // its lines were of this month all the time
    await usher.database.owner.query(
      `UPDATE audit_partition SET to_at = (SELECT min(from_at) FROM audit_partition) WHERE name = 'audit_event_before'`,
    );
    await seal(signer);
    const verification = new Verification([signer.publicKey], []);
    for (const line of await exported(usher.db)) verification.read(line);
    expect(verification.verdict()).toMatchObject({ bad: undefined, dropped: before[0]?.lines });
  });

  test('reads a handful of rows for that, however long the month is', async () => {
    const database = await freshDatabase();
    const { sealer, close } = sealingProcess(database, newSigner());
    const session = await database.owner.connect();
    try {
      await writeLines(database.owner, 3_000);
      while ((await sealer.seal()) > 0);
      await session.query(`INSERT INTO audit_retention (months) VALUES (24)`);
      await session.query(`UPDATE audit_partition SET to_at = $1 WHERE name = 'audit_event_before'`, [inMonths(-30)]);
      const { rows: relations } = await session.query<{ oid: string }>(
        `SELECT oid FROM pg_class WHERE relname ~ '^audit_(event|seal|checkpoint)' AND relkind IN ('r', 'i')`,
      );
      await session.query('BEGIN');
      const { rows: dropped } = await session.query(
        'SELECT lines::int, last_sequence::int AS last FROM audit_drop_expired()',
      );
      // by the oids, for some of these are no more
      const { rows: read } = await session.query<{ rows: number }>(
        `SELECT sum(pg_stat_get_xact_tuples_returned(oid) + pg_stat_get_xact_tuples_fetched(oid))::int AS rows FROM unnest($1::oid[]) oid`,
        [relations.map(({ oid }) => oid)],
      );
      await session.query('COMMIT');
      expect(dropped).toEqual([{ lines: 3_000, last: 3_000 }]);
      expect(read[0]?.rows).toBeLessThan(100);
    } finally {
      session.release();
      await close();
      await database.drop();
    }
  });

  test('for ever again when the setting is taken back', async () => {
    await prepareMonths(usher.database.url, 0);
    expect((await usher.db.pool.query('SELECT * FROM audit_retention')).rows).toEqual([]);
  });
});

describe('a month that tells of a month before is dropped itself', () => {
  const firstOf = (months: number): Date =>
    new Date(Date.UTC(new Date().getUTCFullYear(), new Date().getUTCMonth() + months, 1));
  /** A record with a part of long ago, which holds three lines, and one for all that is written now. */
  async function recordOfTwo(database: TestDatabase): Promise<void> {
    await database.owner.query('ALTER TABLE audit_event DETACH PARTITION audit_event_before');
    await database.owner.query(
      `DO $$ BEGIN
         EXECUTE format('ALTER TABLE audit_event ATTACH PARTITION audit_event_before FOR VALUES FROM (MINVALUE) TO (%1$L)', audit_first_id('${firstOf(-40).toISOString()}'));
         EXECUTE format('CREATE TABLE audit_event_now PARTITION OF audit_event FOR VALUES FROM (%1$L) TO (%2$L)', audit_first_id('${firstOf(-40).toISOString()}'), audit_first_id('${firstOf(1).toISOString()}'));
       END $$`,
    );
    await database.owner.query(`UPDATE audit_partition SET to_at = $1 WHERE name = 'audit_event_before'`, [
      firstOf(-40),
    ]);
    await database.owner.query(
      `INSERT INTO audit_partition (name, from_at, to_at) VALUES ('audit_event_now', $1, $2)`,
      [firstOf(-40), firstOf(1)],
    );
    for (let line = 0; line < 3; line += 1)
      await write(v7({ msecs: inMonths(-42).getTime() + line }), 'test.old', database);
    await database.owner.query('INSERT INTO audit_retention (months) VALUES (24)');
  }
  const end = (database: TestDatabase, months: number): Promise<unknown> =>
    database.owner.query(`UPDATE audit_partition SET to_at = $1 WHERE name = 'audit_event_now'`, [firstOf(months)]);
  /** As somebody would who may do everything with the database, and does not want it told. */
  const takeAway = (database: TestDatabase): Promise<unknown> =>
    database.owner.query(
      `ALTER TABLE audit_event DETACH PARTITION audit_event_before; DROP TABLE audit_event_before;
       UPDATE audit_partition SET dropped_at = now(), events = 3 WHERE name = 'audit_event_before'`,
    );

  test('a late line that gets its place while it waits to be dropped is counted', async () => {
    const database = await freshDatabase();
    const signer = newSigner();
    const { sealer, db, clock, close } = sealingProcess(database, signer);
    const log = new PinoLogger({ pinoHttp: { level: 'silent' } });
    const months = new MonthsService(db, new AuditService(db, clock, { anonymousCallsPerMinute: 0 }, log));
    const session = await database.owner.connect();
    try {
      await recordOfTwo(database);
      await database.owner.query('ALTER FUNCTION audit_drop_expired() SET lock_timeout = 0'); // it waits as long as the test is slow
      await sealer.seal();
      await write(v7({ msecs: inMonths(-42).getTime() + 3 }), 'test.late', database);
      await session.query('BEGIN; LOCK TABLE audit_event_before IN ROW EXCLUSIVE MODE'); // as a writer has it
      const dropped = months.turn();
      await until('the drop waits', async () => {
        const waits = `SELECT FROM pg_stat_activity WHERE (SELECT pg_backend_pid()) = ANY (pg_blocking_pids(pid))`;
        return (await session.query(waits)).rowCount === 1;
      });
      await sealer.seal();
      await session.query('COMMIT');
      await dropped;
      await write(v7(), 'test.new', database);
      await sealer.seal();
      const drops = await database.owner.query(`SELECT details FROM audit_event WHERE action = 'audit.drop'`);
      expect(drops.rows).toMatchObject([{ details: { name: 'audit_event_before', lines: 4, lastSequence: 4 } }]);
      const verification = new Verification([signer.publicKey], []);
      for (const line of await exported(db)) verification.read(line);
      expect(verification.verdict()).toMatchObject({ bad: undefined, dropped: 4 });
    } finally {
      session.release();
      await close();
      await database.drop();
    }
  });

  test('lines that tell nothing keep nobody from counting', async () => {
    const database = await freshDatabase();
    const { db, close } = sealingProcess(database, null);
    const details = ['null', '3', '"3"', '[3]', '{"lines": 2}', '{"lines": "2"}', '{"inAll": null, "lines": 3}'];
    await database.owner.query(
      `INSERT INTO audit_event (id, at, actor_kind, actor_name, action, outcome, details, correlation_id)
       SELECT gen_random_uuid(), now(), 'system', 'test', 'audit.drop', 'success', details, 'months' FROM unnest($1::jsonb[]) details`,
      [details],
    );
    expect(await db.tx(toldDropped)).toBe(5);
    await close();
    await database.drop();
  });

  test.each([
    ['by Usher: the second tells of both, and the record is proved', false],
    ['by somebody else: its lines are missed, also when Usher has dropped the next', true],
  ])('%s', async (_, past) => {
    const database = await freshDatabase();
    const signer = newSigner();
    const { sealer, db, clock, close } = sealingProcess(database, signer);
    const log = new PinoLogger({ pinoHttp: { level: 'silent' } });
    const months = new MonthsService(db, new AuditService(db, clock, { anonymousCallsPerMinute: 0 }, log));
    try {
      await recordOfTwo(database);
      await sealer.seal();
      await (past ? takeAway(database) : months.turn());
      await write(v7(), 'test.new', database);
      await sealer.seal();
      await end(database, -30);
      await months.turn();
      await end(database, 1);
      await sealer.seal();
      const drops = await database.owner.query<{ details: object }>(
        `SELECT details FROM audit_event WHERE action = 'audit.drop'`,
      );
      const lines = past ? 1 : 2; // with the first line that tells
      expect(drops.rows).toMatchObject([{ details: { name: 'audit_event_now', lines, inAll: past ? 1 : 5 } }]);
      const verification = new Verification([signer.publicKey], []);
      for (const line of await exported(db)) verification.read(line);
      const verdict = verification.verdict();
      expect(verdict.dropped).toBe(past ? 4 : 5);
      if (past) expect(verdict.bad).toMatchObject({ seq: 1, upTo: 4, why: expect.stringContaining('more of them') });
      else expect(verdict.bad).toBeUndefined();
    } finally {
      await close();
      await database.drop();
    }
  });
});
