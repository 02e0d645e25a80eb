import { Controller, Get, Param } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { Actor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { TrustBundle } from './trust.contract.js';
import { TrustService } from './trust.service.js';

@ApiTags('trust')
@ApiBearerAuth()
@Controller('v1/trust/bundles')
export class TrustController {
  constructor(private readonly trust: TrustService) {}

  /** CA bundles of every region */
  @Get()
  @Requires('viewTrust')
  list(@Caller() actor: Actor): TrustBundle[] {
    return this.trust.list(actor);
  }

  /** CA bundle of one region */
  @Get(':region')
  @Requires('viewTrust')
  get(@Caller() actor: Actor, @Param('region') region: string): TrustBundle {
    return this.trust.get(actor, region);
  }
}
