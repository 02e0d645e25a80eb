import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { InjectPinoLogger, PinoLogger } from 'nestjs-pino';
import { fromPrisma, PgBoss, type JobResult } from 'pg-boss';
import { DATABASE_URL, SESSION, type Tx } from '../state/database.js';

/** Every queue, declared once. The schema of the engine is made by `installJobs`, as the owner. */
export const queues = [
  'reconcile',
  'expire-requests',
  'sweep-due',
  'sweep-requests',
  'forget-answers',
  'forget-decisions',
  'audit-months',
  'forget-deliveries',
  'drift',
  'ask-again',
  'leave-target',
  'discover',
  'read-logs',
  'expire-logs',
  'trust-bundles',
] as const;
export type Queue = (typeof queues)[number];

/** One of many that are enqueued together. */
export interface Job<T extends object> {
  data: T;
  /** By the clock of the database: a moment, or seconds from now; absent: now. */
  startAfter?: Date | number;
}

const SCHEMA = 'pgboss';

/** Creates or upgrades the engine's tables and our queues, and lets `usher_app` work in them. Safe to run at once in many processes. */
export async function installJobs(ownerUrl: string): Promise<void> {
  const boss = new PgBoss({ connectionString: ownerUrl, schema: SCHEMA, supervise: false, schedule: false, max: 2 });
  boss.on('error', () => undefined);
  await boss.start();
  try {
    for (const name of queues) {
      const options = {
        notify: true,
        retryLimit: 3,
        retryBackoff: true,
        expireInSeconds: 300,
        deleteAfterSeconds: 3600,
      };
      if ((await boss.getQueue(name)) === null) await boss.createQueue(name, options);
    }
    await boss.getDb().executeSql(`GRANT USAGE ON SCHEMA ${SCHEMA} TO usher_app`);
    await boss
      .getDb()
      .executeSql(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${SCHEMA} TO usher_app`);
    await boss.getDb().executeSql(`GRANT USAGE ON ALL SEQUENCES IN SCHEMA ${SCHEMA} TO usher_app`);
    await boss.getDb().executeSql(`GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ${SCHEMA} TO usher_app`);
  } finally {
    await boss.stop({ graceful: false });
  }
}

/** The job engine: work that is enqueued in the transaction of a change, and so is never lost and never early. */
@Injectable()
export class Jobs implements OnModuleDestroy {
  private readonly boss: PgBoss;
  private started: Promise<unknown> | undefined;

  constructor(
    @Inject(DATABASE_URL) url: string,
    @InjectPinoLogger(Jobs.name) private readonly log: PinoLogger,
  ) {
    this.boss = new PgBoss({
      connectionString: url,
      schema: SCHEMA,
      application_name: 'usher jobs',
      options: SESSION,
      migrate: false,
      createSchema: false,
      useListenNotify: true,
      max: 6,
      reindex: false, // usher_app owns no index
      monitorVacuum: false,
    });
    this.boss.on('error', (error) => this.log.warn({ err: error }, 'job engine'));
  }

  /** Connects; called once when the application starts. */
  start(): Promise<unknown> {
    return (this.started ??= this.boss.start());
  }

  /**
   * Enqueues in the caller's transaction: the job exists exactly if the change does.
   * @param startAfter by the clock of the database
   */
  async enqueue(tx: Tx, queue: Queue, data: object, startAfter?: Date): Promise<void> {
    await this.boss.send(queue, data, { db: fromPrisma(tx), ...(startAfter && { startAfter }) });
  }

  /** As {@link enqueue}, any number of them in one statement. */
  async enqueueAll(tx: Tx, queue: Queue, jobs: readonly Job<object>[]): Promise<void> {
    if (jobs.length > 0) await this.boss.insert(queue, [...jobs], { db: fromPrisma(tx) });
  }

  /** Repeats a job by cron, minute by minute at the finest, once over all processes. */
  async every(queue: Queue, cron: string): Promise<void> {
    await this.boss.schedule(queue, cron, {});
  }

  /** Works a queue in this process, `parallel` jobs at a time. A job that throws is tried again with backoff. */
  async work<T extends object>(queue: Queue, parallel: number, run: (data: T) => Promise<void>): Promise<void> {
    const options = {
      localConcurrency: parallel,
      batchSize: 2, // 1 would be bound by the polling interval; more would let one slow target hold up many
      burstWhenBatchFull: true,
      pollingIntervalSeconds: 0.5,
      notifyPollingIntervalSeconds: 0.5, // a job that was put off has no notification: expiry is to the half second
      perJobResults: true,
    } as const;
    await this.boss.work<T, void, typeof options>(queue, options, (jobs) =>
      Promise.all(jobs.map(({ id, data }) => this.settle(queue, id, () => run(data)))),
    );
  }

  /**
   * Takes the jobs of a queue many at a time and hands them on; each is done once it is handed on. For jobs that only wake
   * somebody: what they are about stands elsewhere, where it is found again should this process end before it is done.
   * @param hand may throw: all of them are then tried again
   */
  async handOn<T extends object>(queue: Queue, hand: (data: T[]) => Promise<void>): Promise<void> {
    const options = {
      batchSize: 500,
      burstWhenBatchFull: true,
      pollingIntervalSeconds: 0.5,
      notifyPollingIntervalSeconds: 0.5,
    } as const;
    await this.boss.work<T>(queue, options, async (jobs) => {
      try {
        await hand(jobs.map(({ data }) => data));
      } catch (error) {
        this.log.error({ err: error, queue, jobs: jobs.length }, 'jobs failed');
        throw error;
      }
    });
  }

  private async settle(queue: Queue, id: string, run: () => Promise<void>): Promise<JobResult> {
    try {
      await run();
      return { id, status: 'completed' };
    } catch (error) {
      this.log.error({ err: error, queue, job: id }, 'job failed');
      return { id, status: 'failed' };
    }
  }

  async onModuleDestroy(): Promise<void> {
    if (!this.started) return;
    await this.started.catch(() => undefined);
    await this.boss.stop({ graceful: true, timeout: 5000 });
  }
}
