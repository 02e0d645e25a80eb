import { Inject, Injectable } from '@nestjs/common';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { Database } from '../platform/state/database.js';
import { dueLogins, type LoginOnTarget } from './grants.queries.js';
import { Reconciler } from './reconciler.js';

/** Logins worked on at the same time in one process. */
const PARALLEL = 6;

/** When the reconciler runs: at once after a change, at the end of a grant, at the start, and once a minute for what was missed. */
@Injectable()
export class GrantJobs {
  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly jobs: Jobs,
    private readonly reconciler: Reconciler,
    private readonly db: Database,
    private readonly clock: Clock,
  ) {}

  async start(): Promise<void> {
    if (!this.settings.jobs) return;
    await this.jobs.work<LoginOnTarget>('reconcile', PARALLEL, (login) => this.reconciler.reconcile(login));
    await this.jobs.work('sweep-due', 1, () => this.sweepDue());
    await this.jobs.every('sweep-due', '* * * * *');
    await this.sweepDue(); // what a crash left behind waits for nobody
  }

  /** Enqueues a reconcile for every login with work that is due. */
  async sweepDue(): Promise<void> {
    const logins = await dueLogins(this.db.client, this.clock.now());
    for (const login of logins) await this.jobs.enqueue(this.db.client, 'reconcile', login);
  }
}
