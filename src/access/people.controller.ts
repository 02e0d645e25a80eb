import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { LockPerson, Person, PersonPage, PersonQuery } from './people.contract.js';
import { PeopleService } from './people.service.js';

@ApiTags('people')
@ApiBearerAuth()
@Controller('v1/people')
export class PeopleController {
  constructor(private readonly people: PeopleService) {}

  /** Everybody who ever called, newest first */
  @Get()
  @Requires('viewPeople')
  list(@Caller() actor: PersonActor, @Query() query: PersonQuery): Promise<PersonPage> {
    return this.people.list(actor, query);
  }

  /** One person */
  @Get(':id')
  @Requires('viewPeople')
  get(@Caller() actor: PersonActor, @Param('id') id: string): Promise<Person> {
    return this.people.get(actor, id);
  }

  /** Take a person off: all access ends, what waits is cancelled, and no token of theirs is taken any more */
  @Delete(':id')
  @HttpCode(200)
  @Requires('administerPeople')
  remove(@Caller() actor: PersonActor, @Param('id') id: string): Promise<Person> {
    return this.people.remove(actor, id);
  }

  /** The kill switch: all access of a person ends now, what waits is cancelled, and they may do nothing until unlocked */
  @Post(':id/lock')
  @HttpCode(200)
  @Requires('lockPeople')
  lock(@Caller() actor: PersonActor, @Param('id') id: string, @Body() input: LockPerson): Promise<Person> {
    return this.people.lock(actor, id, input.reason);
  }

  /** Let a locked person act again: they may ask again; what was ended stays ended */
  @Post(':id/unlock')
  @HttpCode(200)
  @Requires('administerPeople')
  unlock(@Caller() actor: PersonActor, @Param('id') id: string): Promise<Person> {
    return this.people.unlock(actor, id);
  }

  /** Let a person come back: they may ask again; what was ended stays ended */
  @Post(':id/restore')
  @HttpCode(200)
  @Requires('administerPeople')
  restore(@Caller() actor: PersonActor, @Param('id') id: string): Promise<Person> {
    return this.people.restore(actor, id);
  }
}
