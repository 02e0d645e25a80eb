import type { Webhook as Row, WebhookDelivery as DeliveryRow, WebhookSecret } from '../generated/prisma/client.js';
import { DomainError } from '../platform/errors.js';
import { asId } from '../platform/page.js';
import type { Tx } from '../platform/state/database.js';
import { messageId } from './message.js';
import type { DeliveryState, Webhook, WebhookDelivery, WebhookState } from './webhooks.contract.js';

const withSecrets = { secrets: { orderBy: { id: 'desc' } } } as const;
export type WebhookRow = Row & { secrets: WebhookSecret[] };

export const listWebhooks = (db: Tx): Promise<WebhookRow[]> =>
  db.webhook.findMany({ orderBy: { id: 'asc' }, include: withSecrets });

/** @throws DomainError `invalid_id`, `webhook_not_found` */
export async function findWebhook(db: Tx, id: string): Promise<WebhookRow> {
  const row = await db.webhook.findUnique({ where: { id: asId(id, 'webhook id') }, include: withSecrets });
  if (row) return row;
  throw new DomainError('not_found', 'webhook_not_found', 'There is no such webhook.', 'GET /v1/webhooks lists them.');
}

/**
 * Keeps everybody else from the webhook until the end of the transaction.
 * @throws DomainError `invalid_id`, `webhook_not_found`
 */
export async function lockWebhook(tx: Tx, id: string): Promise<WebhookRow> {
  await tx.$queryRaw`SELECT 1 FROM webhook WHERE id = ${asId(id, 'webhook id')}::uuid FOR UPDATE`;
  return findWebhook(tx, id);
}

/** Those that sign at this moment, the current one first. */
export const signing = ({ secrets }: WebhookRow, now: Date): WebhookSecret[] =>
  secrets
    .filter(({ endsAt }) => endsAt === null || endsAt > now)
    .sort((a, b) => Number(a.endsAt !== null) - Number(b.endsAt !== null));

/** For the record: an address may hold a token of the receiver's in its path. */
export const placeOf = (url: string): string => new URL(url).origin;

/** What goes out: listed field by field, and nothing of a secret but its end. */
export const presentWebhook = (row: WebhookRow, now: Date): Webhook => ({
  id: row.id,
  url: row.url,
  description: row.description,
  events: row.events,
  targetIds: row.targetIds,
  subjectIds: row.subjectIds,
  state: row.state as WebhookState,
  stateReason: row.stateReason,
  stateSince: row.stateSince,
  cursor: Number(row.cursor),
  failures: row.failures,
  pausedUntil: row.pausedUntil,
  oldSecretEndsAt: signing(row, now).find(({ endsAt }) => endsAt !== null)?.endsAt ?? null,
  createdBy: row.createdBy,
  createdAt: row.createdAt,
  updatedAt: row.updatedAt,
});

export const presentDelivery = (row: DeliveryRow): WebhookDelivery => ({
  id: row.id,
  sequence: Number(row.sequence),
  webhookId: messageId(row.webhookId, Number(row.sequence)),
  type: row.type,
  subject: row.subject,
  state: row.state as DeliveryState,
  attempts: row.attempts,
  nextAttemptAt: row.state === 'pending' ? row.nextAttemptAt : null,
  firstAttemptAt: row.firstAttemptAt,
  lastStatus: row.lastStatus,
  lastError: row.lastError,
  deliveredAt: row.deliveredAt,
});
