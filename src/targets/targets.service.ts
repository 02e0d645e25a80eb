import { Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import { AuditService } from '../audit/audit.service.js';
import type { Prisma } from '../generated/prisma/client.js';
import type { Actor } from '../platform/actor.js';
import { concerning } from '../platform/call.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { asId, readPage, toPage } from '../platform/page.js';
import { Database, type Tx } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import { furtherLogProblems, furtherLogRows, logsAfter } from './target-logs.js';
import {
  changesOf,
  endpointRow,
  furtherLogsOf,
  nameTaken,
  presentTarget,
  refuseWithdrawn,
  repeatedEndpoints,
  targetProblems,
  type TargetRow,
} from './target.js';
import type { CreateTarget, EndpointInput, PageArgs, Target, TargetPage, UpdateTarget } from './targets.contract.js';
import type { FurtherLogInput } from './further-logs.contract.js';
import { TrustService } from './trust.service.js';

const withEndpoints = { endpoints: { orderBy: { id: 'asc' } } } satisfies Prisma.TargetInclude;

/** The register of targets: what there is, and who owns it. Six collaborators: every change is decided, recorded and followed up. */
@Injectable()
export class TargetsService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly audit: AuditService,
    private readonly trust: TrustService,
    private readonly jobs: Jobs,
  ) {}

  /** @throws DomainError `policy_denied`, `invalid_input`, `unknown_region`, `unknown_partition`, `name_taken` */
  async create(actor: Actor, input: CreateTarget, tags: Readonly<Record<string, string>> = {}): Promise<Target> {
    this.policy.authorize(actor, 'administerTargets');
    this.refuse(input);
    const now = this.clock.now();
    const { endpoints, furtherLogs = [], ...plain } = input;
    const data: Prisma.TargetUncheckedCreateInput = {
      id: v7(),
      ...plain,
      furtherLogs: furtherLogRows(furtherLogs),
      tags,
      guardDatabase: input.guardDatabase ?? 'postgres',
      brokerLogin: input.brokerLogin ?? 'usher_broker',
      createdAt: now,
      updatedAt: now,
      endpoints: { create: endpoints.map(endpointRow) },
    };
    return this.db.tx(async (tx) => {
      const row = await tx.target.create({ data, include: withEndpoints }).catch(nameTaken(input.name));
      const { name, kind, region, accountId, resourceId } = row;
      const details = { name, kind, region, accountId, resourceId };
      await this.audit.append(tx, actor, { action: 'target.create', targetId: row.id, details });
      return presentTarget(row);
    });
  }

  async list(actor: Actor, page: PageArgs): Promise<TargetPage> {
    this.policy.authorize(actor, 'viewTargets');
    const { before, take, limit } = readPage(page);
    const where = { deletedAt: null, ...(before !== undefined && { id: { lt: before } }) };
    const rows = await this.db.client.target.findMany({ where, orderBy: { id: 'desc' }, take, include: withEndpoints });
    return toPage(rows, limit, presentTarget);
  }

  async get(actor: Actor, id: string): Promise<Target> {
    this.policy.authorize(actor, 'viewTargets');
    return presentTarget(await this.row(this.db.client, id));
  }

  /** @throws DomainError `policy_denied`, `target_not_found`, `invalid_input`; `target_in_use` for endpoints while grants live */
  async update(actor: Actor, id: string, input: UpdateTarget): Promise<Target> {
    this.policy.authorize(actor, 'administerTargets');
    return this.db.tx(async (tx) => {
      const before = await this.lock(tx, id);
      const { endpoints, ...given } = input;
      const logs = logsAfter(before, input);
      const plain = { ...given, ...logs };
      this.refuse({ ...before, ...plain, endpoints: endpoints ?? before.endpoints });
      // what was opened at the old address, or by the roots of another authority, could no longer be closed there
      const moved = endpoints !== undefined || (input.engineMode ?? before.engineMode) !== before.engineMode;
      if (moved) await refuseInUse(tx, { targetId: before.id }, 'target_in_use', 'target');
      if (endpoints) await tx.endpoint.deleteMany({ where: { targetId: before.id } });
      const data = {
        ...plain,
        updatedAt: this.clock.now(),
        ...(endpoints && { endpoints: { create: endpoints.map(endpointRow) } }),
      };
      const row = await tx.target.update({ where: { id: before.id }, data, include: withEndpoints });
      const was = { ...before, furtherLogs: furtherLogsOf(before) };
      const details = { changed: changesOf(was, { ...input, ...logs }) };
      await this.audit.append(tx, actor, { action: 'target.update', targetId: row.id, details });
      return presentTarget(row);
    });
  }

  /**
   * Takes a target off the register. One with nothing on it is gone at once. On any other nothing new begins from now on:
   * what waits is cancelled, what lives is ended, and it goes when the last of it is closed. Safe to repeat.
   */
  async delete(actor: Actor, id: string): Promise<Target> {
    this.policy.authorize(actor, 'administerTargets');
    return this.db.tx(async (tx) => {
      const before = await this.lock(tx, id);
      if (before.removingAt !== null) return presentTarget(before);
      const data = { removingAt: this.clock.now() };
      const row = await tx.target.update({ where: { id: before.id }, data, include: withEndpoints });
      const { grants, requests } = await inUse(tx, { targetId: row.id });
      if (grants + requests === 0) await this.gone(tx, actor, row);
      else {
        const details = { name: row.name, grants, requests };
        await this.audit.append(tx, actor, { action: 'target.removing', targetId: row.id, details });
        await this.jobs.enqueue(tx, 'leave-target', { targetId: row.id });
      }
      return presentTarget(row);
    });
  }

  /** Ids of the targets that are being taken off the register. */
  async removing(): Promise<string[]> {
    const where = { removingAt: { not: null }, deletedAt: null };
    return (await this.db.client.target.findMany({ where, select: { id: true } })).map(({ id }) => id);
  }

  /**
   * Lets a target go that is being taken off the register, once nothing on it lives or waits.
   * @returns whether it is gone
   */
  async leave(actor: Actor, id: string): Promise<boolean> {
    return this.db.tx(async (tx) => {
      await tx.$queryRaw`SELECT 1 FROM target WHERE id = ${id}::uuid FOR UPDATE`;
      const row = await tx.target.findUnique({ where: { id } });
      if (!row || row.deletedAt !== null) return true;
      const { grants, requests } = await inUse(tx, { targetId: id });
      if (row.removingAt === null || grants + requests > 0) return false;
      await this.gone(tx, actor, row);
      return true;
    });
  }

  private async gone(tx: Tx, actor: Actor, { id, name }: { id: string; name: string }): Promise<void> {
    await tx.target.update({ where: { id }, data: { deletedAt: this.clock.now() } });
    await this.audit.append(tx, actor, { action: 'target.delete', targetId: id, details: { name } });
  }

  /**
   * The row of a target that is registered.
   * @throws DomainError `invalid_id`, `target_not_found`
   */
  async row(db: Tx, id: string): Promise<TargetRow> {
    const where = { id: asId(id, 'target id'), deletedAt: null };
    const row = await db.target.findFirst({ where, include: withEndpoints });
    if (!row)
      throw new DomainError('not_found', 'target_not_found', 'There is no such target.', 'GET /v1/targets lists them.');
    concerning({ targetId: row.id });
    return row;
  }

  /** Ids of the targets that one of these groups owns, also of those no longer registered: their record stays theirs. */
  async ownedBy(groups: readonly string[]): Promise<string[]> {
    if (groups.length === 0) return [];
    const rows = await this.db.client.target.findMany({
      where: { ownerGroup: { in: [...groups] } },
      select: { id: true },
    });
    return rows.map((row) => row.id);
  }

  /** Reads the row and keeps others from changing it until the end of the transaction. */
  async lock(tx: Tx, id: string): Promise<TargetRow> {
    await tx.$queryRaw`SELECT 1 FROM target WHERE id = ${asId(id, 'target id')}::uuid FOR UPDATE`;
    return this.row(tx, id);
  }

  /**
   * Reads the row of a target on which something new may begin, and keeps it on the register until the end of the transaction.
   * @throws DomainError `target_not_found`, `target_removing`, `target_locked`
   */
  async offered(tx: Tx, id: string): Promise<TargetRow> {
    await tx.$queryRaw`SELECT 1 FROM target WHERE id = ${asId(id, 'target id')}::uuid FOR KEY SHARE`; // what `lock` waits for, and nothing else
    const row = await this.row(tx, id);
    refuseWithdrawn(row);
    return row;
  }

  /**
   * Stops a target, or lets it be used again.
   * @param reason why, for everybody who sees the target; null unlocks
   * @returns false when it was so already: the first reason stays
   */
  async setLocked(tx: Tx, id: string, reason: string | null): Promise<boolean> {
    const { lockedAt: since } = await this.lock(tx, id);
    if ((since !== null) === (reason !== null)) return false;
    const now = this.clock.now();
    const data = { lockedAt: reason === null ? null : now, lockReason: reason, updatedAt: now };
    await tx.target.update({ where: { id }, data });
    return true;
  }

  private refuse(
    target: Omit<Parameters<typeof targetProblems>[0], 'endpoints'> & {
      partition: string;
      region: string;
      endpoints: readonly EndpointInput[] | TargetRow['endpoints'];
      furtherLogs?: readonly FurtherLogInput[];
    },
  ): void {
    this.trust.bundle(target.partition, target.region);
    const fields = [...targetProblems(target), ...repeatedEndpoints(target.endpoints), ...furtherLogProblems(target)];
    if (fields.length > 0)
      throw new DomainError('invalid', 'invalid_input', 'The target does not fit together.', fields[0]?.message, {
        fields,
      });
  }
}

/** How many grants of it are not over, and how many requests wait. */
async function inUse(
  tx: Tx,
  of: { targetId: string } | { profileId: string },
): Promise<{ grants: number; requests: number }> {
  const grants = await tx.grant.count({ where: { ...of, state: { notIn: ['closed', 'failed'] } } });
  const requests = await tx.request.count({ where: { ...of, state: 'pending' } });
  return { grants, requests };
}

/** @throws DomainError while a grant of it is not over or a request of it waits */
export async function refuseInUse(
  tx: Tx,
  of: { targetId: string } | { profileId: string },
  code: 'target_in_use' | 'profile_in_use',
  noun: string,
): Promise<void> {
  const { grants, requests } = await inUse(tx, of);
  if (grants + requests > 0)
    throw new DomainError(
      'conflict',
      code,
      `This ${noun} has ${grants} grants that are not over and ${requests} requests that wait.`,
      'End the grants and deny or cancel the requests first, then repeat the call.',
    );
}
