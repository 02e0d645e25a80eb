import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor } from '../platform/actor.js';
import { NotReplayed } from '../platform/http/idempotency.interceptor.js';
import { Requires } from '../policy/requires.js';
import { WebhookDeliveriesService } from './webhook-deliveries.service.js';
import { WebhookSecretsService } from './webhook-secrets.service.js';
import {
  CreateWebhook,
  DeliveryQuery,
  NewWebhook,
  ReplayWebhook,
  RotateSecret,
  UpdateWebhook,
  Webhook,
  WebhookDeliveryPage,
  WebhookTest,
} from './webhooks.contract.js';
import { WebhooksService } from './webhooks.service.js';

@ApiTags('webhooks')
@ApiBearerAuth()
@Controller('v1/webhooks')
export class WebhooksController {
  constructor(
    private readonly webhooks: WebhooksService,
    private readonly secrets: WebhookSecretsService,
    private readonly deliveries: WebhookDeliveriesService,
  ) {}

  /** Have events sent somewhere from now on. The secret is in this answer and nowhere else, ever: the same Idempotency-Key makes another webhook */
  @Post()
  @NotReplayed()
  @Requires('administerWebhooks')
  create(@Caller() actor: PersonActor, @Body() input: CreateWebhook): Promise<NewWebhook> {
    return this.secrets.create(actor, input);
  }

  /** Every webhook, the oldest first */
  @Get()
  @Requires('administerWebhooks')
  list(@Caller() actor: PersonActor): Promise<Webhook[]> {
    return this.webhooks.list(actor);
  }

  /** One webhook, with its state and where it stands in the record */
  @Get(':id')
  @Requires('administerWebhooks')
  get(@Caller() actor: PersonActor, @Param('id') id: string): Promise<Webhook> {
    return this.webhooks.get(actor, id);
  }

  /** Change where it leads and what it sends, disable it, or enable it again: it then goes on where it stood */
  @Patch(':id')
  @Requires('administerWebhooks')
  update(@Caller() actor: PersonActor, @Param('id') id: string, @Body() input: UpdateWebhook): Promise<Webhook> {
    return this.webhooks.update(actor, id, input);
  }

  /** Take it away, with what waits for it */
  @Delete(':id')
  @HttpCode(200)
  @Requires('administerWebhooks')
  delete(@Caller() actor: PersonActor, @Param('id') id: string): Promise<Webhook> {
    return this.webhooks.delete(actor, id);
  }

  /** Another secret, beside which the old one signs on for a while */
  @Post(':id/rotate')
  @NotReplayed()
  @Requires('administerWebhooks')
  rotate(@Caller() actor: PersonActor, @Param('id') id: string, @Body() input?: RotateSecret): Promise<NewWebhook> {
    return this.secrets.rotate(actor, id, input ?? {});
  }

  /** Send one signed message about nothing now, and see what comes of it */
  @Post(':id/test')
  @HttpCode(200)
  @Requires('administerWebhooks')
  test(@Caller() actor: PersonActor, @Param('id') id: string): Promise<WebhookTest> {
    return this.deliveries.test(actor, id);
  }

  /** Send everything from one event of the record on, once more where it was sent already */
  @Post(':id/replay')
  @HttpCode(200)
  @Requires('administerWebhooks')
  replay(@Caller() actor: PersonActor, @Param('id') id: string, @Body() input: ReplayWebhook): Promise<Webhook> {
    return this.webhooks.replay(actor, id, input.from);
  }

  /** What waits, and what was delivered in the last days; those made last first */
  @Get(':id/deliveries')
  @Requires('administerWebhooks')
  listDeliveries(
    @Caller() actor: PersonActor,
    @Param('id') id: string,
    @Query() query: DeliveryQuery,
  ): Promise<WebhookDeliveryPage> {
    return this.deliveries.list(actor, id, query);
  }
}
