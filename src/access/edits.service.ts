import { Injectable } from '@nestjs/common';
import type { IamMode } from '../grants/grants.contract.js';
import { IdentityService } from '../identity/identity.service.js';
import { refuseAbsent } from '../identity/standing.js';
import { serviceOf, type PersonActor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { asId } from '../platform/page.js';
import { Database, type Tx } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import { changesOf } from '../targets/target.js';
import type { LoginMethod } from '../targets/targets.contract.js';
import { TargetsService } from '../targets/targets.service.js';
import { policiesOf, type Draft } from './draft.js';
import { Drafts } from './drafts.service.js';
import type { EditRequest } from './edits.contract.js';
import {
  approvals,
  keptPlan,
  keptStages,
  notPending,
  presentRequest,
  requestFacts,
  type RequestRow,
} from './request.js';
import { RequestLedger } from './request-ledger.js';
import type { AccessRequest, CreateRequest, Plan } from './requests.contract.js';

/** A requester's change of mind. It is asked of policy like a new request, and whoever agreed must look again. Seven collaborators for that reason. */
@Injectable()
export class EditsService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly drafts: Drafts,
    private readonly identity: IdentityService,
    private readonly targets: TargetsService,
    private readonly ledger: RequestLedger,
  ) {}

  /**
   * Changes what waits; what is left out stays. The time by which somebody must answer stays, too.
   * @throws DomainError `request_not_found`, `policy_denied` for anybody else's; `request_not_pending`, `invalid_input` for more
   *   time of a grant, `concurrent_change`, and what a new request would be refused with, with the request as it was
   */
  async edit(actor: PersonActor, id: string, input: EditRequest): Promise<AccessRequest> {
    const before = await this.ledger.row(this.db.client, asId(id, 'request id'));
    this.policy.authorize(actor, 'editRequest', requestFacts(before));
    refuseOtherService(before, actor);
    this.refuseDecided(before);
    refuseUnfit(before, input);
    const wanted = this.wanted(before, input);
    const draft = await this.drafts.draft(actor, wanted);
    this.drafts.authorize(actor, draft, wanted);
    const plan = await this.drafts.plan(draft, before.login, before.personId, before.grantId ?? '', null);
    return this.db.tx(async (tx) => {
      refuseAbsent(await this.identity.hold(tx, [actor.id]));
      await this.ledger.through(tx, actor);
      const row = await this.ledger.lock(tx, before.id);
      await this.targets.offered(tx, row.targetId);
      this.refuseDecided(row);
      if (row.planRevision !== before.planRevision) throw changedMeanwhile();
      return presentRequest(await this.write(tx, actor, row, { draft, wanted, plan }));
    });
  }

  /** No vote is taken along: each is for the revision that it was given to. */
  private async write(
    tx: Tx,
    actor: PersonActor,
    row: RequestRow,
    { draft, wanted, plan }: { draft: Draft; wanted: CreateRequest; plan: Plan },
  ): Promise<RequestRow> {
    const { reason, ticket = null, durationMinutes, startsAt = null } = wanted;
    const { approvalsNeeded } = draft;
    const edited = await tx.request.update({
      where: { id: row.id },
      data: {
        ...{ reason, ticket, durationMinutes, startsAt, approvalsNeeded, principalArn: draft.principalArn },
        ...{ policies: policiesOf(draft), plan: keptPlan(plan), ...keptStages(draft.stages) },
        ...{ planRevision: { increment: 1 }, editedAt: this.clock.now() },
      },
    });
    await this.ledger.record(tx, actor, row, 'request.edit', {
      changed: changesOf(row, { reason, ticket, durationMinutes, startsAt }),
      ...{ revision: edited.planRevision, approvalsNeeded, policies: edited.policies, voided: approvals(row) },
    });
    const now = await this.ledger.row(tx, row.id);
    if (approvalsNeeded > 0) return now;
    await this.ledger.approved(tx, actor, now);
    return this.ledger.row(tx, row.id);
  }

  /** The request as it would have been asked. A beginning that has passed is at once. */
  private wanted(row: RequestRow, input: EditRequest): CreateRequest {
    const startsAt = input.startsAt ?? (row.startsAt !== null && row.startsAt > this.clock.now() ? row.startsAt : null);
    const ticket = input.ticket ?? row.ticket;
    return {
      ...{ targetId: row.targetId, profileId: row.profileId, database: row.database },
      ...{ method: row.method as LoginMethod, mode: row.mode as IamMode },
      reason: input.reason ?? row.reason,
      durationMinutes: input.durationMinutes ?? row.durationMinutes,
      ...(ticket !== null && { ticket }),
      ...(startsAt !== null && { startsAt }),
    };
  }

  private refuseDecided({ state, decideBy }: RequestRow): void {
    if (state !== 'pending') throw notPending(state);
    if (decideBy <= this.clock.now()) throw notPending('expired');
  }
}

function refuseUnfit({ kind }: RequestRow, input: EditRequest): void {
  if (kind === 'extend')
    throw new DomainError(
      'invalid',
      'invalid_input',
      'A request for more time is not changed.',
      'Cancel it with POST /v1/requests/{id}/cancel, and ask anew with POST /v1/grants/{id}/extend.',
    );
  if (Object.values(input).every((value) => value === undefined))
    throw new DomainError(
      'invalid',
      'invalid_input',
      'Nothing is to be changed.',
      'Send reason, ticket, durationMinutes or startsAt.',
    );
}

/** What was asked without a service, or through another one, would else be worded by one that then votes on it. */
function refuseOtherService({ viaServiceId }: RequestRow, actor: PersonActor): void {
  const service = serviceOf(actor);
  if (service && service.id !== viaServiceId)
    throw new DomainError(
      'forbidden',
      'acting_not_possible',
      'A service changes only what was asked for through it.',
      'The person who asked may change it directly, or cancel it and ask anew.',
    );
}

const changedMeanwhile = (): DomainError =>
  new DomainError(
    'conflict',
    'concurrent_change',
    'The request was changed at the same moment.',
    'Look at it with GET /v1/requests/{id}, then repeat the call.',
  );
