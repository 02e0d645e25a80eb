import type { Tx } from '../platform/state/database.js';

/**
 * Deletes the oldest events of one target that are older than the retention, as many as the database lets go at a time.
 * @returns how many; 0: there is nothing that may go
 */
export async function dropExpired(tx: Tx): Promise<number> {
  const rows = await tx.$queryRaw<{ events: bigint }[]>`SELECT server_log_drop_expired() AS events`;
  return Number(rows[0]?.events ?? 0);
}

/** What was deleted of a target, and is not on record yet. */
export interface Untold {
  targetId: string;
  /** Since the last line on record. */
  events: number;
  /** Since ever. */
  inAll: number;
  /** The last moment that any of them was of, by the clock of the target. */
  newestAt: Date;
}

export async function untold(db: Tx): Promise<string[]> {
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT target_id::text AS id FROM server_log_expiry WHERE told < events ORDER BY target_id`;
  return rows.map(({ id }) => id);
}

/** Takes it as told, in the transaction that tells it. @returns undefined when somebody else has told it meanwhile */
export async function takeUntold(tx: Tx, targetId: string): Promise<Untold | undefined> {
  const rows = await tx.$queryRaw<(Omit<Untold, 'events' | 'inAll'> & Record<'events' | 'inAll', bigint>)[]>`
    WITH before AS (SELECT target_id, told FROM server_log_expiry WHERE target_id = ${targetId}::uuid AND told < events FOR UPDATE)
    UPDATE server_log_expiry x SET told = x.events FROM before b WHERE x.target_id = b.target_id
    RETURNING x.target_id::text AS "targetId", x.events - b.told AS events, x.events AS "inAll", x.newest_at AS "newestAt"`;
  return rows[0] && { ...rows[0], events: Number(rows[0].events), inAll: Number(rows[0].inAll) };
}
