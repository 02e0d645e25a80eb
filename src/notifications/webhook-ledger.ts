import { Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import type { AuditAction, AuditEntry } from '../audit/events.js';
import type { Prisma } from '../generated/prisma/client.js';
import type { Actor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import type { Tx } from '../platform/state/database.js';
import { placeOf, type WebhookRow } from './webhook.js';

/** How webhooks change, and what of it is on record. */
@Injectable()
export class WebhookLedger {
  constructor(
    private readonly clock: Clock,
    private readonly audit: AuditService,
  ) {}

  async write(tx: Tx, { id }: Pick<WebhookRow, 'id'>, data: Prisma.WebhookUpdateInput): Promise<void> {
    await tx.webhook.update({ where: { id }, data: { ...data, updatedAt: this.clock.now() } });
  }

  /** Nothing is sent any more. What waits goes on waiting, and the cursor stays where it is: nothing is lost. */
  async stop(tx: Tx, webhook: WebhookRow, state: 'disabled' | 'failing', stateReason: string): Promise<void> {
    await this.write(tx, webhook, { state, stateReason, stateSince: this.clock.now(), pausedUntil: null });
  }

  /** Sends again: what waits is tried at once, and for another day. */
  async resume(tx: Tx, webhook: WebhookRow): Promise<void> {
    const now = this.clock.now();
    const since = webhook.state === 'enabled' ? webhook.stateSince : now;
    const well = { state: 'enabled', stateReason: null, stateSince: since, failures: 0, pausedUntil: null } as const;
    await this.write(tx, webhook, well);
    await tx.webhookDelivery.updateMany({
      where: { webhookId: webhook.id, state: 'pending' },
      data: { attempts: 0, firstAttemptAt: null, nextAttemptAt: now },
    });
  }

  /** Named by its origin: the rest of an address may be a secret of the receiver's. */
  async record(
    tx: Tx,
    actor: Actor,
    { id: webhookId, url }: Pick<WebhookRow, 'id' | 'url'>,
    action: AuditAction,
    { details, ...entry }: Omit<AuditEntry, 'action'> = {},
  ): Promise<void> {
    await this.audit.append(tx, actor, {
      action,
      ...entry,
      details: { webhookId, receiver: placeOf(url), ...details },
    });
  }
}
