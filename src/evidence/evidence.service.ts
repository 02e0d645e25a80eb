import { Injectable } from '@nestjs/common';
import type { AuditEventPage, AuditQuery } from '../audit/audit.contract.js';
import { AuditService } from '../audit/audit.service.js';
import type { Reader } from '../platform/actor.js';
import { PolicyService } from '../policy/policy.service.js';
import { visibility } from '../policy/visibility.js';
import { TargetsService } from '../targets/targets.service.js';

/** The record as people may read it. Apart from `audit`, which stands below policy so that policy itself may be on record. */
@Injectable()
export class EvidenceService {
  constructor(
    private readonly audit: AuditService,
    private readonly policy: PolicyService,
    private readonly targets: TargetsService,
  ) {}

  /** @throws DomainError `policy_denied`, `invalid_cursor` */
  async search(actor: Reader, query: AuditQuery): Promise<AuditEventPage> {
    const scopes = this.policy.visible(actor, 'viewAudit');
    const scope = await visibility(actor, scopes, (groups) => this.targets.ownedBy(groups));
    return this.audit.search(query, scope);
  }
}
