import { createPrivateKey, randomUUID } from 'node:crypto';
import type pg from 'pg';
import { v7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCheckpoint, signCheckpoint, verifierKey, type Checkpoint } from '../../src/audit/checkpoint.js';
import { entryOf, leafOf } from '../../src/audit/entry.js';
import { Frontier } from '../../src/audit/merkle.js';
import { readEntryLine } from '../../src/audit/record-line.js';
import { redact } from '../../src/audit/redaction.js';
import { peopleOf, sealedLines, verifiableSize } from '../../src/audit/sealed-lines.js';
import { knownKeys, sealedAfter, type Session } from '../../src/audit/seals.queries.js';
import { Verification, type Verdict } from '../../src/audit/verification.js';
import { fileWith, runCli } from '../support/cli.ts';
import { exported, newSigner, origin, sealingProcess, write, type SealingProcess } from '../support/seals.ts';
import { freshDatabase, type TestDatabase } from '../support/state.ts';

// Thirty lines in six batches of five, and the checkpoint over twenty that an auditor kept.
const signer = newSigner();
const thief = newSigner();
const [ana, bob] = [randomUUID(), randomUUID()];
let database: TestDatabase;
let sealing: SealingProcess;
let kept: Checkpoint;
let note: string;
let lines: string[];

beforeAll(async () => {
  database = await freshDatabase();
  sealing = sealingProcess(database, signer);
  for (let batch = 0; batch < 6; batch += 1) {
    await write(sealing.db.pool, 3, { actorId: ana, details: { reason: 'Ana asked\u2028again' } });
    await write(sealing.db.pool, 2, { actorId: bob, subjectId: ana, details: { reason: 'Bob agreed' } });
    await sealing.sealer.seal();
  }
  const { rows } = await database.owner.query<{ note: string }>('SELECT note FROM audit_checkpoint WHERE size = 20');
  note = rows[0]!.note;
  kept = openCheckpoint(note, [signer.publicKey]);
  lines = await exported(sealing.db);
});
afterAll(async () => {
  await sealing?.close();
  await database?.drop();
});

async function judge(session: Session, checkpoints: readonly Checkpoint[] = [kept]): Promise<Verdict> {
  const verification = new Verification([signer.publicKey], checkpoints);
  for await (const line of sealedLines(session, 0, await verifiableSize(session, checkpoints))) {
    if ('text' in line) verification.read(line.text);
    else verification.missing(line.seq, line.leaf, line.why);
  }
  return verification.verdict();
}

/** What somebody with every right on the database did, as an auditor finds it; undone afterwards. */
async function attacked(attack: (master: pg.PoolClient) => Promise<unknown>): Promise<Verdict> {
  const master = await database.owner.connect();
  try {
    await master.query('BEGIN');
    await master.query(`SET LOCAL session_replication_role = 'replica'`); // no trigger fires
    await attack(master);
    return await judge(master);
  } finally {
    await master.query('ROLLBACK');
    master.release();
  }
}

const run =
  (...statements: string[]) =>
  async (master: pg.PoolClient): Promise<void> => {
    for (const statement of statements) await master.query(statement);
  };
const EVENT_7 = '(SELECT event_id FROM audit_seal WHERE seq = 7)';
/** Places cannot be given twice, not even for a moment. */
const shift = (where: string, by: number): string[] => [
  `UPDATE audit_seal SET seq = seq + 1000 WHERE ${where}`,
  `UPDATE audit_seal SET seq = seq - 1000 + ${by} WHERE seq > 1000`,
];

