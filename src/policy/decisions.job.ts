import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS, type Settings } from '../platform/config.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { Database } from '../platform/state/database.js';
import { forgetDecisions } from './policies.queries.js';
import { MAX_DRY_RUN } from './policies.contract.js';

/** Keeps no more decisions than a dry run can be made on, of everybody as many as the others leave room for. */
@Injectable()
export class DecisionJobs {
  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly jobs: Jobs,
    private readonly db: Database,
  ) {}

  async start(): Promise<void> {
    if (!this.settings.jobs) return;
    await this.jobs.work('forget-decisions', 1, () => this.forget());
    await this.jobs.every('forget-decisions', '* * * * *');
  }

  async forget(kept = MAX_DRY_RUN): Promise<void> {
    await forgetDecisions(this.db.pool, kept);
  }
}
