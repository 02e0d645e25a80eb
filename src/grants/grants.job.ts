import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { InjectPinoLogger, PinoLogger } from 'nestjs-pino';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { Database } from '../platform/state/database.js';
import { dueLogins, dueTargets, freshRetries, type Moment, type ReconcileJob } from './grants.queries.js';
import { BUSY_MS, Reconciler, type Ask } from './reconciler.js';
import { Rounds } from './rounds.js';

/** Milliseconds after which a retry that did not run is taken for lost. */
const MISSED_MS = 30_000;
/** By so much the clocks of database and process may differ without a retry finding nothing to do. */
const EARLY_MS = 5_000;
/** Pause before work that failed for a reason of our own, such as our database being away. */
const AGAIN_MS = 2_000;

/** When the reconciler runs: at once after a change, at the end of a grant, at the start, and once a minute for what was missed. */
@Injectable()
export class GrantJobs implements OnModuleDestroy {
  private readonly rounds: Rounds;

  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly jobs: Jobs,
    private readonly reconciler: Reconciler,
    private readonly db: Database,
    private readonly clock: Clock,
    @InjectPinoLogger(GrantJobs.name) private readonly log: PinoLogger,
  ) {
    this.rounds = new Rounds(
      { targets: 200, perTarget: 2, logins: 100 },
      (targetId, asks) => this.reconciler.round(targetId, asks),
      (targetId, asks, error) => this.later(targetId, asks, error),
    );
  }

  async start(): Promise<void> {
    if (!this.settings.jobs) return;
    await this.jobs.handOn<ReconcileJob>('reconcile', (jobs) => this.wake(jobs));
    await this.jobs.work('sweep-due', 1, () => this.sweepDue(MISSED_MS));
    await this.jobs.every('sweep-due', '* * * * *');
    await this.sweepDue(0); // what a crash left behind waits for nobody
  }

  async onModuleDestroy(): Promise<void> {
    await this.rounds.stop();
  }

  /**
   * Wakes every target with work that is due.
   * @param missed milliseconds by which a retry must be late to count as lost
   */
  async sweepDue(missed: number): Promise<void> {
    const targets = await dueTargets(this.db.pool, this.moment(-missed));
    await this.jobs.enqueueAll(
      this.db.client,
      'reconcile',
      targets.map((targetId) => ({ data: { targetId } satisfies ReconcileJob })),
    );
  }

  private async wake(jobs: readonly ReconcileJob[]): Promise<void> {
    const retries = jobs.filter(({ retryAt }) => retryAt !== undefined);
    const fresh = retries.length > 0 ? await freshRetries(this.db.client, retries) : [];
    const due = [...jobs.filter(({ retryAt }) => retryAt === undefined), ...fresh];
    const whole = due.filter(({ login }) => login === undefined).map(({ targetId }) => targetId);
    const logins = whole.length > 0 ? await dueLogins(this.db.pool, this.moment(EARLY_MS), whole) : [];
    const asks = [...due, ...logins].flatMap(({ targetId, login, ...more }) =>
      login === undefined ? [] : [{ targetId, ask: { login, ...('repair' in more && { repair: true as const }) } }],
    );
    for (const [targetId, found] of Map.groupBy(asks, (one) => one.targetId))
      this.rounds.wake(
        targetId,
        found.map(({ ask }) => ask),
      );
  }

  /** Asked again: by a job for what somebody else works on, and here where it cannot even be enqueued. */
  private async later(targetId: string, asks: Ask[], error?: unknown): Promise<void> {
    if (error === undefined) {
      const startAfter = new Date(Date.now() + BUSY_MS);
      const jobs = asks.map((ask) => ({ data: { targetId, ...ask } satisfies ReconcileJob, startAfter }));
      const enqueued = this.jobs.enqueueAll(this.db.client, 'reconcile', jobs).then(() => true);
      if (await enqueued.catch(() => false)) return;
    } else this.log.error({ err: error, targetId, logins: asks.length }, 'a round failed');
    setTimeout(() => this.rounds.wake(targetId, asks), AGAIN_MS).unref();
  }

  private moment(ahead: number): Moment {
    return { now: this.clock.now(), late: new Date(Date.now() + ahead) };
  }
}
