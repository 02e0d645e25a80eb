import { Injectable } from '@nestjs/common';
import { GrantsService } from '../grants/grants.service.js';
import { refuseEnded } from '../grants/lifecycle.js';
import { IdentityService } from '../identity/identity.service.js';
import { humanOf, refuseAbsent } from '../identity/standing.js';
import type { PersonActor } from '../platform/actor.js';
import { apart } from '../platform/call.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { asId } from '../platform/page.js';
import { Database, type Tx } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import { TargetsService } from '../targets/targets.service.js';
import type { Approval } from './decisions.contract.js';
import { Lapses } from './lapses.js';
import { isAsShown, planChanged, refuseOutgrown, refuseRevision } from './promise.js';
import { openStage, refuseOtherStage } from './quorum.js';
import { Renewals } from './renewals.js';
import {
  alreadyVoted,
  approvals,
  hasVoted,
  notPending,
  presentRequest,
  progress,
  refuseOwn,
  requestFacts,
  type RequestRow,
} from './request.js';
import { RequestLedger } from './request-ledger.js';
import type { AccessRequest } from './requests.contract.js';

/** Who agrees, refuses, or takes it back. Nine collaborators: what is agreed to must still be true of all that it is about. */
@Injectable()
export class DecisionsService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly identity: IdentityService,
    private readonly grants: GrantsService,
    private readonly targets: TargetsService,
    private readonly ledger: RequestLedger,
    private readonly renewals: Renewals,
    private readonly lapses: Lapses,
  ) {}

  /**
   * One yes to the plan as it stands. The last one that is needed opens the access, or gives it more time.
   * @throws DomainError `plan_changed` when the plan is no longer true: it is renewed then, and must be looked at;
   *   `own_request` also for another name of who asked; `not_your_stage`; `grant_closed` for more time of a grant that is over;
   *   `target_removing`, `person_removed`, `person_locked`
   */
  async approve(actor: PersonActor, id: string, { comment, revision }: Approval = {}): Promise<AccessRequest> {
    try {
      return await this.decide(actor, 'approve', id, async (tx, row, policies) => {
        const stage = refuseOutOfTurn(row, actor);
        await this.refuseUntrue(tx, row, revision);
        const voted = await this.ledger.vote(tx, actor, row, 'approve', comment);
        const { approvalsNeeded: needed, planRevision } = row;
        const details = { comment: comment ?? null, approvals: approvals(voted), needed, revision: planRevision };
        await this.ledger.record(tx, actor, row, 'request.approve', { ...details, stage, policies });
        if (openStage(progress(voted)) === undefined) await this.ledger.approved(tx, actor, row);
      });
    } catch (error) {
      if (error instanceof Untrue) throw planChanged(await this.renewals.renew(actor, error.row));
      if (isGrantClosed(error)) await apart(() => this.lapses.expire(actor, id));
      throw error;
    }
  }

  /** One no ends it. */
  deny(actor: PersonActor, id: string, comment?: string): Promise<AccessRequest> {
    return this.decide(actor, 'deny', id, async (tx, row) => {
      await this.ledger.vote(tx, actor, row, 'deny', comment);
      await this.ledger.decided(tx, row, 'denied');
      await this.ledger.record(tx, actor, row, 'request.deny', { comment: comment ?? null });
    });
  }

  /** The requester takes it back. */
  cancel(actor: PersonActor, id: string): Promise<AccessRequest> {
    return this.decide(actor, 'cancel', id, async (tx, row) => {
      await this.ledger.decided(tx, row, 'cancelled');
      await this.ledger.record(tx, actor, row, 'request.cancel', {});
    });
  }

  /**
   * Two who decide at once do so one after the other, each on what the other left. Policy comes before the state of
   * things: who may not decide does not learn it. Who voted was let in then, under whichever name, and hears that it was so.
   */
  private decide(
    actor: PersonActor,
    action: 'approve' | 'deny' | 'cancel',
    id: string,
    change: (tx: Tx, row: RequestRow, policies: readonly string[]) => Promise<void>,
  ): Promise<AccessRequest> {
    return this.db.tx(async (tx) => {
      const { personId } = await this.ledger.row(tx, asId(id, 'request id'));
      const people = await this.identity.hold(tx, [actor.id, personId]);
      const row = await this.ledger.lock(tx, id);
      const human = humanOf(people.find((one) => one.id === actor.id) ?? { id: actor.id, email: null });
      const voted = action !== 'cancel' && hasVoted(row, human);
      const policies = voted ? [] : this.policy.authorize(actor, action, requestFacts(row)).policies;
      if (action === 'approve') refuseOwn(row, human);
      if (row.state === 'pending' && row.decideBy <= this.clock.now()) throw notPending('expired');
      if (row.state !== 'pending') throw notPending(row.state);
      if (voted) throw alreadyVoted();
      refuseAbsent(action === 'approve' ? people : people.filter((one) => one.id === actor.id));
      await change(tx, row, policies);
      return presentRequest(await this.ledger.row(tx, row.id));
    });
  }

  /** Only what was looked at, and is still so, may be agreed to. Who changed it must not win the race with who says yes. */
  private async refuseUntrue(tx: Tx, row: RequestRow, revision: number | undefined): Promise<void> {
    await this.targets.offered(tx, row.targetId);
    if (row.extendsId !== null) refuseEnded(await this.grants.row(tx, row.extendsId), this.clock.now());
    refuseOutgrown(row);
    refuseRevision(row, revision);
    if (!isAsShown(row)) throw new Untrue(row);
  }
}

/** @returns the name of the stage that is open @throws DomainError `not_your_stage` */
function refuseOutOfTurn(row: RequestRow, actor: PersonActor): string | undefined {
  const stages = progress(row);
  const stage = stages[(openStage(stages) ?? 1) - 1];
  if (stage) refuseOtherStage(stage, actor);
  return stage?.name;
}

/** The plan is no longer true. Rolls the vote back; the plan is then renewed apart from it. */
class Untrue extends Error {
  constructor(readonly row: RequestRow) {
    super('the plan is no longer true');
  }
}

const isGrantClosed = (error: unknown): boolean => error instanceof DomainError && error.code === 'grant_closed';
