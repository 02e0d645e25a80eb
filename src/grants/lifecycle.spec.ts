import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GrantState } from '../generated/prisma/enums.js';
import { DomainError } from '../platform/errors.js';
import {
  backoff,
  due,
  endedByHand,
  isDesired,
  isLive,
  isOver,
  mayStillReach,
  minutesTo,
  refuseEnded,
  refuseLater,
} from './lifecycle.js';

const states = Object.values(GrantState);
const startsAt = new Date('2026-03-10T10:00:00.000Z');
const endsAt = new Date('2026-03-10T11:00:00.000Z');
const moments = {
  before: new Date(startsAt.getTime() - 1),
  start: startsAt,
  within: new Date('2026-03-10T10:30:00.000Z'),
  last: new Date(endsAt.getTime() - 1),
  end: endsAt,
  after: new Date(endsAt.getTime() + 1),
};
type Moment = keyof typeof moments;
const all = Object.keys(moments) as Moment[];
const grant = (state: GrantState) => ({ state, startsAt, endsAt });
const when = (holds: (state: GrantState, now: Date) => boolean): Record<string, Moment[]> =>
  Object.fromEntries(
    states
      .map((state) => [state, all.filter((moment) => holds(state, moments[moment]))] as const)
      .filter(([, found]) => found.length > 0),
  );

/** The moves of the migration: the database refuses all others. */
const legal: Record<GrantState, GrantState[]> = {
  scheduled: ['opening', 'closed'],
  opening: ['active', 'closing'],
  active: ['closing'],
  closing: ['closed', 'failed'],
  closed: [],
  failed: [],
};

describe('what a state means at a moment', () => {
  test('access should be there while it is opening or active, from the start to just before the end', () => {
    const during: Moment[] = ['start', 'within', 'last'];
    expect(when((state, now) => isDesired(grant(state), now))).toEqual({ opening: during, active: during });
  });

  test('tokens are made while it is active, until just before the end', () => {
    expect(when((state, now) => isLive(grant(state), now))).toEqual({ active: ['before', 'start', 'within', 'last'] });
  });

  test('only closed and failed are over', () => {
    expect(states.filter(isOver)).toEqual(['closed', 'failed']);
  });
});

describe('the move that time demands', () => {
  const table: Record<GrantState, Record<Moment, GrantState | undefined>> = {
    scheduled: {
      before: undefined,
      start: 'opening',
      within: 'opening',
      last: 'opening',
      end: 'closed',
      after: 'closed',
    },
    opening: {
      before: undefined,
      start: undefined,
      within: undefined,
      last: undefined,
      end: 'closing',
      after: 'closing',
    },
    active: {
      before: undefined,
      start: undefined,
      within: undefined,
      last: undefined,
      end: 'closing',
      after: 'closing',
    },
    closing: {
      before: undefined,
      start: undefined,
      within: undefined,
      last: undefined,
      end: undefined,
      after: undefined,
    },
    closed: {
      before: undefined,
      start: undefined,
      within: undefined,
      last: undefined,
      end: undefined,
      after: undefined,
    },
    failed: {
      before: undefined,
      start: undefined,
      within: undefined,
      last: undefined,
      end: undefined,
      after: undefined,
    },
  };
  for (const state of states)
    test.each(all)(`${state}, %s`, (moment) => expect(due(grant(state), moments[moment])).toBe(table[state][moment]));

  test('is one that the database allows, at any time', () => {
    fc.assert(
      fc.property(fc.constantFrom(...states), fc.date({ noInvalidDate: true }), (state, now) => {
        const to = due(grant(state), now);
        return to === undefined || legal[state].includes(to);
      }),
    );
  });

  test('comes to an end: after the last move nothing more is due', () => {
    fc.assert(
      fc.property(fc.constantFrom(...states), fc.date({ noInvalidDate: true }), (first, now) => {
        let state = first;
        for (let moves = 0; moves < 3; moves += 1) state = due(grant(state), now) ?? state;
        return due(grant(state), now) === undefined;
      }),
    );
  });
});

