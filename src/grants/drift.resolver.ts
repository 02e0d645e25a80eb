import { Args, ID, Mutation, Query, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor, Reader } from '../platform/actor.js';
import { NotReplayed } from '../platform/http/idempotency.interceptor.js';
import { Requires } from '../policy/requires.js';
import { DriftFinding, DriftFindingPage, DriftLook, DriftQuery } from './drift.contract.js';
import { DriftService } from './drift.service.js';

@Resolver(() => DriftFinding)
export class DriftResolver {
  constructor(private readonly drift: DriftService) {}

  @Query(() => DriftFindingPage, { name: 'driftFindings' })
  @Requires('viewDrift')
  list(@Caller() actor: Reader, @Args() query: DriftQuery): Promise<DriftFindingPage> {
    return this.drift.list(actor, query);
  }

  @Mutation(() => DriftLook)
  @NotReplayed()
  @Requires('administerTargets')
  lookForDrift(
    @Caller() actor: PersonActor,
    @Args('targetId', { type: () => ID }) targetId: string,
  ): Promise<DriftLook> {
    return this.drift.look(actor, targetId);
  }
}
