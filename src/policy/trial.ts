import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { DomainError } from '../platform/errors.js';
import { RecentlyUsed } from '../platform/recently-used.js';
import type { PolicyAbout } from './engine.js';
import type { Decision } from './policy.contract.js';
import type { PolicyProblem } from './policy-problem.js';
import type { CedarQuestion } from './question.js';
import { watchOver, type TrialLimits } from './trial-watch.js';

/** What the thread is started with. */
export interface TrialStart {
  readonly text: string;
  /** Names the text in errors. */
  readonly name: string;
}

/** What it says first. */
export type TrialOpened =
  | { readonly policies: readonly PolicyAbout[]; readonly problems?: never }
  | { readonly problems: readonly PolicyProblem[]; readonly policies?: never };

const limits: TrialLimits = {
  milliseconds: 10_000,
  patience: 120_000,
  megabytes: 512,
  // less stack than the main thread has (984 KB): what fits here fits there
  resources: { maxOldGenerationSizeMb: 192, maxYoungGenerationSizeMb: 32, codeRangeSizeMb: 32, stackSizeMb: 0.75 },
};

/** Hashes of texts that passed in this process, so that none is tried again a moment later. */
const passed = new RecentlyUsed<true>(50);
const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Whether this very text did no harm to a thread of this process before. */
export const hasPassed = (text: string): boolean => passed.get(hashOf(text)) === true;

/** The built file, from `src/policy` and from `dist/policy` alike: a thread of its own runs JavaScript only. */
const workerFile = join(import.meta.dirname, '../../dist/policy/trial.worker.js');

/** The thread ran out of time or memory, or died: what it was asked stays unanswered. */
export class TrialEnded extends Error {
  override readonly name = 'TrialEnded';
}

/**
 * A text that nobody vouches for, read and asked in a thread of its own, with limits on time, stack and memory, and without our
 * environment. Deep nesting and faults of the parser ruin the WebAssembly instance that they happen in; a thread is thrown away.
 */
export class Trial {
  private constructor(
    private readonly worker: Worker,
    private readonly limits: TrialLimits,
    /** Every policy of the text, once it passed. */
    readonly policies: readonly PolicyAbout[],
    /** What is wrong with it; empty when it may be used. */
    readonly problems: readonly PolicyProblem[],
  ) {}

  /** Never throws for a text: one that ends the thread has that as its problem. The caller closes. */
  static async open(text: string, name: string, within: TrialLimits = limits): Promise<Trial> {
    const workerData: TrialStart = { text, name };
    const worker = new Worker(workerFile, { workerData, resourceLimits: within.resources, env: {}, execArgv: [] });
    worker.on('error', () => undefined); // told to whoever waits; after that there is nobody to tell
    worker.unref();
    const opened = await answerOf<TrialOpened>(worker, within).catch((error: unknown): TrialOpened => ({
      problems: [{ message: `cannot be checked: ${error instanceof Error ? error.message : String(error)}` }],
    }));
    if (opened.policies && within === limits) passed.set(hashOf(text), true);
    return new Trial(worker, within, opened.policies ?? [], opened.problems ?? []);
  }

  /**
   * @returns the answers in the order of the questions
   * @throws TrialEnded
   */
  async decide(questions: readonly CedarQuestion[]): Promise<Decision[]> {
    const answer = answerOf<Decision[]>(this.worker, this.limits);
    this.worker.postMessage(questions);
    return answer;
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }
}

/** The next thing the thread says. @throws TrialEnded, and the thread is ended then */
function answerOf<T>(worker: Worker, within: TrialLimits): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const end = (why: string): void => {
    reject(new TrialEnded(why));
    void worker.terminate();
  };
  const onMessage = (answer: T): void => resolve(answer);
  const onError = (error: NodeJS.ErrnoException): void => end(`the thread ended (${error.code ?? error.name})`);
  const onExit = (): void => end('the thread ended');
  const leave = watchOver(worker, within, end);
  worker.once('message', onMessage).once('error', onError).once('exit', onExit);
  worker.ref();
  return promise.finally(() => {
    leave();
    worker.off('message', onMessage).off('error', onError).off('exit', onExit);
    worker.unref();
  });
}

/** Trials at the same time in this process: each costs a thread and its memory. */
const MAX_TRIALS = 2;
let running = 0;

/**
 * Tries a text out, and throws the thread away.
 * @throws DomainError `too_many_requests`, and whatever `use` throws
 */
export async function tryOut<T>(text: string, use: (trial: Trial) => Promise<T>): Promise<T> {
  if (running >= MAX_TRIALS)
    throw new DomainError(
      'quota',
      'too_many_requests',
      'Other policies are being tried at this moment.',
      'Try again in some seconds.',
      { retryAfterSeconds: 5 },
    );
  running += 1;
  try {
    const trial = await Trial.open(text, 'policy');
    return await use(trial).finally(() => trial.close());
  } finally {
    running -= 1;
  }
}
