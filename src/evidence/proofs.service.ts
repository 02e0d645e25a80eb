import { Injectable } from '@nestjs/common';
import type {
  AuditCheckpoint,
  AuditCheckpointPage,
  AuditCheckpointQuery,
  AuditConsistencyProof,
  AuditConsistencyQuery,
  AuditInclusionProof,
  AuditInclusionQuery,
  AuditKey,
} from '../audit/seals.contract.js';
import { SealsService } from '../audit/seals.service.js';
import type { Reader } from '../platform/actor.js';
import { PolicyService } from '../policy/policy.service.js';
import { visibility } from '../policy/visibility.js';
import { TargetsService } from '../targets/targets.service.js';

/**
 * The sealed record as people may hold it against what they kept. Whoever may see a line of the record at all may see checkpoints:
 * they tell how many lines there are, and of none what it says.
 */
@Injectable()
export class ProofsService {
  constructor(
    private readonly seals: SealsService,
    private readonly policy: PolicyService,
    private readonly targets: TargetsService,
  ) {}

  /** @throws DomainError `policy_denied`, `checkpoint_not_found` */
  async checkpoint(actor: Reader): Promise<AuditCheckpoint> {
    this.policy.visible(actor, 'viewAudit');
    return this.seals.checkpoint();
  }

  /** @throws DomainError `policy_denied` */
  async checkpoints(actor: Reader, query: AuditCheckpointQuery): Promise<AuditCheckpointPage> {
    this.policy.visible(actor, 'viewAudit');
    return this.seals.checkpoints(query);
  }

  /** @throws DomainError `policy_denied`, `checkpoint_not_found` */
  async key(actor: Reader): Promise<AuditKey> {
    this.policy.visible(actor, 'viewAudit');
    return this.seals.key();
  }

  /** Of a line that one may see. @throws DomainError `policy_denied`, `event_not_found`, `event_not_sealed`, `checkpoint_not_found` */
  async inclusion(actor: Reader, query: AuditInclusionQuery): Promise<AuditInclusionProof> {
    const scopes = this.policy.visible(actor, 'viewAudit');
    const scope = await visibility(actor, scopes, (groups) => this.targets.ownedBy(groups));
    return this.seals.inclusion(query, scope);
  }

  /** @throws DomainError `policy_denied`, `checkpoint_not_found`, `invalid_input` */
  async consistency(actor: Reader, query: AuditConsistencyQuery): Promise<AuditConsistencyProof> {
    this.policy.visible(actor, 'viewAudit');
    return this.seals.consistency(query);
  }
}
