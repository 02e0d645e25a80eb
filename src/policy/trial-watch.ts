import type { ResourceLimits, Worker } from 'node:worker_threads';

export interface TrialLimits {
  /** Of work, for the check of the text, and for each call of `decide`: a machine with much else to do is no fault of the text. */
  readonly milliseconds: number;
  /** Until an answer, whatever the machine does meanwhile. */
  readonly patience: number;
  /** By so much the whole process may grow meanwhile: nothing limits the memory of WebAssembly itself. */
  readonly megabytes: number;
  readonly resources: ResourceLimits;
}

const WATCH_MS = 20;

/**
 * Looks after a thread that may not be able to look after itself.
 * @param end told once or more that it takes too much
 * @returns what ends the watch
 */
export function watchOver(worker: Worker, limits: TrialLimits, end: (why: string) => void): () => void {
  const { milliseconds, patience, megabytes } = limits;
  const timer = setTimeout(() => end(`it took longer than ${patience / 1000} s`), patience);
  const most = process.memoryUsage.rss() + megabytes * 2 ** 20;
  const before = worked(worker);
  let looking = false;
  const lookAtWork = async (): Promise<void> => {
    looking = true;
    if ((await worked(worker)) - (await before) > milliseconds)
      end(`it took more than ${milliseconds / 1000} s of work`);
    looking = false;
  };
  const watch = setInterval(() => {
    if (process.memoryUsage.rss() > most) end(`it took more than ${megabytes} MB`);
    if (!looking) void lookAtWork();
  }, WATCH_MS);
  return () => {
    clearTimeout(timer);
    clearInterval(watch);
  };
}

/** Milliseconds that the thread has worked, 0 where it does not run; before Node 24.6, which cannot tell, those that have passed. */
async function worked(worker: Worker): Promise<number> {
  if (!('cpuUsage' in worker)) return performance.now();
  const { user, system } = await worker.cpuUsage().catch(() => ({ user: 0, system: 0 }));
  return (user + system) / 1_000;
}
