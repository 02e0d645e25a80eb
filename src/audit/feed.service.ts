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
   * @returns `last`: up to where this reaches, also where a line at its end is not kept any more; `whole`: every line of it is kept
   */
  async after(sequence: number, limit: number): Promise<{ last: number; lines: SealedEvent[]; whole: boolean }> {
    const seals = await this.db.client.auditSeal.findMany({
      where: { seq: { gt: sequence } },
      select: { seq: true, eventId: true },
      orderBy: { seq: 'asc' },
      take: limit,
    });
    const lines = await this.#lines(seals);
    return { last: Number(seals.at(-1)?.seq ?? sequence), lines, whole: lines.length === seals.length };
  }

  /** The last sequence number that was dropped with its month, as the record itself tells; 0: none was. */
  async droppedUpTo(): Promise<number> {
    const where = { action: 'audit.drop' };
    const told = await this.db.client.auditEvent.findMany({ where, orderBy: { id: 'desc' }, take: 12 });
    const last = told.map(({ details }) => (details as { lastSequence?: unknown }).lastSequence);
    return last.find((sequence) => typeof sequence === 'number') ?? 0; // a month without lines has none
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
