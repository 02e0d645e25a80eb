import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { InjectPinoLogger, PinoLogger } from 'nestjs-pino';
import { AuditFeed } from '../audit/feed.service.js';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { Database } from '../platform/state/database.js';
import { dueWebhooks } from './deliveries.queries.js';
import { Turns } from './turns.js';
import { WebhookRounds } from './webhook-rounds.js';

/** Between two looks for what is due. A line is in the sealed record within a second, and soon afterwards on its way. */
const LOOK_MS = 1_000;
/** What was delivered is told for so long. */
const KEPT_MS = 7 * 86_400_000;

/** When webhooks have their turns. Six collaborators: settings, jobs, state, time, record, rounds; and the log. */
@Injectable()
export class NotificationJobs implements OnModuleDestroy {
  private readonly turns: Turns;
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<unknown> = Promise.resolve();
  private stopped = false;

  constructor(
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'jobs'>,
    private readonly jobs: Jobs,
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly feed: AuditFeed,
    private readonly rounds: WebhookRounds,
    @InjectPinoLogger(NotificationJobs.name) private readonly log: PinoLogger,
  ) {
    this.turns = new Turns(db.locks);
  }

  async start(): Promise<void> {
    if (!this.settings.jobs) return;
    await this.jobs.work('forget-deliveries', 1, () => this.forget());
    await this.jobs.every('forget-deliveries', '41 * * * *');
    this.next();
  }

  async onModuleDestroy(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.looking;
    await this.turns.ended();
  }

  /** Gives every webhook with something to do its turn; over when all of them are. */
  async tick(): Promise<void> {
    await Promise.all(await this.begin());
  }

  async forget(): Promise<void> {
    const before = new Date(this.clock.now().getTime() - KEPT_MS);
    await this.db.client.webhookDelivery.deleteMany({ where: { state: 'delivered', deliveredAt: { lt: before } } });
  }

  /** One slow receiver holds up no other: whoever is still at its turn is left at it, and the next look comes all the same. */
  private next(): void {
    if (this.stopped) return;
    const jitter = 0.9 + Math.random() * 0.2; // replicas do not all look at the same moment
    this.timer = setTimeout(() => {
      this.looking = this.begin()
        .catch((error: unknown) => this.log.warn({ err: error }, 'could not look for what webhooks are due'))
        .then(() => this.next());
    }, LOOK_MS * jitter);
  }

  private async begin(): Promise<Promise<void>[]> {
    const due = await dueWebhooks(this.db.client, this.clock.now(), await this.feed.last());
    return due.map((id) => this.turns.take(id, () => this.turn(id)).catch((error: unknown) => this.missed(id, error)));
  }

  /** Nobody waits for a turn that is left at: one that could not even begin must not end the process. */
  private missed(id: string, error: unknown): void {
    this.log.warn({ err: error, webhookId: id }, 'a webhook could not have its turn');
  }

  private async turn(id: string): Promise<void> {
    try {
      while (!this.stopped && (await this.rounds.step(id)));
    } catch (error) {
      this.log.error({ err: error, webhookId: id }, 'a turn of a webhook failed');
    }
  }
}
