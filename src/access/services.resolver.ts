import { Args, ID, Mutation, Query, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { CreateService, LockService, Service, UpdateService } from './services.contract.js';
import { ServicesService } from './services.service.js';

@Resolver(() => Service)
export class ServicesResolver {
  constructor(private readonly services: ServicesService) {}

  @Mutation(() => Service)
  @Requires('administerServices')
  createService(@Caller() actor: PersonActor, @Args('input') input: CreateService): Promise<Service> {
    return this.services.create(actor, input);
  }

  @Query(() => [Service], { name: 'services' })
  @Requires('viewServices')
  list(@Caller() actor: PersonActor): Promise<Service[]> {
    return this.services.list(actor);
  }

  @Query(() => Service, { name: 'service' })
  @Requires('viewServices')
  get(@Caller() actor: PersonActor, @Args('id', { type: () => ID }) id: string): Promise<Service> {
    return this.services.get(actor, id);
  }

  @Mutation(() => Service)
  @Requires('administerServices')
  updateService(
    @Caller() actor: PersonActor,
    @Args('id', { type: () => ID }) id: string,
    @Args('input') input: UpdateService,
  ): Promise<Service> {
    return this.services.update(actor, id, input);
  }

  @Mutation(() => Service)
  @Requires('administerServices')
  removeService(@Caller() actor: PersonActor, @Args('id', { type: () => ID }) id: string): Promise<Service> {
    return this.services.remove(actor, id);
  }

  @Mutation(() => Service)
  @Requires('lockServices')
  lockService(
    @Caller() actor: PersonActor,
    @Args('id', { type: () => ID }) id: string,
    @Args('input') input: LockService,
  ): Promise<Service> {
    return this.services.lock(actor, id, input.reason);
  }

  @Mutation(() => Service)
  @Requires('administerServices')
  unlockService(@Caller() actor: PersonActor, @Args('id', { type: () => ID }) id: string): Promise<Service> {
    return this.services.unlock(actor, id);
  }
}
