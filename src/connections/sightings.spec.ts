import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { clockAhead, compare, ofSomebody, startedAt } from './sightings.js';

const at = (minute: number, second = 0): Date => new Date(Date.UTC(2026, 2, 10, 10, minute, second));
const one = (pid: number, backendStart: Date | null, login = 'ana', observed = true) => ({
  ...{ pid, login, backendStart, observed },
});

describe('new, still there, gone', () => {
  test('a pid that is used again is another session', () => {
    const found = compare([one(1, at(0)), one(2, at(0)), one(3, at(0))], [one(2, at(0)), one(3, at(5)), one(4, at(6))]);
    expect(found.fresh).toEqual([one(3, at(5)), one(4, at(6))]);
    expect(found.still).toEqual([one(2, at(0))]);
    expect(found.gone).toEqual([one(1, at(0)), one(3, at(0))]);
  });

  test.each([
    ['seen before, and another start', one(1, at(0)), one(1, at(0, 1)), false],
    ['whose role was renamed', one(1, at(0)), one(1, at(0), 'anna'), true],
    ['known by the log, to the second', one(1, at(0), 'ana', false), one(1, at(0, 1)), true],
    ['known by the log, of another login', one(1, at(0), 'bob', false), one(1, at(0, 1)), false],
    ['known by the log, of another time', one(1, at(0), 'ana', false), one(1, at(0, 3)), false],
    ['whose start may not be seen', one(1, new Date(0)), one(1, null), true],
  ])('a session %s', (_, known, seen, isSame) => {
    expect(compare([known], [seen]).still).toHaveLength(isSame ? 1 : 0);
  });

  test('each session is exactly one of the three', () => {
    const session = fc.record({
      pid: fc.nat({ max: 5 }),
      minute: fc.nat({ max: 2 }),
      login: fc.constantFrom('ana', 'bob'),
    });
    const some = fc.uniqueArray(session, { selector: ({ pid }) => pid });
    fc.assert(
      fc.property(some, some, (before, now) => {
        const { fresh, still, gone } = compare(
          before.map(({ pid, minute, login }) => one(pid, at(minute), login)),
          now.map(({ pid, minute, login }) => one(pid, at(minute), login)),
        );
        expect(still.length + gone.length).toBe(before.length);
        expect(still.length + fresh.length).toBe(now.length);
      }),
    );
  });
});

test.each([
  ['rdsadmin', false],
  ['rdsrepladmin', false],
  ['rdsmaster', true],
  ['ana', true],
])('%s is somebody: %s', (login, expected) => {
  expect(ofSomebody({ login })).toBe(expected);
});

describe("the target's clock", () => {
  test.each<[string, Date, Date, Date, number]>([
    ['is the same', at(5), at(5), at(5), 0],
    ['is ahead by no more than what a look may hide', at(5, 2), at(5), at(5), 0],
    ['is a minute ahead', at(6), at(5), at(5), 60_000],
    ['is a minute behind', at(4), at(5), at(5), -60_000],
    ['is within a long answer', at(5, 5), at(5), at(5, 10), 0],
    ['is at the end of a long answer', at(5, 10), at(5), at(5, 10), 0],
  ])('%s', (_, clock, asked, answered, expected) => {
    expect(clockAhead(clock, asked, answered)).toBe(expected);
  });

  test.each<[string, Date | null, number, Date]>([
    ['as it says', at(3), 0, at(3)],
    ['put right', at(4), 60_000, at(3)],
    ['never later than it was seen', at(9), 0, at(5)],
    ['when it was seen, where it may not be seen', null, 60_000, at(5)],
  ])('a session began %s', (_, backendStart, aheadMs, expected) => {
    expect(startedAt(backendStart, aheadMs, at(5))).toEqual(expected);
  });
});
