import { Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import { AuditFeed } from '../audit/feed.service.js';
import type { WebhookDelivery as Row } from '../generated/prisma/client.js';
import { systemActor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { Database, type Tx } from '../platform/state/database.js';
import { AT_ONCE, pauseAfter, standingAfter, type NextStanding, type Try } from './attempts.js';
import { Courier } from './courier.js';
import { dueHeads } from './deliveries.queries.js';
import { matches, subjectOf } from './event-filter.js';
import { messageId, messageOf } from './message.js';
import type { Receipt } from './postman.js';
import { askedPause } from './retry-after.js';
import { lockWebhook, type WebhookRow } from './webhook.js';
import { WebhookLedger } from './webhook-ledger.js';

/** Events of the record that are looked at together. */
const LOOK = 500;
/** Events that may wait for one webhook; further ones are looked at when some of them have arrived. */
const MOST_WAITING = 10_000;

interface Tried extends Try {
  readonly row: Row;
}

/**
 * One webhook's turn: what came on record is looked at, and what is due is sent. Whoever calls has the webhook to themselves
 * ({@link Turns}): so nothing is sent twice at once, and a row that somebody took away meanwhile is simply not there.
 */
@Injectable()
export class WebhookRounds {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly feed: AuditFeed,
    private readonly courier: Courier,
    private readonly ledger: WebhookLedger,
  ) {}

  /** @returns whether there may be more to do at once */
  async step(webhookId: string): Promise<boolean> {
    const webhook = await this.db.client.webhook.findUnique({ where: { id: webhookId }, include: { secrets: true } });
    if (webhook?.state !== 'enabled') return false;
    const looked = await this.look(webhook);
    const now = this.clock.now();
    if (webhook.pausedUntil !== null && webhook.pausedUntil > now) return looked;
    const due = await dueHeads(this.db.client, webhook.id, now, AT_ONCE);
    if (due.length === 0) return looked;
    await this.settle(webhook, await Promise.all(due.map((row) => this.attempt(webhook, row))));
    return true;
  }

  /** Makes deliveries of what came on record, and moves the cursor beyond it, both or neither. */
  private async look(webhook: WebhookRow): Promise<boolean> {
    const waiting = await this.db.client.webhookDelivery.count({ where: { webhookId: webhook.id, state: 'pending' } });
    if (waiting >= MOST_WAITING) return false;
    const { last, lines, lost } = await this.feed.after(Number(webhook.cursor), LOOK);
    if (last === Number(webhook.cursor)) return false;
    if (lost !== undefined) {
      await this.halt(webhook, lost);
      return false;
    }
    const wanted = lines.filter(({ event }) => matches(webhook, event));
    const now = this.clock.now();
    await this.db.tx(async (tx) => {
      // somebody may have set the cursor back meanwhile, or have disabled the webhook: then these are of no use
      const where = { id: webhook.id, cursor: webhook.cursor, state: 'enabled' } as const;
      const { count } = await tx.webhook.updateMany({ where, data: { cursor: last } });
      if (count === 0) return;
      await tx.webhookDelivery.createMany({
        data: wanted.map(({ sequence, event }) => ({
          ...{ id: v7(), webhookId: webhook.id, sequence, nextAttemptAt: now },
          ...{ type: event.action, subject: subjectOf(event) },
        })),
      });
    });
    return true;
  }

  /** What came on record while nothing was sent was let go meanwhile: to pass over it is for a person to say. */
  private async halt({ id, cursor }: WebhookRow, lost: number): Promise<void> {
    await this.db.tx(async (tx) => {
      if ((await tx.webhook.count({ where: { id } })) === 0) return; // taken away meanwhile
      const webhook = await lockWebhook(tx, id);
      if (webhook.cursor !== cursor || webhook.state !== 'enabled') return; // somebody says already from where it goes on
      const upTo = Math.max(lost, await this.feed.droppedUpTo(tx));
      const reason = `Events from ${cursor + 1n} to ${upTo} are not all kept any more: replay from ${upTo + 1}.`;
      await this.end(tx, webhook, { state: 'failing', reason });
    });
  }

  private async attempt(webhook: WebhookRow, row: Row): Promise<Tried> {
    const firstAttemptAt = row.firstAttemptAt ?? this.clock.now();
    const sequence = Number(row.sequence);
    const event = await this.feed.at(sequence);
    const receipt: Receipt = event
      ? await this.courier.send(webhook, messageId(webhook.id, sequence), messageOf(sequence, event))
      : { status: null, problem: 'The event is not kept any more.' };
    const { status, problem, retryAfter } = receipt;
    return { row, firstAttemptAt, status, problem, asked: askedPause(retryAfter, this.clock.now()) };
  }

  /** Writes down what came of tries that were made at the same time. */
  private async settle({ id }: WebhookRow, tried: readonly Tried[]): Promise<void> {
    await this.db.tx(async (tx) => {
      if ((await tx.webhook.count({ where: { id } })) === 0) return; // taken away meanwhile
      const webhook = await lockWebhook(tx, id);
      const now = this.clock.now();
      for (const one of tried) await this.note(tx, one, now);
      // somebody who said meanwhile that it is disabled is not overruled
      if (webhook.state !== 'enabled') return;
      await this.stand(tx, webhook, standingAfter(webhook, tried, now, Math.random()), now);
    });
  }

  private async note(tx: Tx, { row, firstAttemptAt, status, problem, asked = 0 }: Tried, now: Date): Promise<void> {
    const attempts = row.attempts + 1;
    const tried = { attempts, firstAttemptAt, lastStatus: status, lastError: problem };
    const next = new Date(now.getTime() + Math.max(asked, pauseAfter(attempts, Math.random())));
    const data =
      problem === null
        ? { ...tried, state: 'delivered' as const, deliveredAt: now }
        : { ...tried, nextAttemptAt: next };
    await tx.webhookDelivery.updateMany({ where: { id: row.id, state: 'pending' }, data });
  }

  private async stand(tx: Tx, webhook: WebhookRow, standing: NextStanding, now: Date): Promise<void> {
    const { failures, pausedUntil, isBack, ended } = standing;
    if (failures > 0 || webhook.failures > 0 || pausedUntil !== webhook.pausedUntil)
      await this.ledger.write(tx, webhook, { failures, pausedUntil });
    if (isBack)
      await tx.webhookDelivery.updateMany({
        where: { webhookId: webhook.id, state: 'pending' },
        data: { nextAttemptAt: now },
      });
    if (ended) await this.end(tx, webhook, ended);
  }

  private async end(tx: Tx, webhook: WebhookRow, ended: NonNullable<NextStanding['ended']>): Promise<void> {
    await this.ledger.stop(tx, webhook, ended.state, ended.reason);
    const action = ended.state === 'failing' ? 'webhook.failed' : 'webhook.disabled';
    const details = { reason: ended.reason };
    await this.ledger.record(tx, systemActor('webhooks', v7()), webhook, action, { outcome: 'failed', details });
  }
}
