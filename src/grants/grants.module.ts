import { Module } from '@nestjs/common';
import { PolicyModule } from '../policy/policy.module.js';
import { TargetsModule } from '../targets/targets.module.js';
import { Departures } from './departures.service.js';
import { DriftController } from './drift.controller.js';
import { DriftCountsService } from './drift-counts.service.js';
import { PolicyLook } from './drift-iam.js';
import { DriftJobs } from './drift.job.js';
import { DriftRecord } from './drift-record.js';
import { DriftResolver } from './drift.resolver.js';
import { DriftService } from './drift.service.js';
import { DriftSweep } from './drift-sweep.js';
import { TargetLook } from './drift-target.js';
import { GrantsController } from './grants.controller.js';
import { GrantCountsService } from './grant-counts.service.js';
import { GrantJobs } from './grants.job.js';
import { GrantsResolver } from './grants.resolver.js';
import { GrantsService } from './grants.service.js';
import { GrantLedger } from './ledger.js';
import { Outages } from './outages.js';
import { GrantPolicies } from './policies.service.js';
import { Readers } from './readers.js';
import { Reconciler } from './reconciler.js';
import { GrantSettlement } from './settlement.js';

/** The life of access, and the one path on which it is given and taken. Nobody else changes access. */
@Module({
  imports: [PolicyModule, TargetsModule],
  controllers: [GrantsController, DriftController],
  providers: [
    GrantsService,
    Departures,
    GrantCountsService,
    GrantLedger,
    GrantPolicies,
    GrantSettlement,
    Outages,
    Readers,
    Reconciler,
    GrantJobs,
    GrantsResolver,
    TargetLook,
    PolicyLook,
    DriftRecord,
    DriftSweep,
    DriftCountsService,
    DriftService,
    DriftJobs,
    DriftResolver,
  ],
  exports: [
    GrantsService,
    GrantCountsService,
    Departures,
    DriftCountsService,
    DriftJobs,
    GrantJobs,
    GrantPolicies,
    Reconciler,
  ],
})
export class GrantsModule {}
