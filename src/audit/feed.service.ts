import { Injectable } from '@nestjs/common';
import { Database, type Tx } from '../platform/state/database.js';
import type { AuditEvent } from './audit.contract.js';
import { present } from './audit.service.js';

/** A line with its place in the sealed record. */
export interface SealedEvent {
  readonly sequence: number;
  readonly event: AuditEvent;
}

/** The record as others follow it: in one order, without gaps, and nothing ever comes below what was seen (adr/0024). */
@Injectable()
export class AuditFeed {
  constructor(private readonly db: Database) {}

  /** The last sequence number that was given; 0 before the first. */
  async last(db: Tx = this.db.client): Promise<number> {
    const seal = await db.auditSeal.findFirst({ orderBy: { seq: 'desc' }, select: { seq: true } });
    return Number(seal?.seq ?? 0);
  }

  /**
   * What follows a sequence number, in order.
   * @returns `last`: up to where this reaches; `lost`: the last within that whose line is not kept any more
   */
  async after(sequence: number, limit: number): Promise<{ last: number; lines: SealedEvent[]; lost?: number }> {
    const seals = await this.db.client.auditSeal.findMany({
      where: { seq: { gt: sequence } },
      select: { seq: true, eventId: true },
      orderBy: { seq: 'asc' },
      take: limit,
    });
    const lines = await this.#lines(seals);
    const kept = new Set(lines.map((line) => line.sequence));
    const lost = seals.findLast(({ seq }) => !kept.has(Number(seq)));
    return { last: Number(seals.at(-1)?.seq ?? sequence), lines, ...(lost && { lost: Number(lost.seq) }) };
  }

  /** The last sequence number of the months that were dropped as too old; 0 while none was. */
  async droppedUpTo(db: Tx = this.db.client): Promise<number> {
    const { _max } = await db.auditPartition.aggregate({
      where: { droppedAt: { not: null } },
      _max: { lastSequence: true },
    });
    return Number(_max.lastSequence ?? 0);
  }

  /** One line; undefined for what is not there yet, or not kept any more. */
  async at(sequence: number): Promise<AuditEvent | undefined> {
    const seals = await this.db.client.auditSeal.findMany({
      where: { seq: sequence },
      select: { seq: true, eventId: true },
    });
    return (await this.#lines(seals))[0]?.event;
  }

  async #lines(seals: readonly { seq: bigint; eventId: string }[]): Promise<SealedEvent[]> {
    if (seals.length === 0) return [];
    const where = { id: { in: seals.map(({ eventId }) => eventId) } };
    const events = new Map((await this.db.client.auditEvent.findMany({ where })).map((row) => [row.id, present(row)]));
    return seals.flatMap(({ seq, eventId }) => {
      const event = events.get(eventId);
      return event ? [{ sequence: Number(seq), event }] : [];
    });
  }
}
