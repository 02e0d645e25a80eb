import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module.js';
import { PolicyModule } from '../policy/policy.module.js';
import { PostgresModule } from '../postgres/postgres.module.js';
import { ProfilesService } from './profiles.service.js';
import { TargetAccess } from './target-access.service.js';
import { TargetsController } from './targets.controller.js';
import { TargetsResolver } from './targets.resolver.js';
import { TargetsService } from './targets.service.js';
import { TrustController } from './trust.controller.js';
import { TrustResolver } from './trust.resolver.js';
import { TrustService } from './trust.service.js';

/** The databases that Usher gives access to: what they are, how they are reached and trusted. */
@Module({
  imports: [AuditModule, PolicyModule, PostgresModule],
  controllers: [TargetsController, TrustController],
  providers: [TargetsService, ProfilesService, TargetAccess, TrustService, TargetsResolver, TrustResolver],
  exports: [TargetsService, ProfilesService, TargetAccess, TrustService],
})
export class TargetsModule {}
