import { Args, ID, Mutation, Query, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { LockPerson, Person, PersonPage, PersonQuery } from './people.contract.js';
import { PeopleService } from './people.service.js';

@Resolver(() => Person)
export class PeopleResolver {
  constructor(private readonly people: PeopleService) {}

  @Query(() => PersonPage, { name: 'people' })
  @Requires('viewPeople')
  list(@Caller() actor: PersonActor, @Args() query: PersonQuery): Promise<PersonPage> {
    return this.people.list(actor, query);
  }

  @Query(() => Person, { name: 'person' })
  @Requires('viewPeople')
  get(@Caller() actor: PersonActor, @Args('id', { type: () => ID }) id: string): Promise<Person> {
    return this.people.get(actor, id);
  }

  @Mutation(() => Person)
  @Requires('administerPeople')
  removePerson(@Caller() actor: PersonActor, @Args('id', { type: () => ID }) id: string): Promise<Person> {
    return this.people.remove(actor, id);
  }

  @Mutation(() => Person)
  @Requires('lockPeople')
  lockPerson(
    @Caller() actor: PersonActor,
    @Args('id', { type: () => ID }) id: string,
    @Args('input') input: LockPerson,
  ): Promise<Person> {
    return this.people.lock(actor, id, input.reason);
  }

  @Mutation(() => Person)
  @Requires('administerPeople')
  unlockPerson(@Caller() actor: PersonActor, @Args('id', { type: () => ID }) id: string): Promise<Person> {
    return this.people.unlock(actor, id);
  }

  @Mutation(() => Person)
  @Requires('administerPeople')
  restorePerson(@Caller() actor: PersonActor, @Args('id', { type: () => ID }) id: string): Promise<Person> {
    return this.people.restore(actor, id);
  }
}
