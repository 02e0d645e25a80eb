import { Inject, Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import { AuditService } from '../audit/audit.service.js';
import type { AuditAction } from '../audit/events.js';
import type { Prisma } from '../generated/prisma/client.js';
import type { RequestState, Verdict } from '../generated/prisma/enums.js';
import { GrantsService } from '../grants/grants.service.js';
import { IdentityService } from '../identity/identity.service.js';
import type { Actor, PersonActor } from '../platform/actor.js';
import { concerning } from '../platform/call.js';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { DomainError } from '../platform/errors.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { asId, readPage, toPage } from '../platform/page.js';
import { Database, type Tx } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import { visibility, visibleRows } from '../policy/visibility.js';
import { TargetsService } from '../targets/targets.service.js';
import { Drafts, newRequest, presentDecision } from './drafts.service.js';
import {
  alreadyVoted,
  approvals,
  notFound,
  notPending,
  period,
  presentRequest,
  requestFacts,
  withVotes,
  type RequestRow,
} from './request.js';
import type {
  AccessRequest,
  AccessRequestPage,
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
    private readonly audit: AuditService,
    private readonly drafts: Drafts,
    private readonly identity: IdentityService,
    private readonly grants: GrantsService,
    private readonly targets: TargetsService,
    private readonly jobs: Jobs,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  /** What a request would come to; nothing is stored, also when policy refuses. */
  async preview(actor: PersonActor, input: CreateRequest): Promise<RequestPreview> {
    const draft = await this.drafts.draft(actor, input);
    const decision = presentDecision(draft);
    if (!decision.allowed) return { decision, plan: null };
    const login = await this.identity.previewLogin(actor.id, draft.target.masterUser ?? undefined);
    return { decision, plan: await this.drafts.plan(draft, login, v7(), null) };
  }

  /** @throws DomainError `policy_denied`, `invalid_duration`, `profile_not_allowed`, `target_unreachable`, … with nothing stored */
  async create(actor: PersonActor, input: CreateRequest): Promise<AccessRequest> {
    const draft = await this.drafts.draft(actor, input);
    this.drafts.authorize(actor, draft, input);
    const grantId = v7();
    const { target, profile, mode } = draft;
    const preview = await this.identity.previewLogin(actor.id, target.masterUser ?? undefined);
    const plan = await this.drafts.plan(draft, preview, grantId, null);
    return this.db.tx(async (tx) => {
      await this.targets.lock(tx, target.id); // it may have been taken off the register since
      const login = await this.identity.loginFor(tx, actor.id, target.masterUser ?? undefined);
      if (login !== plan.login)
        throw new DomainError(
          'conflict',
          'concurrent_change',
          'Somebody else was given the login name of the plan.',
          'Repeat the call.',
        );
      const data = newRequest(draft, input, {
        grantId,
        personId: actor.id,
        plan,
        now: this.clock.now(),
        ttl: this.settings.requestTtlMinutes,
      });
      const row = await tx.request.create({ data, include: withVotes });
      const { durationMinutes, reason, ticket } = row;
      await this.record(tx, actor, row, 'request.create', {
        profile: profile.name,
        durationMinutes,
        reason,
        ticket,
        mode,
        approvalsNeeded: row.approvalsNeeded,
        policies: row.policies,
      });
      if (row.state === 'approved') await this.openGrant(tx, actor, row);
      else await this.jobs.enqueue(tx, 'expire-requests', { requestId: row.id }, row.decideBy);
      return presentRequest(await this.row(tx, row.id));
    });
  }

  async list(actor: PersonActor, query: RequestQuery): Promise<AccessRequestPage> {
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
  async get(actor: PersonActor, id: string): Promise<AccessRequest> {
    const where = { AND: [await this.visible(actor), { id: asId(id, 'request id') }] };
    const row = await this.db.client.request.findFirst({ where, include: withVotes });
    if (!row) throw notFound();
    return presentRequest(row);
  }

  /** One yes. The last one that is needed opens the access. */
  approve(actor: PersonActor, id: string, comment?: string): Promise<AccessRequest> {
    return this.decide(actor, 'approve', id, async (tx, row, policies) => {
      const voted = await this.vote(tx, actor, row, 'approve', comment);
      const agreed = approvals(voted);
      const details = { comment: comment ?? null, approvals: agreed, needed: row.approvalsNeeded, policies };
      await this.record(tx, actor, row, 'request.approve', details);
      if (agreed < row.approvalsNeeded) return;
      await this.decided(tx, row, 'approved');
      await this.openGrant(tx, actor, row);
    });
  }

  /** One no ends it. */
  deny(actor: PersonActor, id: string, comment?: string): Promise<AccessRequest> {
    return this.decide(actor, 'deny', id, async (tx, row) => {
      await this.vote(tx, actor, row, 'deny', comment);
      await this.decided(tx, row, 'denied');
      await this.record(tx, actor, row, 'request.deny', { comment: comment ?? null });
    });
  }

  /** The requester takes it back. */
  cancel(actor: PersonActor, id: string): Promise<AccessRequest> {
    return this.decide(actor, 'cancel', id, async (tx, row) => {
      await this.decided(tx, row, 'cancelled');
      await this.record(tx, actor, row, 'request.cancel', {});
    });
  }

  /** Ends a request that nobody answered in time; anything else is left as it is. */
  async expire(actor: Actor, id: string): Promise<void> {
    await this.db.tx(async (tx) => {
      const row = await this.lock(tx, id);
      if (row.state !== 'pending' || row.decideBy > this.clock.now()) return;
      await this.decided(tx, row, 'expired');
      await this.record(tx, actor, row, 'request.expire', { approvals: approvals(row), needed: row.approvalsNeeded });
    });
  }

  /** Ends every request that is overdue: a job that was lost, or came too early by its own clock, leaves none waiting for ever. */
  async expireOverdue(actor: Actor): Promise<void> {
    const where = { state: 'pending' as const, decideBy: { lte: this.clock.now() } };
    const overdue = await this.db.client.request.findMany({ where, select: { id: true }, take: 1000 });
    for (const { id } of overdue) await this.expire(actor, id);
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
      const row = await this.lock(tx, asId(id, 'request id'));
      const voted = action !== 'cancel' && row.votes.some(({ personId }) => personId === actor.id);
      const policies = voted ? [] : this.policy.authorize(actor, action, requestFacts(row)).policies;
      if (row.state === 'pending' && row.decideBy <= this.clock.now()) throw notPending('expired');
      if (row.state !== 'pending') throw notPending(row.state);
      if (voted) throw alreadyVoted();
      await change(tx, row, policies);
      return presentRequest(await this.row(tx, row.id));
    });
  }

  private async lock(tx: Tx, id: string): Promise<RequestRow> {
    await tx.$queryRaw`SELECT 1 FROM request WHERE id = ${id}::uuid FOR UPDATE`;
    return this.row(tx, id);
  }

  private async row(tx: Tx, id: string): Promise<RequestRow> {
    const row = await tx.request.findUnique({ where: { id }, include: withVotes });
    if (!row) throw notFound();
    concerning({ requestId: row.id, targetId: row.targetId, subjectId: row.personId });
    return row;
  }

  private async vote(
    tx: Tx,
    actor: PersonActor,
    row: RequestRow,
    verdict: Verdict,
    comment?: string,
  ): Promise<RequestRow> {
    const data = {
      id: v7(),
      requestId: row.id,
      personId: actor.id,
      verdict,
      comment: comment ?? null,
      createdAt: this.clock.now(),
    };
    await tx.vote.create({ data });
    return this.row(tx, row.id);
  }

  private async decided(tx: Tx, row: RequestRow, state: RequestState): Promise<void> {
    await tx.request.update({ where: { id: row.id }, data: { state, decidedAt: this.clock.now() } });
  }

  private openGrant(tx: Tx, actor: Actor, row: RequestRow): Promise<void> {
    const {
      grantId: id,
      id: requestId,
      targetId,
      profileId,
      personId,
      login,
      database,
      method,
      mode,
      principalArn,
      profile,
    } = row;
    return this.grants.open(tx, actor, {
      ...{ id, requestId, targetId, profileId, personId, login, database, method, mode, principalArn },
      guardProfile: profile.name,
      ...period(row, this.clock.now()),
    });
  }

  private record(
    tx: Tx,
    actor: Actor,
    row: RequestRow,
    action: AuditAction,
    details: Record<string, unknown>,
  ): Promise<void> {
    return this.audit.append(tx, actor, {
      action,
      requestId: row.id,
      targetId: row.targetId,
      subjectId: row.personId,
      details,
    });
  }

  private async visible(actor: PersonActor): Promise<Prisma.RequestWhereInput> {
    const scopes = this.policy.visible(actor, 'viewRequests');
    return visibleRows(await visibility(actor, scopes, (groups) => this.targets.ownedBy(groups)));
  }
}
