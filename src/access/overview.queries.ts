import type { Database } from '../platform/state/database.js';

/** When somebody was last seen connected by each of these grants; those of which nobody was are left out. */
export async function lastUses(
  pool: Pick<Database['pool'], 'query'>,
  grantIds: readonly string[],
): Promise<ReadonlyMap<string, Date>> {
  if (grantIds.length === 0) return new Map();
  const { rows } = await pool.query<{ id: string; at: Date }>(
    `SELECT grant_id::text AS id, max(at) AS at FROM connection_seen WHERE grant_id = ANY ($1::uuid[]) GROUP BY 1`,
    [grantIds],
  );
  return new Map(rows.map(({ id, at }) => [id, at]));
}

/** When a person was last seen connected to a target. */
export async function lastUseOf(
  pool: Pick<Database['pool'], 'query'>,
  personId: string,
  targetId: string,
): Promise<Date | null> {
  const text = `SELECT max(at) AS at FROM connection_seen WHERE person_id = $1 AND target_id = $2`;
  const { rows } = await pool.query<{ at: Date | null }>(text, [personId, targetId]);
  return rows[0]?.at ?? null;
}