/** Every hash anew, as it would have been, from the first line that was changed; what `sign` gives is the note. */
async function rewrite(master: pg.PoolClient, sign: (checkpoint: Checkpoint) => string | null): Promise<void> {
  const sealed = await sealedAfter(master, 0, 1000);
  const keys = await knownKeys(master, peopleOf(sealed.map(({ line }) => line!)));
  const tree = new Frontier();
  for (const { seq, line } of sealed) {
    const leaf = leafOf(entryOf(line!, { keys }));
    tree.append(leaf);
    await master.query('UPDATE audit_seal SET leaf = $2 WHERE seq = $1', [seq, leaf]);
    const checkpoint = { origin, size: seq, root: tree.root() };
    await master.query(
      'UPDATE audit_checkpoint SET root = $2, note = coalesce($3, note) WHERE size = $1 AND size > 5',
      [...[seq, checkpoint.root, sign(checkpoint)]],
    );
  }
}
const renamed = `UPDATE audit_event SET actor_name = 'Somebody else' WHERE id = ${EVENT_7}`;

describe('in the database', () => {
  test('what nobody touched is whole', async () => {
    expect(await judge(sealing.db.pool)).toMatchObject({ bad: undefined, proved: 30, redacted: 0 });
  });

  test.each<
    [what: string, attack: (master: pg.PoolClient) => Promise<unknown>, seq: number, upTo: number, why: string]
  >([
    [
      'details changed',
      run(`UPDATE audit_event SET details = '{}' WHERE id = ${EVENT_7}`),
      7,
      7,
      'not what was sealed',
    ],
    ['a name changed', run(renamed), 7, 7, 'not what was sealed'],
    [
      'an address changed',
      run(`UPDATE audit_event SET address = NULL WHERE id = ${EVENT_7}`),
      7,
      7,
      'not what was sealed',
    ],
    [
      'an outcome changed',
      run(`UPDATE audit_event SET outcome = 'failed' WHERE id = ${EVENT_7}`),
      7,
      7,
      'not what was sealed',
    ],
    [
      'a time changed',
      run(`UPDATE audit_event SET at = at + interval '1 ms' WHERE id = ${EVENT_7}`),
      7,
      7,
      'not what was sealed',
    ],
    ['a line deleted', run(`DELETE FROM audit_event WHERE id = ${EVENT_7}`), 7, 7, 'gone'],
    ['every line deleted', run('DELETE FROM audit_event'), 1, 1, 'gone'],
    ['a line deleted with its place', run('DELETE FROM audit_seal WHERE seq = 7'), 7, 7, '8 stands there'],
    [
      'a line deleted, and all behind it moved up',
      run('DELETE FROM audit_seal WHERE seq = 7', ...shift('seq > 7', -1)),
      ...([6, 10, 'not what was signed'] as const),
    ],
    [
      'a line put in between, and all behind it moved down',
      async (master) => {
        const [id] = await write(master, 1);
        const [line] = await lineOf(master, id!);
        await run(...shift('seq > 7', 1))(master);
        await master.query("INSERT INTO audit_person_key SELECT actor_id, sha256('k') FROM audit_event WHERE id = $1", [
          id,
        ]);
        const keys = await knownKeys(master, peopleOf([line!]));
        await master.query('INSERT INTO audit_seal VALUES (8, $1, $2)', [id, leafOf(entryOf(line!, { keys }))]);
      },
      ...([6, 10, 'not what was signed'] as const),
    ],
    [
      'two lines in each other’s places',
      run(
        `UPDATE audit_seal a SET event_id = gen_random_uuid() WHERE seq = 9`,
        `UPDATE audit_seal SET event_id = (SELECT id FROM audit_event ORDER BY ordinal OFFSET 8 LIMIT 1) WHERE seq = 7`,
        `UPDATE audit_seal SET event_id = (SELECT id FROM audit_event ORDER BY ordinal OFFSET 6 LIMIT 1) WHERE seq = 9`,
      ),
      ...([7, 7, 'not what was sealed'] as const),
    ],
    [
      'two lines in each other’s places with their leaves',
      run(
        'UPDATE audit_seal SET seq = 1007 WHERE seq = 7',
        'UPDATE audit_seal SET seq = 7 WHERE seq = 9',
        'UPDATE audit_seal SET seq = 9 WHERE seq = 1007',
      ),
      ...([6, 10, 'not what was signed'] as const),
    ],
    [
      'a leaf changed',
      run(`UPDATE audit_seal SET leaf = sha256('x') WHERE seq = 7`),
      7,
      7,
      'unchanged, but its leaf is not',
    ],
    [
      'the tail cut off, with its checkpoints',
      run('DELETE FROM audit_seal WHERE seq > 15', 'DELETE FROM audit_checkpoint WHERE size > 15'),
      ...([16, 20, 'gone'] as const),
    ],
    [
      'all of it deleted',
      run('DELETE FROM audit_seal', 'DELETE FROM audit_checkpoint', 'DELETE FROM audit_event'),
      ...([1, 20, 'gone'] as const),
    ],
    [
      'the last checkpoint taken away',
      run('DELETE FROM audit_checkpoint WHERE size > 25'),
      26,
      30,
      'no signed checkpoint',
    ],
    [
      'a place for a line that nobody signed',
      run(`INSERT INTO audit_seal SELECT 31, id, sha256('x') FROM (SELECT gen_random_uuid() AS id) new`),
      ...([31, 31, 'gone'] as const),
    ],
    [
      'all hashes anew, the notes as they were',
      (master) => run(renamed)(master).then(() => rewrite(master, () => null)),
      ...([6, 10, 'not what was signed'] as const),
    ],
    [
      'all hashes anew, signed with another key',
      (master) => run(renamed)(master).then(() => rewrite(master, signedBy(thief.pem))),
      ...([6, 10, 'none of the keys'] as const),
    ],
    [
      'all hashes anew, the notes taken away',
      async (master) => {
        await run(renamed, 'UPDATE audit_checkpoint SET note = NULL WHERE size > 5')(master);
        await rewrite(master, () => null);
      },
      ...([6, 20, 'not what was signed'] as const),
    ],
    [
      'the key of a person taken away',
      run(`DELETE FROM audit_person_key WHERE person_id = '${bob}'`),
      ...([4, 4, 'a key is gone'] as const),
    ],
  ])('%s', async (_, attack, seq, upTo, why) => {
    expect((await attacked(attack)).bad).toMatchObject({ seq, upTo, why: expect.stringContaining(why) });
  });

  test('all of it anew with the stolen key is found by what was kept, and by nothing else', async () => {
    const attack = async (master: pg.PoolClient): Promise<void> => {
      await run(renamed)(master);
      await rewrite(master, signedBy(signer.pem));
    };
    expect((await attacked(attack)).bad).toMatchObject({ upTo: 20, why: 'not what was signed' });
  });
});

