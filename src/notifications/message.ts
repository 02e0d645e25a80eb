import { Webhook as Signer } from 'standardwebhooks';
import type { AuditEvent } from '../audit/audit.contract.js';

/** What a receiver may drop repeats by: the same for each try of one event at one webhook, and for nothing else. */
export const messageId = (webhookId: string, sequence: number | string): string =>
  `msg_${webhookId.replaceAll('-', '')}_${sequence}`;

/** The body: type, timestamp and data, as the specification has it; data is the event as the API shows it. */
export const messageOf = (sequence: number, event: AuditEvent): string =>
  JSON.stringify({ type: event.action, timestamp: event.at.toISOString(), data: { sequence, ...event } });

/** The body of a test, which is about nothing. */
export const testMessage = (webhookId: string, at: Date): string =>
  JSON.stringify({ type: 'webhook.test', timestamp: at.toISOString(), data: { webhookId } });

/**
 * Headers by https://www.standardwebhooks.com.
 * @param secrets each signs, the current one first: a receiver that has any of them can verify
 * @param at of this try
 */
export function signedHeaders(
  id: string,
  at: Date,
  body: string,
  secrets: readonly Uint8Array[],
): Record<string, string> {
  const signatures = secrets.map((secret) => new Signer(secret, { format: 'raw' }).sign(id, at, body));
  return {
    'content-type': 'application/json',
    'user-agent': 'Usher',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': signatures.join(' '),
  };
}
