import { Args, Query, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor, Reader } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { AccessOptionPage, AccessOptionQuery } from './options.contract.js';
import { AccessOptions } from './options.service.js';
import { HeldAccessPage, PersonAccess, PersonAccessArgs, TargetAccessArgs } from './overview.contract.js';
import { AccessOverview } from './overview.service.js';

@Resolver(() => PersonAccess)
export class OverviewResolver {
  constructor(
    private readonly overview: AccessOverview,
    private readonly options: AccessOptions,
  ) {}

  @Query(() => AccessOptionPage, { name: 'accessOptions' })
  @Requires('viewTargets')
  list(@Caller() actor: Reader, @Args() query: AccessOptionQuery): Promise<AccessOptionPage> {
    return this.options.list(actor, query);
  }

  @Query(() => PersonAccess, { name: 'personAccess' })
  @Requires('viewAccess')
  ofPerson(@Caller() actor: PersonActor, @Args() { personId, ...query }: PersonAccessArgs): Promise<PersonAccess> {
    return this.overview.ofPerson(actor, personId, query);
  }

  @Query(() => HeldAccessPage, { name: 'targetAccess' })
  @Requires('viewGrants')
  ofTarget(@Caller() actor: Reader, @Args() { targetId, ...query }: TargetAccessArgs): Promise<HeldAccessPage> {
    return this.overview.ofTarget(actor, targetId, query);
  }
}
