import { Controller, Get, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { AuditEventCount, AuditEventPage, AuditFilter, AuditQuery } from '../audit/audit.contract.js';
import { Caller } from '../identity/actor.decorator.js';
import type { Reader } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { EvidenceService } from './evidence.service.js';

@ApiTags('audit')
@ApiBearerAuth()
@Controller('v1/audit')
export class AuditController {
  constructor(private readonly evidence: EvidenceService) {}

  /** The record, newest first */
  @Get('events')
  @Requires('viewAudit')
  events(@Caller() actor: Reader, @Query() query: AuditQuery): Promise<AuditEventPage> {
    return this.evidence.search(actor, query);
  }

  /** How many lines of the record match, up to 10,000 */
  @Get('count')
  @Requires('viewAudit')
  count(@Caller() actor: Reader, @Query() filter: AuditFilter): Promise<AuditEventCount> {
    return this.evidence.count(actor, filter);
  }
}
