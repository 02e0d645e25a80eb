/** Refusals of one caller within a window that have no line of their own. */
export interface Tallied<Line> {
  /** The last of them. */
  readonly line: Line;
  readonly refusals: number;
  readonly since: Date;
}

interface Window<Line> {
  readonly ends: number;
  refusals: number;
  since: number;
  line: Line | undefined;
}

export const WINDOW_MS = 60_000;
/** Callers told apart at a time: who comes from more addresses than that shares one line a minute with the rest. */
const MOST_CALLERS = 1_000;
const THE_REST = '(the rest)';

/**
 * Keeps the record from being flooded by those who need no name for it: of each caller one refusal a minute has a line of its
 * own, the first at once; what follows is counted, and told in one line when the minute is over.
 */
export class RefusalTally<Line> {
  readonly #windows = new Map<string, Window<Line>>();

  constructor(private readonly most = MOST_CALLERS) {}

  /** @returns whether this one is to be told at once; else it was counted */
  isFirst(caller: string, line: Line, now: Date): boolean {
    const key = this.#windows.has(caller) || this.#windows.size < this.most ? caller : THE_REST;
    const window = this.#windows.get(key);
    if (!window) {
      this.#windows.set(key, { ends: now.getTime() + WINDOW_MS, refusals: 0, since: now.getTime(), line: undefined });
      return true;
    }
    if (window.refusals === 0) window.since = now.getTime();
    window.refusals += 1;
    window.line = line;
    return false;
  }

  /** What was counted in windows that are over; each caller who had any begins another, the others are forgotten. */
  due(now: Date, all = false): Tallied<Line>[] {
    const told: Tallied<Line>[] = [];
    for (const [caller, { ends, refusals, since, line }] of [...this.#windows]) {
      if (!all && now.getTime() < ends) continue;
      this.#windows.delete(caller);
      if (line === undefined) continue;
      told.push({ line, refusals, since: new Date(since) });
      this.#windows.set(caller, {
        ends: now.getTime() + WINDOW_MS,
        refusals: 0,
        since: now.getTime(),
        line: undefined,
      });
    }
    return told;
  }
}
