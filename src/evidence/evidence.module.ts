import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module.js';
import { PolicyModule } from '../policy/policy.module.js';
import { TargetsModule } from '../targets/targets.module.js';
import { AuditController } from './audit.controller.js';
import { AuditResolver } from './audit.resolver.js';
import { EvidenceService } from './evidence.service.js';

@Module({
  imports: [AuditModule, PolicyModule, TargetsModule],
  controllers: [AuditController],
  providers: [EvidenceService, AuditResolver],
})
export class EvidenceModule {}
