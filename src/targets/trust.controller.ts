import { Controller, Get, Param } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { Actor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { TrustAuthority, TrustBundle, TrustMirror, TrustPartition } from './trust.contract.js';
import { TrustService } from './trust.service.js';

@ApiTags('trust')
@ApiBearerAuth()
@Controller('v1/trust')
export class TrustController {
  constructor(private readonly trust: TrustService) {}

  /** CA bundles of every region */
  @Get('bundles')
  @Requires('viewTrust')
  list(@Caller() actor: Actor): TrustBundle[] {
    return this.trust.list(actor);
  }

  /** CA bundle of one region */
  @Get('bundles/:region')
  @Requires('viewTrust')
  get(@Caller() actor: Actor, @Param('region') region: string): TrustBundle {
    return this.trust.get(actor, region);
  }

  /** Partitions of AWS, each with its regions and its global bundle */
  @Get('partitions')
  @Requires('viewTrust')
  partitions(@Caller() actor: Actor): TrustPartition[] {
    return this.trust.partitions(actor);
  }

  /** One partition of AWS */
  @Get('partitions/:partition')
  @Requires('viewTrust')
  partition(@Caller() actor: Actor, @Param('partition') partition: string): TrustPartition {
    return this.trust.partition(actor, partition);
  }

  /** Certificate authorities of RDS: what they are, and which is over */
  @Get('authorities')
  @Requires('viewTrust')
  authorities(@Caller() actor: Actor): TrustAuthority[] {
    return this.trust.authorities(actor);
  }

  /** CA bundles that Usher mirrors */
  @Get('mirror')
  @Requires('viewTrust')
  mirror(@Caller() actor: Actor): Promise<TrustMirror[]> {
    return this.trust.mirror(actor);
  }
}
