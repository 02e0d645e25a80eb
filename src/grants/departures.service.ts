import { Injectable } from '@nestjs/common';
import type { Actor } from '../platform/actor.js';
import { Database, type Tx } from '../platform/state/database.js';
import { TargetsService } from '../targets/targets.service.js';
import { withNeighbours } from './grant.js';
import { GrantsService } from './grants.service.js';
import type { CloseReason } from './lifecycle.js';

/** Grants that are begun to be ended in one transaction: more would hold their rows too long. */
const AT_ONCE = 100;

/** Why all that a person has ends at once. */
export type Farewell = Extract<CloseReason, 'the person was removed' | 'the person was locked'>;

/** What becomes of grants when their person or their target leaves. */
@Injectable()
export class Departures {
  constructor(
    private readonly db: Database,
    private readonly grants: GrantsService,
    private readonly targets: TargetsService,
  ) {}

  /** Begins the end of everything that a person has, in the transaction that removes or locks them. @returns how many grants */
  ofPerson(tx: Tx, actor: Actor, personId: string, reason: Farewell): Promise<number> {
    return this.end(tx, actor, { personId }, reason);
  }

  /**
   * Begins the end of everything on a target that is being removed, and lets it go once the last of it is closed. What cannot
   * be closed, because the target does not answer, keeps it on the register. May run any number of times.
   */
  async ofTarget(actor: Actor, targetId: string): Promise<void> {
    const some = (): Promise<number> =>
      this.db.tx((tx) => this.end(tx, actor, { targetId }, 'the target was removed', AT_ONCE));
    while ((await some()) > 0);
    await this.targets.leave(actor, targetId);
  }

  /** Begins the end of everything on a target, in the transaction that locks it. @returns how many grants */
  ofLockedTarget(tx: Tx, actor: Actor, targetId: string): Promise<number> {
    return this.end(tx, actor, { targetId }, 'the target was locked');
  }

  private async end(
    tx: Tx,
    actor: Actor,
    whose: { personId: string } | { targetId: string },
    reason: CloseReason,
    take?: number,
  ): Promise<number> {
    const where = { ...whose, state: { in: ['scheduled' as const, 'opening' as const, 'active' as const] } };
    const found = await tx.grant.findMany({
      where,
      select: { id: true },
      orderBy: { id: 'asc' },
      ...(take && { take }),
    });
    const ids = found.map(({ id }) => id);
    await tx.$queryRaw`SELECT 1 FROM access_grant WHERE id = ANY (${ids}::uuid[]) ORDER BY id FOR UPDATE`;
    const rows = await tx.grant.findMany({
      where: { id: { in: ids } },
      include: withNeighbours,
      orderBy: { id: 'asc' },
    });
    for (const row of rows) await this.grants.end(tx, actor, row, reason);
    return rows.length;
  }
}
