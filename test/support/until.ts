import { setTimeout as pause } from 'node:timers/promises';

/** Between two looks: short beside what is waited for, long beside what a look costs. */
const STEP_MS = 25;

/**
 * Looks again and again until there is something to see, for what sends no event.
 * @param what is said when the time is up
 * @param look undefined or false: not yet
 * @param milliseconds generous: a busy machine is no failure
 * @throws Error with the last that was seen when the time is up
 */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  milliseconds = 40_000,
): Promise<T> {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${milliseconds / 1000} s`);
    await pause(STEP_MS);
  }
}
