import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module.js';
import { PolicyModule } from '../policy/policy.module.js';
import { Courier } from './courier.js';
import { NotificationJobs } from './notifications.job.js';
import { Postman } from './postman.js';
import { SigningSecrets } from './signing-secrets.js';
import { WebhookCountsService } from './webhook-counts.service.js';
import { WebhookDeliveriesService } from './webhook-deliveries.service.js';
import { WebhookGate } from './webhook-gate.js';
import { WebhookLedger } from './webhook-ledger.js';
import { WebhookRounds } from './webhook-rounds.js';
import { WebhookSecretsService } from './webhook-secrets.service.js';
import { WebhooksController } from './webhooks.controller.js';
import { WebhooksResolver } from './webhooks.resolver.js';
import { WebhooksService } from './webhooks.service.js';

/** Follows the record and tells others of it. */
@Module({
  imports: [AuditModule, PolicyModule],
  controllers: [WebhooksController],
  providers: [
    ...[WebhooksService, WebhookSecretsService, WebhookDeliveriesService, WebhooksResolver, WebhookCountsService],
    ...[WebhookGate, WebhookLedger, WebhookRounds, NotificationJobs],
    ...[Courier, Postman, SigningSecrets],
  ],
  exports: [NotificationJobs, WebhookCountsService],
})
export class NotificationsModule {}
