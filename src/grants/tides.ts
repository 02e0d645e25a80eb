import { DomainError } from '../platform/errors.js';
import type { TargetSession } from '../postgres/postgres.contract.js';
import { isOfTheTarget } from './conclusion.js';

/** Process ids of the sessions that a login had before a sweep. */
export type SeenBefore = ReadonlyMap<string, readonly number[]>;

/** From so many grants on that have ended at once the target sweeps itself, before any of them is looked at. */
const TIDE = 20;

/** Many ends in the same moment: the target ends them all in a few statements, and what is written of each can wait. */
export class Tides {
  private readonly sweeps = new Map<string, Promise<void>>();

  static isOne(ended: number): boolean {
    return ended >= TIDE;
  }

  /**
   * Has the target close what has expired by its own clock, and end the sessions. It only makes haste: whatever it leaves is
   * found and ended one by one. One sweep at a time; who asks while one runs waits for that one.
   * @throws DomainError a failure of the whole target
   */
  async sweep(targetId: string, session: TargetSession, logins: readonly string[]): Promise<SeenBefore> {
    const found = await session.inspect(logins);
    const running = this.sweeps.get(targetId) ?? session.sweep().finally(() => this.sweeps.delete(targetId));
    this.sweeps.set(targetId, running);
    await running.catch((error: unknown) => {
      if (!(error instanceof DomainError) || isOfTheTarget(error)) throw error;
    });
    return new Map(found.map(({ login, backends }) => [login, backends.map(({ pid }) => pid)]));
  }
}
