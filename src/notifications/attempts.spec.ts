import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GIVE_UP_MS, pauseAfter, SILENT_AFTER, standingAfter, type Try } from './attempts.js';

const now = new Date('2026-03-10T10:00:00Z');
const ago = (milliseconds: number): Date => new Date(now.getTime() - milliseconds);
const good: Try = { firstAttemptAt: null, status: 204, problem: null };
const bad: Try = { firstAttemptAt: ago(60_000), status: 500, problem: 'It answered 500.' };
const after = (before: number, ...tries: Try[]) => standingAfter(before, tries, now, 0.5);

test.each([
  [1, 5_000],
  [2, 10_000],
  [3, 20_000],
  [10, 2_560_000],
  [11, 3_600_000],
  [1_000_000, 3_600_000],
])('after %i tries the pause is %i ms', (attempts, pause) => {
  expect(pauseAfter(attempts, 0.5)).toBe(pause);
});

test('pauses differ by a fifth either way, and a day holds more than twenty tries', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), fc.double({ min: 0, max: 1, noNaN: true }), (attempts, random) => {
      const [pause, usual] = [pauseAfter(attempts, random), pauseAfter(attempts, 0.5)];
      return pause >= usual * 0.8 - 1 && pause <= usual * 1.2 + 1;
    }),
  );
  let [tries, spent] = [1, 0];
  while (spent < GIVE_UP_MS) spent += pauseAfter(tries++, 1);
  expect(tries).toBeGreaterThan(20);
});

describe('the standing of a receiver', () => {
  test('one that takes something is well, whatever else failed', () => {
    expect(after(3, bad, good)).toEqual({ failures: 0, pausedUntil: null, isBack: false });
  });

  test('one that takes nothing is left in peace for a while after some failures', () => {
    expect(after(0, bad, bad)).toEqual({ failures: 2, pausedUntil: null, isBack: false });
    expect(after(SILENT_AFTER - 1, bad)).toEqual({ failures: 5, pausedUntil: ago(-5_000), isBack: false });
    expect(after(1_000, bad).pausedUntil).toEqual(ago(-300_000));
  });

  test('one that was silent and takes something again is back', () => {
    expect(after(SILENT_AFTER, good)).toEqual({ failures: 0, pausedUntil: null, isBack: true });
  });

  test('410 ends it, even where something else arrived', () => {
    expect(after(0, good, { ...bad, status: 410 })).toMatchObject({ ended: { state: 'disabled' } });
  });

  test('an event that was tried for a day ends it, and the reason is told', () => {
    const old = { ...bad, firstAttemptAt: ago(GIVE_UP_MS) };
    expect(after(40, old)).toMatchObject({ pausedUntil: null, ended: { state: 'failing' } });
    expect(after(40, old).ended?.reason).toContain('answered 500');
    expect(after(40, { ...old, firstAttemptAt: ago(GIVE_UP_MS - 1) }).ended).toBeUndefined();
    expect(after(0, { ...old, problem: null }).ended).toBeUndefined();
  });
});
