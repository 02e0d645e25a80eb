import { Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor, Reader } from '../platform/actor.js';
import { NotReplayed } from '../platform/http/idempotency.interceptor.js';
import { Requires } from '../policy/requires.js';
import { DriftFindingPage, DriftLook, DriftQuery } from './drift.contract.js';
import { DriftService } from './drift.service.js';

@ApiTags('drift')
@ApiBearerAuth()
@Controller('v1')
export class DriftController {
  constructor(private readonly drift: DriftService) {}

  /** What targets and IAM hold that Usher did not agree to, or lack although it did; newest first */
  @Get('drift')
  @Requires('viewDrift')
  list(@Caller() actor: Reader, @Query() query: DriftQuery): Promise<DriftFindingPage> {
    return this.drift.list(actor, query);
  }

  /** Compare a target with what Usher knows, now */
  @Post('targets/:id/drift')
  @HttpCode(200)
  @NotReplayed()
  @Requires('administerTargets')
  look(@Caller() actor: PersonActor, @Param('id') id: string): Promise<DriftLook> {
    return this.drift.look(actor, id);
  }
}
