import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { firstPause, lateMs, pauseAfter } from './pace.js';

/** Next to 1 there is no jitter. */
const LATEST = 1;
const MIDDLE = 0.5;

describe('the next look', () => {
  test.each([
    ['after an interval from the start of the last', 5_000, { tookMs: 100, failures: 0 }, 4_900],
    ['later, where answers are slow', 5_000, { tookMs: 2_000, failures: 0 }, 8_000],
    ['within a minute, however slow they are', 5_000, { tookMs: 40_000, failures: 0 }, 60_000],
    ['after an interval, where there was no answer', 5_000, { tookMs: 5_000, failures: 1 }, 5_000],
    ['twice as late each time there is none', 5_000, { tookMs: 5_000, failures: 3 }, 20_000],
    ['within a minute, however often there was none', 5_000, { tookMs: 5_000, failures: 99 }, 60_000],
    ['as seldom as was asked for', 600_000, { tookMs: 0, failures: 0 }, 600_000],
  ])('is %s', (_, interval, last, expected) => {
    expect(pauseAfter(interval, last, LATEST)).toBeCloseTo(expected);
  });

  test('comes up to a tenth sooner, never later, and never at once', () => {
    const of = fc.record({ tookMs: fc.nat({ max: 100_000 }), failures: fc.nat({ max: 50 }) });
    fc.assert(
      fc.property(
        fc.integer({ min: 1_000, max: 3_600_000 }),
        of,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (interval, last, random) => {
          const latest = pauseAfter(interval, last, LATEST);
          const pause = pauseAfter(interval, last, random);
          expect(pause).toBeGreaterThan(0);
          expect(pause).toBeLessThanOrEqual(latest);
          expect(pause).toBeGreaterThanOrEqual(latest * 0.8999);
        },
      ),
    );
  });
});

describe('first looks', () => {
  const all = (intervalMs: number, of: number): number[] =>
    Array.from({ length: of }, (_, nth) => firstPause(intervalMs, { nth, of }, MIDDLE));

  test.each([
    ['within the interval', 1_000, 2, [250, 750]],
    ['within five seconds, however long it is', 60_000, 5, [500, 1_500, 2_500, 3_500, 4_500]],
  ])('are spread evenly, %s', (_, interval, of, expected) => {
    expect(all(interval, of)).toEqual(expected);
  });

  test('of very many take longer than an interval', () => {
    expect(all(5_000, 4_000).at(-1)).toBeCloseTo(200_000, -2);
  });
});

test('a look is late after three intervals, and after a quarter of a minute at the least', () => {
  expect([lateMs(0), lateMs(1_000), lateMs(5_000), lateMs(60_000)]).toEqual([15_000, 15_000, 15_000, 180_000]);
});
