import { Args, Query, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { Actor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { TrustAuthority, TrustBundle, TrustMirror, TrustPartition } from './trust.contract.js';
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

  @Query(() => [TrustPartition], { name: 'trustPartitions' })
  @Requires('viewTrust')
  partitions(@Caller() actor: Actor): TrustPartition[] {
    return this.trust.partitions(actor);
  }

  @Query(() => TrustPartition, { name: 'trustPartition' })
  @Requires('viewTrust')
  partition(@Caller() actor: Actor, @Args('partition') partition: string): TrustPartition {
    return this.trust.partition(actor, partition);
  }

  @Query(() => [TrustAuthority], { name: 'trustAuthorities' })
  @Requires('viewTrust')
  authorities(@Caller() actor: Actor): TrustAuthority[] {
    return this.trust.authorities(actor);
  }

  @Query(() => [TrustMirror], { name: 'trustMirror' })
  @Requires('viewTrust')
  mirror(@Caller() actor: Actor): Promise<TrustMirror[]> {
    return this.trust.mirror(actor);
  }
}
