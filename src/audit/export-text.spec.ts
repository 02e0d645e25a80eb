import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import type { ExportForm } from './export-forms.js';
import { STEP, textOf } from './export-text.js';
import type { ExportedLine } from './exported-line.js';

const all = (text: AsyncGenerator<string>): Promise<string[]> => Readable.from(text).toArray() as Promise<string[]>;
const form: ExportForm = { mediaType: 'x', extension: 'x', head: 'head\n', line: ({ sequence }) => `${sequence}\n` };
/** Every third sequence is of a line that is meant. */
function reader() {
  const reads: [after: number, upTo: number][] = [];
  const read = async (after: number, upTo: number): Promise<ExportedLine[]> => {
    reads.push([after, upTo]);
    return Array.from({ length: upTo - after }, (_, index) => ({ sequence: after + index + 1 }) as ExportedLine).filter(
      ({ sequence }) => sequence % 3 === 0,
    );
  };
  return { reads, read };
}

test.each([
  [0, 0],
  [0, 1],
  [7, 7],
  [0, STEP],
  [5, 3 * STEP + 7],
])('holds each line behind %i and up to %i once, in order', async (after, last) => {
  const { reads, read } = reader();
  const text = (await all(textOf(form, { after, last }, { step: STEP, read }))).join('');
  const expected = Array.from({ length: last - after }, (_, index) => after + index + 1).filter((n) => n % 3 === 0);
  expect(text).toBe(['head', ...expected, ''].join('\n'));
  expect(reads.every(([from, upTo]) => upTo - from <= STEP && upTo <= last)).toBe(true);
});

test('reads no more than one part ahead of who takes it, and nothing after who left', async () => {
  const { reads, read } = reader();
  const text = textOf(form, { after: 0, last: 100 * STEP }, { step: STEP, read });
  await text.next(); // the head
  await text.next();
  expect(reads).toHaveLength(2);
  await text.next();
  expect(reads).toHaveLength(3);
  await text.return(undefined);
  expect(reads).toHaveLength(3);
});

test('a part that cannot be read ends it with an error, never with an end', async () => {
  const read = async (after: number): Promise<ExportedLine[]> => {
    if (after > 0) throw new Error('the database is away');
    return [{ sequence: 1 } as ExportedLine];
  };
  const text = textOf(form, { after: 0, last: 3 * STEP }, { step: STEP, read });
  await expect(all(text)).rejects.toThrow('the database is away');
});

test('what was read in one go leaves in parts', async () => {
  const { reads, read } = reader();
  const parts = await all(textOf(form, { after: 0, last: 9 * STEP }, { step: 9 * STEP, read }));
  expect(reads).toEqual([[0, 9 * STEP]]);
  expect(parts.map((part) => part.split('\n').length - 1)).toEqual([1, STEP, STEP, STEP]);
});
