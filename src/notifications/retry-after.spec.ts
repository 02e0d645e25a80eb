import { expect, test } from 'vitest';
import { askedPause, LONGEST_ASKED_MS } from './retry-after.js';

const now = new Date('2026-03-10T10:00:00Z');

test.each([
  ['120', 120_000],
  [' 0 ', 0],
  ['Tue, 10 Mar 2026 10:05:00 GMT', 300_000],
  ['Tue, 10 Mar 2026 09:00:00 GMT', 0],
  ['86400', LONGEST_ASKED_MS],
  ['999999999999999', LONGEST_ASKED_MS],
  ['Fri, 31 Dec 9999 23:59:59 GMT', LONGEST_ASKED_MS],
])('%j asks for %i ms', (header, pause) => {
  expect(askedPause(header, now)).toBe(pause);
});

test.each([undefined, '', '-5', '1.5', '1e3', 'soon', '2026-03-10T10:05:00Z', 'Tue, 99 Foo 2026 10:05:00 GMT'])(
  '%j asks for nothing',
  (header) => {
    expect(askedPause(header, now)).toBeUndefined();
  },
);
