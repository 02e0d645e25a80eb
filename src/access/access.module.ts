import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module.js';
import { GrantsModule } from '../grants/grants.module.js';
import { IdentityModule } from '../identity/identity.module.js';
import { PolicyModule } from '../policy/policy.module.js';
import { TargetsModule } from '../targets/targets.module.js';
import { DecisionBatch } from './decision-batch.service.js';
import { DecisionsService } from './decisions.service.js';
import { DelegationsController } from './delegations.controller.js';
import { DelegationsResolver } from './delegations.resolver.js';
import { DelegationsService } from './delegations.service.js';
import { ApiKeysController } from './api-keys.controller.js';
import { ApiKeysResolver } from './api-keys.resolver.js';
import { ApiKeysService } from './api-keys.service.js';
import { Drafts } from './drafts.service.js';
import { EditsService } from './edits.service.js';
import { ExtensionsController } from './extensions.controller.js';
import { ExtensionsResolver } from './extensions.resolver.js';
import { ExtensionsService } from './extensions.service.js';
import { Farewells } from './farewells.js';
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
import { RequestSight } from './request-sight.js';
import { RequestsController } from './requests.controller.js';
import { RequestJobs } from './requests.job.js';
import { RequestsResolver } from './requests.resolver.js';
import { RequestsService } from './requests.service.js';
import { RequestReviews } from './request-reviews.service.js';
import { ReviewsController } from './reviews.controller.js';
import { ReviewsResolver } from './reviews.resolver.js';
import { ReviewsService } from './reviews.service.js';
import { TargetLocksController } from './target-locks.controller.js';
import { TargetLocksResolver } from './target-locks.resolver.js';
import { TargetLocks } from './target-locks.service.js';
import { Titles } from './titles.js';
import { SignInController } from './sign-in.controller.js';
import { ServicesController } from './services.controller.js';
import { ServicesResolver } from './services.resolver.js';
import { ServicesService } from './services.service.js';

/** Who asks for what, who must say yes, and who may ask at all. */
@Module({
  imports: [AuditModule, GrantsModule, IdentityModule, PolicyModule, TargetsModule],
  controllers: [
    ...[RequestsController, DelegationsController, ExtensionsController, ReviewsController, SignInController],
    ...[PeopleController, TargetLocksController, OverviewController],
    ...[ServicesController, ApiKeysController],
  ],
  providers: [
    ...[RequestsService, Drafts, RequestLedger, Renewals, Lapses, Replacements, RequestsResolver, RequestJobs],
    ...[DecisionsService, DecisionBatch, EditsService, RequestReviews, RequestSight],
    ...[DelegationsService, DelegationsResolver, Titles],
    ...[ExtensionsService, ExtensionsResolver],
    ...[ReviewsService, ReviewsResolver],
    ...[TargetLocks, TargetLocksResolver],
    ...[AccessOptions, AccessOverview, OverviewResolver],
    ...[PeopleService, PeopleResolver, Farewells],
    ...[ServicesService, ServicesResolver, ApiKeysService, ApiKeysResolver],
  ],
  exports: [RequestJobs, RequestsService],
})
export class AccessModule {}
