import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module.js';
import { PolicyModule } from '../policy/policy.module.js';
import { TargetsModule } from '../targets/targets.module.js';
import { AuditExportController } from './audit-export.controller.js';
import { AuditController } from './audit.controller.js';
import { AuditResolver } from './audit.resolver.js';
import { EvidenceService } from './evidence.service.js';
import { ProofsService } from './proofs.service.js';
import { SealsController } from './seals.controller.js';
import { SealsResolver } from './seals.resolver.js';

@Module({
  imports: [AuditModule, PolicyModule, TargetsModule],
  controllers: [AuditController, AuditExportController, SealsController],
  providers: [EvidenceService, ProofsService, AuditResolver, SealsResolver],
})
export class EvidenceModule {}
