import { Args, Query, Resolver } from '@nestjs/graphql';
import { AuditEvent, AuditEventCount, AuditEventPage, AuditFilter, AuditQuery } from '../audit/audit.contract.js';
import { Caller } from '../identity/actor.decorator.js';
import type { Reader } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { EvidenceService } from './evidence.service.js';

@Resolver(() => AuditEvent)
export class AuditResolver {
  constructor(private readonly evidence: EvidenceService) {}

  @Query(() => AuditEventPage)
  @Requires('viewAudit')
  auditEvents(@Caller() actor: Reader, @Args() query: AuditQuery): Promise<AuditEventPage> {
    return this.evidence.search(actor, query);
  }

  @Query(() => AuditEventCount)
  @Requires('viewAudit')
  auditEventCount(@Caller() actor: Reader, @Args() filter: AuditFilter): Promise<AuditEventCount> {
    return this.evidence.count(actor, filter);
  }
}
