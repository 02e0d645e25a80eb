import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonical, type JsonValue } from './canonical.js';
import { entryOf, leafOf, MissingKey, NO_PERSON, ownerOf, type RecordedLine } from './entry.js';
import { entryLine, faultOf, readCheckpointLine, readEntryLine } from './record-line.js';

const [ana, bob] = [randomUUID(), randomUUID()];
const keys = new Map([ana, bob, NO_PERSON].map((id, at) => [id, Buffer.alloc(32, at + 1)]));
const line: RecordedLine = {
  ...{ id: randomUUID(), at: '2026-11-30T10:00:00.000Z', actorKind: 'person', actorId: bob, actorName: 'Bob' },
  ...{ viaServiceId: null, viaName: null, subjectId: ana, action: 'request.approve', outcome: 'success' },
  ...{ targetId: null, requestId: null, grantId: null, code: null, details: '{"b": 1, "a": [2.0]}' },
  ...{ address: '192.0.2.7', correlationId: 'c' },
};
const { id } = line;

test('name and address are the actor’s, the details the subject’s', () => {
  expect([ownerOf('actor', line), ownerOf('details', line)]).toEqual([bob, ana]);
  expect(ownerOf('details', { actorId: bob, subjectId: null })).toBe(bob);
  expect(ownerOf('actor', { actorId: null, subjectId: ana })).toBe(NO_PERSON);
});

test('a leaf holds no personal field, and all else', () => {
  const { event, actor, details } = entryOf(line, { keys });
  expect(event).not.toMatch(/Bob|192\.0\.2\.7|\[2/);
  expect(JSON.parse(event)).toMatchObject({ id, at: line.at, action: line.action, actorId: bob, subjectId: ana });
  expect(JSON.parse(actor!)).toMatchObject({ name: 'Bob', address: '192.0.2.7' });
  expect(details).toMatch(/^{"salt":"[0-9a-f]{64}","value":{"a":\[2],"b":1}}$/);
});

test('is the same whatever else a row holds', () => {
  const row = { ...line, ordinal: 7, seq: 3 };
  expect(entryOf(row, { keys })).toEqual(entryOf(line, { keys }));
});

test('no two lines of a person have the same salt', () => {
  const salts = [line, { ...line, id: randomUUID() }].map((one) => entryOf(one, { keys }).actor);
  expect(new Set(salts).size).toBe(2);
});

test.each(['actor', 'details'] as const)('a leaf stays what it was when its %s is redacted', (part) => {
  const whole = entryOf(line, { keys });
  const commitment = Buffer.from((JSON.parse(whole.event) as Record<string, string>)[part]!, 'hex');
  const gone = part === 'actor' ? { actorName: '[redacted]', address: null } : { details: '{}' };
  const without = new Map([...keys].filter(([person]) => person !== ownerOf(part, line)));
  const left = entryOf({ ...line, ...gone }, { keys: without, redacted: { [part]: commitment } });
  expect(left).toEqual({ ...whole, [part]: null });
  expect(() => entryOf(line, { keys: without })).toThrow(MissingKey);
});

test('whatever it says, an entry is read back as it was written', () => {
  const names = fc.constantFrom('actor', 'details', 'event', 'leaf', 'seq', 'salt', 'a"b', '\\');
  const { details } = fc.letrec((tie) => ({
    details: fc.dictionary(names, fc.oneof({ maxDepth: 3 }, fc.string(), fc.integer(), tie('details'))),
  }));
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constant(',"details":{"event":{"leaf":"'));
  fc.assert(
    fc.property(text, text, details, fc.integer({ min: 1 }), (actorName, code, said, seq) => {
      const json = JSON.stringify(said);
      const entry = entryOf({ ...line, actorName, code, correlationId: code, details: json }, { keys });
      const leaf = leafOf(entry);
      const written = entryLine(seq, entry, leaf);
      const read = readEntryLine(written);
      expect(read).toEqual({ ...entry, leaf, seq });
      expect(faultOf(read!)).toBeUndefined();
      expect(canonical(JSON.parse(written) as JsonValue)).toBe(written);
      const parsed = JSON.parse(written) as { details: { value: unknown }; actor: { name: string } };
      expect([parsed.details.value, parsed.actor.name]).toEqual([said, actorName]);
    }),
  );
});

test.each([
  '',
  '{}',
  'null',
  '{"actor":',
  '{"actor":null,"details":null,"event":{}}',
  '{"checkpoint":1}',
  '{"checkpoint":',
])('%j is neither an entry nor a checkpoint', (text) =>
  expect([readEntryLine(text), readCheckpointLine(text)]).toEqual([undefined, undefined]),
);
