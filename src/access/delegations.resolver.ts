import { Args, ID, Mutation, Query, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { CreateDelegation, Delegation, DelegationPage, DelegationQuery } from './delegations.contract.js';
import { DelegationsService } from './delegations.service.js';

@Resolver(() => Delegation)
export class DelegationsResolver {
  constructor(private readonly delegations: DelegationsService) {}

  @Mutation(() => Delegation)
  @Requires('delegateVotes')
  createDelegation(@Caller() actor: PersonActor, @Args('input') input: CreateDelegation): Promise<Delegation> {
    return this.delegations.create(actor, input);
  }

  @Query(() => DelegationPage, { name: 'delegations' })
  @Requires('viewDelegations')
  list(@Caller() actor: PersonActor, @Args() query: DelegationQuery): Promise<DelegationPage> {
    return this.delegations.list(actor, query);
  }

  @Mutation(() => Delegation)
  @Requires('endDelegation')
  endDelegation(@Caller() actor: PersonActor, @Args('id', { type: () => ID }) id: string): Promise<Delegation> {
    return this.delegations.end(actor, id);
  }
}
