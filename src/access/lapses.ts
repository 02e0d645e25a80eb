import { Injectable } from '@nestjs/common';
import type { Prisma } from '../generated/prisma/client.js';
import type { Farewell } from '../grants/departures.service.js';
import { isOver } from '../grants/lifecycle.js';
import type { Actor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { Database, type Tx } from '../platform/state/database.js';
import { approvals } from './request.js';
import { RequestLedger } from './request-ledger.js';

/** Requests that are looked at in one sweep; the next is a minute away. */
const AT_ONCE = 1000;
const ENDED = ['closing', 'closed', 'failed'] as const;

/** Requests that end without anybody's vote: nobody answered, or what they are about has left. */
@Injectable()
export class Lapses {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly ledger: RequestLedger,
  ) {}

  /** Ends a request that nobody answered in time, or whose grant is over; anything else is left as it is. */
  async expire(actor: Actor, id: string): Promise<void> {
    await this.db.tx(async (tx) => {
      const row = await this.ledger.lock(tx, id);
      const reason = row.state === 'pending' ? await this.reason(tx, row) : undefined;
      if (reason === undefined) return;
      const details = { approvals: approvals(row), needed: row.approvalsNeeded };
      await this.ledger.lapse(tx, actor, row, 'expired', reason, details);
    });
  }

  /** Ends every request that is overdue: a job that was lost, or came too early by its own clock, leaves none waiting for ever. */
  async expireOverdue(actor: Actor): Promise<void> {
    const overdue = { decideBy: { lte: this.clock.now() } };
    const moot = { extends: { OR: [{ state: { in: [...ENDED] } }, { endsAt: { lte: this.clock.now() } }] } };
    const where = { state: 'pending' as const, OR: [overdue, moot] };
    const found = await this.db.client.request.findMany({ where, select: { id: true }, take: AT_ONCE });
    for (const { id } of found) await this.expire(actor, id);
  }

  /** Cancels what waits of a person who is removed or locked, in that transaction. @returns how many */
  ofPerson(tx: Tx, actor: Actor, personId: string, reason: Farewell): Promise<number> {
    return this.cancel(tx, actor, { personId }, reason);
  }

  /** Cancels what waits and was asked for through a service that is locked or removed, in that transaction. @returns how many */
  ofService(tx: Tx, actor: Actor, viaServiceId: string, reason: string): Promise<number> {
    return this.cancel(tx, actor, { viaServiceId }, reason);
  }

  /** Cancels what waits on a target that is being removed. */
  async ofTarget(actor: Actor, targetId: string): Promise<void> {
    await this.db.tx((tx) => this.cancel(tx, actor, { targetId }, 'the target was removed'));
  }

  /** Cancels what waits on a target, in the transaction that locks it. @returns how many */
  ofLockedTarget(tx: Tx, actor: Actor, targetId: string): Promise<number> {
    return this.cancel(tx, actor, { targetId }, 'the target was locked');
  }

  private async reason(
    tx: Tx,
    row: { decideBy: Date; extendsId: string | null },
  ): Promise<'the grant is over' | 'nobody answered in time' | undefined> {
    const now = this.clock.now();
    const grant = row.extendsId === null ? null : await tx.grant.findUnique({ where: { id: row.extendsId } });
    if (grant && (isOver(grant.state) || grant.state === 'closing' || grant.endsAt <= now)) return 'the grant is over';
    return row.decideBy <= now ? 'nobody answered in time' : undefined;
  }

  private async cancel(tx: Tx, actor: Actor, whose: Prisma.RequestWhereInput, reason: string): Promise<number> {
    const where = { ...whose, state: 'pending' as const };
    const found = await tx.request.findMany({ where, select: { id: true }, orderBy: { id: 'asc' } });
    let cancelled = 0;
    for (const { id } of found) {
      const row = await this.ledger.lock(tx, id);
      if (row.state !== 'pending') continue; // decided while this waited for it
      await this.ledger.lapse(tx, actor, row, 'cancelled', reason);
      cancelled++;
    }
    return cancelled;
  }
}
