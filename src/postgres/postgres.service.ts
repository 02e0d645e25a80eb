import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { createHash } from 'node:crypto';
import type pg from 'pg';
import { toDomainError } from './advice.js';
import type { BrokerLogin, TargetAddress, TargetSession } from './target-session.js';
import { GuardSession, poolOf } from './session.js';

interface Kept {
  /** What it was opened with: another address, trust or user is another pool. */
  mark: string;
  pool: pg.Pool;
}

/** Connections to targets, kept for a while: always over verified TLS, always as the broker's own login. */
@Injectable()
export class PostgresService implements OnApplicationShutdown {
  private readonly kept = new Map<string, Kept>();

  /**
   * The guard of a target. A session is opened (or a kept one taken) before it answers, so a wrong host, CA or login is
   * told here; later failures of the session's calls are told by them.
   * @param key the target and endpoint it belongs to; a changed address or user under the same key closes the old sessions
   * @throws DomainError target_unreachable, target_untrusted, target_refused or target_not_ready, with advice
   */
  async connect(key: string, address: TargetAddress, login: BrokerLogin): Promise<TargetSession> {
    const pool = this.poolFor(key, address, login);
    try {
      const client = await pool.connect();
      client.release();
    } catch (error) {
      throw toDomainError(error);
    }
    return new GuardSession(pool);
  }

  /** Ends the sessions kept under a key: for a target that was changed or removed. */
  async forget(key: string): Promise<void> {
    const kept = this.kept.get(key);
    this.kept.delete(key);
    await kept?.pool.end();
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([...this.kept.keys()].map((key) => this.forget(key)));
  }

  private poolFor(key: string, address: TargetAddress, login: BrokerLogin): pg.Pool {
    const { host, port, database, servername, ca, hostaddr } = address;
    const fields = JSON.stringify([host, port, database, servername, hostaddr, login.user, ca]);
    const mark = createHash('sha256').update(fields).digest('hex');
    const known = this.kept.get(key);
    if (known?.mark === mark) return known.pool;
    // running calls finish on it; nobody waits for that, and a failure to say goodbye harms nobody
    known?.pool.end().catch(() => undefined);
    const pool = poolOf(address, login);
    this.kept.set(key, { mark, pool });
    return pool;
  }
}
