import { Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { AuditService } from '../audit/audit.service.js';
import type { AuditAction, AuditEntry } from '../audit/events.js';
import { systemActor, type Actor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { Jobs, type Job } from '../platform/jobs/jobs.js';
import { Database, type Tx } from '../platform/state/database.js';
import { subjectOf, withNeighbours, type GrantRow } from './grant.js';
import { needTarget, withLogins, type Need, type ReconcileJob } from './grants.queries.js';
import { due } from './lifecycle.js';
import { Places } from '../platform/places.js';

/** The reconciler's side of the store: which grants a login has, and the moves that time demands of them. */
@Injectable()
export class GrantLedger {
  private readonly places: Places;

  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly audit: AuditService,
    private readonly jobs: Jobs,
  ) {
    this.places = new Places(Math.max(1, db.locks.options.max - 2));
  }

  /**
   * Runs `work` on those of the logins that nobody else works on, also in no other process. Each keeps a session of our own
   * database for as long as it runs, so only so many do at a time.
   */
  alone<T>(targetId: string, logins: readonly string[], work: (free: ReadonlySet<string>) => Promise<T>): Promise<T> {
    return this.places.run(() => withLogins(() => this.db.locks.connect(), targetId, logins, work));
  }

  target(id: string): Promise<GrantRow['target'] | null> {
    return this.db.client.target.findUnique({ where: { id }, include: withNeighbours.target.include });
  }

  /** Whether there is work on the target itself: what is over before it began is so without it. */
  needsTarget(targetId: string, logins: readonly string[]): Promise<Need> {
    return needTarget(this.db.client, targetId, logins, this.clock.now());
  }

  /** Makes the moves that time demands and answers with all grants of the logins that are not over. */
  async advance(targetId: string, logins: readonly string[]): Promise<GrantRow[]> {
    const now = this.clock.now();
    return this.db.tx(async (tx) => {
      await tx.$queryRaw`SELECT 1 FROM access_grant WHERE target_id = ${targetId}::uuid AND login = ANY (${logins}) AND state NOT IN ('closed', 'failed') ORDER BY id FOR UPDATE`;
      const where = { targetId, login: { in: [...logins] }, state: { notIn: ['closed' as const, 'failed' as const] } };
      const rows = await tx.grant.findMany({ where, include: withNeighbours, orderBy: { id: 'asc' } });
      await this.wakeAgain(tx, rows, now);
      const record = new GrantRecord(this.audit);
      const moved = await move(tx, rows, now, record);
      await record.write(tx);
      return moved.filter(({ state }) => state !== 'closed' && state !== 'failed');
    });
  }

  /**
   * A job is woken by the database's clock, and what is due is told by ours: woken a little early, it would find nothing
   * to do and never come back. Counted from now: named by our clock, that moment may have passed by the other already, and
   * the job would come back at once, over and over.
   */
  private async wakeAgain(tx: Tx, rows: readonly GrantRow[], now: Date): Promise<void> {
    const jobs = rows.flatMap(({ targetId, login, startsAt, endsAt }): Job<ReconcileJob>[] => {
      const soon = [startsAt, endsAt]
        .map((at) => at.getTime() - now.getTime())
        .find((left) => left > 0 && left <= EARLY_MS);
      return soon === undefined ? [] : [{ data: { targetId, login }, startAfter: (soon + 100) / 1000 }];
    });
    await this.jobs.enqueueAll(tx, 'reconcile', jobs);
  }
}

/** Lines of one run of the reconciler about grants, written together. */
export class GrantRecord {
  private readonly actor: Actor = systemActor('reconcile', randomUUID());
  private readonly lines: ReturnType<AuditService['row']>[] = [];

  constructor(private readonly audit: Pick<AuditService, 'row'>) {}

  add(grant: GrantRow, action: AuditAction, more: Partial<AuditEntry> = {}): void {
    this.lines.push(this.audit.row(this.actor, { action, ...subjectOf(grant), ...more }));
  }

  /** In the transaction of the changes that they tell of. */
  async write(tx: Tx): Promise<void> {
    if (this.lines.length > 0) await tx.auditEvent.createMany({ data: this.lines.splice(0) });
  }
}

/** By so much the clocks of database and process may differ without an end being missed. */
const EARLY_MS = 5_000;

/** Moves together those that move alike: a thousand that end in one second are few statements. */
async function move(tx: Tx, rows: readonly GrantRow[], now: Date, record: GrantRecord): Promise<GrantRow[]> {
  const alike = new Map<string, { ids: string[]; data: Partial<GrantRow> }>();
  const moved = rows.map((row) => {
    const state = mayOpen(row) ? due(row, now) : 'closed';
    if (!state) return row;
    const reason = mayOpen(row) ? 'expired' : 'could not be opened';
    const data = {
      state,
      ...(state !== 'opening' && { closeReason: reason, attempts: 0, lastError: null, nextAttemptAt: null }),
      ...(state === 'closing' && { closingSince: now }),
      ...(state === 'closed' && { closedAt: now }),
    };
    const key = `${state} ${reason}`;
    alike.set(key, { ids: [...(alike.get(key)?.ids ?? []), row.id], data });
    record.add(row, `grant.${state}` as AuditAction, {
      details: { was: row.state, ...(state !== 'opening' && { reason }) },
    });
    return { ...row, ...data };
  });
  for (const { ids, data } of alike.values()) await tx.grant.updateMany({ where: { id: { in: ids } }, data });
  return moved;
}

/** What was agreed to for later is not begun on a target that leaves or was switched off since, nor for a person who did. */
const mayOpen = ({ state, target, person }: GrantRow): boolean =>
  state !== 'scheduled' ||
  (target.enabled &&
    target.removingAt === null &&
    target.lockedAt === null &&
    target.deletedAt === null &&
    !person.locked &&
    person.removedAt === null);
