import { Args, ID, Mutation, Query, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor } from '../platform/actor.js';
import { NotReplayed } from '../platform/http/idempotency.interceptor.js';
import { Requires } from '../policy/requires.js';
import { ApiKey, CreateKey, NewKey, RotateKey } from './api-keys.contract.js';
import { ApiKeysService } from './api-keys.service.js';

@Resolver(() => ApiKey)
export class ApiKeysResolver {
  constructor(private readonly keys: ApiKeysService) {}

  @Mutation(() => NewKey)
  @NotReplayed()
  @Requires('administerServices')
  createApiKey(
    @Caller() actor: PersonActor,
    @Args('serviceId', { type: () => ID }) serviceId: string,
    @Args('input') input: CreateKey,
  ): Promise<NewKey> {
    return this.keys.create(actor, serviceId, input);
  }

  @Query(() => [ApiKey], { name: 'apiKeys' })
  @Requires('viewServices')
  list(@Caller() actor: PersonActor, @Args('serviceId', { type: () => ID }) serviceId: string): Promise<ApiKey[]> {
    return this.keys.list(actor, serviceId);
  }

  @Mutation(() => NewKey)
  @NotReplayed()
  @Requires('administerServices')
  rotateApiKey(
    @Caller() actor: PersonActor,
    @Args('serviceId', { type: () => ID }) serviceId: string,
    @Args('id', { type: () => ID }) id: string,
    @Args('input', { nullable: true }) input?: RotateKey,
  ): Promise<NewKey> {
    return this.keys.rotate(actor, serviceId, id, input ?? {});
  }

  @Mutation(() => ApiKey)
  @Requires('administerServices')
  revokeApiKey(
    @Caller() actor: PersonActor,
    @Args('serviceId', { type: () => ID }) serviceId: string,
    @Args('id', { type: () => ID }) id: string,
  ): Promise<ApiKey> {
    return this.keys.revoke(actor, serviceId, id);
  }
}
