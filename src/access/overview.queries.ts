import type { Database } from '../platform/state/database.js';

/** When somebody was last seen connected by each of these grants; those of which nobody was are left out. */
export async function lastUses(
  pool: Pick<Database['pool'], 'query'>,
  grantIds: readonly string[],
): Promise<ReadonlyMap<string, Date>> {
  if (grantIds.length === 0) return new Map();
  const { rows } = await pool.query<{ id: string; at: Date }>(
    `SELECT grant_id::text AS id, max(last_seen_at) AS at FROM connection WHERE grant_id = ANY ($1::uuid[]) GROUP BY 1`,
    [grantIds],
  );
  return new Map(rows.map(({ id, at }) => [id, at]));
}
