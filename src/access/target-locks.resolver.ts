import { Args, ID, Mutation, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { Actor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { Target } from '../targets/targets.contract.js';
import { LockTarget } from './target-locks.contract.js';
import { TargetLocks } from './target-locks.service.js';

@Resolver(() => Target)
export class TargetLocksResolver {
  constructor(private readonly locks: TargetLocks) {}

  @Mutation(() => Target)
  @Requires('lockTargets')
  lockTarget(
    @Caller() actor: Actor,
    @Args('id', { type: () => ID }) id: string,
    @Args('input') input: LockTarget,
  ): Promise<Target> {
    return this.locks.lock(actor, id, input.reason);
  }

  @Mutation(() => Target)
  @Requires('administerTargets')
  unlockTarget(@Caller() actor: Actor, @Args('id', { type: () => ID }) id: string): Promise<Target> {
    return this.locks.unlock(actor, id);
  }
}
