import { describe, expect, test } from 'vitest';
import type { ConnectionGap } from './connections.contract.js';
import { GapKind } from './log-reading.contract.js';
import { goingOn, joined, overlaps } from './gaps.js';

const at = (minute: number, second = 0): Date => new Date(Date.UTC(2026, 2, 10, 10, minute, second));
const gap = (from: Date, to: Date | null, more: Partial<ConnectionGap> = {}): ConnectionGap => ({
  ...{ targetId: 't', endpointId: 'e', kind: GapKind.sample_missed, from, to, detail: 'behind' },
  ...more,
});

describe('a gap that goes on', () => {
  const look = { targetId: 't', endpointId: 'e', since: at(0), lookedAt: at(5), failure: null };

  test.each([
    ['is none within what a look may be late', look, at(5, 15), []],
    ['begins with the last look', look, at(6), [gap(at(5), null)]],
    [
      'says why there is no answer',
      { ...look, failure: 'target_unreachable' },
      at(6),
      [gap(at(5), null, { detail: 'target_unreachable' })],
    ],
    ['is there from the first day, where nobody ever looked', { ...look, lookedAt: null }, at(6), [gap(at(0), null)]],
  ])('%s', (_, last, now, expected) => {
    expect(goingOn([last], now, 15_000)).toEqual(expected);
  });
});

test.each([
  ['before', at(0), at(1), false],
  ['up to its beginning', at(0), at(2), true],
  ['within', at(3), at(3), true],
  ['after', at(5), at(6), false],
  ['without a beginning', null, at(1), false],
  ['without an end', at(3), null, true],
  ['without either', null, null, true],
])('a gap from 2 to 4 is asked about %s', (_, from, to, expected) => {
  expect(overlaps(gap(at(2), at(4)), from, to)).toBe(expected);
  expect(overlaps(gap(at(2), null), at(9), null)).toBe(true);
});

describe('gaps that touch', () => {
  test('are one, newest first', () => {
    const [a, b, c] = [gap(at(1), at(2)), gap(at(2), at(4)), gap(at(6), null)];
    expect(joined([c, b, a])).toEqual([c, gap(at(1), at(4))]);
    expect(joined([gap(at(1), null), b])).toEqual([gap(at(1), null)]);
  });

  test('of other endpoints or kinds stay apart', () => {
    const apart = [
      gap(at(2), at(3)),
      gap(at(1), at(3), { endpointId: null }),
      gap(at(0), at(3), { kind: GapKind.log_lost }),
    ];
    expect(joined(apart)).toEqual(apart);
  });
});
