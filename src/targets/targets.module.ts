import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module.js';
import { PolicyModule } from '../policy/policy.module.js';
import { PostgresModule } from '../postgres/postgres.module.js';
import { AccountsController } from './accounts.controller.js';
import { AccountsResolver } from './accounts.resolver.js';
import { AccountsService } from './accounts.service.js';
import { DiscoveredDatabasesService } from './discovered-databases.service.js';
import { DiscoveryController } from './discovery.controller.js';
import { DiscoveryRecord } from './discovery-record.js';
import { DiscoveryResolver } from './discovery.resolver.js';
import { DiscoveryService } from './discovery.service.js';
import { ProfilesService } from './profiles.service.js';
import { ReadinessController } from './readiness.controller.js';
import { ReadinessReader } from './readiness-reader.js';
import { ReadinessResolver } from './readiness.resolver.js';
import { ReadinessService } from './readiness.service.js';
import { TargetAccess } from './target-access.service.js';
import { TargetsController } from './targets.controller.js';
import { TargetsResolver } from './targets.resolver.js';
import { TargetsService } from './targets.service.js';
import { TrustController } from './trust.controller.js';
import { TrustMirrorController } from './trust-mirror.controller.js';
import { TrustMirrorService } from './trust-mirror.service.js';
import { TrustResolver } from './trust.resolver.js';
import { TrustService } from './trust.service.js';

/** The databases that Usher gives access to: what they are, how they are reached and trusted. */
@Module({
  imports: [AuditModule, PolicyModule, PostgresModule],
  controllers: [
    AccountsController,
    DiscoveryController,
    ReadinessController,
    TargetsController,
    TrustController,
    TrustMirrorController,
  ],
  providers: [
    AccountsService,
    AccountsResolver,
    DiscoveredDatabasesService,
    DiscoveryRecord,
    DiscoveryResolver,
    DiscoveryService,
    ReadinessReader,
    ReadinessResolver,
    ReadinessService,
    TargetsService,
    ProfilesService,
    TargetAccess,
    TrustMirrorService,
    TrustService,
    TargetsResolver,
    TrustResolver,
  ],
  exports: [TargetsService, DiscoveryService, ProfilesService, TargetAccess, TrustMirrorService, TrustService],
})
export class TargetsModule {}
