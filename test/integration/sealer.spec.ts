import fc from 'fast-check';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../src/audit/checkpoint.js';
import { Frontier } from '../../src/audit/merkle.js';
import { Verification } from '../../src/audit/verification.js';
import { exported, newSigner, places, sealingProcess, write, type SealingProcess } from '../support/seals.ts';
import { freshDatabase, type TestDatabase } from '../support/state.ts';
import { until } from '../support/until.ts';

const signer = newSigner();
let database: TestDatabase;
let one: SealingProcess;
let two: SealingProcess;

beforeEach(async () => {
  database = await freshDatabase();
  one = sealingProcess(database, signer);
  two = sealingProcess(database, signer);
});
afterEach(async () => {
  await one.close();
  await two.close();
  await database.drop();
});

/** A session of the service's own, with a transaction that the test ends. */
async function session(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.url, options: '-c role=usher_app' });
  client.on('error', () => undefined);
  await client.connect();
  await client.query('BEGIN');
  return client;
}

async function commit(...sessions: pg.Client[]): Promise<void> {
  for (const client of sessions) await client.query('COMMIT').then(() => client.end());
}

const sealedIds = async (): Promise<string[]> => (await places(database)).map(({ eventId }) => eventId);

/** No gap, no duplicate, one tree: what the checkpoints say is what the leaves say. */
async function whole(): Promise<void> {
  const found = await places(database);
  expect(found.map(({ seq }) => seq)).toEqual(found.map((_, at) => at + 1));
  const { rows: written } = await database.owner.query<{ id: string }>('SELECT id FROM audit_event');
  expect(found.map(({ eventId }) => eventId).sort()).toEqual(written.map(({ id }) => id).sort());
  const { rows: leaves } = await database.owner.query<{ leaf: Buffer }>('SELECT leaf FROM audit_seal ORDER BY seq');
  const { rows: checkpoints } = await database.owner.query<{ size: string; root: Buffer; note: string }>(
    'SELECT size, root, note FROM audit_checkpoint ORDER BY size',
  );
  const tree = new Frontier();
  for (const { size, root, note } of checkpoints) {
    while (tree.size < Number(size)) tree.append(leaves[tree.size]!.leaf);
    expect(tree.root()).toEqual(root);
    expect(openCheckpoint(note, [signer.publicKey])).toMatchObject({ size: Number(size), root });
  }
  const verification = new Verification([signer.publicKey], []);
  for (const line of await exported(one.db)) verification.read(line);
  expect(verification.verdict()).toMatchObject({ bad: undefined, proved: found.length });
}

test('lines are sealed in the order in which they were written, batch by batch', async () => {
  const ids = await write(one.db.pool, 3);
  expect(await one.sealer.seal()).toBe(3);
  ids.push(...(await write(one.db.pool, 300)), ...(await write(one.db.pool, 1)));
  expect(await one.sealer.seal()).toBe(301);
  expect(await one.sealer.seal()).toBe(0);
  expect(await sealedIds()).toEqual(ids);
  await whole();
});

test('nothing is sealed where nothing is, and nothing that was rolled back', async () => {
  expect(await one.sealer.seal()).toBe(0);
  const gone = await session();
  await write(gone, 2);
  await gone.query('ROLLBACK');
  await gone.end();
  expect(await one.sealer.seal()).toBe(0);
  const ids = await write(one.db.pool, 1);
  expect(await one.sealer.seal()).toBe(1);
  expect(await sealedIds()).toEqual(ids);
  await whole();
});

