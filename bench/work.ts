/** What a piece of work costs this thread: the time that passes, and of it the time that is worked, whoever else uses the machine. */

export interface Cost {
  wall: number;
  cpu: number;
}

/** Milliseconds that this thread has worked. */
function worked(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

export function costOf(work: () => void): Cost {
  const [start, before] = [performance.now(), worked()];
  work();
  return { cpu: worked() - before, wall: performance.now() - start };
}

export async function costOfAsync(work: () => Promise<unknown>): Promise<Cost> {
  const [start, before] = [performance.now(), worked()];
  await work();
  return { cpu: worked() - before, wall: performance.now() - start };
}

/** The longest turns of the event loop while something is done: so long everybody else waits. */
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

/** @param share 0.99: what 99 of 100 do not exceed */
export function quantile(costs: readonly Cost[], kind: keyof Cost, share: number): number {
  const sorted = costs.map((cost) => cost[kind]).sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * share)] ?? NaN;
}

/** One line: both kinds, in the middle and of the slowest, in milliseconds. */
export function told(name: string, costs: readonly Cost[], digits: number): string {
  const at = (kind: keyof Cost, share: number): string => quantile(costs, kind, share).toFixed(digits);
  return `  ${name.padEnd(34)}p50 ${at('wall', 0.5)} (${at('cpu', 0.5)})   p99 ${at('wall', 0.99)} (${at('cpu', 0.99)})`;
}

/** Whether what was promised was kept, by the work alone and by the clock. */
export function verdict(what: string, costs: readonly Cost[], share: number, limit: number): string {
  const [cpu, wall] = [quantile(costs, 'cpu', share), quantile(costs, 'wall', share)];
  const kept = (found: number): string => (found <= limit ? 'kept' : 'MISSED');
  return `  ${what} within ${limit} ms: ${kept(cpu)} by work (${cpu.toFixed(2)}), ${kept(wall)} by the clock (${wall.toFixed(2)})`;
}
