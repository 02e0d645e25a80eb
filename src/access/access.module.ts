import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module.js';
import { GrantsModule } from '../grants/grants.module.js';
import { IdentityModule } from '../identity/identity.module.js';
import { PolicyModule } from '../policy/policy.module.js';
import { TargetsModule } from '../targets/targets.module.js';
import { Drafts } from './drafts.service.js';
import { ExtensionsController } from './extensions.controller.js';
import { ExtensionsResolver } from './extensions.resolver.js';
import { ExtensionsService } from './extensions.service.js';
import { Lapses } from './lapses.js';
import { AccessOptions } from './options.service.js';
import { OverviewController } from './overview.controller.js';
import { OverviewResolver } from './overview.resolver.js';
import { AccessOverview } from './overview.service.js';
import { PeopleController } from './people.controller.js';
import { PeopleResolver } from './people.resolver.js';
import { PeopleService } from './people.service.js';
import { Renewals } from './renewals.js';
import { Replacements } from './replacements.js';
import { RequestLedger } from './request-ledger.js';
import { RequestsController } from './requests.controller.js';
import { RequestJobs } from './requests.job.js';
import { RequestsResolver } from './requests.resolver.js';
import { RequestsService } from './requests.service.js';
import { ReviewsController } from './reviews.controller.js';
import { ReviewsResolver } from './reviews.resolver.js';
import { ReviewsService } from './reviews.service.js';
import { TargetLocksController } from './target-locks.controller.js';
import { TargetLocksResolver } from './target-locks.resolver.js';
import { TargetLocks } from './target-locks.service.js';

/** Who asks for what, who must say yes, and who may ask at all. */
@Module({
  imports: [AuditModule, GrantsModule, IdentityModule, PolicyModule, TargetsModule],
  controllers: [
    ...[RequestsController, ExtensionsController, ReviewsController],
    ...[PeopleController, TargetLocksController, OverviewController],
  ],
  providers: [
    ...[RequestsService, Drafts, RequestLedger, Renewals, Lapses, Replacements, RequestsResolver, RequestJobs],
    ...[ExtensionsService, ExtensionsResolver],
    ...[ReviewsService, ReviewsResolver],
    ...[TargetLocks, TargetLocksResolver],
    ...[AccessOptions, AccessOverview, OverviewResolver],
    ...[PeopleService, PeopleResolver],
  ],
  exports: [RequestJobs],
})
export class AccessModule {}
