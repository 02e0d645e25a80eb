import { Inject, Injectable } from '@nestjs/common';
import { Clock } from '../clock.js';
import { SETTINGS, type Settings } from '../config.js';
import { Jobs } from '../jobs/jobs.js';
import { Database } from '../state/database.js';

/** For so long a repeated call finds the answer of the first. */
const KEPT_MS = 24 * 3_600_000;

/** Forgets the answers of mutations after a day, so that they do not pile up. */
@Injectable()
export class IdempotencyJobs {
  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly jobs: Jobs,
    private readonly db: Database,
    private readonly clock: Clock,
  ) {}

  async start(): Promise<void> {
    if (!this.settings.jobs) return;
    await this.jobs.work('forget-answers', 1, () => this.forget());
    await this.jobs.every('forget-answers', '17 * * * *');
  }

  async forget(): Promise<void> {
    const before = new Date(this.clock.now().getTime() - KEPT_MS);
    await this.db.client.idempotentAnswer.deleteMany({ where: { createdAt: { lt: before } } });
  }
}