test('ended by hand: what was opened is closed first, what never was is over at once', () => {
  expect(Object.fromEntries(states.map((state) => [state, endedByHand(state)]))).toEqual({
    scheduled: 'closed',
    opening: 'closing',
    active: 'closing',
    closing: undefined,
    closed: undefined,
    failed: undefined,
  });
});

describe('waiting for a state', () => {
  test.each(states)('of a grant that is %s', (state) => {
    const reachable: Record<GrantState, GrantState[]> = {
      scheduled: ['opening', 'active', 'closing', 'closed', 'failed'],
      opening: ['active', 'closing', 'closed', 'failed'],
      active: ['closing', 'closed', 'failed'],
      closing: ['closed', 'failed'],
      closed: [],
      failed: [],
    };
    expect(states.filter((wanted) => mayStillReach(state, wanted))).toEqual(reachable[state]);
  });

  test('never gives up on what the legal moves lead to', () => {
    const after = (state: GrantState): GrantState[] => legal[state].flatMap((next) => [next, ...after(next)]);
    for (const state of states)
      for (const wanted of after(state))
        expect([state, wanted, mayStillReach(state, wanted)]).toEqual([state, wanted, true]);
  });
});

describe('moving the end', () => {
  const codeOf = (call: () => void): string => {
    try {
      call();
      return 'moved';
    } catch (error) {
      return error instanceof DomainError ? error.code : String(error);
    }
  };

  test.each(states)('of a grant that is %s: until it has come or was made', (state) => {
    const movable = endedByHand(state) !== undefined;
    for (const moment of all) {
      const expected = movable && moments[moment] < endsAt ? 'moved' : 'grant_closed';
      expect([moment, codeOf(() => refuseEnded(grant(state), moments[moment]))]).toEqual([moment, expected]);
    }
  });

  const at = (minutes: number): Date => new Date(startsAt.getTime() + minutes * 60_000);
  test.each<[string, at: Date, now: Date, string]>([
    ['nearer', at(45), at(30), 'moved'],
    ['by a millisecond', new Date(endsAt.getTime() - 1), at(30), 'moved'],
    ['before it begins', at(45), at(-10), 'moved'],
    ['to where it is', endsAt, at(30), 'invalid_end'],
    ['away', at(90), at(30), 'invalid_end'],
    ['to now', at(30), at(30), 'invalid_end'],
    ['into the past', at(10), at(30), 'invalid_end'],
    ['to its beginning', startsAt, at(-10), 'invalid_end'],
    ['to before its beginning', at(-5), at(-10), 'invalid_end'],
  ])('%s', (_, to, now, expected) => {
    expect(codeOf(() => refuseLater(grant('active'), to, now))).toBe(expected);
  });

  test('a minute that has begun counts', () => {
    expect([at(0), at(1), new Date(at(1).getTime() + 1), at(60)].map((end) => minutesTo({ startsAt }, end))).toEqual([
      0, 1, 2, 60,
    ]);
  });
});

describe('the wait before the next try', () => {
  const attempts = fc.integer({ min: 1, max: 1_000_000 });
  const random = fc.double({ min: 0, max: 1, noNaN: true });

  test('is between a quarter of a second and a minute, however often it failed', () => {
    fc.assert(
      fc.property(
        attempts,
        random,
        (n, r) => backoff(n, r) >= 250 && backoff(n, r) <= 60_000 && Number.isInteger(backoff(n, r)),
      ),
    );
  });

  test('grows with the failures and with the chance', () => {
    fc.assert(fc.property(attempts, random, (n, r) => backoff(n + 1, r) >= backoff(n, r)));
    fc.assert(fc.property(attempts, random, random, (n, a, b) => a > b || backoff(n, a) <= backoff(n, b)));
  });

  test('doubles up to the cap', () => {
    expect([1, 2, 3, 7, 8, 9, 1_000].map((n) => backoff(n, 1))).toEqual([
      500, 1_000, 2_000, 32_000, 60_000, 60_000, 60_000,
    ]);
    expect([1, 2, 1_000].map((n) => backoff(n, 0))).toEqual([250, 500, 30_000]);
  });
});
