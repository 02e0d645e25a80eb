import { Module } from '@nestjs/common';
import { PolicyModule } from '../policy/policy.module.js';
import { TargetsModule } from '../targets/targets.module.js';
import { GrantsController } from './grants.controller.js';
import { GrantJobs } from './grants.job.js';
import { GrantsResolver } from './grants.resolver.js';
import { GrantsService } from './grants.service.js';
import { GrantLedger } from './ledger.js';
import { Readers } from './readers.js';
import { Reconciler } from './reconciler.js';

/** The life of access, and the one path on which it is given and taken. Nobody else changes access. */
@Module({
  imports: [PolicyModule, TargetsModule],
  controllers: [GrantsController],
  providers: [GrantsService, GrantLedger, Readers, Reconciler, GrantJobs, GrantsResolver],
  exports: [GrantsService, GrantJobs, Reconciler],
})
export class GrantsModule {}
