import type { Tx } from '../platform/state/database.js';
import type { CedarQuestion } from './question.js';

/** What of the pool is used: the type of `pg` belongs to the platform. */
interface Queryable {
  query<Row>(text: string, values: unknown[]): Promise<{ rows: Row[]; rowCount: number | null }>;
}

/** A row of `policy_decision`, under the names of its columns. */
export interface NewDecision {
  at: Date;
  actor_id: string;
  actor_name: string;
  action: string;
  question: CedarQuestion;
  allowed: boolean;
  approvals: number;
  policies: readonly string[];
  policy_sha256: string;
}
export interface KeptDecision extends NewDecision {
  /** Counts up; a bigint as text. */
  id: string;
}

/** Any number of decisions in one statement. */
export async function insertDecisions(pool: Queryable, rows: readonly NewDecision[]): Promise<void> {
  await pool.query(
    `INSERT INTO policy_decision (at, actor_id, actor_name, action, question, allowed, approvals, policies, policy_sha256)
     SELECT * FROM jsonb_to_recordset($1::jsonb) AS kept(at timestamptz, actor_id uuid, actor_name text, action text,
       question jsonb, allowed boolean, approvals int, policies text[], policy_sha256 text)`,
    [JSON.stringify(rows)],
  );
}

/**
 * Ids of so many decisions: everybody's newest, then everybody's second, and so on. Who asks much has what others leave, and takes
 * nothing from them.
 */
const FAIR = `
  SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY actor_id ORDER BY id DESC) AS nth FROM policy_decision) AS ranked
   ORDER BY nth, id DESC LIMIT $1`;

/** @returns ids, the newest first */
export async function fairDecisions(pool: Queryable, most: number): Promise<string[]> {
  const { rows } = await pool.query<{ id: string }>(`SELECT id FROM (${FAIR}) AS chosen ORDER BY id DESC`, [most]);
  return rows.map(({ id }) => id);
}

/** What of these is still kept, the newest first. */
export async function readDecisions(pool: Queryable, ids: readonly string[]): Promise<KeptDecision[]> {
  const { rows } = await pool.query<KeptDecision>(
    `SELECT id, at, actor_id, actor_name, action, question, allowed, approvals, policies, policy_sha256
       FROM policy_decision WHERE id = ANY($1::bigint[]) ORDER BY id DESC`,
    [ids],
  );
  return rows;
}

/** Deletes all but so many, as {@link fairDecisions} chooses them. @returns how many went */
export async function forgetDecisions(pool: Queryable, kept: number): Promise<number> {
  const { rowCount } = await pool.query(`DELETE FROM policy_decision WHERE id NOT IN (${FAIR})`, [kept]);
  return rowCount ?? 0;
}

/** Whoever changes which policy rules waits for whoever does: the newest activation then stays the newest until the end. */
export async function lockActivation(tx: Tx): Promise<void> {
  await tx.$queryRaw`SELECT pg_advisory_xact_lock(hashtext('usher policy'))::text`;
}
