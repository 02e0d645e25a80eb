import { Prisma } from '../generated/prisma/client.js';
import type { Tx } from '../platform/state/database.js';
import type { Visibility } from '../policy/visibility.js';
import type { Search } from './connection-search.queries.js';
import type { ConnectionGap } from './connections.contract.js';
import type { Unwatched } from './gaps.js';

/** What a question is about, as far as it says where to look for gaps. */
export type About = Partial<Pick<Search, 'target' | 'person' | 'grant'>>;

/**
 * Targets where an answer to the question could be: those that somebody may see, and that the target, the grant or a
 * grant of the person lead to. Whoever sees only what is their own learns of gaps where they had grants.
 */
export const targetsOf = (seen: Visibility, { target, person, grant }: About): Prisma.Sql => {
  const known = (grant: string): Prisma.Sql => {
    const g = Prisma.raw(grant);
    return seen.all
      ? Prisma.sql`true`
      : Prisma.sql`(${g}.target_id = ANY (${[...seen.targetIds]}::uuid[]) OR ${g}.person_id = ${seen.personId}::uuid)`;
  };
  const mine = Prisma.sql`EXISTS (SELECT 1 FROM access_grant o WHERE o.target_id = t.id AND o.person_id = ${seen.personId}::uuid)`;
  const all = [
    seen.all ? Prisma.sql`true` : Prisma.sql`(t.id = ANY (${[...seen.targetIds]}::uuid[]) OR ${mine})`,
    ...(target === undefined ? [] : [Prisma.sql`t.id = ${target}::uuid`]),
    ...(grant === undefined
      ? []
      : [Prisma.sql`t.id = (SELECT g.target_id FROM access_grant g WHERE g.id = ${grant}::uuid AND ${known('g')})`]),
    ...(person === undefined
      ? []
      : [
          Prisma.sql`EXISTS (SELECT 1 FROM access_grant g WHERE g.target_id = t.id AND g.person_id = ${person}::uuid AND ${known('g')})`,
        ]),
  ];
  return Prisma.sql`SELECT t.id FROM target t WHERE ${Prisma.join(all, ' AND ')}`;
};

/** The last look at each endpoint that should be looked at. */
export const lastLooks = (db: Tx, seen: Visibility, about: About, kinds: readonly string[]): Promise<Unwatched[]> =>
  db.$queryRaw<Unwatched[]>`
    SELECT e.target_id::text AS "targetId", e.id::text AS "endpointId", r.created_at AS since, l.looked_at AS "lookedAt", l.failure
      FROM endpoint e JOIN target r ON r.id = e.target_id AND r.deleted_at IS NULL LEFT JOIN endpoint_look l ON l.endpoint_id = e.id
     WHERE e.kind = ANY (${[...kinds]}::text[]) AND e.target_id IN (${targetsOf(seen, about)})`;

/** Gaps that are on record, of looks and of logs, newest first; what was read after all is none. */
export const recordedGaps = (
  db: Tx,
  seen: Visibility,
  about: About & { from: Date | null; to: Date | null },
  most: number,
): Promise<ConnectionGap[]> =>
  db.$queryRaw<ConnectionGap[]>`
    SELECT o.target_id::text AS "targetId", o.endpoint_id::text AS "endpointId", o.kind, o.from_at AS "from", o.to_at AS "to",
           CASE WHEN ${seen.all} OR o.target_id = ANY (${[...seen.targetIds]}::uuid[]) THEN o.detail END AS detail
      FROM observation_gap o WHERE o.recovered_at IS NULL AND o.target_id IN (${targetsOf(seen, about)})
       AND (${about.to}::timestamptz IS NULL OR o.from_at <= ${about.to}::timestamptz)
       AND (${about.from}::timestamptz IS NULL OR o.to_at IS NULL OR o.to_at >= ${about.from}::timestamptz)
     ORDER BY o.from_at DESC LIMIT ${most}`;
