import { Inject, Injectable } from '@nestjs/common';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { Database } from '../platform/state/database.js';
import { LogReader } from './log-reader.service.js';

/** A job: the target whose log is due; without one, the tick of the schedule. */
interface Due {
  targetId?: string;
}

/** Logs that one process reads at the same time. */
const PARALLEL = 4;
const MINUTE_MS = 60_000;
/** Targets that are due are spread over most of the minute until the next tick. */
const SPREAD_MS = 30_000;
/** Longer than a look takes. */
const LEASE_MS = 5 * MINUTE_MS;

/** When the logs of targets are read: each when its time has come. */
@Injectable()
export class LogReaderJobs {
  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly jobs: Jobs,
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly reader: LogReader,
  ) {}

  async start(): Promise<void> {
    if (!this.settings.jobs) return;
    await this.jobs.work<Due>('read-logs', PARALLEL, ({ targetId }) =>
      targetId === undefined ? this.tick() : this.reader.read(targetId, this.everyMs()),
    );
    if (this.settings.logMinutes > 0) await this.jobs.every('read-logs', '* * * * *');
  }

  /**
   * Enqueues what is due, and puts it off until the look is over, in one transaction: who dies in between leaves it due. A
   * schedule of another process's may call here where this one is told not to read.
   */
  async tick(): Promise<void> {
    if (this.settings.logMinutes === 0) return;
    const now = this.clock.now();
    const due = { OR: [{ logReader: null }, { logReader: { nextAt: { lte: now } } }] };
    const where = { deletedAt: null, logSource: { not: 'none' }, ...due };
    await this.db.tx(async (tx) => {
      const targets = await tx.target.findMany({ where, select: { id: true } });
      // until the look is over it is not due again, however long it takes
      const nextAt = new Date(now.getTime() + LEASE_MS);
      await tx.logReader.updateMany({ where: { targetId: { in: targets.map(({ id }) => id) } }, data: { nextAt } });
      const looks = targets.map(({ id }) => ({
        data: { targetId: id } satisfies Due,
        startAfter: new Date(Date.now() + Math.random() * SPREAD_MS),
      }));
      await this.jobs.enqueueAll(tx, 'read-logs', looks);
    });
  }

  private everyMs(): number {
    return this.settings.logMinutes * MINUTE_MS - SPREAD_MS;
  }
}
