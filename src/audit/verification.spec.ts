import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { openCheckpoint, signCheckpoint } from './checkpoint.js';
import { entryOf, leafOf, NO_PERSON } from './entry.js';
import { Frontier } from './merkle.js';
import { checkpointLine, droppedLine, entryLine } from './record-line.js';
import { Verification, type Verdict } from './verification.js';

// A record in which every line was a batch of its own, with more checkpoints than wait for one another.
const SIZE = 1_300;
const { privateKey } = generateKeyPairSync('ed25519');
const signer = { name: 'usher.test/audit', key: privateKey };
const key = { name: signer.name, key: createPublicKey(privateKey) };
const keys = new Map([[NO_PERSON, Buffer.alloc(32, 1)]]);

const made = (
  number: number,
  word = 'word',
  action = 'drift.found',
  details: unknown = { word },
): { text: string; leaf: Buffer } => {
  const entry = entryOf(
    {
      ...{
        id: `line-${number}`,
        at: '2026-11-30T10:00:00.000Z',
        actorKind: 'system',
        actorId: null,
        actorName: 'test',
      },
      ...{ viaServiceId: null, viaName: null, subjectId: null, action, outcome: 'success' },
      ...{ targetId: null, requestId: null, grantId: null, code: null, address: null, correlationId: 'c' },
      details: JSON.stringify(details),
    },
    { keys },
  );
  const leaf = leafOf(entry);
  return { leaf, text: entryLine(number, entry, leaf) };
};

const notes: string[] = [];
const lines: string[] = [];
const tree = new Frontier();
for (let number = 1; number <= SIZE; number += 1) {
  const { text, leaf } = made(number);
  tree.append(leaf);
  notes.push(signCheckpoint({ origin: signer.name, size: number, root: tree.root() }, signer));
  lines.push(text, checkpointLine(notes.at(-1) ?? ''));
}
const at = (seq: number): number => (seq - 1) * 2;

function verdictOf(text: readonly string[], kept: readonly number[] = []): Verdict {
  const checkpoints = kept.map((size) => openCheckpoint(notes[size - 1] ?? '', [key]));
  const verification = new Verification([key], checkpoints);
  for (const line of text) if (!verification.read(line)) break;
  return verification.verdict();
}

test('all of it is proved, by the last checkpoint alone and by any that were kept', () => {
  expect(verdictOf(lines)).toMatchObject({ bad: undefined, proved: SIZE, checkpoint: { size: SIZE } });
  expect(verdictOf(lines, [700, 1, SIZE])).toMatchObject({ bad: undefined, proved: SIZE });
  const bare = lines.filter((line, index) => !line.startsWith('{"checkpoint') || index === lines.length - 1);
  expect(verdictOf(bare)).toMatchObject({ bad: undefined, proved: SIZE });
});

describe('an entry that was rewritten with its hashes is named exactly, wherever it is', () => {
  test.each([1, 2, 511, 512, 513, 700, 1_024, SIZE])('%i', (seq) => {
    const changed = lines.with(at(seq), made(seq, 'other').text);
    expect(verdictOf(changed).bad).toEqual({ seq, upTo: seq, why: 'not what was signed' });
    expect(verdictOf(changed)).toMatchObject({ proved: seq - 1 });
  });
});

test('with one checkpoint that was kept, and none beside it, it is one of those it is over', () => {
  const bare = lines.filter((line) => !line.startsWith('{"checkpoint'));
  const changed = bare.with(699, made(700, 'other').text);
  expect(verdictOf(changed, [1_000]).bad).toEqual({ seq: 1, upTo: 1_000, why: 'not what was signed' });
  expect(verdictOf(changed, [500, 1_000]).bad).toMatchObject({ seq: 501, upTo: 1_000 });
});

test('nothing at all is no record', () => {
  expect(verdictOf([])).toMatchObject({ bad: undefined, proved: 0, checkpoint: undefined });
  expect(verdictOf([], [5]).bad).toMatchObject({ seq: 1, upTo: 5 });
});

test('what can be read no more is known by its place', () => {
  const verification = new Verification([key], []);
  for (const line of lines.slice(0, at(10))) verification.read(line);
  verification.missing(10, made(10).leaf, 'gone');
  expect(verification.read(checkpointLine(notes[9] ?? ''))).toBe(false);
  expect(verification.verdict().bad).toEqual({ seq: 10, upTo: 10, why: 'gone' });
});

