import type { WebhookDelivery as Row } from '../generated/prisma/client.js';
import type { Tx } from '../platform/state/database.js';

/** Of each subject the first that waits, where its time has come: what comes after it in the same subject waits for it. */
export const dueHeads = (db: Tx, webhookId: string, now: Date, limit: number): Promise<Row[]> => db.$queryRaw<Row[]>`
  SELECT id::text, webhook_id::text AS "webhookId", sequence, type, subject, state, attempts, next_attempt_at AS "nextAttemptAt",
         first_attempt_at AS "firstAttemptAt", last_status AS "lastStatus", last_error AS "lastError", delivered_at AS "deliveredAt"
    FROM (SELECT DISTINCT ON (subject) * FROM webhook_delivery
           WHERE webhook_id = ${webhookId}::uuid AND state = 'pending' ORDER BY subject, sequence) AS head
   WHERE next_attempt_at <= ${now} ORDER BY next_attempt_at, sequence LIMIT ${limit}`;

/** Webhooks with something to be sent now, or with events that nobody has looked at for them. @param last of the record */
export async function dueWebhooks(db: Tx, now: Date, last: number): Promise<string[]> {
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT id::text FROM webhook AS w
     WHERE state = 'enabled' AND coalesce(paused_until, '-infinity') <= ${now}
       AND (cursor < ${last} OR EXISTS (SELECT 1 FROM webhook_delivery AS d
                                         WHERE d.webhook_id = w.id AND d.state = 'pending' AND d.next_attempt_at <= ${now}))`;
  return rows.map(({ id }) => id);
}

export interface WebhookCounts {
  /** By state; every one is there, so that one that is over falls to 0. */
  readonly webhooks: ReadonlyMap<string, number>;
  readonly pending: number;
  /** Seconds since the first try of what has been tried longest without arriving; 0 when nothing is. */
  readonly oldest: number;
}

export async function webhookCounts(db: Tx, now: Date): Promise<WebhookCounts> {
  const none = ['enabled', 'disabled', 'failing'].map((state) => [state, 0] as const);
  const states = await db.webhook.groupBy({ by: ['state'], _count: true });
  const waiting = await db.webhookDelivery.aggregate({
    where: { state: 'pending', webhook: { state: { not: 'disabled' } } },
    _count: true,
    _min: { firstAttemptAt: true },
  });
  const since = waiting._min.firstAttemptAt;
  return {
    webhooks: new Map<string, number>([...none, ...states.map(({ state, _count }) => [state, _count] as const)]),
    pending: waiting._count,
    oldest: since === null ? 0 : Math.max(0, (now.getTime() - since.getTime()) / 1000),
  };
}
