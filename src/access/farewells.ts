import { Injectable } from '@nestjs/common';
import { Departures, type Farewell } from '../grants/departures.service.js';
import type { Actor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import type { Tx } from '../platform/state/database.js';
import { DelegationsService } from './delegations.service.js';
import { Lapses } from './lapses.js';

/** How much of each came to its end. */
export interface Ended {
  readonly requests: number;
  readonly grants: number;
  readonly votes: number;
  readonly delegations: number;
}

/** All that a person has ends together: what they have, what they asked for, and what they have a say in. */
@Injectable()
export class Farewells {
  constructor(
    private readonly clock: Clock,
    private readonly lapses: Lapses,
    private readonly departures: Departures,
    private readonly delegations: DelegationsService,
  ) {}

  /** In the transaction that removes or locks the person, which holds their row. */
  async ofPerson(tx: Tx, actor: Actor, personId: string, reason: Farewell): Promise<Ended> {
    const delegations = await this.delegations.endOf(tx, actor, personId, reason);
    const votes = await this.void(tx, personId);
    const requests = await this.lapses.ofPerson(tx, actor, personId, reason);
    return { requests, grants: await this.departures.ofPerson(tx, actor, personId, reason), votes, delegations };
  }

  /**
   * Their votes on what waits, those too that others gave in their place: for good, or they would count again once the person
   * may act again. All requests that this person has to do with are locked at once and in order, so that two such calls do not
   * wait for each other.
   */
  private async void(tx: Tx, personId: string): Promise<number> {
    const found = await tx.$queryRaw<{ id: string }[]>`
      SELECT r.id FROM request r
       WHERE r.state = 'pending' AND (r.person_id = ${personId}::uuid OR EXISTS (
         SELECT 1 FROM vote v LEFT JOIN delegation d ON d.id = v.delegation_id
          WHERE v.request_id = r.id AND ${personId}::uuid IN (v.person_id, d.delegator_id)))
       ORDER BY r.id FOR UPDATE OF r`;
    const theirs = { OR: [{ personId }, { delegation: { delegatorId: personId } }] };
    const where = { requestId: { in: found.map(({ id }) => id) }, voidedAt: null, ...theirs };
    const { count } = await tx.vote.updateMany({ where, data: { voidedAt: this.clock.now() } });
    return count;
  }
}
