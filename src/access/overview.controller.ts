import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor, Reader } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { AccessOptionPage, AccessOptionQuery } from './options.contract.js';
import { AccessOptions } from './options.service.js';
import { HeldAccessPage, HeldAccessQuery, PersonAccess } from './overview.contract.js';
import { AccessOverview } from './overview.service.js';

@ApiTags('access')
@ApiBearerAuth()
@Controller('v1')
export class OverviewController {
  constructor(
    private readonly overview: AccessOverview,
    private readonly options: AccessOptions,
  ) {}

  /** What you may ask for, over all databases, and how many must agree */
  @Get('access-options')
  @Requires('viewTargets')
  list(@Caller() actor: Reader, @Query() query: AccessOptionQuery): Promise<AccessOptionPage> {
    return this.options.list(actor, query);
  }

  /** What a person has, had and could have; your own id always */
  @Get('people/:id/access')
  @Requires('viewAccess')
  ofPerson(
    @Caller() actor: PersonActor,
    @Param('id') id: string,
    @Query() query: HeldAccessQuery,
  ): Promise<PersonAccess> {
    return this.overview.ofPerson(actor, id, query);
  }

  /** Who has access to a database now, and when they were last seen there; as far as you may see grants */
  @Get('targets/:id/access')
  @Requires('viewGrants')
  ofTarget(@Caller() actor: Reader, @Param('id') id: string, @Query() query: HeldAccessQuery): Promise<HeldAccessPage> {
    return this.overview.ofTarget(actor, id, query);
  }
}
