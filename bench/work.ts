/** What a piece of work costs this thread: the time that passes, and the time that is worked, which nobody else on the machine makes longer. */

export interface Cost {
  wall: number;
  /** In steps of some milliseconds on many machines: to be added up, not to be looked at one by one. */
  cpu: number;
}

/** Milliseconds that this thread has worked. */
function worked(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

/** Each time by the clock, and the work as an even share of all of it. */
export function costsOf(work: () => void, times: number): Cost[] {
  const before = worked();
  const walls = Array.from({ length: times }, () => {
    const start = performance.now();
    work();
    return performance.now() - start;
  });
  const cpu = (worked() - before) / times;
  return walls.map((wall) => ({ wall, cpu }));
}

export async function costOf(work: () => Promise<unknown>): Promise<Cost> {
  const [start, before] = [performance.now(), worked()];
  await work();
  return { cpu: worked() - before, wall: performance.now() - start };
}

/** The longest turn of the event loop while something is done: so long everybody else waits. */
export async function longestTurn(work: () => Promise<unknown>): Promise<Cost> {
  const longest: Cost = { wall: 0, cpu: 0 };
  let [busy, start, before] = [true, performance.now(), worked()];
  const turn = (): void => {
    const [now, then] = [performance.now(), worked()];
    longest.wall = Math.max(longest.wall, now - start);
    longest.cpu = Math.max(longest.cpu, then - before);
    [start, before] = [now, then];
    if (busy) setImmediate(turn);
  };
  setImmediate(turn);
  await work();
  busy = false;
  return longest;
}

/** The fastest of each so many in a row: what it costs where nothing else came between. */
export const undisturbed = (costs: readonly Cost[], row = 3): Cost[] =>
  Array.from({ length: Math.floor(costs.length / row) }, (_, index) =>
    costs.slice(index * row, (index + 1) * row).reduce((least, one) => (one.wall < least.wall ? one : least)),
  );

const mean = (costs: readonly Cost[]): number => costs.reduce((sum, { cpu }) => sum + cpu, 0) / costs.length;

function quantile(costs: readonly Cost[], share: number): number {
  const sorted = costs.map(({ wall }) => wall).sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * share)] ?? NaN;
}

/** One line: in the middle and of the slowest by the clock, on average by work; in milliseconds. */
export function told(name: string, costs: readonly Cost[], digits: number): string {
  const [middle, slow] = [0.5, 0.99].map((share) => quantile(costs, share).toFixed(digits));
  return `  ${name.padEnd(34)}p50 ${middle}   p99 ${slow}   work ${mean(costs).toFixed(digits)}`;
}

/** Whether what was promised was kept, by the clock. */
export function verdict(what: string, costs: readonly Cost[], limit: number): string {
  const found = quantile(costs, 0.99);
  return `  ${found <= limit ? 'kept' : 'MISSED'}: ${what} within ${limit} ms, p99 ${found.toFixed(2)}, work ${mean(costs).toFixed(2)}`;
}
