import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { Actor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { DiscoveredDatabasesService } from './discovered-databases.service.js';
import {
  DiscoveredDatabase,
  DiscoveredDatabasePage,
  DiscoveredQuery,
  DiscoveryRun,
  RegisterDatabase,
  StartDiscovery,
} from './discovery.contract.js';
import { DiscoveryService } from './discovery.service.js';
import { Target } from './targets.contract.js';

@ApiTags('discovery')
@ApiBearerAuth()
@Controller('v1')
export class DiscoveryController {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly databases: DiscoveredDatabasesService,
  ) {}

  /** Look for databases in AWS accounts; the answer comes at once, the look goes on */
  @Post('discoveries')
  @Requires('discoverDatabases')
  start(@Caller() actor: Actor, @Body() input: StartDiscovery): Promise<DiscoveryRun> {
    return this.discovery.start(actor, input);
  }

  /** How far a look has come */
  @Get('discoveries/:id')
  @Requires('discoverDatabases')
  run(@Caller() actor: Actor, @Param('id') id: string): Promise<DiscoveryRun> {
    return this.discovery.get(actor, id);
  }

  /** Databases that were found, newest first */
  @Get('discovered-databases')
  @Requires('discoverDatabases')
  list(@Caller() actor: Actor, @Query() query: DiscoveredQuery): Promise<DiscoveredDatabasePage> {
    return this.databases.list(actor, query);
  }

  /** One of them, with what an update of its target would change */
  @Get('discovered-databases/:id')
  @Requires('discoverDatabases')
  get(@Caller() actor: Actor, @Param('id') id: string): Promise<DiscoveredDatabase> {
    return this.databases.get(actor, id);
  }

  /** Make it a target */
  @Post('discovered-databases/:id/register')
  @Requires('administerTargets')
  register(@Caller() actor: Actor, @Param('id') id: string, @Body() input: RegisterDatabase): Promise<Target> {
    return this.databases.register(actor, id, input);
  }

  /** Make its target what AWS says */
  @Post('discovered-databases/:id/apply')
  @HttpCode(200)
  @Requires('administerTargets')
  apply(@Caller() actor: Actor, @Param('id') id: string): Promise<Target> {
    return this.databases.apply(actor, id);
  }
}
