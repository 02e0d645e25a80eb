import { Injectable } from '@nestjs/common';
import type {
  AuditEventCount,
  AuditEventPage,
  AuditExportQuery,
  AuditFilter,
  AuditQuery,
} from '../audit/audit.contract.js';
import { AuditService } from '../audit/audit.service.js';
import { AuditExportsService, type AuditExport } from '../audit/exports.service.js';
import type { Reader } from '../platform/actor.js';
import { PolicyService } from '../policy/policy.service.js';
import { visibility, type Visibility } from '../policy/visibility.js';
import { TargetsService } from '../targets/targets.service.js';

/** The record as people may read it. Apart from `audit`, which stands below policy so that policy itself may be on record. */
@Injectable()
export class EvidenceService {
  constructor(
    private readonly audit: AuditService,
    private readonly exports: AuditExportsService,
    private readonly policy: PolicyService,
    private readonly targets: TargetsService,
  ) {}

  /** @throws DomainError `policy_denied`, `invalid_cursor` */
  async search(actor: Reader, query: AuditQuery): Promise<AuditEventPage> {
    return this.audit.search(query, await this.scope(actor));
  }

  /** @throws DomainError `policy_denied` */
  async count(actor: Reader, filter: AuditFilter): Promise<AuditEventCount> {
    return this.audit.count(filter, await this.scope(actor));
  }

  /** What one may see of the record, to take away. @throws DomainError `policy_denied`, `invalid_cursor` */
  async export(actor: Reader, query: AuditExportQuery): Promise<AuditExport> {
    return this.exports.begin(actor, query, await this.scope(actor));
  }

  private scope(actor: Reader): Promise<Visibility> {
    const scopes = this.policy.visible(actor, 'viewAudit');
    return visibility(actor, scopes, (groups) => this.targets.ownedBy(groups));
  }
}
