/** A map that forgets what was used longest ago when it holds more than it may, so that memory stays bounded. */
export class RecentlyUsed<V> {
  readonly #kept = new Map<string, V>();

  /** @param gone told of each value that leaves, be it crowded out, replaced or deleted */
  constructor(
    private readonly most: number,
    private readonly gone: (value: V) => void = () => undefined,
  ) {}

  get size(): number {
    return this.#kept.size;
  }

  /** Counts as a use. */
  get(key: string): V | undefined {
    const value = this.#kept.get(key);
    if (value === undefined) return undefined;
    // a Map keeps the order of insertion: what is put in again is the youngest
    this.#kept.delete(key);
    this.#kept.set(key, value);
    return value;
  }

  set(key: string, value: V): void {
    this.delete(key);
    this.#kept.set(key, value);
    if (this.#kept.size <= this.most) return;
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined) this.delete(oldest);
  }

  delete(key: string): void {
    const value = this.#kept.get(key);
    if (value === undefined) return;
    this.#kept.delete(key);
    this.gone(value);
  }

  clear(): void {
    for (const key of [...this.#kept.keys()]) this.delete(key);
  }
}