describe('commit order', () => {
  test('a long transaction keeps nobody waiting, and its lines come when it commits', async () => {
    const long = await session();
    const late = await write(long, 2);
    const early = await write(one.db.pool, 2);
    expect(await one.sealer.seal()).toBe(2);
    const more = await write(one.db.pool, 1);
    expect(await one.sealer.seal()).toBe(1);
    await commit(long);
    expect(await one.sealer.seal()).toBe(2);
    expect(await sealedIds()).toEqual([...early, ...more, ...late]);
    await whole();
  });

  test('a transaction with a smaller number that waited for another comes after it, in one batch', async () => {
    const first = await session();
    const second = await session();
    await first.query('SELECT pg_current_xact_id()'); // a number that is smaller than the other's
    const before = await write(second, 1);
    await commit(second);
    const after = await write(first, 1); // by now it could know of it
    await commit(first);
    expect(await one.sealer.seal()).toBe(2);
    expect(await sealedIds()).toEqual([...before, ...after]);
  });

  test('what is committed while a look reads its parts comes in the next, and in its order', async () => {
    const late = await session();
    const ids = await write(late, 1);
    const there = await write(one.db.pool, 1_500); // more than one part
    const closed = await database.owner.connect();
    await closed.query('BEGIN; LOCK TABLE audit_person_key IN ACCESS EXCLUSIVE MODE');
    const look = one.sealer.seal();
    await until('it waits, with one part read', async () => {
      const { rows } = await closed.query<{ waits: boolean }>(
        `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'audit_person_key'::regclass) AS waits`,
      );
      return rows[0]?.waits === true;
    });
    await commit(late);
    ids.push(...(await write(one.db.pool, 1))); // could know of the one before, which has the smallest ordinal of all
    await closed.query('COMMIT');
    closed.release();
    expect(await look).toBe(1_500);
    expect(await one.sealer.seal()).toBe(2);
    expect(await sealedIds()).toEqual([...there, ...ids]);
    await whole();
  });

  test('ids of a clock that goes back change nothing', async () => {
    const insert = `INSERT INTO audit_event (id, at, actor_kind, actor_name, action, outcome, details, correlation_id)
                    VALUES ($1, $2, 'system', 'test', 'drift.found', 'success', '{}', 'c')`;
    const ids = ['019f0000-0000-7000-8000-000000000000', '01900000-0000-7000-8000-000000000000'];
    await one.db.pool.query(insert, [ids[0], '2026-11-30T12:00:00Z']);
    expect(await one.sealer.seal()).toBe(1);
    one.clock.move(-86_400_000);
    await one.db.pool.query(insert, [ids[1], '2024-06-06T12:00:00Z']);
    expect(await one.sealer.seal()).toBe(1);
    expect(await sealedIds()).toEqual(ids);
    await whole();
  });

  test('whatever sessions write, commit and roll back between looks of two sealers: no gap, no duplicate, no fork', async () => {
    const step = fc.record({
      who: fc.nat(2),
      what: fc.constantFrom('write', 'commit', 'rollback', 'seal', 'seal other'),
    });
    const known = new Map<string, string[]>();
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const sessions = await Promise.all([session(), session(), session()]);
        const open: string[][] = [[], [], []];
        const committed: string[] = [];
        for (const { who, what } of steps) {
          const client = sessions[who]!;
          if (what === 'write') {
            const [id] = await write(client, 1);
            known.set(id!, [...committed]);
            open[who]!.push(id!);
          } else if (what === 'commit' || what === 'rollback') {
            await client.query(what);
            if (what === 'commit') committed.push(...open[who]!);
            open[who] = [];
            await client.query('BEGIN');
          } else await (what === 'seal' ? one : two).sealer.seal();
        }
        await commit(...sessions);
        await one.sealer.seal();
        const order = await sealedIds();
        // what a line could know of stands before it
        for (const [at, id] of order.entries())
          for (const before of known.get(id) ?? []) expect(order.indexOf(before)).toBeLessThan(at);
        await whole();
      }),
      { numRuns: 12 },
    );
  });
});

