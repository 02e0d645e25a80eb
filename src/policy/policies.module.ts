import { Module } from '@nestjs/common';
import { DecisionJobs } from './decisions.job.js';
import { PoliciesController } from './policies.controller.js';
import { PoliciesResolver } from './policies.resolver.js';
import { PoliciesService } from './policies.service.js';
import { PolicyModule } from './policy.module.js';
import { PolicyTrialsService } from './policy-trials.service.js';

/** The policies as people read and change them. */
@Module({
  imports: [PolicyModule],
  controllers: [PoliciesController],
  providers: [PoliciesService, PolicyTrialsService, PoliciesResolver, DecisionJobs],
})
export class PoliciesModule {}
