import { Controller, Get, Param } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { Actor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { ServerLog } from './log-reading.contract.js';
import { LogReadingService } from './log-reading.service.js';

@ApiTags('connections')
@ApiBearerAuth()
@Controller('v1/targets')
export class LogReadingController {
  constructor(private readonly reading: LogReadingService) {}

  /** How far the PostgreSQL log of a database is read, and when nothing could be seen */
  @Get(':id/server-log')
  @Requires('viewReadiness')
  get(@Caller() actor: Actor, @Param('id') id: string): Promise<ServerLog> {
    return this.reading.get(actor, id);
  }
}
