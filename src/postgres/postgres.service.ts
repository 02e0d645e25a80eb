import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { createHash } from 'node:crypto';
import type pg from 'pg';
import { toDomainError } from './advice.js';
import type { BrokerLogin, TargetAddress, TargetSession } from './target-session.js';
import { GuardSession, lend, poolOf } from './session.js';

interface Kept {
  /** What it was opened with: another address, trust or user is another pool. */
  mark: string;
  pool: pg.Pool;
  /** When the target was last heard on it. */
  heardAt: number;
}

/** A session that was heard so recently is taken to be there still. */
const FRESH_MS = 2_000;
/** One that is kept answers at once, or not at all. */
const PING = { text: 'SELECT 1', query_timeout: 5_000 };

/** Connections to targets, kept for a while: always over verified TLS, always as the broker's own login. */
@Injectable()
export class PostgresService implements OnApplicationShutdown {
  private readonly kept = new Map<string, Kept>();

  /**
   * The guard of a target. A session is opened, or a kept one is heard, before it answers: a wrong host, CA or login, and
   * a target that has fallen silent, are told here and within seconds; later failures are told by the session's calls.
   * @param key the target and endpoint it belongs to; a changed address or user under the same key closes the old sessions
   * @throws DomainError target_unreachable, target_untrusted, target_refused or target_not_ready, with advice
   */
  async connect(key: string, address: TargetAddress, login: BrokerLogin): Promise<TargetSession> {
    const kept = this.keptFor(key, address, login);
    try {
      await hear(kept);
    } catch (error) {
      // its other sessions were as long unheard, and each would take as long to find silent
      if (this.kept.get(key) === kept) this.drop(key);
      throw toDomainError(error);
    }
    return new GuardSession(kept.pool);
  }

  /** Ends the sessions kept under a key, and waits for them: for a target that was changed or removed. */
  async forget(key: string): Promise<void> {
    const kept = this.kept.get(key);
    this.kept.delete(key);
    await kept?.pool.end();
  }

  /** Gives up the sessions kept under a key. Calls that run finish on them; nobody waits for a goodbye that may never come. */
  drop(key: string): void {
    this.forget(key).catch(() => undefined);
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([...this.kept.keys()].map((key) => this.forget(key)));
  }

  private keptFor(key: string, address: TargetAddress, login: BrokerLogin): Kept {
    const { host, port, database, servername, ca, hostaddr } = address;
    const fields = JSON.stringify([host, port, database, servername, hostaddr, login.user, ca]);
    const mark = createHash('sha256').update(fields).digest('hex');
    const known = this.kept.get(key);
    if (known?.mark === mark) return known;
    if (known) this.drop(key);
    const kept = { mark, pool: poolOf(address, login), heardAt: 0 };
    this.kept.set(key, kept);
    return kept;
  }
}

async function hear(kept: Kept): Promise<void> {
  const isNew = kept.pool.totalCount === 0;
  await lend(kept.pool, async (session) => {
    if (!isNew && Date.now() - kept.heardAt > FRESH_MS) await session.query(PING);
  });
  kept.heardAt = Date.now();
}
