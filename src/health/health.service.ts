import { Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { overdue } from '../grants/grants.queries.js';
import type { Actor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { Database } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import type { Health } from './health.contract.js';

/** Liveness, readiness and metrics. */
@Injectable()
export class HealthService {
  private readonly registry = new Registry();
  private readonly grants = new Gauge({
    name: 'usher_grants',
    help: 'Grants by state',
    labelNames: ['state'],
    registers: [this.registry],
  });
  private readonly overdue = new Gauge({
    name: 'usher_grants_overdue',
    help: 'Grants that should be over and are not',
    registers: [this.registry],
  });
  private readonly longest = new Gauge({
    name: 'usher_overdue_seconds_max',
    help: 'Seconds since the end of the longest overdue grant',
    registers: [this.registry],
  });

  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
  ) {
    collectDefaultMetrics({ register: this.registry });
  }

  /** @throws DomainError `state_unavailable` */
  async ready(): Promise<Health> {
    try {
      await this.db.pool.query('SELECT 1');
      return { status: 'ok' };
    } catch (error) {
      throw new DomainError(
        'unavailable',
        'state_unavailable',
        "Usher's own database does not answer.",
        'Check DATABASE_URL and that database.',
        { cause: error },
      );
    }
  }

  async metrics(actor: Actor): Promise<string> {
    this.policy.authorize(actor, 'viewMetrics');
    const [late, counts] = await Promise.all([
      overdue(this.db.client, this.clock.now()),
      this.db.client.grant.groupBy({ by: ['state'], _count: true }),
    ]);
    this.grants.reset();
    for (const { state, _count } of counts) this.grants.set({ state }, _count);
    this.overdue.set(late.grants);
    this.longest.set(late.longest);
    return this.registry.metrics();
  }
}
