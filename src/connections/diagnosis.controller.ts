import { Body, Controller, HttpCode, Param, Post } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor } from '../platform/actor.js';
import { NotKeyed } from '../platform/http/idempotency.interceptor.js';
import { Requires } from '../policy/requires.js';
import { DiagnoseGrant, Diagnosis } from './diagnosis.contract.js';
import { DiagnosisService } from './diagnosis.service.js';

@ApiTags('connections')
@ApiBearerAuth()
@Controller('v1')
export class DiagnosisController {
  constructor(private readonly diagnosis: DiagnosisService) {}

  /** Why a login does not work: each hop on its way, the first that fails, and what mends it */
  @Post('grants/:id/diagnose')
  @HttpCode(200)
  @NotKeyed()
  @Requires('diagnose')
  diagnose(@Caller() actor: PersonActor, @Param('id') id: string, @Body() input?: DiagnoseGrant): Promise<Diagnosis> {
    return this.diagnosis.diagnose(actor, id, input ?? {});
  }
}