describe('sealers', () => {
  test('two at once: one works, and the other takes over where it stood', async () => {
    await write(one.db.pool, 10);
    const sealed = await Promise.all([one.sealer.seal(), two.sealer.seal(), one.sealer.seal(), two.sealer.seal()]);
    expect(sealed.reduce((sum, lines) => sum + lines, 0)).toBe(10);
    for (const { sealer } of [two, one, two, two, one]) {
      await write(one.db.pool, 3);
      expect(await sealer.seal()).toBe(3);
    }
    await whole();
  });

  test('one that holds the turn and hangs is waited for by nobody', async () => {
    const hanging = await session();
    await hanging.query('SELECT pg_advisory_xact_lock(72707370)');
    await write(one.db.pool, 1);
    expect(await one.sealer.seal()).toBe(0);
    await hanging.query('ROLLBACK');
    await hanging.end();
    expect(await two.sealer.seal()).toBe(1);
    await whole();
  });

  // each statement that seals, in its order
  const statements = ['audit_person_key', 'audit_seal', 'audit_node', 'audit_checkpoint'];
  test.each(statements)('one that dies as it writes %s leaves nothing, and the next does all of it', async (table) => {
    await write(one.db.pool, 300);
    await one.sealer.seal();
    await write(one.db.pool, 300);
    await database.owner.query(
      `CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$`,
    );
    await database.owner.query(`CREATE TRIGGER die BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION die()`);
    await expect(one.sealer.seal()).rejects.toThrow();
    expect(await places(database)).toHaveLength(300);
    await database.owner.query(`DROP TRIGGER die ON ${table}`);
    let taken = 0;
    await until('its turn is over', async () => (taken = await two.sealer.seal()) > 0); // which ends after its locks of tables
    expect(taken).toBe(300);
    await write(one.db.pool, 300);
    expect(await one.sealer.seal()).toBe(300);
    await whole();
  });

  test('a commit whose answer was lost is not done again', async () => {
    await write(one.db.pool, 5);
    await two.sealer.seal(); // all that the first remembers is of before
    await write(one.db.pool, 5);
    expect(await one.sealer.seal()).toBe(5);
    await whole();
  });

  test('one that finds another tree than that of the last checkpoint stops', async () => {
    await write(one.db.pool, 5);
    await one.sealer.seal();
    await database.owner.query('ALTER TABLE audit_seal DISABLE TRIGGER ALL');
    await database.owner.query(`UPDATE audit_seal SET leaf = sha256('another') WHERE seq = 2`);
    await write(one.db.pool, 1);
    await expect(two.sealer.seal()).rejects.toThrow('no longer lead to the root');
    expect(await places(database)).toHaveLength(5);
  });

  describe('a record that is not as one left it', () => {
    /** What who has every right on the database does: another first line, and all hashes as they would be then. */
    async function rewrite(): Promise<void> {
      const master = await database.owner.connect();
      await master.query(`SET session_replication_role = 'replica'`);
      await master.query(`UPDATE audit_seal SET leaf = sha256('another') WHERE seq = 1`);
      const { rows } = await master.query<{ leaf: Buffer }>('SELECT leaf FROM audit_seal ORDER BY seq');
      const tree = new Frontier();
      for (const { leaf } of rows) {
        tree.append(leaf);
        await master.query('UPDATE audit_checkpoint SET root = $2, note = NULL WHERE size = $1', [
          ...[tree.size, tree.root()],
        ]);
      }
      master.release(true);
    }
    const cutOff = (): Promise<unknown> =>
      database.owner.query(
        `SET session_replication_role = 'replica'; DELETE FROM audit_checkpoint WHERE size > 2; DELETE FROM audit_seal WHERE seq > 2;
         DELETE FROM audit_event WHERE id NOT IN (SELECT event_id FROM audit_seal);
         RESET session_replication_role`,
      );
    /** By a process that trusts what it finds. */
    async function append(): Promise<void> {
      const other = sealingProcess(database, null);
      await write(other.db.pool, 1);
      expect(await other.sealer.seal()).toBe(1);
      await other.close();
    }
    /** As the service is told it from now on: a test cannot start the server anew, which others use. */
    const startedAt = (moment: string): Promise<unknown> =>
      database.owner.query(
        `DO $$ BEGIN
           EXECUTE format('CREATE OR REPLACE FUNCTION %I.pg_postmaster_start_time() RETURNS timestamptz LANGUAGE sql AS $f$ SELECT %L::timestamptz $f$', current_schema(), '${moment}');
           EXECUTE format('ALTER DATABASE %I SET search_path = %I, pg_catalog', current_database(), current_schema());
         END $$`,
      );

    const left = 'are not as this process left them';
    test.each<[what: string, changes: (() => Promise<unknown>)[], says: string]>([
      ['changed', [rewrite], left],
      ['changed, with a line more', [rewrite, append], left],
      ['changed, after a start of the server', [rewrite, () => startedAt('2026-11-30T12:00:00Z')], left],
      [
        'changed, with a line more, after a start of the server',
        [rewrite, append, () => startedAt('2026-11-30T12:00:00Z')],
        left,
      ],
      ['cut off, after a start of the server', [cutOff, () => startedAt('2026-11-30T12:00:00Z')], 'cut off'],
      ['cut off and grown again', [cutOff, append, append, append, append], left],
    ])('is not gone on with: %s', async (_, changes, says) => {
      await startedAt('2026-11-30T11:00:00Z');
      await write(one.db.pool, 2);
      await one.sealer.seal();
      await write(one.db.pool, 3);
      expect(await one.sealer.seal()).toBe(3);
      for (const change of changes) await change();
      await write(one.db.pool, 1);
      const before = await places(database);
      for (let look = 0; look < 2; look += 1) await expect(one.sealer.seal()).rejects.toThrow(says);
      expect(one.sealer.sealed.size).toBe(5);
      expect(await places(database)).toEqual(before);
      // a process that starts has nothing to hold it against: who looked starts one
      expect(await two.sealer.seal()).toBeGreaterThan(0);
    });

    test('is one that others went on with, also after a start of the server', async () => {
      await startedAt('2026-11-30T11:00:00Z');
      await write(one.db.pool, 5);
      await one.sealer.seal();
      await write(one.db.pool, 300);
      await two.sealer.seal();
      await startedAt('2026-11-30T12:00:00Z');
      expect(await one.sealer.seal()).toBe(0); // and forgets nothing by it
      expect(one.sealer.sealed.size).toBeGreaterThan(0);
      await write(one.db.pool, 2);
      expect(await one.sealer.seal()).toBe(2);
      await whole();
    });
  });

  test('by itself, within a second, whichever process lives', async () => {
    await one.sealer.start();
    await two.sealer.start();
    await write(one.db.pool, 2);
    await until('both are sealed', async () => (await places(database)).length === 2);
    await one.sealer.onModuleDestroy();
    await write(one.db.pool, 2);
    await until('the other goes on', async () => (await places(database)).length === 4);
    await two.sealer.onModuleDestroy();
    await whole();
  });
});

