import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { InjectPinoLogger, PinoLogger } from 'nestjs-pino';
import { randomUUID } from 'node:crypto';
import { SETTINGS, type Settings } from '../platform/config.js';
import { Database } from '../platform/state/database.js';
import { LookOut, type Watched } from './look-out.js';
import { claim, leaseMs, leave } from './looks.queries.js';
import { Observer } from './observer.service.js';
import { firstPause, pauseAfter } from './pace.js';

/** One endpoint that is looked at again and again. */
interface Beat {
  place: Watched;
  timer: NodeJS.Timeout | undefined;
  failures: number;
  /** The look that is under way. */
  running: Promise<void>;
}

/**
 * Has the observer look at each endpoint again and again, each at its own pace: one that is slow or dead keeps no other waiting.
 * Processes share the endpoints among them; each is one process's at a time.
 */
@Injectable()
export class Sampler implements OnModuleDestroy {
  private readonly me = randomUUID();
  private readonly intervalMs: number;
  private readonly beats = new Map<string, Beat>();
  private timer: NodeJS.Timeout | undefined;
  private round: Promise<void> = Promise.resolve();
  private stopped = false;
  private started = false;

  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly db: Database,
    private readonly out: LookOut,
    private readonly observer: Observer,
    @InjectPinoLogger(Sampler.name) private readonly log: PinoLogger,
  ) {
    this.intervalMs = settings.sampleSeconds * 1_000;
  }

  start(): void {
    this.started = this.settings.jobs && this.intervalMs > 0;
    if (this.started) this.again(0);
  }

  async onModuleDestroy(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.round;
    const running = [...this.beats.keys()].map((id) => this.leaveOff(id));
    await Promise.all(running);
    if (this.started) await leave(this.db, this.me).catch(() => undefined); // the leases end by themselves
  }

  private again(milliseconds: number): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      this.round = this.share()
        .catch((error: unknown) => this.log.warn({ err: error }, 'could not share out who looks where'))
        .then(() => this.again(pauseAfter(this.intervalMs, { tookMs: 0, failures: 0 }, Math.random())));
    }, milliseconds);
  }

  /** Takes what is this process's to look at, and leaves off the rest. */
  private async share(): Promise<void> {
    const places = await this.out.named(await claim(this.db, this.me, leaseMs(this.intervalMs)));
    const mine = new Map(places.map((place) => [place.endpoint.id, place]));
    for (const id of this.beats.keys()) if (!mine.has(id)) void this.leaveOff(id);
    for (const [id, place] of mine) {
      const beat = this.beats.get(id);
      if (beat) beat.place = place;
    }
    const fresh = [...mine].filter(([id]) => !this.beats.has(id));
    // not all at once: each has its own moment
    for (const [nth, [id, place]] of fresh.entries())
      this.begin(id, place, firstPause(this.intervalMs, { nth, of: fresh.length }, Math.random()));
    await this.observer.tidy();
  }

  private begin(id: string, place: Watched, milliseconds: number): void {
    const beat: Beat = { place, timer: undefined, failures: 0, running: Promise.resolve() };
    this.beats.set(id, beat);
    this.next(beat, milliseconds);
  }

  private next(beat: Beat, milliseconds: number): void {
    if (this.stopped || this.beats.get(beat.place.endpoint.id) !== beat) return;
    beat.timer = setTimeout(() => {
      beat.running = this.look(beat);
    }, milliseconds);
  }

  private async look(beat: Beat): Promise<void> {
    const began = performance.now();
    const tookMs = await this.observer.attempt(beat.place, this.me).catch(() => undefined);
    beat.failures = tookMs === undefined ? beat.failures + 1 : 0;
    const ownMs = tookMs === undefined ? 0 : performance.now() - began - tookMs;
    // it is the server's answers that are spared: what entering it and our own state took only comes off the pause
    const pause = pauseAfter(this.intervalMs, { tookMs: tookMs ?? 0, failures: beat.failures }, Math.random());
    this.next(beat, Math.max(0, pause - ownMs));
  }

  private leaveOff(id: string): Promise<void> {
    const beat = this.beats.get(id);
    clearTimeout(beat?.timer);
    this.beats.delete(id);
    return beat?.running ?? Promise.resolve();
  }
}
