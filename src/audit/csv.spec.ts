import fc from 'fast-check';
import { expect, test } from 'vitest';
import { csvHead, csvLine } from './csv.js';
import type { ExportedLine } from './exported-line.js';

const line = (more: Partial<ExportedLine>): ExportedLine => ({
  ...{ sequence: 1, id: 'i', at: '2026-03-10T10:00:00.000Z', actorKind: 'person', actorId: 'a', actorName: 'alice' },
  ...{ viaServiceId: null, viaName: null, subjectId: null, action: 'token.mint', outcome: 'success', targetId: null },
  ...{ requestId: null, grantId: null, code: null, details: '{}', address: null, correlationId: 'c' },
  ...more,
});

/** As RFC 4180 is read. */
function read(text: string): string[] {
  const cells: string[] = [];
  for (const [, quoted, bare] of text.replace(/\r\n$/, '').matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,"]*))/g))
    cells.push(quoted?.replaceAll('""', '"') ?? bare ?? '');
  return cells;
}
const column = (text: string, name: string): string | undefined => read(text)[csvHead.trim().split(',').indexOf(name)];

test.each([
  '=1+1',
  '+1',
  '-1',
  '@SUM(A1)',
  '\t=1',
  '\r=1',
  ' =1',
  '\n=1',
  '\0=1',
  '|calc',
  '＝1+1',
  "=cmd|'/c calc'!A1",
])('%j runs in no spreadsheet', (text) => {
  expect(column(csvLine(line({ actorName: text })), 'actorName')).toBe(`'${text}`);
  expect(column(csvLine(line({ viaName: text })), 'viaName')).toBe(`'${text}`);
});

test('a number stays one, and what is no formula stays as it is', () => {
  const text = csvLine(line({ sequence: 42, actorName: 'a=b', details: '{"a": "b, \\"c\\""}' }));
  expect([column(text, 'sequence'), column(text, 'actorName'), column(text, 'details')]).toEqual([
    '42',
    'a=b',
    '{"a": "b, \\"c\\""}',
  ]);
});

test('any text comes back as it went, but for the apostrophe', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string(), (actorName, address) => {
      const text = csvLine(line({ actorName, address }));
      expect(read(text)).toHaveLength(csvHead.split(',').length);
      expect(column(text, 'actorName')?.replace(/^'/, '')).toBe(actorName.replace(/^'/, ''));
      expect(text.endsWith('\r\n')).toBe(true);
    }),
  );
});
