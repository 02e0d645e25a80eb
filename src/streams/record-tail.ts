import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { InjectPinoLogger, PinoLogger } from 'nestjs-pino';
import { AuditFeed } from '../audit/feed.service.js';
import { DomainError } from '../platform/errors.js';
import { Places } from '../platform/places.js';
import { noticeOf, type Notice } from './notice.js';

/** Between two looks, while anybody follows. A line is in the sealed record within a second. */
const LOOK_MS = 500;
/** Lines that are read together. */
const STEP = 200;
/** Notices that are kept for those who are a little behind; others read the record themselves. */
const KEPT = 2_000;

/** What follows a sequence number, as far as it was looked at. */
export interface NoticePage {
  readonly last: number;
  readonly notices: readonly Notice[];
}

/**
 * The end of the sealed record, looked at once for all streams of this process and held in memory, so that many who wait cost the
 * database as much as one. Nobody is sent anything: each takes a page when they have done with the last.
 */
@Injectable()
export class RecordTail implements OnModuleDestroy {
  #kept: readonly Notice[] = [];
  /** Everything behind `from`, up to `last`, is kept; undefined: nothing is. */
  #from: number | undefined;
  #last = 0;
  #followers = 0;
  #stopped = false;
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #waiting = new Set<() => void>();
  /** Those who are behind read by two connections of the process at the most. */
  readonly #places = new Places(2);

  constructor(
    private readonly feed: AuditFeed,
    @InjectPinoLogger(RecordTail.name) private readonly log: PinoLogger,
  ) {}

  async onModuleDestroy(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  /** Streams that are open. */
  get followers(): number {
    return this.#followers;
  }

  /** @returns ends it: with the last, nothing is looked at any more */
  follow(): () => void {
    this.#followers += 1;
    if (this.#followers === 1) this.#next(0);
    return () => {
      this.#followers -= 1;
    };
  }

  /** @throws DomainError `events_dropped` where the record does not go back so far any more */
  async page(after: number): Promise<NoticePage> {
    if (this.#from === undefined || after < this.#from || after > this.#last)
      return this.#places.run(() => this.#read(after));
    const known = this.#kept.findLastIndex(({ sequence }) => sequence <= after);
    return { last: this.#last, notices: this.#kept.slice(known + 1) };
  }

  /** Until there is more than this, or the time is up, or the signal says so. */
  moved(after: number, milliseconds: number, signal: AbortSignal): Promise<void> {
    if (this.#last > after || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      this.#waiting.add(done);
      signal.addEventListener('abort', done);
    });
  }

  async #read(after: number): Promise<NoticePage> {
    const { last, lines, lost } = await this.feed.after(after, STEP);
    if (lost !== undefined) throw eventsDropped(Math.max(lost, await this.feed.droppedUpTo()));
    return { last, notices: lines.flatMap((line) => noticeOf(line) ?? []) };
  }

  #next(milliseconds: number): void {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      // the next follower may have come while the look for the last one goes on: two at once would find everything twice
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined;
        if (this.#followers > 0) this.#next(LOOK_MS);
        else [this.#from, this.#kept] = [undefined, []];
      });
    }, milliseconds);
  }

  /** Never throws. */
  async #look(): Promise<void> {
    try {
      if (this.#from === undefined) {
        this.#last = await this.feed.last();
        this.#from = this.#last;
        this.#wake();
      }
      while (!this.#stopped && (await this.#grow()));
    } catch (error) {
      this.log.warn({ err: error }, 'the end of the record could not be looked at');
    }
  }

  async #grow(): Promise<boolean> {
    const { last, lines } = await this.feed.after(this.#last, STEP);
    if (last === this.#last) return false;
    const kept = [...this.#kept, ...lines.flatMap((line) => noticeOf(line) ?? [])];
    const gone = kept.length - KEPT;
    this.#from = gone > 0 ? kept[gone - 1]?.sequence : this.#from;
    [this.#kept, this.#last] = [kept.slice(Math.max(0, gone)), last];
    this.#wake();
    return true;
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done();
  }
}

const eventsDropped = (last: number): DomainError =>
  new DomainError(
    'conflict',
    'events_dropped',
    `Events up to ${last} are not kept any more, and some that you did not see may be among them.`,
    `Read the lists anew, and subscribe with after: ${last} or without it.`,
  );
