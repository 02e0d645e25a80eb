import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor, Reader } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { Grant, GrantPage, GrantQuery, GrantWait, ShortenGrant } from './grants.contract.js';
import { GrantsService } from './grants.service.js';

@ApiTags('grants')
@ApiBearerAuth()
@Controller('v1/grants')
export class GrantsController {
  constructor(private readonly grants: GrantsService) {}

  /** Grants that you may see, newest first */
  @Get()
  @Requires('viewGrants')
  list(@Caller() actor: Reader, @Query() query: GrantQuery): Promise<GrantPage> {
    return this.grants.list(actor, query);
  }

  /** One grant; with wait=active it answers when the grant is active, at the latest after 30 seconds */
  @Get(':id')
  @Requires('viewGrants')
  get(@Caller() actor: Reader, @Param('id') id: string, @Query() query: GrantWait): Promise<Grant> {
    return this.grants.get(actor, id, query.wait);
  }

  /** End it now: login closed, sessions cut */
  @Post(':id/revoke')
  @HttpCode(200)
  @Requires('revoke')
  revoke(@Caller() actor: PersonActor, @Param('id') id: string): Promise<Grant> {
    return this.grants.revoke(actor, id);
  }

  /** Bring the end nearer */
  @Post(':id/shorten')
  @HttpCode(200)
  @Requires('revoke')
  shorten(@Caller() actor: PersonActor, @Param('id') id: string, @Body() input: ShortenGrant): Promise<Grant> {
    return this.grants.shorten(actor, id, input.endsAt);
  }
}
