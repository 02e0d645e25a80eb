import { Injectable } from '@nestjs/common';
import { AuditFeed } from '../audit/feed.service.js';
import type { Prisma } from '../generated/prisma/client.js';
import type { PersonActor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { Database, type Tx } from '../platform/state/database.js';
import { findWebhook, listWebhooks, lockWebhook, placeOf, presentWebhook, type WebhookRow } from './webhook.js';
import { WebhookGate } from './webhook-gate.js';
import { WebhookLedger } from './webhook-ledger.js';
import type { UpdateWebhook, Webhook } from './webhooks.contract.js';

/** The register of webhooks. How one is made, and gets another secret: {@link WebhookSecretsService}. */
@Injectable()
export class WebhooksService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly gate: WebhookGate,
    private readonly ledger: WebhookLedger,
    private readonly feed: AuditFeed,
  ) {}

  /** The oldest first; all of them, since they are few. @throws DomainError `policy_denied` */
  async list(actor: PersonActor): Promise<Webhook[]> {
    this.gate.admit(actor);
    return (await listWebhooks(this.db.client)).map((row) => presentWebhook(row, this.clock.now()));
  }

  /** @throws DomainError `policy_denied`, `invalid_id`, `webhook_not_found` */
  async get(actor: PersonActor, id: string): Promise<Webhook> {
    this.gate.admit(actor);
    return presentWebhook(await findWebhook(this.db.client, id), this.clock.now());
  }

  /**
   * Changes where a webhook leads, what it sends, or whether. Once it is enabled again it goes on where it stood.
   * @throws DomainError `policy_denied`, `webhook_not_found`, `invalid_input` for an address that nothing is brought to
   */
  update(actor: PersonActor, id: string, { enabled, ...input }: UpdateWebhook): Promise<Webhook> {
    this.gate.admitToRecord(actor);
    if (input.url !== undefined) this.gate.refuseAddress(input.url);
    return this.change(id, async (tx, before) => {
      await this.ledger.write(tx, before, given(input));
      const changed: Record<string, unknown> = changesOf(before, input);
      if (enabled === true && before.state !== 'enabled') await this.ledger.resume(tx, before);
      if (enabled === false && before.state !== 'disabled')
        await this.ledger.stop(tx, before, 'disabled', `${actor.name} disabled it.`);
      const after = await findWebhook(tx, before.id);
      if (after.state !== before.state) changed['state'] = { from: before.state, to: after.state };
      await this.ledger.record(tx, actor, after, 'webhook.update', { details: { changed } });
    });
  }

  /**
   * Sends everything from one event of the record on, once more where it was sent already, and goes on from there; what waits
   * before it is left out. This is how a webhook that was failing is taken up again.
   * @throws DomainError `policy_denied`, `webhook_not_found`; `webhook_disabled`; `events_dropped`; `invalid_input` beyond the end of the record
   */
  replay(actor: PersonActor, id: string, from: number): Promise<Webhook> {
    this.gate.admitToRecord(actor);
    return this.change(id, async (tx, row) => {
      refuseDisabled(row);
      refuseBeyond(from, await this.feed.last(tx));
      refuseDropped(from, await this.feed.droppedUpTo(tx));
      const { count: leftOut } = await tx.webhookDelivery.deleteMany({
        where: { webhookId: row.id, state: 'pending', sequence: { lt: from } },
      });
      await tx.webhookDelivery.deleteMany({ where: { webhookId: row.id, sequence: { gte: from } } });
      await this.ledger.write(tx, row, { cursor: from - 1 });
      await this.ledger.resume(tx, row);
      await this.ledger.record(tx, actor, row, 'webhook.replay', { details: { from, leftOut } });
    });
  }

  /** Takes a webhook away, with what waits for it. @throws DomainError `policy_denied`, `webhook_not_found` */
  delete(actor: PersonActor, id: string): Promise<Webhook> {
    this.gate.admit(actor);
    return this.db.tx(async (tx) => {
      const row = await lockWebhook(tx, id);
      const waiting = await tx.webhookDelivery.count({ where: { webhookId: row.id, state: 'pending' } });
      await tx.webhook.delete({ where: { id: row.id } });
      await this.ledger.record(tx, actor, row, 'webhook.delete', { details: { waiting } });
      return presentWebhook(row, this.clock.now());
    });
  }

  private change(id: string, work: (tx: Tx, row: WebhookRow) => Promise<void>): Promise<Webhook> {
    return this.db.tx(async (tx) => {
      const row = await lockWebhook(tx, id);
      await work(tx, row);
      return presentWebhook(await findWebhook(tx, row.id), this.clock.now());
    });
  }
}

/** What is left out stays, and is no undefined for the store to wonder about. */
const given = ({ url, description, events, targetIds, subjectIds }: UpdateWebhook): Prisma.WebhookUpdateInput => ({
  ...(url !== undefined && { url }),
  ...(description !== undefined && { description }),
  ...(events !== undefined && { events }),
  ...(targetIds !== undefined && { targetIds }),
  ...(subjectIds !== undefined && { subjectIds }),
});

function changesOf(before: WebhookRow, { url, ...input }: Omit<UpdateWebhook, 'enabled'>) {
  const old = before as unknown as Record<string, unknown>;
  const plain = Object.entries(input as Record<string, unknown>)
    .filter(([name, to]) => to !== undefined && JSON.stringify(old[name]) !== JSON.stringify(to))
    .map(([name, to]) => [name, { from: old[name], to }]);
  const moved = url !== undefined && url !== before.url && { url: { from: placeOf(before.url), to: placeOf(url) } };
  return { ...(Object.fromEntries(plain) as object), ...moved };
}

/** @throws DomainError `webhook_disabled` */
function refuseDisabled({ state, stateReason }: WebhookRow): void {
  if (state !== 'disabled') return;
  throw new DomainError(
    'conflict',
    'webhook_disabled',
    `The webhook is disabled: ${stateReason ?? ''}`,
    'Enable it first: PATCH /v1/webhooks/{id} with {"enabled": true}.',
  );
}

/**
 * Whoever replays would take the first that comes for the first that there was.
 * @throws DomainError `events_dropped`
 */
function refuseDropped(from: number, upTo: number): void {
  if (from > upTo) return;
  throw new DomainError(
    'conflict',
    'events_dropped',
    `Events up to ${upTo} are not all kept any more: their months are older than the retention of the record.`,
    `Replay from ${upTo + 1} on.`,
  );
}

/** @throws DomainError `invalid_input` */
function refuseBeyond(from: number, last: number): void {
  if (from <= last + 1) return;
  const message = `The record ends at ${last}.`;
  throw new DomainError('invalid', 'invalid_input', message, `Replay from a number up to ${last + 1}.`, {
    fields: [{ field: 'from', message }],
  });
}
