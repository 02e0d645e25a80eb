import { Injectable } from '@nestjs/common';
import { Clock } from '../platform/clock.js';
import { Database } from '../platform/state/database.js';
import { webhookCounts, type WebhookCounts } from './deliveries.queries.js';

/** Webhooks in numbers, for the gauges of `/metrics`. Names none. */
@Injectable()
export class WebhookCountsService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
  ) {}

  counts(): Promise<WebhookCounts> {
    return webhookCounts(this.db.client, this.clock.now());
  }
}
