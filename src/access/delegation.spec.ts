import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DomainError } from '../platform/errors.js';
import { periodOf, stateOf } from './delegation.js';

const now = new Date('2026-03-10T10:00:00.000Z');
const days = (n: number): Date => new Date(now.getTime() + n * 86_400_000);

describe('when a delegation is what', () => {
  test.each<[string, number, number, number | null, string]>([
    ['before it begins', 1, 2, null, 'scheduled'],
    ['at its beginning', 0, 2, null, 'live'],
    ['within', -1, 1, null, 'live'],
    ['at its end', -1, 0, null, 'ended'],
    ['after it', -2, -1, null, 'ended'],
    ['ended before its end', -1, 1, -0.5, 'ended'],
    ['ended before its beginning', 1, 2, -0.5, 'ended'],
  ])('%s', (_, startsAt, endsAt, endedAt, expected) =>
    expect(
      stateOf(
        { startsAt: days(startsAt), endsAt: days(endsAt), endedAt: endedAt === null ? null : days(endedAt) },
        now,
      ),
    ).toBe(expected),
  );
});

describe('its period', () => {
  test.each<[string, { startsAt?: Date; endsAt: Date }, { startsAt: Date; endsAt: Date } | string]>([
    ['from now', { endsAt: days(30) }, { startsAt: now, endsAt: days(30) }],
    [
      'from a moment ago, by another clock',
      { startsAt: days(-0.0005), endsAt: days(1) },
      { startsAt: now, endsAt: days(1) },
    ],
    ['later', { startsAt: days(90), endsAt: days(120) }, { startsAt: days(90), endsAt: days(120) }],
    ['too long', { endsAt: days(30.001) }, 'invalid_end'],
    ['of no length', { endsAt: now }, 'invalid_end'],
    ['backwards', { startsAt: days(2), endsAt: days(1) }, 'invalid_end'],
    ['long ago', { startsAt: days(-1), endsAt: days(1) }, 'invalid_start'],
    ['too late', { startsAt: days(91), endsAt: days(92) }, 'invalid_start'],
    ['at no time', { startsAt: new Date(Number.NaN), endsAt: days(1) }, 'invalid_start'],
    ['without an end', { endsAt: new Date(Number.NaN) }, 'invalid_end'],
  ])('%s', (_, wanted, expected) => {
    if (typeof expected !== 'string') return expect(periodOf(wanted, now, 30)).toEqual(expected);
    return expect(() => periodOf(wanted, now, 30)).toThrow(expect.objectContaining({ code: expected }));
  });

  test('never begins before now, and never lasts longer than it may', () => {
    const day = fc.option(fc.double({ min: -200, max: 200, noNaN: true }), { nil: undefined });
    fc.assert(
      fc.property(
        day,
        fc.double({ min: -200, max: 200, noNaN: true }),
        fc.integer({ min: 1, max: 365 }),
        (from, to, max) => {
          try {
            const found = periodOf({ ...(from !== undefined && { startsAt: days(from) }), endsAt: days(to) }, now, max);
            const length = found.endsAt.getTime() - found.startsAt.getTime();
            return found.startsAt >= now && length > 0 && length <= max * 86_400_000;
          } catch (error) {
            return error instanceof DomainError;
          }
        },
      ),
    );
  });
});
