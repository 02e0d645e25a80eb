/** The provider's state, in memory: it lives as long as the stand-in, and no longer is wanted. */
import type { Adapter, AdapterPayload } from 'oidc-provider';

interface Stored {
  readonly payload: AdapterPayload;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}
/** By model and id, e.g. `Session:abc`. One per provider. */
export type MemoryStore = Map<string, Stored>;

/** Beyond this many entries the expired ones are swept at the next write. */
const sweepAbove = 1000;

export class MemoryAdapter implements Adapter {
  readonly #model: string;
  readonly #store: MemoryStore;

  constructor(model: string, store: MemoryStore) {
    this.#model = model;
    this.#store = store;
  }

  upsert(id: string, payload: AdapterPayload, expiresIn?: number): Promise<void> {
    const now = Date.now();
    if (this.#store.size > sweepAbove)
      for (const [key, stored] of this.#store) if (stored.expiresAt <= now) this.#store.delete(key);
    this.#store.set(this.#key(id), { payload, expiresAt: expiresIn === undefined ? Infinity : now + expiresIn * 1000 });
    return Promise.resolve();
  }

  find(id: string): Promise<AdapterPayload | undefined> {
    const stored = this.#store.get(this.#key(id));
    return Promise.resolve(stored !== undefined && stored.expiresAt > Date.now() ? stored.payload : undefined);
  }

  findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return Promise.resolve(this.#where((payload) => payload.uid === uid));
  }

  findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return Promise.resolve(this.#where((payload) => payload.userCode === userCode));
  }

  consume(id: string): Promise<void> {
    const stored = this.#store.get(this.#key(id));
    if (stored !== undefined) stored.payload.consumed = Math.floor(Date.now() / 1000);
    return Promise.resolve();
  }

  destroy(id: string): Promise<void> {
    this.#store.delete(this.#key(id));
    return Promise.resolve();
  }

  revokeByGrantId(grantId: string): Promise<void> {
    for (const [key, stored] of this.#store) if (stored.payload.grantId === grantId) this.#store.delete(key);
    return Promise.resolve();
  }

  #key(id: string): string {
    return `${this.#model}:${id}`;
  }

  #where(matches: (payload: AdapterPayload) => boolean): AdapterPayload | undefined {
    const now = Date.now();
    for (const [key, stored] of this.#store)
      if (key.startsWith(`${this.#model}:`) && stored.expiresAt > now && matches(stored.payload)) return stored.payload;
    return undefined;
  }
}
