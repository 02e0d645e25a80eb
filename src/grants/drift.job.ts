import { Inject, Injectable } from '@nestjs/common';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { Database } from '../platform/state/database.js';
import { principals, staleSince, type DriftDue } from './drift.queries.js';
import { DriftSweep } from './drift-sweep.js';

/** Looks at the same time in one process, most of which wait for targets that do not answer. */
const PARALLEL = 8;
/** Targets that are due are spread over most of the minute until the next tick. */
const SPREAD_MS = 45_000;
/** IAM principals a minute. Each is two calls and one for each policy: IAM allows an account some fifteen a second, for all it does. */
const PRINCIPALS = 120;
const MINUTE_MS = 60_000;

/** When targets and IAM are compared with the store: each target when its last look is too old, IAM a slice every minute. */
@Injectable()
export class DriftJobs {
  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly jobs: Jobs,
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly sweep: DriftSweep,
  ) {}

  async start(): Promise<void> {
    if (!this.settings.jobs) return;
    await this.jobs.work<DriftDue>('drift', PARALLEL, (due) => this.run(due));
    if (this.settings.drift.minutes > 0) await this.jobs.every('drift', '* * * * *');
  }

  private async run({ targetId, principals: arns, again }: DriftDue): Promise<void> {
    if (targetId !== undefined) await this.sweep.target(targetId, again ? undefined : this.due());
    else if (arns) await this.sweep.principals(arns);
    else await this.tick();
  }

  /** Enqueues what is due. A schedule of another process's may call here where this one is told not to look. */
  async tick(): Promise<void> {
    if (this.settings.drift.minutes === 0) return;
    const where = { deletedAt: null, ...staleSince(this.due()) };
    const targets = await this.db.client.target.findMany({ where, select: { id: true } });
    const looks = targets.map(({ id }) => ({
      data: { targetId: id } satisfies DriftDue,
      startAfter: new Date(Date.now() + Math.random() * SPREAD_MS),
    }));
    await this.jobs.enqueueAll(this.db.client, 'drift', looks);
    const now = this.clock.now();
    const slice = sliceOf(await principals(this.db.client, now), this.settings.drift.minutes, now);
    if (slice.length > 0) await this.jobs.enqueue(this.db.client, 'drift', { principals: slice } satisfies DriftDue);
    await this.sweep.forget();
  }

  private due(): Date {
    return new Date(this.clock.now().getTime() - this.settings.drift.minutes * MINUTE_MS);
  }
}

/**
 * The principals whose turn it is in this minute: each comes once in `minutes`, or less often where they are too many.
 * By the time alone, so that no process needs to know what another did.
 */
export function sliceOf(all: readonly string[], minutes: number, now: Date): string[] {
  const cycle = Math.max(minutes, Math.ceil(all.length / PRINCIPALS));
  const turn = Math.floor(now.getTime() / MINUTE_MS) % cycle;
  return all.filter((_, index) => index % cycle === turn);
}
