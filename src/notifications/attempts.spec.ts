import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AT_ONCE, GIVE_UP_MS, pauseAfter, standingAfter, type Standing, type Try } from './attempts.js';

const now = new Date('2026-03-10T10:00:00Z');
const ago = (milliseconds: number): Date => new Date(now.getTime() - milliseconds);
const good: Try = { firstAttemptAt: null, status: 204, problem: null };
const bad: Try = { firstAttemptAt: ago(60_000), status: 500, problem: 'It answered 500.' };
const all = Array<Try>(AT_ONCE).fill(bad);
const well: Standing = { failures: 0, pausedUntil: null };
const after = (before: Standing, ...tries: Try[]) => standingAfter(before, tries, now, 0.5);

test.each([
  [1, 5_000],
  [2, 10_000],
  [3, 20_000],
  [6, 160_000],
  [7, 300_000],
  [1_000_000, 300_000],
])('after %i tries the pause is %i ms', (attempts, pause) => {
  expect(pauseAfter(attempts, 0.5)).toBe(pause);
});

test('pauses differ by a fifth either way', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), fc.double({ min: 0, max: 1, noNaN: true }), (attempts, random) => {
      const [pause, usual] = [pauseAfter(attempts, random), pauseAfter(attempts, 0.5)];
      return pause >= usual * 0.8 - 1 && pause <= usual * 1.2 + 1;
    }),
  );
});

describe('the standing of a receiver', () => {
  test('one that takes something is well, whatever else failed', () => {
    expect(after({ ...well, failures: 30 }, bad, good)).toEqual({ ...well, isBack: false });
  });

  test('one that does not take a few is counted, and left no peace for others', () => {
    expect(after({ ...well, failures: 2 }, bad, bad)).toEqual({ failures: 4, pausedUntil: null, isBack: false });
  });

  test('one that takes nothing of all that may be under way is left in peace, longer and longer', () => {
    const first = after(well, ...all);
    expect(first).toEqual({ failures: AT_ONCE, pausedUntil: ago(-5_000), isBack: false });
    expect(after(first, ...all).pausedUntil).toEqual(ago(-10_000));
    expect(after({ ...first, failures: 10_000 }, ...all).pausedUntil).toEqual(ago(-300_000));
  });

  test('one that was left in peace and takes something again is back', () => {
    expect(after({ failures: 80, pausedUntil: ago(1) }, good, bad)).toEqual({ ...well, isBack: true });
  });

  test('410 ends it, even where something else arrived', () => {
    expect(after(well, good, { ...bad, status: 410 })).toMatchObject({ ended: { state: 'disabled' } });
  });

  test('an event that was tried for a day ends it, and the reason is told', () => {
    const old = { ...bad, firstAttemptAt: ago(GIVE_UP_MS) };
    const over = after(well, old, ...all);
    expect(over).toMatchObject({ pausedUntil: null, ended: { state: 'failing' } });
    expect(over.ended?.reason).toContain('answered 500');
    expect(after(well, { ...old, firstAttemptAt: ago(GIVE_UP_MS - 1) }).ended).toBeUndefined();
    expect(after(well, { ...old, problem: null }).ended).toBeUndefined();
  });
});
