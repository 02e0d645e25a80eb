import { Inject, Injectable } from '@nestjs/common';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { Database } from '../platform/state/database.js';
import { dueLogins, type Reconcile } from './grants.queries.js';
import { GrantLedger } from './ledger.js';
import { Reconciler } from './reconciler.js';

/** Logins worked on at the same time in one process. */
const PARALLEL = 6;
/** Milliseconds after which a retry that did not run is taken for lost. */
const MISSED_MS = 30_000;

/** When the reconciler runs: at once after a change, at the end of a grant, at the start, and once a minute for what was missed. */
@Injectable()
export class GrantJobs {
  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly jobs: Jobs,
    private readonly reconciler: Reconciler,
    private readonly ledger: GrantLedger,
    private readonly db: Database,
    private readonly clock: Clock,
  ) {}

  async start(): Promise<void> {
    if (!this.settings.jobs) return;
    await this.jobs.work<Reconcile>('reconcile', PARALLEL, (due) => this.reconcile(due));
    await this.jobs.work('sweep-due', 1, () => this.sweepDue(MISSED_MS));
    await this.jobs.every('sweep-due', '* * * * *');
    await this.sweepDue(0); // what a crash left behind waits for nobody
  }

  /**
   * Enqueues a reconcile for every login with work that is due.
   * @param missed milliseconds by which a retry must be late to count as lost
   */
  async sweepDue(missed: number): Promise<void> {
    const now = this.clock.now();
    const logins = await dueLogins(this.db.client, now, new Date(now.getTime() - missed));
    for (const login of logins) await this.jobs.enqueue(this.db.client, 'reconcile', login);
  }

  private async reconcile(due: Reconcile): Promise<void> {
    if (!(await this.ledger.isStale(due))) await this.reconciler.reconcile(due);
  }
}
