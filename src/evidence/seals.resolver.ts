import { Args, Query, Resolver } from '@nestjs/graphql';
import {
  AuditCheckpoint,
  AuditCheckpointPage,
  AuditCheckpointQuery,
  AuditConsistencyProof,
  AuditConsistencyQuery,
  AuditInclusionProof,
  AuditInclusionQuery,
  AuditKey,
} from '../audit/seals.contract.js';
import { Caller } from '../identity/actor.decorator.js';
import type { Reader } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { ProofsService } from './proofs.service.js';

@Resolver(() => AuditCheckpoint)
export class SealsResolver {
  constructor(private readonly proofs: ProofsService) {}

  @Query(() => AuditCheckpoint)
  @Requires('viewAudit')
  auditCheckpoint(@Caller() actor: Reader): Promise<AuditCheckpoint> {
    return this.proofs.checkpoint(actor);
  }

  @Query(() => AuditCheckpointPage)
  @Requires('viewAudit')
  auditCheckpoints(@Caller() actor: Reader, @Args() query: AuditCheckpointQuery): Promise<AuditCheckpointPage> {
    return this.proofs.checkpoints(actor, query);
  }

  @Query(() => AuditKey)
  @Requires('viewAudit')
  auditKey(@Caller() actor: Reader): Promise<AuditKey> {
    return this.proofs.key(actor);
  }

  @Query(() => AuditInclusionProof)
  @Requires('viewAudit')
  auditInclusionProof(@Caller() actor: Reader, @Args() query: AuditInclusionQuery): Promise<AuditInclusionProof> {
    return this.proofs.inclusion(actor, query);
  }

  @Query(() => AuditConsistencyProof)
  @Requires('viewAudit')
  auditConsistencyProof(@Caller() actor: Reader, @Args() query: AuditConsistencyQuery): Promise<AuditConsistencyProof> {
    return this.proofs.consistency(actor, query);
  }
}
