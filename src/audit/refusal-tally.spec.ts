import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RefusalTally, WINDOW_MS } from './refusal-tally.js';

const at = (milliseconds: number): Date => new Date(milliseconds);

test('the first of a minute is told at once, what follows in one line with its number', () => {
  const tally = new RefusalTally<string>();
  expect(tally.isFirst('a', 'one', at(0))).toBe(true);
  expect(tally.due(at(WINDOW_MS - 1))).toEqual([]);
  expect([tally.isFirst('a', 'two', at(10)), tally.isFirst('a', 'three', at(20))]).toEqual([false, false]);
  expect(tally.isFirst('b', 'other', at(20))).toBe(true);
  expect(tally.due(at(WINDOW_MS))).toEqual([{ line: 'three', refusals: 2, since: at(10) }]);
  expect(tally.isFirst('a', 'four', at(WINDOW_MS + 1))).toBe(false); // the line was of this minute too
  expect(tally.due(at(2 * WINDOW_MS))).toMatchObject([{ line: 'four', refusals: 1 }]);
  expect(tally.due(at(3 * WINDOW_MS))).toEqual([]);
  expect(tally.isFirst('a', 'five', at(3 * WINDOW_MS))).toBe(true);
});

test('at the end everything is told', () => {
  const tally = new RefusalTally<string>();
  for (const line of ['one', 'two']) tally.isFirst('a', line, at(0));
  expect(tally.due(at(1), true)).toMatchObject([{ refusals: 1 }]);
});

test('many addresses share a line: neither memory nor the record grows with them', () => {
  const tally = new RefusalTally<string>(10);
  const told = Array.from({ length: 1_000 }, (_, index) => tally.isFirst(`address ${index}`, 'x', at(0)));
  expect(told.filter(Boolean)).toHaveLength(11);
  expect(tally.due(at(WINDOW_MS))).toMatchObject([{ refusals: 989 }]);
});

test('none is lost, and no caller has two lines within a minute', () => {
  const refusals = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat({ max: 40_000 })), { maxLength: 60 });
  fc.assert(
    fc.property(refusals, (steps) => {
      const tally = new RefusalTally<string>();
      const lines: { caller: string; at: number; refusals: number }[] = [];
      let now = 0;
      const tell = (all: boolean): void => {
        for (const { line, refusals: n } of tally.due(at(now), all)) lines.push({ caller: line, at: now, refusals: n });
      };
      for (const [caller, pause] of steps) {
        now += pause;
        tell(false);
        if (tally.isFirst(caller, caller, at(now))) lines.push({ caller, at: now, refusals: 1 });
      }
      const untilTheEnd = [...lines];
      tell(true);
      expect(lines.reduce((sum, line) => sum + line.refusals, 0)).toBe(steps.length);
      for (const caller of ['a', 'b', 'c']) {
        const times = untilTheEnd.filter((line) => line.caller === caller).map((line) => line.at);
        times.slice(1).forEach((time, index) => expect(time - (times[index] ?? 0)).toBeGreaterThanOrEqual(WINDOW_MS));
      }
    }),
  );
});
