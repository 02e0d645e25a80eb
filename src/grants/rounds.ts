import type { Ask } from './reconciler.js';

/** How much is done at the same time in one process. */
export interface Width {
  /** Wide: a target that does not answer takes a place here for as long as it is waited for, and nothing else. */
  targets: number;
  /** Rounds on one target: a second one may overtake a first that is held up. */
  perTarget: number;
  /** Logins of one round. */
  logins: number;
}

/** What is to be done on one target. */
interface Queue {
  waiting: Map<string, Ask>;
  busy: Set<string>;
  rounds: number;
}

/**
 * Who is woken waits here for a round of his target: a login that is woken many times meanwhile is worked on once, and one
 * that is being worked on is worked on again afterwards. First come, first served, target by target.
 */
export class Rounds {
  private readonly queues = new Map<string, Queue>();
  private readonly begun = new Set<Promise<void>>();
  private stopped = false;

  /**
   * @param run answers with the logins that somebody else works on at the moment; it does not wait for them
   * @param later what could not be done now; called with what `run` put off, and with everything where it threw
   */
  constructor(
    private readonly width: Width,
    private readonly run: (targetId: string, asks: Ask[]) => Promise<Ask[]>,
    private readonly later: (targetId: string, asks: Ask[], error?: unknown) => Promise<void>,
  ) {}

  wake(targetId: string, asks: Iterable<Ask>): void {
    const queue: Queue = this.queues.get(targetId) ?? { waiting: new Map(), busy: new Set(), rounds: 0 };
    this.queues.set(targetId, queue);
    for (const ask of asks) queue.waiting.set(ask.login, { ...queue.waiting.get(ask.login), ...ask });
    this.next();
  }

  /** Begins nothing more, and answers when what was begun is done. What waits is found again by what it left in the store. */
  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.allSettled(this.begun);
  }

  private next(): void {
    for (const [targetId, queue] of [...this.queues]) {
      if (this.stopped || this.begun.size >= this.width.targets) return;
      if (queue.rounds >= this.width.perTarget) continue;
      const asks = [...queue.waiting.values()]
        .filter(({ login }) => !queue.busy.has(login))
        .slice(0, this.width.logins);
      if (asks.length === 0) continue;
      const round = this.begin(targetId, queue, asks).finally(() => {
        this.begun.delete(round);
        this.next();
      });
      this.begun.add(round);
    }
  }

  private async begin(targetId: string, queue: Queue, asks: Ask[]): Promise<void> {
    for (const { login } of asks) {
      queue.waiting.delete(login);
      queue.busy.add(login);
    }
    queue.rounds += 1;
    try {
      const putOff = await this.run(targetId, asks);
      if (putOff.length > 0) await this.later(targetId, putOff);
    } catch (error) {
      await this.later(targetId, asks, error);
    } finally {
      for (const { login } of asks) queue.busy.delete(login);
      queue.rounds -= 1;
      // to the end of the line, behind those that have had no turn
      this.queues.delete(targetId);
      if (queue.rounds > 0 || queue.waiting.size > 0) this.queues.set(targetId, queue);
    }
  }
}