describe('what went with its month', () => {
  const told = (number: number) => made(5, '', 'audit.drop', { lines: number, lastSequence: number });
  /** Four entries, one that says how many were dropped, and a checkpoint over all of them. */
  function recordOf(number: number): { leaves: Buffer[]; tail: string[]; text: string[] } {
    const entries = [1, 2, 3, 4].map((seq) => made(seq)).concat(told(number));
    const small = new Frontier();
    for (const { leaf } of entries) small.append(leaf);
    const note = signCheckpoint({ origin: signer.name, size: 5, root: small.root() }, signer);
    const text = [...entries.map((entry) => entry.text), checkpointLine(note)];
    return { leaves: entries.map(({ leaf }) => leaf), tail: text.slice(3), text };
  }
  const gone = (leaves: readonly Buffer[]): string[] =>
    leaves.slice(0, 3).map((leaf, index) => droppedLine(index + 1, leaf));

  test('is proved by its leaves, and counted', () => {
    const { leaves, tail } = recordOf(3);
    expect(verdictOf([...gone(leaves), ...tail])).toMatchObject({ bad: undefined, proved: 5, dropped: 3 });
  });

  test('is no more than the record says', () => {
    const { leaves, tail, text } = recordOf(2);
    expect(verdictOf([...gone(leaves), ...tail]).bad).toMatchObject({ seq: 1, upTo: 3 });
    expect(verdictOf([...gone(leaves).slice(0, 2), ...text.slice(2)])).toMatchObject({ bad: undefined, dropped: 2 });
  });

  test('is told by a later month too, when the line that told of it is gone as well', () => {
    const drops = [
      { lines: 1, inAll: 1 },
      { lines: 3, inAll: 4 },
    ].map((details, at) => made(2 + at * 3, '', 'audit.drop', details));
    const entries = [made(1), drops[0] ?? expect.fail(), made(3), made(4), drops[1] ?? expect.fail()];
    const small = new Frontier();
    for (const { leaf } of entries) small.append(leaf);
    const note = signCheckpoint({ origin: signer.name, size: 5, root: small.root() }, signer);
    const without = (count: number): string[] => [
      ...entries.map(({ text, leaf }, at) => (at < count ? droppedLine(at + 1, leaf) : text)),
      checkpointLine(note),
    ];
    expect(verdictOf(without(1))).toMatchObject({ bad: undefined, dropped: 1 });
    expect(verdictOf(without(4))).toMatchObject({ bad: undefined, proved: 5, dropped: 4 });
    expect(verdictOf(without(5)).bad).toMatchObject({ seq: 1, upTo: 5 });
  });

  test('is the sum of what lines tell that were written before they told of all', () => {
    const entries = [
      made(1),
      made(2),
      made(3, '', 'audit.drop', { lines: 1 }),
      made(4, '', 'audit.drop', { lines: 1 }),
    ];
    const small = new Frontier();
    for (const { leaf } of entries) small.append(leaf);
    const note = signCheckpoint({ origin: signer.name, size: 4, root: small.root() }, signer);
    const text = [...entries.map((entry) => entry.text), checkpointLine(note)];
    expect(verdictOf([...gone(entries.map(({ leaf }) => leaf)).slice(0, 2), ...text.slice(2)])).toMatchObject({
      ...{ bad: undefined, dropped: 2 },
    });
  });

  test.each([[null], [3], ['3'], [true], [[3]], [{ lines: '3' }], [{ inAll: null }]])(
    'is not told by a line whose details are %j, and nothing breaks',
    (details) => {
      const entries = [made(1), made(2, '', 'audit.drop', details)];
      const small = new Frontier();
      for (const { leaf } of entries) small.append(leaf);
      const end = checkpointLine(signCheckpoint({ origin: signer.name, size: 2, root: small.root() }, signer));
      const [first, tale] = entries.map(({ text }) => text);
      expect(verdictOf([first ?? '', tale ?? '', end])).toMatchObject({ bad: undefined, proved: 2 });
      const dropped = droppedLine(1, entries[0]?.leaf ?? expect.fail());
      expect(verdictOf([dropped, tale ?? '', end]).bad).toMatchObject({ seq: 1, why: expect.stringContaining('more') });
    },
  );

  test('has the leaves that were signed, each in its place', () => {
    const { leaves, tail } = recordOf(3);
    const [one = '', two = '', three = ''] = gone(leaves);
    expect(verdictOf([one, droppedLine(2, leaves[3] ?? Buffer.alloc(32)), three, ...tail]).bad).toMatchObject({
      seq: 1,
    });
    expect(verdictOf([one, three, two, ...tail]).bad).toMatchObject({ seq: 2 });
    expect(verdictOf([one, two, three.replace('true', '1'), ...tail]).bad).toMatchObject({ seq: 3 });
  });
});
