import { Args, ID, Mutation, Query, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor, Reader } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { Grant, GrantPage, GrantQuery, GrantState, ShortenGrant } from './grants.contract.js';
import { GrantsService } from './grants.service.js';

const waiting = {
  type: () => GrantState,
  nullable: true,
  description: 'Answer when the grant has this state or can no longer reach it, at the latest after 30 seconds',
};

@Resolver(() => Grant)
export class GrantsResolver {
  constructor(private readonly grants: GrantsService) {}

  @Query(() => GrantPage, { name: 'grants' })
  @Requires('viewGrants')
  list(@Caller() actor: Reader, @Args() query: GrantQuery): Promise<GrantPage> {
    return this.grants.list(actor, query);
  }

  @Query(() => Grant, { name: 'grant' })
  @Requires('viewGrants')
  get(
    @Caller() actor: Reader,
    @Args('id', { type: () => ID }) id: string,
    @Args('wait', waiting) wait?: GrantState | null,
  ): Promise<Grant> {
    return this.grants.get(actor, id, wait ?? undefined);
  }

  @Mutation(() => Grant)
  @Requires('revoke')
  revokeGrant(@Caller() actor: PersonActor, @Args('id', { type: () => ID }) id: string): Promise<Grant> {
    return this.grants.revoke(actor, id);
  }

  @Mutation(() => Grant)
  @Requires('revoke')
  shortenGrant(
    @Caller() actor: PersonActor,
    @Args('id', { type: () => ID }) id: string,
    @Args('input') input: ShortenGrant,
  ): Promise<Grant> {
    return this.grants.shorten(actor, id, input.endsAt);
  }
}
