import { describe, expect, test } from 'vitest';
import { sliceOf } from './drift.job.js';

const all = Array.from({ length: 1_000 }, (_, n) => `arn:aws:iam::123456789012:user/u${n}`);
const minute = (n: number): Date => new Date(Date.UTC(2026, 2, 10, 10, n, 30));

describe('which IAM principals have their turn in a minute', () => {
  test.each([
    [1, 0],
    [3, 5],
    [100, 5],
    [100, 60],
    [1_000, 5],
  ])('%i principals every %i minutes: each once in a cycle, never too many at once', (count, minutes) => {
    const some = all.slice(0, count);
    const cycle = Math.max(minutes, Math.ceil(count / 120));
    const slices = Array.from({ length: cycle }, (_, n) => sliceOf(some, minutes, minute(n)));
    expect(slices.flat().sort()).toEqual([...some].sort());
    for (const slice of slices) expect(slice.length).toBeLessThanOrEqual(120);
    expect(sliceOf(some, minutes, minute(cycle))).toEqual(slices[0]);
  });
});
