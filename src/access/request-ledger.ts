import { Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import { AuditService } from '../audit/audit.service.js';
import type { AuditAction, AuditEntry } from '../audit/events.js';
import type { Prisma } from '../generated/prisma/client.js';
import type { Verdict } from '../generated/prisma/enums.js';
import { GrantsService } from '../grants/grants.service.js';
import { ServiceKeysService } from '../identity/service-keys.service.js';
import { serviceOf, type Actor, type PersonActor } from '../platform/actor.js';
import { concerning } from '../platform/call.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { brokenUnique, type Tx } from '../platform/state/database.js';
import { absent } from '../policy/policy.service.js';
import { openStage } from './quorum.js';
import { period, planOf, progress, withVotes, type RequestRow } from './request.js';

/** What somebody says, and by which delegation where it is said in the place of somebody else. */
export interface Ballot {
  readonly verdict: Verdict;
  readonly comment?: string | null | undefined;
  readonly delegationId?: string | null | undefined;
}

/** Requests as they stand in the store, and every move that one makes. Each is on record, in the caller's transaction. */
@Injectable()
export class RequestLedger {
  constructor(
    private readonly clock: Clock,
    private readonly audit: AuditService,
    private readonly grants: GrantsService,
    private readonly jobs: Jobs,
    private readonly services: ServiceKeysService,
  ) {}

  /** @throws DomainError `request_not_found` */
  async row(tx: Tx, id: string): Promise<RequestRow> {
    const row = await tx.request.findUnique({ where: { id }, include: withVotes });
    if (!row) throw absent.request();
    concerning({ requestId: row.id, targetId: row.targetId, subjectId: row.personId });
    return row;
  }

  /** Reads the row and keeps others from deciding on it until the end of the transaction. */
  async lock(tx: Tx, id: string): Promise<RequestRow> {
    await tx.$queryRaw`SELECT 1 FROM request WHERE id = ${id}::uuid FOR UPDATE`;
    return this.row(tx, id);
  }

  /**
   * Keeps the service in this call from being locked until the end of the transaction. After people and before requests.
   * @throws DomainError `service_locked`
   */
  async through(tx: Tx, actor: Actor): Promise<void> {
    const service = serviceOf(actor);
    if (service) await this.services.hold(tx, service.id);
  }

  /**
   * Writes a request down, with the service through which it came; one that needs nobody's yes takes effect at once.
   * @throws DomainError `extension_pending`; `service_locked` when that service was locked meanwhile
   */
  async add(
    tx: Tx,
    actor: Actor,
    data: Prisma.RequestUncheckedCreateInput,
    action: AuditAction = data.breakGlass === true ? 'request.breakGlass' : 'request.create',
  ): Promise<RequestRow> {
    const viaServiceId = serviceOf(actor)?.id ?? data.viaServiceId ?? null;
    if (viaServiceId !== null) await this.services.hold(tx, viaServiceId);
    const row = await tx.request
      .create({ data: { ...data, viaServiceId }, include: withVotes })
      .catch((error: unknown) => {
        throw data.kind === 'extend' && brokenUnique(error) !== undefined ? extensionPending() : error;
      });
    const { kind, durationMinutes, reason, ticket, mode, approvalsNeeded, policies, replacesId } = row;
    await this.record(tx, actor, row, action, {
      ...{ kind, profile: row.profile.name, durationMinutes, reason, ticket, mode, approvalsNeeded, policies },
      ...(replacesId !== null && { replaces: replacesId }),
    });
    if (row.state === 'approved') await this.fulfil(tx, actor, row);
    else await this.jobs.enqueue(tx, 'expire-requests', { requestId: row.id }, row.decideBy);
    return this.row(tx, row.id);
  }

  /** A vote for the plan as it stands. @returns the row with it */
  async vote(
    tx: Tx,
    actor: PersonActor,
    row: RequestRow,
    { verdict, comment = null, delegationId = null }: Ballot,
  ): Promise<RequestRow> {
    const { id: requestId, planRevision } = row;
    const [personId, createdAt, stage] = [actor.id, this.clock.now(), openStage(progress(row)) ?? 1];
    const own = { id: v7(), requestId, personId, planRevision, stage, createdAt };
    await tx.vote.create({ data: { ...own, verdict, comment, delegationId } });
    return this.row(tx, row.id);
  }

  async approved(tx: Tx, actor: Actor, row: RequestRow): Promise<void> {
    await this.decided(tx, row, 'approved');
    await this.fulfil(tx, actor, row);
  }

  async decided(tx: Tx, row: RequestRow, state: 'approved' | 'denied' | 'cancelled'): Promise<void> {
    await tx.request.update({ where: { id: row.id }, data: { state, decidedAt: this.clock.now() } });
  }

  /** Ends a request that nobody denied or took back. The reason is for the person who asked. */
  async lapse(
    tx: Tx,
    actor: Actor,
    row: RequestRow,
    state: 'cancelled' | 'expired',
    reason: string,
    details: Record<string, unknown> = {},
  ): Promise<void> {
    const data = { state, decidedAt: this.clock.now(), closeReason: reason };
    await tx.request.update({ where: { id: row.id }, data });
    const action = state === 'expired' ? 'request.expire' : 'request.cancel';
    await this.record(tx, actor, row, action, { reason, ...details });
  }

  record(
    tx: Tx,
    actor: Actor,
    row: RequestRow,
    action: AuditAction,
    details: Record<string, unknown>,
    more: Pick<AuditEntry, 'outcome' | 'code'> = {},
  ): Promise<void> {
    const { id: requestId, targetId, personId: subjectId } = row;
    return this.audit.append(tx, actor, { action, requestId, targetId, subjectId, details, ...more });
  }

  /** What the plan showed, and nothing of what has become of the profile since. */
  private async fulfil(tx: Tx, actor: Actor, row: RequestRow): Promise<void> {
    const { groups, connectionLimit, createsRoles, endsAt } = planOf(row);
    if (row.extendsId !== null && endsAt !== null) {
      const was = new Date(endsAt.getTime() - row.durationMinutes * 60_000); // the end that the plan was made of
      return this.grants.extend(tx, actor, row.extendsId, { was, endsAt, requestId: row.id });
    }
    const { targetId, profileId, personId, login, database, method, mode, principalArn } = row;
    return this.grants.open(tx, actor, {
      ...{ id: row.grantId ?? v7(), requestId: row.id, groups, connectionLimit, createsRoles },
      ...{ targetId, profileId, personId, login, database, method, mode, principalArn },
      guardProfile: row.profile.name,
      ...period(row, this.clock.now()),
    });
  }
}

export const extensionPending = (): DomainError =>
  new DomainError(
    'conflict',
    'extension_pending',
    'An extension of this grant waits for its approval.',
    'Wait for it, or cancel it with POST /v1/requests/{id}/cancel and ask anew.',
  );
