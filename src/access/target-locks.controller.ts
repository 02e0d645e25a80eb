import { Body, Controller, HttpCode, Param, Post } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { Actor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { Target } from '../targets/targets.contract.js';
import { LockTarget } from './target-locks.contract.js';
import { TargetLocks } from './target-locks.service.js';

@ApiTags('targets')
@ApiBearerAuth()
@Controller('v1/targets')
export class TargetLocksController {
  constructor(private readonly locks: TargetLocks) {}

  /** The kill switch: all access to a database ends now, what waits is cancelled, and nothing opens there until it is unlocked */
  @Post(':id/lock')
  @HttpCode(200)
  @Requires('lockTargets')
  lock(@Caller() actor: Actor, @Param('id') id: string, @Body() input: LockTarget): Promise<Target> {
    return this.locks.lock(actor, id, input.reason);
  }

  /** Let a locked database be asked for again; what was ended stays ended */
  @Post(':id/unlock')
  @HttpCode(200)
  @Requires('administerTargets')
  unlock(@Caller() actor: Actor, @Param('id') id: string): Promise<Target> {
    return this.locks.unlock(actor, id);
  }
}
