import { randomBytes } from 'node:crypto';
import { v7 } from 'uuid';
import { AuditService } from '../../src/audit/audit.service.js';
import type { AuditAction, AuditEntry } from '../../src/audit/events.js';
import { Sealer } from '../../src/audit/sealer.js';
import { NotificationJobs } from '../../src/notifications/notifications.job.js';
import { systemActor } from '../../src/platform/actor.js';
import { known } from './people.ts';
import type { Usher } from './usher.ts';

/** What a process needs to send webhooks to receivers on this machine; every process of a test has the same. */
export const webhookEnv = {
  USHER_WEBHOOK_KEY: randomBytes(32).toString('base64'),
  USHER_OUTBOUND_NETWORKS: '127.0.0.0/8,::1/128',
};

export interface MadeWebhook {
  secret: string;
  webhook: { id: string; cursor: number; state: string };
}

/** A webhook that gets everything that is on record from now on. */
export async function newWebhook(usher: Usher, url: string, more: Record<string, unknown> = {}): Promise<MadeWebhook> {
  const dave = await known(usher, 'dave');
  await seal(usher);
  const input = { url, description: 'made up for a test', events: ['grant.*'], ...more };
  const { status, body } = await dave.post<MadeWebhook>('/v1/webhooks', input);
  if (status !== 201) throw new Error(`the webhook was refused: ${JSON.stringify(body)}`);
  return body;
}

/** Puts something on record, as a job of Usher's does. */
export const record = (usher: Usher, action: AuditAction, entry: Omit<AuditEntry, 'action'> = {}): Promise<void> =>
  usher.db.tx((tx) => usher.app.get(AuditService).append(tx, systemActor('test', v7()), { action, ...entry }));

/** Gives what is on record its place, where no process does it by itself. */
export async function seal(usher: Usher): Promise<void> {
  await usher.app.get(Sealer, { strict: false }).seal();
}

/** What a process does every second: looks for what is due, and sends it. */
export async function send(usher: Usher): Promise<void> {
  await seal(usher);
  await usher.app.get(NotificationJobs).tick();
}
