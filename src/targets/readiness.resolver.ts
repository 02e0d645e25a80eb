import { Args, ID, Mutation, Query, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { Actor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { IamAuthentication, Readiness } from './readiness.contract.js';
import { ReadinessService } from './readiness.service.js';

@Resolver(() => Readiness)
export class ReadinessResolver {
  constructor(private readonly readiness: ReadinessService) {}

  @Query(() => Readiness, { name: 'targetReadiness' })
  @Requires('viewReadiness')
  get(@Caller() actor: Actor, @Args('targetId', { type: () => ID }) targetId: string): Promise<Readiness> {
    return this.readiness.get(actor, targetId);
  }

  @Mutation(() => IamAuthentication)
  @Requires('enableIamAuthentication')
  enableIamAuthentication(
    @Caller() actor: Actor,
    @Args('targetId', { type: () => ID }) targetId: string,
  ): Promise<IamAuthentication> {
    return this.readiness.enableIamAuthentication(actor, targetId);
  }
}
