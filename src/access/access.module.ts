import { Module } from '@nestjs/common';
import { GrantsModule } from '../grants/grants.module.js';
import { IdentityModule } from '../identity/identity.module.js';
import { PolicyModule } from '../policy/policy.module.js';
import { TargetsModule } from '../targets/targets.module.js';
import { Drafts } from './drafts.service.js';
import { RequestsController } from './requests.controller.js';
import { RequestJobs } from './requests.job.js';
import { RequestsResolver } from './requests.resolver.js';
import { RequestsService } from './requests.service.js';

/** Who asks for what, and who must say yes. */
@Module({
  imports: [GrantsModule, IdentityModule, PolicyModule, TargetsModule],
  controllers: [RequestsController],
  providers: [RequestsService, Drafts, RequestsResolver, RequestJobs],
  exports: [RequestJobs],
})
export class AccessModule {}
