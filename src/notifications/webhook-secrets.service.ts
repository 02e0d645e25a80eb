import { Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import { AuditFeed } from '../audit/feed.service.js';
import type { PersonActor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { Database, type Tx } from '../platform/state/database.js';
import { SigningSecrets } from './signing-secrets.js';
import { findWebhook, lockWebhook, presentWebhook, signing, type WebhookRow } from './webhook.js';
import { WebhookGate } from './webhook-gate.js';
import { WebhookLedger } from './webhook-ledger.js';
import type { CreateWebhook, NewWebhook, RotateSecret } from './webhooks.contract.js';

const usualOverlapMinutes = 1440;

/** Whatever makes a secret, which is in one answer and nowhere else. Six collaborators: where the record stands is one of them. */
@Injectable()
export class WebhookSecretsService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly gate: WebhookGate,
    private readonly ledger: WebhookLedger,
    private readonly secrets: SigningSecrets,
    private readonly feed: AuditFeed,
  ) {}

  /**
   * A webhook that sends what comes on record from now on.
   * @throws DomainError `policy_denied`, `invalid_input` for an address that nothing is brought to, `webhook_key_missing`
   */
  async create(actor: PersonActor, input: CreateWebhook): Promise<NewWebhook> {
    this.gate.admitToRecord(actor);
    const { url, description, events, targetIds = [], subjectIds = [] } = input;
    this.gate.refuseAddress(url);
    const keyId = await this.secrets.keyId();
    const now = this.clock.now();
    const filter = { events, targetIds, subjectIds };
    const own = { id: v7(), url, description, ...filter, createdBy: actor.id };
    return this.db.tx(async (tx) => {
      const cursor = await this.feed.last(tx);
      await tx.webhook.create({ data: { ...own, cursor, stateSince: now, createdAt: now, updatedAt: now } });
      const answer = await this.withSecret(tx, own.id, keyId);
      await this.ledger.record(tx, actor, own, 'webhook.create', { details: { description, ...filter } });
      return answer;
    });
  }

  /**
   * Another secret. Both sign until the overlap is over, so that a receiver verifies all the while; one that was replaced before
   * signs no more.
   * @throws DomainError `policy_denied`, `webhook_not_found`, `webhook_key_missing`
   */
  async rotate(
    actor: PersonActor,
    id: string,
    { overlapMinutes = usualOverlapMinutes }: RotateSecret,
  ): Promise<NewWebhook> {
    this.gate.admit(actor);
    const keyId = await this.secrets.keyId();
    return this.db.tx(async (tx) => {
      const row = await lockWebhook(tx, id);
      const oldSecretEndsAt = await this.retire(tx, row, overlapMinutes);
      const answer = await this.withSecret(tx, row.id, keyId);
      await this.ledger.record(tx, actor, row, 'webhook.rotate', { details: { oldSecretEndsAt } });
      return answer;
    });
  }

  private async retire(tx: Tx, row: WebhookRow, overlapMinutes: number): Promise<Date> {
    const now = this.clock.now();
    const until = new Date(now.getTime() + overlapMinutes * 60_000);
    for (const { id, endsAt } of signing(row, now))
      await tx.webhookSecret.update({ where: { id }, data: { endsAt: endsAt === null ? until : now } });
    return until;
  }

  private async withSecret(tx: Tx, webhookId: string, keyId: string): Promise<NewWebhook> {
    const now = this.clock.now();
    const origin = { id: v7(), keyId };
    await tx.webhookSecret.create({ data: { ...origin, webhookId, createdAt: now } });
    const secret = await this.secrets.shown(origin);
    return { secret: secret.reveal(), webhook: presentWebhook(await findWebhook(tx, webhookId), now) };
  }
}
