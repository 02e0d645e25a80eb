import { Controller, Get, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
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

@ApiTags('audit')
@ApiBearerAuth()
@Controller('v1/audit')
export class SealsController {
  constructor(private readonly proofs: ProofsService) {}

  /** The newest signed checkpoint of the sealed record */
  @Get('checkpoint')
  @Requires('viewAudit')
  checkpoint(@Caller() actor: Reader): Promise<AuditCheckpoint> {
    return this.proofs.checkpoint(actor);
  }

  /** Checkpoints of the sealed record, newest first */
  @Get('checkpoints')
  @Requires('viewAudit')
  checkpoints(@Caller() actor: Reader, @Query() query: AuditCheckpointQuery): Promise<AuditCheckpointPage> {
    return this.proofs.checkpoints(actor, query);
  }

  /** The public key that checkpoints are verified with */
  @Get('key')
  @Requires('viewAudit')
  key(@Caller() actor: Reader): Promise<AuditKey> {
    return this.proofs.key(actor);
  }

  /** Proof that a line is in the sealed record */
  @Get('proofs/inclusion')
  @Requires('viewAudit')
  inclusion(@Caller() actor: Reader, @Query() query: AuditInclusionQuery): Promise<AuditInclusionProof> {
    return this.proofs.inclusion(actor, query);
  }

  /** Proof that the sealed record only grew between two sizes */
  @Get('proofs/consistency')
  @Requires('viewAudit')
  consistency(@Caller() actor: Reader, @Query() query: AuditConsistencyQuery): Promise<AuditConsistencyProof> {
    return this.proofs.consistency(actor, query);
  }
}
