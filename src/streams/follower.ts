import { setTimeout as rest } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { AuditFeed } from '../audit/feed.service.js';
import type { Reader } from '../platform/actor.js';
import { currentCall, markRaised, runCall, type Call } from '../platform/call.js';
import { DomainError } from '../platform/errors.js';
import { Places } from '../platform/places.js';
import { PolicyService, type RecordsAction } from '../policy/policy.service.js';
import { isWanted, type Notice, type Noun, type NoticeFilter } from './notice.js';
import { RecordTail } from './record-tail.js';
import type { EventQuery } from './streams.contract.js';

/** Milliseconds after which policy is asked anew, where nothing happens, and for which its answer is good where something does. */
const LOOK_MS = 2_000;
const FRESH_MS = 1_000;
/** Milliseconds after a page of the past in which nothing was wanted: who looks for little in much leaves room for others. */
const REST_MS = 25;
/** Events that are made together. The next are when all of them were taken. */
const BATCH = 100;

/** One kind of events. */
export interface Kind<Event extends { sequence: number }> {
  readonly noun: Noun;
  /** What one must be allowed to see. */
  readonly action: RecordsAction;
  /**
   * Looks up what notices are about, all of them at once.
   * @returns makes the event of a notice; undefined where this reader may not see what it is about
   * @throws DomainError `policy_denied`
   */
  readonly show: (reader: Reader, ids: readonly string[]) => Promise<(notice: Notice) => Event | undefined>;
}

/**
 * Follows the sealed record for one who takes event after event. What they may see is asked again for every batch, as who they are by
 * then; where nothing happens, every two seconds.
 */
@Injectable()
export class Follower {
  /** One event is news to many at once: they look it up by four connections of the process at the most. */
  private readonly places = new Places(4);

  constructor(
    private readonly feed: AuditFeed,
    private readonly tail: RecordTail,
    private readonly policy: PolicyService,
  ) {}

  /** @throws DomainError `policy_denied`, `invalid_cursor`, `events_dropped` with nothing begun */
  async begin<Event extends { sequence: number }>(
    actor: Reader,
    { after, ...filter }: EventQuery,
    kind: Kind<Event>,
  ): Promise<AsyncIterator<Event>> {
    const call = currentCall();
    if (!call?.renew) throw new Error(`${kind.noun} events were asked for in a call that cannot go on`);
    this.policy.visible(actor, kind.action);
    const last = await this.feed.last();
    if ((after ?? 0) > last) throw beyond(after);
    await this.tail.page(after ?? last);
    const ending = new AbortController();
    return endable(this.events(call, after ?? last, filter, kind, ending.signal), ending);
  }

  private async *events<Event extends { sequence: number }>(
    call: Call,
    from: number,
    filter: NoticeFilter,
    kind: Kind<Event>,
    signal: AbortSignal,
  ): AsyncGenerator<Event, undefined> {
    const leave = this.tail.follow();
    try {
      let [after, asked] = [from, 0];
      while (!signal.aborted) {
        const { last, notices } = await this.tail.page(after);
        const wanted = notices.filter((notice) => isWanted(notice, kind.noun, filter));
        const batch = wanted.slice(0, BATCH);
        after = wanted.length > BATCH ? (batch.at(-1)?.sequence ?? last) : last;
        if (batch.length === 0) await rest(REST_MS);
        if (batch.length > 0 || performance.now() - asked >= LOOK_MS) {
          asked = performance.now();
          for (const [place, event] of (await this.show(call, batch, kind)).entries()) {
            // who is slow has no more than a second's worth of what they were allowed to see
            const stale = place > 0 && performance.now() - asked > FRESH_MS;
            if (stale) after = event.sequence - 1;
            if (stale) break;
            yield event;
          }
        }
        await this.tail.moved(after, LOOK_MS, signal);
      }
    } finally {
      leave();
    }
  }

  /** As if each batch were a call of its own, by whoever calls by then. */
  private async show<Event extends { sequence: number }>(
    { renew, ...whole }: Call,
    batch: readonly Notice[],
    { action, show }: Kind<Event>,
  ): Promise<Event[]> {
    const actor = await renew?.();
    if (!actor) return [];
    const call: Call = { ...whole, actor, action, subject: {}, decided: undefined, repeated: true };
    return runCall(call, async () => {
      try {
        this.policy.visible(actor, action);
        if (batch.length === 0) return [];
        const ids = [...new Set(batch.flatMap((notice) => notice.ids))];
        const eventOf = await this.places.run(() => show(actor, ids));
        return batch.flatMap((notice) => eventOf(notice) ?? []);
      } catch (error) {
        markRaised(error, call);
        throw error;
      }
    });
  }
}

/** Over at once when somebody ends it, also while it waits: a generator by itself would end after that. */
function endable<Event>(
  events: AsyncGenerator<Event, undefined>,
  ending: AbortController,
): AsyncIterableIterator<Event> {
  return {
    next: () => events.next(),
    return: () => {
      ending.abort();
      return events.return(undefined);
    },
    throw: (error: unknown) => {
      ending.abort();
      return events.throw(error);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

const beyond = (after: number | undefined): DomainError =>
  new DomainError(
    'invalid',
    'invalid_cursor',
    `The record has no event with the sequence ${after ?? 0} yet.`,
    'Take the sequence of the last event that came; after a restore of the state, read the lists anew and leave after out.',
  );