const signedBy =
  (pem: string) =>
  (checkpoint: Checkpoint): string =>
    signCheckpoint(checkpoint, { name: origin, key: createPrivateKey(pem) });

async function lineOf(master: Session, id: string) {
  await master.query(`INSERT INTO audit_seal VALUES (999, $1, sha256('x'))`, [id]);
  const sealed = await sealedAfter(master, 998, 999);
  await master.query('DELETE FROM audit_seal WHERE seq = 999');
  return sealed.map(({ line }) => line);
}

describe('in an export', () => {
  const verdictOf = (text: readonly string[], checkpoints: readonly Checkpoint[] = []): Verdict => {
    const verification = new Verification([signer.publicKey], checkpoints);
    for (const line of text) if (!verification.read(line)) break;
    return verification.verdict();
  };
  const at = (seq: number): number => lines.findIndex((line) => readEntryLine(line)?.seq === seq);

  test('what nobody touched is whole', () => {
    expect(verdictOf(lines, [kept])).toMatchObject({ bad: undefined, proved: 30 });
    const last = lines.filter((line, index) => !line.startsWith('{"checkpoint"') || index === lines.length - 1);
    expect(verdictOf(last, [kept])).toMatchObject({ bad: undefined, proved: 30 });
  });

  test('an entry is what a parser of JSON finds in it', () => {
    for (const line of lines) {
      const entry = readEntryLine(line);
      if (!entry) continue;
      const parsed = JSON.parse(line) as Record<string, unknown>;
      expect(JSON.parse(entry.event)).toEqual(parsed['event']);
      expect(JSON.parse(entry.details!)).toEqual(parsed['details']);
      expect(JSON.parse(entry.actor!)).toEqual(parsed['actor']);
    }
  });

  test.each<[what: string, change: (text: string[]) => string[], seq: number, upTo: number]>([
    ['a word changed', (text) => text.with(at(7), text[at(7)]!.replace('Ana asked', 'Ana begged')), 7, 7],
    ['a salt changed', (text) => text.with(at(7), text[at(7)]!.replace(/"salt":"./, '"salt":"g')), 7, 7],
    ['an entry taken out', (text) => text.toSpliced(at(7), 1), 7, 7],
    ['an entry twice', (text) => text.toSpliced(at(7), 0, text[at(7)]!), 8, 8],
    ['two entries in each other’s places', (text) => text.with(at(7), text[at(8)]!).with(at(8), text[at(7)]!), 7, 7],
    ['the tail cut off', (text) => text.slice(0, at(29)), 26, 28],
    ['no entry at all', (text) => text.with(at(7), '{"seq":7}'), 7, 7],
    ['a line that is cut', (text) => text.with(at(7), text[at(7)]!.slice(0, -3)), 7, 7],
    ['a space put in', (text) => text.with(at(7), text[at(7)]!.replace('"event":{', '"event": {')), 7, 7],
    ['the checkpoint of another place at the end', (text) => text.with(-1, text[at(26) - 1]!), 26, 30],
    ['another entry’s parts', (text) => text.with(at(7), text[at(8)]!.replace('"seq":8}', '"seq":7}')), 6, 10],
  ])('%s', (_, change, seq, upTo) => {
    expect(verdictOf(change([...lines])).bad).toMatchObject({ seq, upTo });
  });

  test('by the command, which names the first bad entry', async () => {
    const file = fileWith('good.ndjson', `${lines.join('\n')}\n`);
    expect(lines.join()).toContain('\u2028'); // which ends no line
    const bad = fileWith('bad.ndjson', lines.with(at(7), lines[at(7)]!.replace('Ana asked', 'Ana begged')).join('\n'));
    const checkpoint = fileWith('kept.txt', note);
    const key = ['--key', verifierKey(signer.publicKey)];
    expect(await runCli(['audit', 'verify', file, ...key, '--checkpoint', checkpoint])).toMatchObject({
      code: 0,
      out: expect.stringContaining('whole: 30 entries'),
    });
    const found = await runCli(['audit', 'verify', bad, ...key, '--checkpoint', checkpoint, '--json']);
    expect(found.code).toBe(1);
    expect(JSON.parse(found.out)).toMatchObject({ whole: false, bad: { seq: 7, upTo: 7 }, proved: 5 });
  });

  test.each<[what: string, args: () => string[], says: string]>([
    ['no key', () => ['verify', 'x'], '--key is missing'],
    ['a key that is none', () => ['verify', 'x', '--key', 'a+00000000+AAAA'], 'no verifier key'],
    ['no file', () => ['verify', '--key', verifierKey(signer.publicKey)], 'one of them'],
    ['a file that is not there', () => ['verify', '/no/such', '--key', verifierKey(signer.publicKey)], 'ENOENT'],
    [
      'a checkpoint of somebody else',
      () => ['verify', 'x', '--key', verifierKey(thief.publicKey), '--checkpoint', fileWith('other.txt', note)],
      'none of the keys',
    ],
    ['nothing to do', () => [], 'audit takes one of'],
    ['a person without a reason', () => ['redact', '--person', v7()], '--reason is missing'],
    ['somebody who is no person', () => ['redact', '--person', 'ana', '--reason', 'x'], '--person is the id'],
  ])('the command refuses %s', async (_, args, says) => {
    const { code, err } = await runCli(['audit', ...args()]);
    expect([code, err]).toEqual([2, expect.stringContaining(says)]);
  });
});

describe('redaction', () => {
  let own: TestDatabase;
  let process_: SealingProcess;
  beforeAll(async () => {
    own = await freshDatabase();
    process_ = sealingProcess(own, signer);
    await write(process_.db.pool, 3, { actorId: ana, details: { reason: 'Ana asked' } });
    await write(process_.db.pool, 2, { actorId: bob, subjectId: ana, details: { reason: 'about Ana' } });
    await write(process_.db.pool, 2, { actorId: bob, details: { reason: 'Bob alone' } });
    await process_.sealer.seal();
  });
  afterAll(async () => {
    await process_?.close();
    await own?.drop();
  });

  test('takes a person out for good, is on record, and every proof still holds', async () => {
    const env = { DATABASE_URL: own.url };
    const before = await own.owner.query<{ note: string }>('SELECT note FROM audit_checkpoint');
    const { code, out } = await runCli(['audit', 'redact', '--person', ana, '--reason', 'asked for'], env);
    expect([code, out]).toEqual([0, expect.stringContaining('5 lines')]);
    const { rows } = await own.owner.query(
      'SELECT actor_name, address, details FROM audit_event JOIN audit_seal ON event_id = id ORDER BY seq',
    );
    const gone = { actor_name: '[redacted]', address: null, details: {} };
    expect(rows.slice(0, 3)).toEqual([gone, gone, gone]);
    expect(rows.slice(3, 5)).toMatchObject([{ actor_name: 'Ana Gómez', details: {} }, { details: {} }]);
    expect(rows.slice(5)).toMatchObject([{ details: { reason: 'Bob alone' } }, { details: { reason: 'Bob alone' } }]);
    const keys = await own.owner.query('SELECT 1 FROM audit_person_key WHERE person_id = $1', [ana]);
    expect(keys.rowCount).toBe(0);

    await write(process_.db.pool, 1, { actorId: ana });
    expect(await process_.sealer.seal()).toBe(2);
    const verdict = await judge(process_.db.pool, [openCheckpoint(before.rows[0]!.note, [signer.publicKey])]);
    expect(verdict).toMatchObject({ bad: undefined, proved: 9, redacted: 5 });
    const text = (await exported(process_.db)).join('\n');
    expect(text).not.toContain('Ana asked');
    expect(text).toContain('"action":"audit.redact"');
    const key = ['--key', verifierKey(signer.publicKey)];
    const exportFile = await runCli(['audit', 'export'], env);
    const verified = await runCli(['audit', 'verify', fileWith('redacted.ndjson', exportFile.out), ...key]);
    expect([verified.code, verified.out]).toEqual([0, expect.stringContaining('5 of those read were redacted')]);
    expect((await runCli(['audit', 'verify', '--database', ...key], env)).code).toBe(0);
  });

  test('what is left of a line cannot be changed under its cover', async () => {
    const change = (set: string): Promise<unknown> =>
      own.owner.query(`UPDATE audit_event SET ${set} WHERE id = (SELECT event_id FROM audit_seal WHERE seq = 4)`);
    for (const set of [`details = '{"reason": "x"}'`, `actor_name = '[redacted]'`, `outcome = 'failed'`, 'at = now()'])
      await expect(change(set)).rejects.toMatchObject({ code: '42501' });
  });

  test('is nobody’s but the owner’s', async () => {
    const { pool } = process_.db;
    await expect(pool.query('DELETE FROM audit_person_key')).rejects.toMatchObject({ code: '42501' });
    await expect(pool.query(`UPDATE audit_event SET details = '{}'`)).rejects.toMatchObject({ code: '42501' });
    await expect(redact(process_.db, '00000000-0000-0000-0000-000000000000', 'x', new Date())).rejects.toThrow(
      'nobody',
    );
  });
});
