import { Injectable } from '@nestjs/common';
import type { IamMode } from '../grants/grants.contract.js';
import type { PersonActor } from '../platform/actor.js';
import { apart } from '../platform/call.js';
import { Database } from '../platform/state/database.js';
import type { LoginMethod } from '../targets/targets.contract.js';
import { TargetsService } from '../targets/targets.service.js';
import { Drafts } from './drafts.service.js';
import { extendedEnd, promised, promiseOf } from './promise.js';
import { keptPlan, planOf, type RequestRow } from './request.js';
import { RequestLedger } from './request-ledger.js';
import type { Plan } from './requests.contract.js';

/** What was shown must be what is done: a request whose plan is no longer true is given a new one, to be agreed to anew. */
@Injectable()
export class Renewals {
  constructor(
    private readonly db: Database,
    private readonly drafts: Drafts,
    private readonly targets: TargetsService,
    private readonly ledger: RequestLedger,
  ) {}

  /**
   * The plan of a request as it would be made now, checked against the target.
   * @param grantId that the plan names
   */
  async plan(row: RequestRow, grantId: string): Promise<Plan> {
    const target = await this.targets.row(this.db.client, row.targetId);
    const [method, mode] = [row.method as LoginMethod, row.mode as IamMode];
    const planned = { target, profile: promised(row), method, mode, principalArn: row.principalArn };
    return this.drafts.plan(planned, row.login, row.personId, grantId, extendedEnd(row));
  }

  /**
   * Gives a pending request the plan that is true now. The call that found it out is refused, so this is no part of its answer.
   * @returns the revision that is to be looked at
   * @throws DomainError `profile_not_allowed`, `target_unreachable`, … with the plan as it was
   */
  async renew(actor: PersonActor, outdated: RequestRow): Promise<number> {
    const plan = await this.plan(outdated, outdated.grantId ?? outdated.extendsId ?? '');
    return apart(() =>
      this.db.tx(async (tx) => {
        const row = await this.ledger.lock(tx, outdated.id);
        // another approver found it out at the same moment
        if (row.state !== 'pending' || row.planRevision !== outdated.planRevision) return row.planRevision;
        const data = { plan: keptPlan(plan), planRevision: { increment: 1 } };
        const { planRevision } = await tx.request.update({ where: { id: row.id }, data });
        const details = { revision: planRevision, was: promiseOf(planOf(row)), now: promiseOf(plan) };
        await this.ledger.record(tx, actor, row, 'request.replan', details);
        return planRevision;
      }),
    );
  }
}
