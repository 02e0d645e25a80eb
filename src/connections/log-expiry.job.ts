import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS, type Settings } from '../platform/config.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { LogExpiry } from './log-expiry.service.js';

/** Lets go of old events once a day in one process, so that the record has a line a day of a target at the most. */
@Injectable()
export class LogExpiryJobs {
  constructor(
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'jobs'>,
    private readonly jobs: Jobs,
    private readonly expiry: LogExpiry,
  ) {}

  async start(): Promise<void> {
    if (!this.settings.jobs) return;
    await this.jobs.work('expire-logs', 1, () => this.expiry.turn());
    await this.jobs.every('expire-logs', '17 3 * * *');
  }
}
