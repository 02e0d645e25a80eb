import { Injectable } from '@nestjs/common';
import { Clock } from '../platform/clock.js';
import { Database } from '../platform/state/database.js';
import { overdue, type Overdue } from './grants.queries.js';

/** Grants in numbers, for the gauges of `/metrics`. Names nobody. */
@Injectable()
export class GrantCountsService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
  ) {}

  /** How many there are in each state. */
  async byState(): Promise<ReadonlyMap<string, number>> {
    const counts = await this.db.client.grant.groupBy({ by: ['state'], _count: true });
    return new Map(counts.map(({ state, _count }) => [state, _count]));
  }

  /** How often the glass was broken, and how many of those nobody else has looked at yet. */
  async emergencies(): Promise<{ total: number; open: number }> {
    const [total, open] = await Promise.all([
      this.db.client.breakGlassReview.count(),
      this.db.client.breakGlassReview.count({ where: { closedAt: null } }),
    ]);
    return { total, open };
  }

  /** Those that should be over and are not. */
  overdue(): Promise<Overdue> {
    return overdue(this.db.client, this.clock.now());
  }
}
