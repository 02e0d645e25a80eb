import { Controller, Get, HttpCode, Param, Post } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { Actor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { IamAuthentication, Readiness } from './readiness.contract.js';
import { ReadinessService } from './readiness.service.js';

@ApiTags('targets')
@ApiBearerAuth()
@Controller('v1/targets')
export class ReadinessController {
  constructor(private readonly readiness: ReadinessService) {}

  /** Whether a database is fit for its use, with the command that mends each thing that is not */
  @Get(':id/readiness')
  @Requires('viewReadiness')
  get(@Caller() actor: Actor, @Param('id') id: string): Promise<Readiness> {
    return this.readiness.get(actor, id);
  }

  /** Switch IAM database authentication on, at once; nothing happens where it is on */
  @Post(':id/iam-authentication')
  @HttpCode(200)
  @Requires('enableIamAuthentication')
  enableIamAuthentication(@Caller() actor: Actor, @Param('id') id: string): Promise<IamAuthentication> {
    return this.readiness.enableIamAuthentication(actor, id);
  }
}
