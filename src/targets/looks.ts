interface Turn<T> {
  /** Never rejects: how the look came out is for those who asked for it. */
  over: Promise<void>;
  next?: Promise<T>;
}

/**
 * One look at a time at each thing. Who asks while it is looked at shares the look after it, so that nobody is told of a moment
 * before they asked; however many ask, two looks answer them all.
 */
export class Looks<T> {
  private readonly turns = new Map<string, Turn<T>>();

  /** @throws what the look throws, for everybody who shares it */
  at(key: string, look: () => Promise<T>): Promise<T> {
    const turn = this.turns.get(key);
    return turn ? (turn.next ??= turn.over.then(() => this.begin(key, look))) : this.begin(key, look);
  }

  private begin(key: string, look: () => Promise<T>): Promise<T> {
    const found = look();
    const end = (): void => {
      if (turn.next === undefined) this.turns.delete(key);
    };
    const turn: Turn<T> = { over: found.then(end, end) };
    this.turns.set(key, turn);
    return found;
  }
}
