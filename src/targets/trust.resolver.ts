import { Args, Query, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { Actor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { TrustBundle } from './trust.contract.js';
import { TrustService } from './trust.service.js';

@Resolver(() => TrustBundle)
export class TrustResolver {
  constructor(private readonly trust: TrustService) {}

  @Query(() => [TrustBundle], { name: 'trustBundles' })
  @Requires('viewTrust')
  list(@Caller() actor: Actor): TrustBundle[] {
    return this.trust.list(actor);
  }

  @Query(() => TrustBundle, { name: 'trustBundle' })
  @Requires('viewTrust')
  get(@Caller() actor: Actor, @Args('region') region: string): TrustBundle {
    return this.trust.get(actor, region);
  }
}
