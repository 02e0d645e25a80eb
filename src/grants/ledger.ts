import { Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { AuditService } from '../audit/audit.service.js';
import type { AuditAction, AuditEntry } from '../audit/events.js';
import { systemActor, type Actor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import type { DomainError } from '../platform/errors.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { Database, type Tx } from '../platform/state/database.js';
import { subjectOf, withNeighbours, type GrantRow } from './grant.js';
import { withLogin, type LoginOnTarget, type Reconcile } from './grants.queries.js';
import { backoff, due } from './lifecycle.js';

/** What a reconcile found after its second look. */
export interface Settlement {
  opened: readonly string[];
  closed: readonly string[];
  /** Why the grants that are being ended are not over yet. */
  left: readonly string[];
  refused: ReadonlyMap<string, DomainError>;
  /** Those of `refused` that no waiting will change. */
  hopeless: ReadonlyMap<string, DomainError>;
  fenced: ReadonlySet<string>;
  detached: ReadonlySet<string>;
  sessionsEnded: number;
}

/** The reconciler's side of the store: which grants a login has, and what became of them. Every line is on record. */
@Injectable()
export class GrantLedger {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly audit: AuditService,
    private readonly jobs: Jobs,
  ) {}

  /** Runs `work` while no other process works on this login. */
  alone<T>(login: LoginOnTarget, work: () => Promise<T>): Promise<T> {
    return withLogin(() => this.db.locks.connect(), login, work);
  }

  /** Makes the moves that time demands and answers with all grants of the login that are not over. */
  async advance({ targetId, login }: LoginOnTarget): Promise<GrantRow[]> {
    const actor = job();
    return this.db.tx(async (tx) => {
      await tx.$queryRaw`SELECT 1 FROM access_grant WHERE target_id = ${targetId}::uuid AND login = ${login} AND state NOT IN ('closed', 'failed') ORDER BY id FOR UPDATE`;
      const where = { targetId, login, state: { notIn: ['closed' as const, 'failed' as const] } };
      const rows = await tx.grant.findMany({ where, include: withNeighbours, orderBy: { id: 'asc' } });
      const moved: GrantRow[] = [];
      for (const row of rows) moved.push(await this.move(tx, actor, row));
      return moved.filter(({ state }) => state !== 'closed' && state !== 'failed');
    });
  }

  private async move(tx: Tx, actor: Actor, row: GrantRow): Promise<GrantRow> {
    const now = this.clock.now();
    const state = mayOpen(row) ? due(row, now) : 'closed';
    await this.wakeAgain(tx, row, now);
    if (!state) return row;
    const reason = mayOpen(row) ? 'expired' : 'could not be opened';
    const ending = state === 'opening' ? {} : { closeReason: reason, attempts: 0, lastError: null };
    const when = state === 'closing' ? { closingSince: now } : state === 'closed' ? { closedAt: now } : {};
    await this.line(tx, actor, row, `grant.${state}` as AuditAction, {
      details: { was: row.state, ...(state !== 'opening' && { reason }) },
    });
    return tx.grant.update({ where: { id: row.id }, data: { state, ...ending, ...when }, include: withNeighbours });
  }

  /**
   * A job is woken by the database's clock, and what is due is told by ours: woken a little early, it would find nothing
   * to do and never come back.
   */
  private async wakeAgain(tx: Tx, { targetId, login, startsAt, endsAt }: GrantRow, now: Date): Promise<void> {
    const soon = [startsAt, endsAt]
      .map((at) => at.getTime() - now.getTime())
      .find((left) => left > 0 && left <= EARLY_MS);
    if (soon !== undefined)
      await this.jobs.enqueue(tx, 'reconcile', { targetId, login }, new Date(Date.now() + soon + 100));
  }

  /** Writes down what was reached; what was not is tried again. */
  async settle(login: LoginOnTarget, grants: readonly GrantRow[], found: Settlement): Promise<void> {
    const actor = job();
    await this.db.tx(async (tx) => {
      const failed: GrantRow[] = [];
      for (const grant of grants) {
        if (grant.state === 'closing') {
          if (found.closed.includes(grant.id)) {
            await this.told(tx, actor, grant, found);
            await this.over(tx, actor, grant);
          } else failed.push(grant);
        } else if (found.opened.includes(grant.id)) await this.active(tx, actor, grant);
        else await this.notOpened(tx, actor, grant, found, failed);
      }
      if (failed.length > 0)
        await this.again(tx, login, failed, (grant) => found.refused.get(grant.id)?.message ?? found.left.join('; '));
    });
  }

  /** Nothing could be looked at or done: all wait for the next try. */
  async fault(login: LoginOnTarget, grants: readonly GrantRow[], error: DomainError): Promise<void> {
    const actor = job();
    await this.db.tx(async (tx) => {
      const waiting = grants.filter(({ state }) => state !== 'active');
      for (const grant of waiting)
        if (grant.lastError !== error.message)
          await this.line(tx, actor, grant, 'grant.fault', {
            outcome: 'failed',
            code: error.code,
            details: { message: error.message, state: grant.state },
          });
      if (waiting.length > 0) await this.again(tx, login, waiting, () => error.message);
    });
  }

  private async told(tx: Tx, actor: Actor, grant: GrantRow, found: Settlement): Promise<void> {
    if (found.fenced.has(grant.id))
      await this.line(tx, actor, grant, 'grant.fenced', {
        details: { login: grant.login, iamPolicyDetached: found.detached.has(grant.id) },
      });
    if (found.sessionsEnded > 0)
      await this.line(tx, actor, grant, 'grant.sessionsEnded', { details: { sessions: found.sessionsEnded } });
  }

  private async over(tx: Tx, actor: Actor, grant: GrantRow): Promise<void> {
    const state = grant.openedAt === null && grant.closeReason === 'could not be opened' ? 'failed' : 'closed';
    const data = { state, closedAt: this.clock.now(), lastError: state === 'failed' ? grant.lastError : null } as const;
    await tx.grant.update({ where: { id: grant.id }, data });
    await this.line(tx, actor, grant, `grant.${state}`, {
      details: {
        reason: grant.closeReason,
        verified:
          'no lease, no right to log in or to a group beyond those of other live grants; no session unless one lives',
      },
    });
  }

  private async active(tx: Tx, actor: Actor, grant: GrantRow): Promise<void> {
    if (grant.state === 'active') return;
    // revoked while it was being opened: the ending stands, and its own job follows
    const { count } = await tx.grant.updateMany({
      where: { id: grant.id, state: 'opening' },
      data: { state: 'active', openedAt: this.clock.now(), attempts: 0, lastError: null },
    });
    if (count === 1)
      await this.line(tx, actor, grant, 'grant.active', { details: { login: grant.login, endsAt: grant.endsAt } });
  }

  private async notOpened(tx: Tx, actor: Actor, grant: GrantRow, found: Settlement, failed: GrantRow[]): Promise<void> {
    const hopeless = found.hopeless.get(grant.id);
    if (!hopeless || grant.state !== 'opening') {
      failed.push(grant);
      return;
    }
    const data = {
      state: 'closing',
      closingSince: this.clock.now(),
      closeReason: 'could not be opened',
      lastError: hopeless.message,
    } as const;
    const { count } = await tx.grant.updateMany({ where: { id: grant.id, state: 'opening' }, data });
    if (count === 0) return;
    const details = { message: hopeless.message, advice: hopeless.advice };
    await this.line(tx, actor, grant, 'grant.closing', { outcome: 'failed', code: hopeless.code, details });
    await this.jobs.enqueue(tx, 'reconcile', { targetId: grant.targetId, login: grant.login });
  }

  private async again(
    tx: Tx,
    login: LoginOnTarget,
    grants: readonly GrantRow[],
    why: (grant: GrantRow) => string,
  ): Promise<void> {
    const attempts = Math.min(...grants.map((grant) => grant.attempts)) + 1;
    const nextAttemptAt = new Date(Date.now() + backoff(attempts, Math.random()));
    for (const grant of grants)
      await tx.grant.update({
        where: { id: grant.id },
        data: { attempts: { increment: 1 }, lastError: why(grant).slice(0, 500), nextAttemptAt },
      });
    await this.jobs.enqueue(tx, 'reconcile', { ...login, retryAt: nextAttemptAt.toISOString() }, nextAttemptAt);
  }

  /** A retry that another try has overtaken: were it to run and fail, retries would multiply for as long as a target is down. */
  async isStale({ targetId, login, retryAt }: Reconcile): Promise<boolean> {
    if (retryAt === undefined) return false;
    const where = { targetId, login, nextAttemptAt: new Date(retryAt) };
    return (await this.db.client.grant.count({ where })) === 0;
  }

  private line(tx: Tx, actor: Actor, grant: GrantRow, action: AuditAction, more: Partial<AuditEntry>): Promise<void> {
    return this.audit.append(tx, actor, { action, ...subjectOf(grant), ...more });
  }
}

/** By so much the clocks of database and process may differ without an end being missed. */
const EARLY_MS = 5_000;

/** What was agreed to for later is not begun on a target that was switched off since, nor for a person locked since. */
const mayOpen = ({ state, target, person }: GrantRow): boolean =>
  state !== 'scheduled' || (target.enabled && !person.locked);

const job = (): Actor => systemActor('reconcile', randomUUID());
