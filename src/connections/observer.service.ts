import { Injectable } from '@nestjs/common';
import { InjectPinoLogger, PinoLogger } from 'nestjs-pino';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { Database } from '../platform/state/database.js';
import { LookOut, type Watched } from './look-out.js';
import { recordFailure, watch } from './looks.queries.js';
import { SightingRecord } from './sighting-record.js';

/** Looks at who is connected, endpoint by endpoint. */
@Injectable()
export class Observer {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly out: LookOut,
    private readonly record: SightingRecord,
    @InjectPinoLogger(Observer.name) private readonly log: PinoLogger,
  ) {}

  /** One look at every endpoint of every target, now; an endpoint that cannot be looked at does not keep the others. */
  async sampleAll(): Promise<void> {
    const places = await this.out.all();
    for (const { target, endpoint } of places) await watch(this.db.client, endpoint.id, target.id);
    await Promise.all(places.map((place) => this.attempt(place, null)));
    await this.tidy();
  }

  /**
   * One look at one endpoint. That it failed is kept and logged, and nothing else comes of it.
   * @param heldBy the process whose turn it is; null: whoever's
   * @returns milliseconds that the server took to answer; undefined: it did not
   */
  async attempt(place: Watched, heldBy: string | null): Promise<number | undefined> {
    try {
      const { sighting, asked, tookMs } = await this.out.look(place);
      await this.record.store(place, sighting, asked, heldBy);
      return tookMs;
    } catch (error) {
      const { target, endpoint } = place;
      const failure = error instanceof DomainError ? error.code : 'internal';
      await recordFailure(this.db.client, endpoint.id, failure, this.clock.now());
      this.log.warn({ err: error, target: target.name, endpoint: endpoint.kind }, 'could not look at who is connected');
      return undefined;
    }
  }

  /** What shows without a look: what logs say, sessions that go on after their grant, and those of endpoints that were taken away. */
  tidy(): Promise<void> {
    return this.record.tidy();
  }
}
