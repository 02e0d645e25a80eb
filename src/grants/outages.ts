import { Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import type { DomainError } from '../platform/errors.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { Database } from '../platform/state/database.js';
import type { GrantRow } from './grant.js';
import type { ReconcileJob } from './grants.queries.js';
import { GrantRecord } from './ledger.js';
import { backoff, DIAL_CAP_MS } from './lifecycle.js';

/**
 * Targets that do not answer. All that is to be done on one waits together: one try for all of it, in all processes, and
 * when that one succeeds everything is due at once. Tries go by the clock of the job engine, not by that of the grants.
 * Rows are taken as everywhere: the target before its grants, and grants in the order of their ids, so that nobody waits in
 * a circle.
 */
@Injectable()
export class Outages {
  constructor(
    private readonly db: Database,
    private readonly audit: AuditService,
    private readonly jobs: Jobs,
  ) {}

  /**
   * Nothing could be looked at or done: these grants, and whatever else is due on the target, wait for its next try.
   * @param tried false when the target was not asked again, so soon after it had failed
   */
  async silent(targetId: string, grants: readonly GrantRow[], error: DomainError, tried: boolean): Promise<void> {
    await this.db.tx(async (tx) => {
      const [row] = await tx.$queryRaw<{ dials: number; nextDialAt: Date | null }[]>`
        SELECT dials, next_dial_at AS "nextDialAt" FROM target WHERE id = ${targetId}::uuid FOR NO KEY UPDATE`;
      if (!row) return;
      const waits = !tried && row.nextDialAt !== null && row.nextDialAt.getTime() > Date.now();
      const at = waits && row.nextDialAt ? row.nextDialAt : soon(row.dials + 1);
      if (!waits) {
        await tx.$executeRaw`UPDATE target SET down_since = coalesce(down_since, now()), dials = dials + 1, next_dial_at = ${at} WHERE id = ${targetId}::uuid`;
        await this.jobs.enqueue(tx, 'reconcile', { targetId, retryAt: at.toISOString() } satisfies ReconcileJob, at);
      }
      const waiting = grants.filter(({ state, nextAttemptAt }) => state !== 'active' || nextAttemptAt !== null);
      const ids = waiting.map(({ id }) => id);
      await tx.$executeRaw`
        WITH row AS (
          SELECT id FROM access_grant
           WHERE target_id = ${targetId}::uuid AND (id = ANY (${ids}::uuid[]) AND state NOT IN ('closed', 'failed')
              OR state IN ('opening', 'closing') AND coalesce(next_attempt_at, '-infinity') <= now())
           ORDER BY id FOR UPDATE)
        UPDATE access_grant SET attempts = attempts + 1, last_error = ${error.message.slice(0, 500)}, next_attempt_at = ${at}
          FROM row WHERE access_grant.id = row.id`;
      const record = new GrantRecord(this.audit);
      for (const grant of waiting)
        if (grant.lastError !== error.message)
          record.add(grant, 'grant.fault', {
            outcome: 'failed',
            code: error.code,
            details: { message: error.message, state: grant.state },
          });
      await record.write(tx);
    });
  }

  /** It answers again: all that waited for it is due now, in whichever process. */
  async answered(targetId: string): Promise<void> {
    await this.db.tx(async (tx) => {
      const ended = await tx.$executeRaw`
        UPDATE target SET down_since = NULL, dials = 0, next_dial_at = NULL WHERE id = ${targetId}::uuid AND down_since IS NOT NULL`;
      if (ended === 0) return; // another process heard it first
      await tx.$executeRaw`
        WITH row AS (
          SELECT id FROM access_grant WHERE target_id = ${targetId}::uuid
             AND (state IN ('opening', 'closing') OR state = 'active' AND next_attempt_at IS NOT NULL)
           ORDER BY id FOR UPDATE)
        UPDATE access_grant SET next_attempt_at = to_timestamp(0) FROM row WHERE access_grant.id = row.id`;
      await this.jobs.enqueue(tx, 'reconcile', { targetId } satisfies ReconcileJob);
    });
  }
}

/** To the millisecond, as it is kept: a retry is known by it. */
const soon = (dials: number): Date => new Date(Date.now() + backoff(dials, Math.random(), DIAL_CAP_MS));
