import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS, type Settings } from '../platform/config.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { MonthsService } from './months.service.js';

/** Looks after the months of the record, every hour in one process. */
@Injectable()
export class MonthJobs {
  constructor(
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'jobs'>,
    private readonly jobs: Jobs,
    private readonly months: MonthsService,
  ) {}

  async start(): Promise<void> {
    if (!this.settings.jobs) return;
    await this.jobs.work('audit-months', 1, () => this.months.turn());
    await this.jobs.every('audit-months', '29 * * * *');
  }
}
