import { randomBytes } from 'node:crypto';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { expect, test } from 'vitest';
import { messageId, signedHeaders, testMessage } from './message.js';

const secrets = [randomBytes(32), randomBytes(32)];
const verifier = (secret: Uint8Array): Webhook => new Webhook(`whsec_${Buffer.from(secret).toString('base64')}`);
const body = testMessage('0190163d-8694-739b-aea5-966c26f8ad91', new Date());
const headers = signedHeaders('msg_1_1', new Date(), body, secrets);

test('whoever has any of the secrets verifies with the library of the specification', () => {
  for (const secret of secrets) expect(verifier(secret).verify(body, headers)).toMatchObject({ type: 'webhook.test' });
});

test.each<[string, string, Record<string, string>]>([
  ['another body', `${body} `, {}],
  ['another id', body, { 'webhook-id': 'msg_1_2' }],
  ['another time', body, { 'webhook-timestamp': String(Math.floor(Date.now() / 1000) + 1) }],
])('%s does not verify', (_, sent, changed) => {
  expect(() => verifier(secrets[0]!).verify(sent, { ...headers, ...changed })).toThrow(WebhookVerificationError);
});

test('a secret that does not sign does not verify', () => {
  expect(() => verifier(randomBytes(32)).verify(body, headers)).toThrow(WebhookVerificationError);
});

test('an id is that of the webhook and the event, without the full stop that separates what is signed', () => {
  expect(messageId('0190163d-8694-739b-aea5-966c26f8ad91', 7)).toBe('msg_0190163d8694739baea5966c26f8ad91_7');
});
