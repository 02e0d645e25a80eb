import { Args, ID, Mutation, Query, Resolver } from '@nestjs/graphql';
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

@Resolver(() => Webhook)
export class WebhooksResolver {
  constructor(
    private readonly webhooks: WebhooksService,
    private readonly secrets: WebhookSecretsService,
    private readonly deliveries: WebhookDeliveriesService,
  ) {}

  @Mutation(() => NewWebhook)
  @NotReplayed()
  @Requires('administerWebhooks')
  createWebhook(@Caller() actor: PersonActor, @Args('input') input: CreateWebhook): Promise<NewWebhook> {
    return this.secrets.create(actor, input);
  }

  @Query(() => [Webhook], { name: 'webhooks' })
  @Requires('administerWebhooks')
  list(@Caller() actor: PersonActor): Promise<Webhook[]> {
    return this.webhooks.list(actor);
  }

  @Query(() => Webhook, { name: 'webhook' })
  @Requires('administerWebhooks')
  get(@Caller() actor: PersonActor, @Args('id', { type: () => ID }) id: string): Promise<Webhook> {
    return this.webhooks.get(actor, id);
  }

  @Mutation(() => Webhook)
  @Requires('administerWebhooks')
  updateWebhook(
    @Caller() actor: PersonActor,
    @Args('id', { type: () => ID }) id: string,
    @Args('input') input: UpdateWebhook,
  ): Promise<Webhook> {
    return this.webhooks.update(actor, id, input);
  }

  @Mutation(() => Webhook)
  @Requires('administerWebhooks')
  deleteWebhook(@Caller() actor: PersonActor, @Args('id', { type: () => ID }) id: string): Promise<Webhook> {
    return this.webhooks.delete(actor, id);
  }

  @Mutation(() => NewWebhook)
  @NotReplayed()
  @Requires('administerWebhooks')
  rotateWebhookSecret(
    @Caller() actor: PersonActor,
    @Args('id', { type: () => ID }) id: string,
    @Args('input', { nullable: true }) input?: RotateSecret,
  ): Promise<NewWebhook> {
    return this.secrets.rotate(actor, id, input ?? {});
  }

  @Mutation(() => WebhookTest)
  @Requires('administerWebhooks')
  testWebhook(@Caller() actor: PersonActor, @Args('id', { type: () => ID }) id: string): Promise<WebhookTest> {
    return this.deliveries.test(actor, id);
  }

  @Mutation(() => Webhook)
  @Requires('administerWebhooks')
  replayWebhook(
    @Caller() actor: PersonActor,
    @Args('id', { type: () => ID }) id: string,
    @Args('input') input: ReplayWebhook,
  ): Promise<Webhook> {
    return this.webhooks.replay(actor, id, input.from);
  }

  @Query(() => WebhookDeliveryPage)
  @Requires('administerWebhooks')
  webhookDeliveries(
    @Caller() actor: PersonActor,
    @Args('webhookId', { type: () => ID }) webhookId: string,
    @Args('input', { nullable: true }) input?: DeliveryQuery,
  ): Promise<WebhookDeliveryPage> {
    return this.deliveries.list(actor, webhookId, input ?? {});
  }
}
