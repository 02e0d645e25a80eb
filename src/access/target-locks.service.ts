import { Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { Departures } from '../grants/departures.service.js';
import type { Actor } from '../platform/actor.js';
import { DomainError } from '../platform/errors.js';
import { Database } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import { presentTarget, targetFacts } from '../targets/target.js';
import type { Target } from '../targets/targets.contract.js';
import { TargetsService } from '../targets/targets.service.js';
import { Lapses } from './lapses.js';

/** How often a lock that met others on its rows is tried. */
const TRIES = 5;

/** The kill switch of a target. Six collaborators: all that a target gives ends together. */
@Injectable()
export class TargetLocks {
  constructor(
    private readonly db: Database,
    private readonly policy: PolicyService,
    private readonly audit: AuditService,
    private readonly targets: TargetsService,
    private readonly lapses: Lapses,
    private readonly departures: Departures,
  ) {}

  /**
   * In one transaction nothing opens on a target any more, what was asked for is cancelled, and all that is open begins to end.
   * Repeating it changes nothing; the first reason stays.
   * @throws DomainError `policy_denied`, `target_not_found`
   */
  async lock(actor: Actor, id: string, reason: string): Promise<Target> {
    const target = await this.targets.row(this.db.client, id);
    this.policy.authorize(actor, 'lockTargets', targetFacts(target));
    return insisting(() => this.stop(actor, target.id, reason));
  }

  /**
   * Lets a target be used again: nothing that was ended is brought back.
   * @throws DomainError `policy_denied`, `target_not_found`
   */
  async unlock(actor: Actor, id: string): Promise<Target> {
    this.policy.authorize(actor, 'administerTargets');
    return this.db.tx(async (tx) => {
      const { id: targetId } = await this.targets.row(tx, id);
      if (await this.targets.setLocked(tx, targetId, null))
        await this.audit.append(tx, actor, { action: 'target.unlock', targetId, details: {} });
      return presentTarget(await this.targets.row(tx, targetId));
    });
  }

  /** Requests come before their target, as for those who approve; then those that were made while this waited for it. */
  private stop(actor: Actor, targetId: string, reason: string): Promise<Target> {
    return this.db.tx(async (tx) => {
      const { lockedAt } = await this.targets.row(tx, targetId);
      const before = lockedAt === null ? await this.lapses.ofLockedTarget(tx, actor, targetId) : 0;
      if (await this.targets.setLocked(tx, targetId, reason)) {
        const requests = before + (await this.lapses.ofLockedTarget(tx, actor, targetId));
        const grants = await this.departures.ofLockedTarget(tx, actor, targetId);
        await this.audit.append(tx, actor, { action: 'target.lock', targetId, details: { reason, requests, grants } });
      }
      return presentTarget(await this.targets.row(tx, targetId));
    });
  }
}

/** Who pulls the emergency brake is not told to pull again because somebody else was at the same rows. */
async function insisting<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      const met = error instanceof DomainError && error.code === 'concurrent_change';
      if (!met || tries === TRIES) throw error;
    }
  }
}
