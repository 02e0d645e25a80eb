import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { CreateDelegation, Delegation, DelegationPage, DelegationQuery } from './delegations.contract.js';
import { DelegationsService } from './delegations.service.js';

@ApiTags('delegations')
@ApiBearerAuth()
@Controller('v1/delegations')
export class DelegationsController {
  constructor(private readonly delegations: DelegationsService) {}

  /** Let somebody else vote on requests in your place, until an end that you set */
  @Post()
  @Requires('delegateVotes')
  create(@Caller() actor: PersonActor, @Body() input: CreateDelegation): Promise<Delegation> {
    return this.delegations.create(actor, input);
  }

  /** Delegations that you gave or were given, newest first */
  @Get()
  @Requires('viewDelegations')
  list(@Caller() actor: PersonActor, @Query() query: DelegationQuery): Promise<DelegationPage> {
    return this.delegations.list(actor, query);
  }

  /** End one now; votes that were given by it stay */
  @Post(':id/end')
  @HttpCode(200)
  @Requires('endDelegation')
  end(@Caller() actor: PersonActor, @Param('id') id: string): Promise<Delegation> {
    return this.delegations.end(actor, id);
  }
}
