import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { systemActor } from '../platform/actor.js';
import { Database } from '../platform/state/database.js';
import { dropExpired, takeUntold, untold } from './log-expiry.queries.js';

/** Less than a job may take: what is left is for the next time. */
const AT_ONCE_MS = 200_000;

/** Lets go what the logs of servers said longer ago than it is kept. What may go says the database. */
@Injectable()
export class LogExpiry {
  constructor(
    private readonly db: Database,
    private readonly audit: AuditService,
  ) {}

  /** Deletes bit by bit, then puts on record what is gone of each target: also what a turn that was broken off left untold. */
  async turn(): Promise<void> {
    const until = performance.now() + AT_ONCE_MS;
    while (performance.now() < until && (await this.db.tx(dropExpired)) > 0);
    for (const targetId of await untold(this.db.client)) await this.tell(targetId);
  }

  private async tell(targetId: string): Promise<void> {
    await this.db.tx(async (tx) => {
      const gone = await takeUntold(tx, targetId);
      if (!gone) return;
      const { events, inAll, newestAt } = gone;
      const actor = systemActor('expire-logs', randomUUID());
      await this.audit.append(tx, actor, { action: 'log.expire', targetId, details: { events, inAll, newestAt } });
    });
  }
}
