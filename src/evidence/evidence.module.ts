import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module.js';
import { PolicyModule } from '../policy/policy.module.js';
import { TargetsModule } from '../targets/targets.module.js';
import { AuditExportController } from './audit-export.controller.js';
import { AuditController } from './audit.controller.js';
import { AuditResolver } from './audit.resolver.js';
import { EvidenceService } from './evidence.service.js';

@Module({
  imports: [AuditModule, PolicyModule, TargetsModule],
  controllers: [AuditController, AuditExportController],
  providers: [EvidenceService, AuditResolver],
})
export class EvidenceModule {}
