import { Injectable } from '@nestjs/common';
import { GrantsService } from '../grants/grants.service.js';
import { refuseEnded } from '../grants/lifecycle.js';
import { refuseAbsent } from '../identity/standing.js';
import type { PersonActor } from '../platform/actor.js';
import { apart } from '../platform/call.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { asId } from '../platform/page.js';
import { Database, type Tx } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import { TargetsService } from '../targets/targets.service.js';
import { bothNames } from './delegation.js';
import type { Approval } from './decisions.contract.js';
import { Lapses } from './lapses.js';
import { isAsShown, planChanged, refuseOutgrown, refuseRevision } from './promise.js';
import { refuseOtherStage } from './quorum.js';
import { Renewals } from './renewals.js';
import {
  alreadyVoted,
  approvals,
  hasVoted,
  notPending,
  openStageOf,
  presentRequest,
  refuseOwn,
  requestFacts,
  type RequestRow,
} from './request.js';
import { RequestLedger } from './request-ledger.js';
import type { AccessRequest } from './requests.contract.js';
import { Titles, type Bench, type Title } from './titles.js';

/** Who agrees, refuses, or takes it back. Nine collaborators: what is agreed to must still be true of all that it is about. */
@Injectable()
export class DecisionsService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly titles: Titles,
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
      return await this.decide(actor, 'approve', id, async (tx, row, title) => {
        const stage = refuseOutOfTurn(row, title.whose);
        await this.refuseUntrue(tx, row, revision);
        const { delegation, policies } = title;
        const voted = await this.ledger.vote(tx, actor, row, {
          verdict: 'approve',
          comment,
          delegationId: delegation?.id,
        });
        const { approvalsNeeded: needed, planRevision } = row;
        const details = { comment: comment ?? null, approvals: approvals(voted), needed, revision: planRevision };
        const told = { ...details, stage, policies, ...inWhosePlace(title) };
        await this.ledger.record(tx, actor, row, 'request.approve', told);
        if (openStageOf(voted) === undefined) await this.ledger.approved(tx, actor, row);
      });
    } catch (error) {
      if (error instanceof Untrue) throw planChanged(await this.renewals.renew(actor, error.row));
      if (isGrantClosed(error)) await apart(() => this.lapses.expire(actor, id));
      throw error;
    }
  }

  /** One no ends it. */
  deny(actor: PersonActor, id: string, comment?: string): Promise<AccessRequest> {
    return this.decide(actor, 'deny', id, async (tx, row, title) => {
      await this.ledger.vote(tx, actor, row, { verdict: 'deny', comment, delegationId: title.delegation?.id });
      await this.ledger.decided(tx, row, 'denied');
      await this.ledger.record(tx, actor, row, 'request.deny', { comment: comment ?? null, ...inWhosePlace(title) });
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
    change: (tx: Tx, row: RequestRow, title: Title) => Promise<void>,
  ): Promise<AccessRequest> {
    return this.db.tx(async (tx) => {
      const { personId } = await this.ledger.row(tx, asId(id, 'request id'));
      const bench = await this.titles.hold(tx, actor, personId);
      const row = await this.ledger.lock(tx, id);
      const voted = action !== 'cancel' && hasVoted(row, bench.human);
      const title = voted ? { policies: [], whose: actor } : this.title(actor, action, row, bench);
      if (action === 'approve') refuseOwn(row, bench.human);
      if (row.state === 'pending' && row.decideBy <= this.clock.now()) throw notPending('expired');
      if (row.state !== 'pending') throw notPending(row.state);
      if (voted) throw alreadyVoted();
      refuseAbsent(action === 'approve' ? bench.people : bench.people.filter((one) => one.id === actor.id));
      await change(tx, row, title);
      return presentRequest(await this.ledger.row(tx, row.id));
    });
  }

  /** Nobody takes back in the place of somebody else. */
  private title(actor: PersonActor, action: 'approve' | 'deny' | 'cancel', row: RequestRow, bench: Bench): Title {
    return action === 'cancel'
      ? { policies: this.policy.authorize(actor, action, requestFacts(row)).policies, whose: actor }
      : this.titles.choose(actor, action, row, bench);
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
function refuseOutOfTurn(row: RequestRow, whose: Title['whose']): string | undefined {
  const stage = openStageOf(row);
  if (stage) refuseOtherStage(stage, whose);
  return stage?.name;
}

/** Of the record, where the actor is who votes. */
const inWhosePlace = ({ delegation }: Title) => delegation && { inPlaceOf: bothNames(delegation) };

/** The plan is no longer true. Rolls the vote back; the plan is then renewed apart from it. */
class Untrue extends Error {
  constructor(readonly row: RequestRow) {
    super('the plan is no longer true');
  }
}

const isGrantClosed = (error: unknown): boolean => error instanceof DomainError && error.code === 'grant_closed';
