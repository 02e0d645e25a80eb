import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { InjectPinoLogger, PinoLogger } from 'nestjs-pino';
import { SETTINGS, type Settings } from '../platform/config.js';
import { Observer } from './observer.service.js';

/** Has the observer look again and again; never two looks at the same time in one process. */
@Injectable()
export class Sampler implements OnModuleDestroy {
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly observer: Observer,
    @InjectPinoLogger(Sampler.name) private readonly log: PinoLogger,
  ) {}

  start(): void {
    if (this.settings.jobs && this.settings.sampleSeconds > 0) this.next();
  }

  async onModuleDestroy(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running;
  }

  private next(): void {
    if (this.stopped) return;
    const jitter = 0.9 + Math.random() * 0.2; // replicas do not all look at the same moment
    this.timer = setTimeout(
      () => {
        this.running = this.observer
          .sampleAll()
          .catch((error: unknown) => this.log.warn({ err: error }, 'sampling failed'))
          .then(() => this.next());
      },
      this.settings.sampleSeconds * 1000 * jitter,
    );
  }
}
