import type { Prisma } from '../generated/prisma/client.js';
import { nameBehind } from '../identity/login-name.js';
import type { Tx } from '../platform/state/database.js';

/** What a job of the queue `drift` is about: one target, some IAM principals, or whatever is due. */
export interface DriftDue {
  targetId?: string;
  principals?: string[];
  /** After a repair: also where the last look was a moment ago. */
  again?: true;
}

const DAY_MS = 86_400_000;
/** No grant lasts longer than 31 days, and after its end a policy that stayed behind is looked for as long again. */
const REMEMBERED_DAYS = 62;

/**
 * IAM principals that may carry a policy of ours: those of attached grants of the last weeks, and what people are known by
 * now, for grants that a restored store has forgotten. None where attached mode was never used.
 * @param targetId only those of grants on one target
 */
export async function principals(db: Tx, now: Date, targetId?: string): Promise<string[]> {
  // ids are UUID version 7: by the primary key only the grants of these weeks are read, however long the history is
  const first = idAt(now.getTime() - REMEMBERED_DAYS * DAY_MS);
  const rows = await db.$queryRaw<{ arn: string }[]>`
    WITH used AS (SELECT DISTINCT principal_arn AS arn FROM access_grant
                   WHERE id >= ${first}::uuid AND mode = 'attached' AND principal_arn IS NOT NULL
                     AND (${targetId ?? null}::uuid IS NULL OR target_id = ${targetId ?? null}::uuid))
    SELECT arn FROM used
    UNION SELECT principal_arn FROM person
     WHERE principal_arn IS NOT NULL AND ${targetId === undefined}::boolean AND EXISTS (SELECT 1 FROM used)
     ORDER BY 1`;
  return rows.map(({ arn }) => arn);
}

/** The earliest UUID version 7 of a moment (RFC 9562, 5.7). */
function idAt(milliseconds: number): string {
  const hex = Math.max(0, milliseconds).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

/** Ids of persons by login, of those logins that belong to somebody here. */
export async function peopleOf(db: Tx, logins: readonly string[]): Promise<Map<string, string>> {
  if (logins.length === 0) return new Map();
  const names = await db.loginName.findMany({ where: { name: { in: logins.map(nameBehind) } } });
  const byName = new Map(names.map(({ name, personId }) => [name, personId]));
  const known = logins.flatMap((login) => {
    const personId = byName.get(nameBehind(login));
    return personId === undefined ? [] : [[login, personId] as const];
  });
  return new Map(known);
}

/** Targets that were neither looked at since, nor found unreachable since: those are tried no more often than others. */
export const staleSince = (before: Date): Prisma.TargetWhereInput => ({
  OR: [{ lookedAt: null }, { lookedAt: { lte: before } }],
  drift: {
    none: {
      kind: 'unreachable',
      resolvedAt: null,
      lastSeenAt: { gt: before },
      subject: { not: { startsWith: 'arn:' } },
    },
  },
});

/** Any number of first sightings in one statement. */
export async function insertFindings(
  tx: Tx,
  rows: readonly { id: string; targetId: string; kind: string; subject: string; details: object }[],
  now: Date,
): Promise<void> {
  if (rows.length === 0) return;
  await tx.$executeRaw`
    INSERT INTO drift_finding (id, target_id, kind, subject, details, found_at, last_seen_at)
    SELECT r.id, r."targetId", r.kind, r.subject, r.details, ${now}::timestamptz, ${now}::timestamptz
      FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS r (id uuid, "targetId" uuid, kind text, subject text, details jsonb)`;
}

/** Notes that a repair was begun. */
export async function markRepaired(tx: Tx, ids: readonly string[], now: Date): Promise<void> {
  await tx.$executeRaw`
    UPDATE drift_finding SET details = details || jsonb_build_object('repairedAt', ${now.toISOString()}::text)
     WHERE id = ANY (${[...ids]}::uuid[])`;
}

/** Open findings by kind, kinds without one left out; seconds since the target that was looked at longest ago was looked at. */
export async function driftGauges(
  db: Tx,
  now: Date,
): Promise<{ open: { kind: string; count: number }[]; oldest: number }> {
  const [open, looks] = await Promise.all([
    db.$queryRaw<{ kind: string; count: number }[]>`
      SELECT f.kind, count(*)::int AS count FROM drift_finding f JOIN target t ON t.id = f.target_id
       WHERE f.resolved_at IS NULL AND t.deleted_at IS NULL GROUP BY f.kind`,
    db.$queryRaw<{ oldest: number | null }[]>`
      SELECT extract(epoch FROM ${now}::timestamptz - min(coalesce(looked_at, created_at)))::float8 AS oldest
        FROM target WHERE deleted_at IS NULL`,
  ]);
  return { open, oldest: Math.max(0, looks[0]?.oldest ?? 0) };
}
