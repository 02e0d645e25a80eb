import { Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import { DriftCountsService } from '../grants/drift-counts.service.js';
import { GrantCountsService } from '../grants/grant-counts.service.js';
import { ServiceKeysService } from '../identity/service-keys.service.js';
import { WebhookCountsService } from '../notifications/webhook-counts.service.js';
import type { Actor } from '../platform/actor.js';
import { DomainError } from '../platform/errors.js';
import { Database } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import { ConnectionGauges } from './connection-gauges.js';
import type { Health } from './health.contract.js';

/** Liveness, readiness and metrics. Six collaborators: whatever is measured is asked. */
@Injectable()
export class HealthService {
  /** Open to metrics that look for themselves when they are asked for. */
  readonly registry = new Registry();
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
  private readonly broken = new Counter({
    name: 'usher_break_glass_total',
    help: 'Grants that were had by breaking the glass',
    registers: [this.registry],
  });
  private readonly reviews = new Gauge({
    name: 'usher_break_glass_reviews_open',
    help: 'Grants that were had by breaking the glass and that nobody else has looked at yet',
    registers: [this.registry],
  });
  private readonly findings = new Gauge({
    name: 'usher_drift_findings',
    help: 'Open differences between targets or IAM and what Usher agreed to, by kind',
    labelNames: ['kind'],
    registers: [this.registry],
  });
  private readonly unseen = new Gauge({
    name: 'usher_drift_last_seconds',
    help: 'Seconds since the target that was compared longest ago was compared',
    registers: [this.registry],
  });
  private readonly unrecorded = new Gauge({
    name: 'usher_policy_decisions_dropped',
    help: 'Decisions of policy in this process that dry runs will not know of',
    registers: [this.registry],
  });

  private readonly connections = new ConnectionGauges(this.registry);
  private readonly endingKeys = new Gauge({
    name: 'usher_api_keys_expiring',
    help: 'API keys of services that end within 14 days, and that none was made to follow',
    registers: [this.registry],
  });

  private readonly webhooks = new Gauge({
    name: 'usher_webhooks',
    help: 'Webhooks by state; a failing one sends nothing until somebody replays',
    labelNames: ['state'],
    registers: [this.registry],
  });
  private readonly undelivered = new Gauge({
    name: 'usher_webhook_deliveries_pending',
    help: 'Events that wait to be delivered to a webhook',
    registers: [this.registry],
  });
  private readonly undeliveredFor = new Gauge({
    name: 'usher_webhook_failing_seconds_max',
    help: 'Seconds since the first try of the event that has been tried longest without arriving',
    registers: [this.registry],
  });

  constructor(
    private readonly db: Database,
    private readonly counts: GrantCountsService,
    private readonly drift: DriftCountsService,
    private readonly policy: PolicyService,
    private readonly keys: ServiceKeysService,
    private readonly receivers: WebhookCountsService,
  ) {
    collectDefaultMetrics({ register: this.registry });
  }

  /** @throws DomainError `state_unavailable`, `policy_not_loaded` */
  async ready(): Promise<Health> {
    try {
      await this.db.pool.query('SELECT 1');
    } catch (error) {
      throw new DomainError(
        'unavailable',
        'state_unavailable',
        "Usher's own database does not answer.",
        'Check DATABASE_URL and that database.',
        { cause: error },
      );
    }
    this.policy.refuseFault();
    return { status: 'ok' };
  }

  async metrics(actor: Actor): Promise<string> {
    this.policy.authorize(actor, 'viewMetrics');
    const [late, states, drift, ending, emergencies, receivers] = await Promise.all([
      this.counts.overdue(),
      this.counts.byState(),
      this.drift.counts(),
      this.keys.expiring(),
      this.counts.emergencies(),
      this.receivers.counts(),
      this.connections.read(this.db),
    ]);
    for (const [kind, count] of drift.open) this.findings.set({ kind }, count);
    this.endingKeys.set(ending);
    for (const [state, count] of receivers.webhooks) this.webhooks.set({ state }, count);
    this.undelivered.set(receivers.pending);
    this.undeliveredFor.set(receivers.oldest);
    this.unseen.set(drift.oldest);
    this.broken.reset(); // every process tells the number of the whole
    this.broken.inc(emergencies.total);
    this.reviews.set(emergencies.open);
    this.grants.reset();
    for (const [state, grants] of states) this.grants.set({ state }, grants);
    this.unrecorded.set(this.policy.dropped);
    this.overdue.set(late.grants);
    this.longest.set(late.longest);
    return this.registry.metrics();
  }
}
