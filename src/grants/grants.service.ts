import { Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import type { AuditAction } from '../audit/events.js';
import type { Prisma } from '../generated/prisma/client.js';
import type { Actor, Reader } from '../platform/actor.js';
import { concerning } from '../platform/call.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { asId, readPage, toPage } from '../platform/page.js';
import { Database, type Tx } from '../platform/state/database.js';
import { Notifications } from '../platform/state/notifications.js';
import { absent, PolicyService } from '../policy/policy.service.js';
import { visibility, visibleRows } from '../policy/visibility.js';
import { TargetsService } from '../targets/targets.service.js';
import { grantFacts, presentGrant, subjectOf, unusedSince, withNeighbours, type GrantRow } from './grant.js';
import type { Grant, GrantPage, GrantQuery, GrantState } from './grants.contract.js';
import { endedByHand, mayStillReach, refuseEnded, refuseLater, type CloseReason } from './lifecycle.js';

/** What a request that was agreed to opens. */
export type GrantToOpen = Omit<Prisma.GrantUncheckedCreateInput, 'state' | 'createdAt'> & {
  startsAt: Date;
  endsAt: Date;
};

const LONGEST_WAIT_MS = 30_000;

/** The life of grants as people see and steer it. The work on the target is the reconciler's, always. */
@Injectable()
export class GrantsService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly audit: AuditService,
    private readonly targets: TargetsService,
    private readonly jobs: Jobs,
    private readonly notifications: Notifications,
  ) {}

  /** Writes the intent and enqueues the work that makes it so, and the work that ends it, in the caller's transaction. */
  async open(tx: Tx, actor: Actor, grant: GrantToOpen): Promise<void> {
    const now = this.clock.now();
    const state = grant.startsAt > now ? 'scheduled' : 'opening';
    await tx.grant.create({ data: { ...grant, state, createdAt: now } });
    const details = {
      state,
      startsAt: grant.startsAt,
      endsAt: grant.endsAt,
      login: grant.login,
      mode: grant.mode,
      method: grant.method,
    };
    await this.audit.append(tx, actor, { action: 'grant.create', ...subjectOf(grant), details });
    const { targetId, login } = grant;
    await this.jobs.enqueue(tx, 'reconcile', { targetId, login }, state === 'scheduled' ? grant.startsAt : undefined);
    await this.jobs.enqueue(tx, 'reconcile', { targetId, login }, grant.endsAt);
  }

  /** @throws DomainError `not_your_grant` or `policy_denied`, `grant_not_found`, `grant_closed` */
  async revoke(actor: Actor, id: string): Promise<Grant> {
    const row = await this.row(this.db.client, id);
    this.policy.authorize(actor, 'revoke', grantFacts(row, this.clock.now()));
    return this.db.tx(async (tx) => {
      const grant = await this.lock(tx, row.id);
      if (!endedByHand(grant.state))
        throw new DomainError(
          'conflict',
          'grant_closed',
          `The grant is ${grant.state} already.`,
          'There is nothing left to end.',
        );
      await this.audit.append(tx, actor, {
        action: 'grant.revoke',
        ...subjectOf(grant),
        details: { was: grant.state },
      });
      return presentGrant({ ...(await this.end(tx, actor, grant, 'revoked')), person: grant.person });
    });
  }

  /**
   * Brings the end nearer, for whoever may end it.
   * @throws DomainError `policy_denied`, `grant_not_found`, `grant_closed`, `invalid_end`
   */
  async shorten(actor: Actor, id: string, endsAt: Date): Promise<Grant> {
    const row = await this.row(this.db.client, id);
    this.policy.authorize(actor, 'revoke', grantFacts(row, this.clock.now()));
    return this.db.tx(async (tx) => {
      const grant = await this.lock(tx, row.id);
      const now = this.clock.now();
      refuseEnded(grant, now);
      refuseLater(grant, endsAt, now);
      return presentGrant(await this.moveEnd(tx, actor, grant, 'grant.shorten', endsAt));
    });
  }

  /**
   * Puts the end off, in the caller's transaction and by the request that was agreed to: the same life goes on.
   * @param to.was the end that the request was made of
   * @throws DomainError `grant_closed`; `concurrent_change` when somebody moved the end meanwhile
   */
  async extend(tx: Tx, actor: Actor, id: string, to: { was: Date; endsAt: Date; requestId: string }): Promise<void> {
    const grant = await this.lock(tx, id);
    refuseEnded(grant, this.clock.now());
    if (grant.endsAt.getTime() !== to.was.getTime())
      throw new DomainError(
        'conflict',
        'concurrent_change',
        'Somebody moved the end of the grant at the same moment.',
        'Repeat the call.',
      );
    await this.moveEnd(tx, actor, grant, 'grant.extend', to.endsAt, to.requestId);
  }

  /** The target's lease moves at once; the job of the end that was finds nothing to do. */
  private async moveEnd(
    tx: Tx,
    actor: Actor,
    grant: GrantRow,
    action: 'grant.extend' | 'grant.shorten',
    endsAt: Date,
    requestId = grant.requestId,
  ): Promise<GrantRow> {
    // due from now on: found by the sweep, too, until the target holds the new end
    const data = { endsAt, ...(grant.state === 'active' && { nextAttemptAt: new Date() }) };
    const row = await tx.grant.update({ where: { id: grant.id }, data, include: withNeighbours });
    const details = { was: grant.endsAt, now: endsAt, state: grant.state };
    await this.audit.append(tx, actor, { action, ...subjectOf(grant), requestId, details });
    const { targetId, login } = grant;
    await this.jobs.enqueue(tx, 'reconcile', { targetId, login });
    await this.jobs.enqueue(tx, 'reconcile', { targetId, login }, endsAt);
    return row;
  }

  /** Begins the end of a grant, in the caller's transaction; one that was never opened is over at once. */
  async end(tx: Tx, actor: Actor, grant: GrantRow, reason: CloseReason): Promise<GrantRow> {
    const to = endedByHand(grant.state);
    if (!to) return grant;
    const now = this.clock.now();
    const when = to === 'closed' ? { closedAt: now } : { closingSince: now };
    const data = { state: to, closeReason: reason, attempts: 0, lastError: null, nextAttemptAt: null, ...when };
    const row = await tx.grant.update({ where: { id: grant.id }, data, include: withNeighbours });
    await this.audit.append(tx, actor, {
      action: actionOf[to],
      ...subjectOf(grant),
      details: { reason, was: grant.state },
    });
    if (to === 'closing') await this.jobs.enqueue(tx, 'reconcile', { targetId: grant.targetId, login: grant.login });
    return row;
  }

  async list(actor: Reader, query: GrantQuery): Promise<GrantPage> {
    const seen = await this.visible(actor);
    const { before, take, limit } = readPage(query);
    const wanted: Prisma.GrantWhereInput = {
      ...(query.target !== undefined && { targetId: query.target }),
      ...(query.person !== undefined && { personId: query.person }),
      ...(query.state !== undefined && { state: query.state }),
    };
    const { unusedDays: days } = query;
    const unused = days === undefined ? {} : unusedSince(new Date(this.clock.now().getTime() - days * 86_400_000));
    const rows = await this.db.client.grant.findMany({
      where: { AND: [seen, wanted, unused, before === undefined ? {} : { id: { lt: before } }] },
      orderBy: { id: 'desc' },
      take,
      include: { person: true },
    });
    return toPage(rows, limit, presentGrant);
  }

  /** Of these grants, those that somebody may see. @throws DomainError `policy_denied` */
  async seen(actor: Reader, ids: readonly string[]): Promise<Grant[]> {
    const where = { AND: [await this.visible(actor), { id: { in: [...ids] } }] };
    const rows = await this.db.client.grant.findMany({ where, include: { person: true } });
    return rows.map(presentGrant);
  }

  /**
   * One grant; with `wait`, when it has that state or can no longer reach it, at the latest after 30 seconds.
   * @throws DomainError `grant_not_found`, also for a grant that this person may not see
   */
  async get(actor: Reader, id: string, wait?: GrantState): Promise<Grant> {
    const where = { AND: [await this.visible(actor), { id: asId(id, 'grant id') }] };
    const until = Date.now() + LONGEST_WAIT_MS; // the caller's patience, not the grant's life: no business of the injected clock
    for (;;) {
      const left = until - Date.now();
      // listens first and looks then: a change between the two is not missed
      let heard = Promise.resolve();
      if (wait !== undefined && left > 0)
        await new Promise<void>((ready) => {
          heard = this.notifications.changed('usher_grant', id, Math.min(left, 5_000), ready);
        });
      const row = await this.db.client.grant.findFirst({ where, include: { person: true } });
      if (!row) throw absent.grant();
      if (wait === undefined || left <= 0 || row.state === wait || !mayStillReach(row.state, wait))
        return presentGrant(row);
      await heard;
    }
  }

  /**
   * The row, with person, profile and target.
   * @throws DomainError `invalid_id`, `grant_not_found`
   */
  async row(db: Tx, id: string): Promise<GrantRow> {
    const row = await db.grant.findUnique({ where: { id: asId(id, 'grant id') }, include: withNeighbours });
    if (!row) throw absent.grant();
    concerning(subjectOf(row));
    return row;
  }

  private async lock(tx: Tx, id: string): Promise<GrantRow> {
    await tx.$queryRaw`SELECT 1 FROM access_grant WHERE id = ${id}::uuid FOR UPDATE`;
    return this.row(tx, id);
  }

  private async visible(actor: Reader): Promise<Prisma.GrantWhereInput> {
    const scopes = this.policy.visible(actor, 'viewGrants');
    return visibleRows(await visibility(actor, scopes, (groups) => this.targets.ownedBy(groups)));
  }
}

const actionOf: Record<'closed' | 'closing', AuditAction> = { closed: 'grant.closed', closing: 'grant.closing' };
