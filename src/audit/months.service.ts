import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { systemActor } from '../platform/actor.js';
import { Database } from '../platform/state/database.js';
import { MONTHS_AHEAD } from '../platform/state/months.js';
import { AuditService } from './audit.service.js';
import {
  dropExpired,
  lockMonths,
  makeMonths,
  monthsAhead,
  toldDropped,
  type DroppedMonth,
  type MonthsAhead,
} from './months.queries.js';

/** The months that the record stands in. Made and dropped by the database itself, which knows what may be. */
@Injectable()
export class MonthsService {
  constructor(
    private readonly db: Database,
    private readonly audit: AuditService,
  ) {}

  /**
   * Makes those that are due, then drops those that are older than the retention.
   * @throws Error when one is too old and not proved; it stays, and those that are due are there
   */
  async turn(): Promise<void> {
    await makeMonths(this.db.pool, MONTHS_AHEAD);
    while (await this.dropOne());
  }

  ahead(): Promise<MonthsAhead> {
    return monthsAhead(this.db.pool);
  }

  private dropOne(): Promise<DroppedMonth | undefined> {
    const actor = systemActor('audit-months', randomUUID());
    return this.db.tx(async (tx) => {
      await lockMonths(tx);
      const told = await toldDropped(tx); // before: what tells of months before may go with this one
      const month = await dropExpired(tx);
      if (!month) return undefined;
      const details = { ...month, inAll: told + month.lines };
      await this.audit.append(tx, actor, { action: 'audit.drop', details });
      return month;
    });
  }
}