test('without a key lines have their places all the same, and the next with a key signs over them', async () => {
  const keyless = sealingProcess(database, null);
  await write(one.db.pool, 3);
  expect(await keyless.sealer.seal()).toBe(3);
  const verification = new Verification([signer.publicKey], []);
  for (const line of await exported(one.db)) verification.read(line);
  expect(verification.verdict().bad).toEqual({ seq: 1, upTo: 3, why: 'under no signed checkpoint' });
  await write(one.db.pool, 1);
  expect(await one.sealer.seal()).toBe(1);
  await keyless.close();
  const { rows } = await database.owner.query<{ signed: boolean }>(
    'SELECT note IS NOT NULL AS signed FROM audit_checkpoint ORDER BY size',
  );
  expect(rows.map(({ signed }) => signed)).toEqual([false, true]);
});

test('a number in details that no program can hold keeps nobody from being sealed', async () => {
  await one.db.pool.query(
    `INSERT INTO audit_event (id, at, actor_kind, actor_name, action, outcome, details, correlation_id)
     VALUES (gen_random_uuid(), now(), 'system', 'test', 'drift.found', 'success', '{"number": 1e400}', 'c')`,
  );
  expect(await one.sealer.seal()).toBe(1);
  await whole();
});

test('a line of before of a time that no program can hold keeps nobody from being sealed', async () => {
  await database.owner.query('ALTER TABLE audit_event DROP CONSTRAINT audit_event_at');
  await one.db.pool.query(
    `INSERT INTO audit_event (id, at, actor_kind, actor_name, action, outcome, details, correlation_id)
     SELECT gen_random_uuid(), at::timestamptz, 'system', 'test', 'drift.found', 'success', '{}', 'c'
       FROM unnest(ARRAY['infinity', '-infinity', '294000-01-01Z']) at`,
  );
  expect(await one.sealer.seal()).toBe(3);
  await whole();
});

describe('many lines', () => {
  let many: TestDatabase;
  let process_: SealingProcess;
  beforeAll(async () => {
    many = await freshDatabase();
    process_ = sealingProcess(many, signer);
    for (let round = 0; round < 3; round += 1) await write(process_.db.pool, 4_000);
  });
  afterAll(async () => {
    await process_?.close();
    await many?.drop();
  });

  test('more than a look takes are sealed look by look, and what has settled rises with them', async () => {
    expect([await process_.sealer.seal(), await process_.sealer.seal(), await process_.sealer.seal()]).toEqual([
      5_000, 5_000, 2_000,
    ]);
    const { rows } = await many.owner.query<{ settled: number }>(
      'SELECT settled::int AS settled FROM audit_checkpoint ORDER BY size',
    );
    expect(rows.map(({ settled }) => settled)).toEqual([5_000, 10_000, 12_000]);
    const { rows: nodes } = await many.owner.query('SELECT level, count(*)::int AS n FROM audit_node GROUP BY level');
    expect(nodes).toEqual([{ level: 8, n: Math.floor(12_000 / 256) }]);
  });
});
