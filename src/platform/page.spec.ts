import fc from 'fast-check';
import { v7 } from 'uuid';
import { describe, expect, test } from 'vitest';
import { DomainError } from './errors.js';
import { asId, defaultLimit, isId, maxLimit, readPage, toPage } from './page.js';

const id = fc
  .tuple(fc.nat({ max: 2 ** 47 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
  .map(([msecs, random]) => v7({ msecs, random }));
const rows = fc.uniqueArray(id, { maxLength: 30 }).map((ids) =>
  ids
    .sort()
    .reverse()
    .map((one) => ({ id: one })),
);

function refusalOf(read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    return error instanceof DomainError ? [error.kind, error.code] : error;
  }
}

describe('pages', () => {
  test('one after the other hold every row once, newest first', () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: 1, max: 7 }), (all, limit) => {
        const seen: string[] = [];
        let cursor: string | undefined;
        do {
          const page = readPage({ cursor, limit });
          const { before } = page;
          const found = all.filter((row) => before === undefined || row.id < before).slice(0, page.take);
          const { items, nextCursor } = toPage(found, page.limit, (row) => row.id);
          expect(items.length).toBeLessThanOrEqual(limit);
          seen.push(...items);
          cursor = nextCursor ?? undefined;
        } while (cursor !== undefined);
        expect(seen).toEqual(all.map((row) => row.id));
      }),
    );
  });

  test('have a default and a highest length', () => {
    expect(readPage({})).toEqual({ before: undefined, take: defaultLimit + 1, limit: defaultLimit });
    expect(readPage({ limit: 100_000 })).toEqual({ before: undefined, take: maxLimit + 1, limit: maxLimit });
  });

  test('a last page that is just full has no next one', () => {
    expect(toPage([{ id: v7() }], 1, (row) => row.id).nextCursor).toBeNull();
  });
});

describe('cursors', () => {
  test.each([
    '',
    ' ',
    'x',
    '0190163d-8694-739b-aea5-966c26f8ad91',
    'null',
    '%00',
    Buffer.from(`${v7()}'`).toString('base64url'),
    'a'.repeat(100),
  ])('%j is refused', (cursor) => expect(refusalOf(() => readPage({ cursor }))).toEqual(['invalid', 'invalid_cursor']));

  test('anything else than an id is refused, and an id comes back as it went', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(refusalOf(() => readPage({ cursor: text }))).toEqual(['invalid', 'invalid_cursor']);
      }),
    );
    fc.assert(
      fc.property(id, (one) => {
        const { nextCursor } = toPage([{ id: one }, { id: 'older' }], 1, (row) => row.id);
        expect(readPage({ cursor: nextCursor ?? '' }).before).toBe(one);
      }),
    );
  });
});

describe('ids', () => {
  test('ours are', () => fc.assert(fc.property(id, (one) => isId(one) && asId(one) === one)));
  test.each([
    '',
    '1',
    '0190163D-8694-739B-AEA5-966C26F8AD91',
    '0190163d8694739baea5966c26f8ad91',
    ' 0190163d-8694-739b-aea5-966c26f8ad91',
    '0190163d-8694-739b-aea5-966c26f8ad91\n',
    "' OR 1=1 --",
    '00000000-0000-0000-0000-000000000000',
  ])('%j is none', (text) => expect(refusalOf(() => asId(text, 'grant id'))).toEqual(['invalid', 'invalid_id']));
});
