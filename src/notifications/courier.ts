import { Injectable } from '@nestjs/common';
import { Clock } from '../platform/clock.js';
import { signedHeaders } from './message.js';
import { Postman, type Receipt } from './postman.js';
import { SigningSecrets } from './signing-secrets.js';
import { signing, type WebhookRow } from './webhook.js';

/** Signs a message for a webhook, with every secret that is good at this moment, and has it brought there. */
@Injectable()
export class Courier {
  constructor(
    private readonly clock: Clock,
    private readonly secrets: SigningSecrets,
    private readonly postman: Postman,
  ) {}

  /** Never throws for what the receiver, its network or a missing key does. */
  async send(webhook: WebhookRow, id: string, body: string): Promise<Receipt> {
    const now = this.clock.now();
    const keys = await Promise.all(signing(webhook, now).map((origin) => this.secrets.derive(origin)));
    const known = keys.filter((key) => key !== undefined);
    // without the current one, a receiver that has only that could not verify
    if (known.length < keys.length || known.length === 0)
      return { status: null, problem: 'The key of its secret is not configured (USHER_WEBHOOK_KEY).' };
    return this.postman.bring(webhook.url, signedHeaders(id, now, body, known), body);
  }
}
