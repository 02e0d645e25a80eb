import { Inject, Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import type { Prisma } from '../generated/prisma/client.js';
import { GrantsService } from '../grants/grants.service.js';
import { refuseEnded } from '../grants/lifecycle.js';
import { IdentityService } from '../identity/identity.service.js';
import { refuseAbsent } from '../identity/standing.js';
import type { PersonActor, Reader } from '../platform/actor.js';
import { apart } from '../platform/call.js';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { DomainError } from '../platform/errors.js';
import { asId, readPage, toPage } from '../platform/page.js';
import { Database, type Tx } from '../platform/state/database.js';
import { absent, PolicyService } from '../policy/policy.service.js';
import { visibility, visibleRows } from '../policy/visibility.js';
import { TargetsService } from '../targets/targets.service.js';
import { Drafts, newRequest, presentDecision } from './drafts.service.js';
import { Lapses } from './lapses.js';
import { isAsShown, planChanged, refuseOutgrown, refuseRevision } from './promise.js';
import { Renewals } from './renewals.js';
import {
  alreadyVoted,
  approvals,
  hasVoted,
  notPending,
  presentRequest,
  requestFacts,
  withVotes,
  type RequestRow,
} from './request.js';
import { RequestLedger } from './request-ledger.js';
import type {
  AccessRequest,
  AccessRequestPage,
  Approval,
  CreateRequest,
  RequestPreview,
  RequestQuery,
} from './requests.contract.js';

/** Who asks for what, and who agrees. So many collaborators because this is where the flows of the product meet. */
@Injectable()
export class RequestsService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly drafts: Drafts,
    private readonly identity: IdentityService,
    private readonly grants: GrantsService,
    private readonly targets: TargetsService,
    private readonly ledger: RequestLedger,
    private readonly renewals: Renewals,
    private readonly lapses: Lapses,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  /** What a request would come to; nothing is stored, also when policy refuses. */
  async preview(actor: PersonActor, input: CreateRequest): Promise<RequestPreview> {
    const draft = await this.drafts.draft(actor, input);
    const decision = presentDecision(draft);
    if (!decision.allowed) return { decision, plan: null };
    const login = await this.identity.previewLogin(actor.id, draft.target.masterUser ?? undefined, draft.method);
    return { decision, plan: await this.drafts.plan(draft, login, actor.id, v7(), null) };
  }

  /** @throws DomainError `policy_denied`, `invalid_duration`, `profile_not_allowed`, `target_unreachable`, … with nothing stored */
  async create(actor: PersonActor, input: CreateRequest): Promise<AccessRequest> {
    const draft = await this.drafts.draft(actor, input);
    this.drafts.authorize(actor, draft, input);
    const grantId = v7();
    const { target, method } = draft;
    const preview = await this.identity.previewLogin(actor.id, target.masterUser ?? undefined, method);
    const plan = await this.drafts.plan(draft, preview, actor.id, grantId, null);
    return this.db.tx(async (tx) => {
      refuseAbsent(await this.identity.hold(tx, [actor.id])); // both may have left since
      await this.targets.offered(tx, target.id);
      const login = await this.identity.loginFor(tx, actor.id, target.masterUser ?? undefined, method);
      if (login !== plan.login)
        throw new DomainError(
          'conflict',
          'concurrent_change',
          'Somebody else was given the login name of the plan.',
          'Repeat the call.',
        );
      const own = { grantId, personId: actor.id, plan, now: this.clock.now(), ttl: this.settings.requestTtlMinutes };
      return presentRequest(await this.ledger.add(tx, actor, newRequest(draft, input, own)));
    });
  }

  async list(actor: Reader, query: RequestQuery): Promise<AccessRequestPage> {
    const seen = await this.visible(actor);
    const { before, take, limit } = readPage(query);
    const wanted: Prisma.RequestWhereInput = {
      ...(query.target !== undefined && { targetId: query.target }),
      ...(query.person !== undefined && { personId: query.person }),
      ...(query.state !== undefined && { state: query.state }),
    };
    const rows = await this.db.client.request.findMany({
      where: { AND: [seen, wanted, before === undefined ? {} : { id: { lt: before } }] },
      orderBy: { id: 'desc' },
      take,
      include: withVotes,
    });
    return toPage(rows, limit, presentRequest);
  }

  /** @throws DomainError `request_not_found`, also for one that this person may not see */
  async get(actor: Reader, id: string): Promise<AccessRequest> {
    const where = { AND: [await this.visible(actor), { id: asId(id, 'request id') }] };
    const row = await this.db.client.request.findFirst({ where, include: withVotes });
    if (!row) throw absent.request();
    return presentRequest(row);
  }

  /**
   * One yes to the plan as it stands. The last one that is needed opens the access, or gives it more time.
   * @throws DomainError `plan_changed` when the plan is no longer true: it is renewed then, and must be looked at;
   *   `grant_closed` for more time of a grant that is over; `target_removing`, `person_removed`, `person_locked`
   */
  async approve(actor: PersonActor, id: string, { comment, revision }: Approval = {}): Promise<AccessRequest> {
    try {
      return await this.decide(actor, 'approve', id, async (tx, row, policies) => {
        await this.refuseUntrue(tx, row, revision);
        const voted = await this.ledger.vote(tx, actor, row, 'approve', comment);
        const agreed = approvals(voted);
        const { approvalsNeeded: needed, planRevision } = row;
        const details = { comment: comment ?? null, approvals: agreed, needed, revision: planRevision, policies };
        await this.ledger.record(tx, actor, row, 'request.approve', details);
        if (agreed >= needed) await this.ledger.approved(tx, actor, row);
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
   * things: who may not decide does not learn it. Who voted was let in then, and hears that it was so.
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
      const voted = action !== 'cancel' && hasVoted(row, actor.id);
      const policies = voted ? [] : this.policy.authorize(actor, action, requestFacts(row)).policies;
      if (row.state === 'pending' && row.decideBy <= this.clock.now()) throw notPending('expired');
      if (row.state !== 'pending') throw notPending(row.state);
      if (voted) throw alreadyVoted();
      refuseAbsent(action === 'approve' ? people : people.filter((one) => one.id === actor.id));
      await change(tx, row, policies);
      return presentRequest(await this.ledger.row(tx, row.id));
    });
  }

  /** Only what was looked at, and is still so, may be agreed to. */
  private async refuseUntrue(tx: Tx, row: RequestRow, revision: number | undefined): Promise<void> {
    await this.targets.offered(tx, row.targetId);
    if (row.extendsId !== null) refuseEnded(await this.grants.row(tx, row.extendsId), this.clock.now());
    refuseOutgrown(row);
    refuseRevision(row, revision);
    if (!isAsShown(row)) throw new Untrue(row);
  }

  private async visible(actor: Reader): Promise<Prisma.RequestWhereInput> {
    const scopes = this.policy.visible(actor, 'viewRequests');
    return visibleRows(await visibility(actor, scopes, (groups) => this.targets.ownedBy(groups)));
  }
}

/** The plan is no longer true. Rolls the vote back; the plan is then renewed apart from it. */
class Untrue extends Error {
  constructor(readonly row: RequestRow) {
    super('the plan is no longer true');
  }
}

const isGrantClosed = (error: unknown): boolean => error instanceof DomainError && error.code === 'grant_closed';
