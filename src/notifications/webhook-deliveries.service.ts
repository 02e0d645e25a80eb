import { Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import type { PersonActor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { readPage, toPage } from '../platform/page.js';
import { Database } from '../platform/state/database.js';
import { Courier } from './courier.js';
import { messageId, testMessage } from './message.js';
import { findWebhook, presentDelivery } from './webhook.js';
import { WebhookGate } from './webhook-gate.js';
import { WebhookLedger } from './webhook-ledger.js';
import type { DeliveryQuery, WebhookDeliveryPage, WebhookTest } from './webhooks.contract.js';

/** What was sent and what waits; and the test of whether anything arrives. */
@Injectable()
export class WebhookDeliveriesService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly gate: WebhookGate,
    private readonly ledger: WebhookLedger,
    private readonly courier: Courier,
  ) {}

  /** Those made last first. @throws DomainError `policy_denied`, `webhook_not_found`, `invalid_cursor` */
  async list(actor: PersonActor, webhookId: string, query: DeliveryQuery): Promise<WebhookDeliveryPage> {
    this.gate.admit(actor);
    const { id } = await findWebhook(this.db.client, webhookId);
    const { before, take, limit } = readPage(query);
    const rows = await this.db.client.webhookDelivery.findMany({
      where: {
        webhookId: id,
        ...(query.state !== undefined && { state: query.state }),
        ...(before !== undefined && { id: { lt: before } }),
      },
      orderBy: { id: 'desc' },
      take,
    });
    return toPage(rows, limit, presentDelivery);
  }

  /**
   * Sends one message about nothing, also where the webhook is not enabled, and tells what came of it. It is not tried again, and
   * says nothing for or against the receiver.
   * @throws DomainError `policy_denied`, `webhook_not_found`
   */
  async test(actor: PersonActor, id: string): Promise<WebhookTest> {
    this.gate.admit(actor);
    const row = await findWebhook(this.db.client, id);
    const webhookId = messageId(row.id, `test_${v7().replaceAll('-', '')}`);
    const { status, problem } = await this.courier.send(row, webhookId, testMessage(row.id, this.clock.now()));
    return this.db.tx(async (tx) => {
      const outcome = problem === null ? 'success' : 'failed';
      await this.ledger.record(tx, actor, row, 'webhook.test', { outcome, details: { status, problem } });
      return { delivered: problem === null, status, problem, webhookId };
    });
  }
}
