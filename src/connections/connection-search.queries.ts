import { Prisma } from '../generated/prisma/client.js';
import type { Tx } from '../platform/state/database.js';
import type { Visibility } from '../policy/visibility.js';
import type { ConnectionQuery } from './connections.contract.js';
import { aroundTheBroker } from './flags.js';

/** What is asked for, with the moments of `at`, `from` and `to` made one period; null is without end. */
export interface Search extends Pick<
  ConnectionQuery,
  'target' | 'person' | 'grant' | 'login' | 'flag' | 'around' | 'open'
> {
  from: Date | null;
  to: Date | null;
}

/** Rows of `connection` or `access_grant`, by the alias, that somebody may see. */
export const visibleTo = (seen: Visibility, alias: 'c' | 'k' | 'g'): Prisma.Sql => {
  if (seen.all) return Prisma.sql`true`;
  const [person, target] = [Prisma.raw(`${alias}.person_id`), Prisma.raw(`${alias}.target_id`)];
  return Prisma.sql`(${person} = ${seen.personId}::uuid OR ${target} = ANY (${[...seen.targetIds]}::uuid[]))`;
};

const flaggedAs = (kinds: readonly string[]): Prisma.Sql =>
  Prisma.sql`c.id IN (SELECT f.connection_id FROM connection_flag f WHERE f.kind = ANY (${[...kinds]}::text[]))`;

/** @returns ids, newest first */
export async function findConnections(
  db: Tx,
  seen: Visibility,
  search: Search,
  { before, take }: { before: string | undefined; take: number },
): Promise<string[]> {
  const { target, person, grant, login, flag, around, open, from, to } = search;
  const when = Prisma.sql`tstzrange(c.started_at, c.ended_at, '[]') && tstzrange(${from}::timestamptz, ${to}::timestamptz, '[]')`;
  const all = [
    visibleTo(seen, 'c'),
    ...(target === undefined ? [] : [Prisma.sql`c.target_id = ${target}::uuid`]),
    ...(person === undefined ? [] : [Prisma.sql`c.person_id = ${person}::uuid`]),
    ...(grant === undefined ? [] : [Prisma.sql`c.grant_id = ${grant}::uuid`]),
    ...(login === undefined ? [] : [Prisma.sql`c.login = ${login}`]),
    ...(flag === undefined ? [] : [flaggedAs([flag])]),
    ...(around === true ? [flaggedAs(aroundTheBroker)] : []),
    ...(around === false ? [Prisma.sql`NOT ${flaggedAs(aroundTheBroker)}`] : []),
    ...(open === undefined ? [] : [open ? Prisma.sql`c.ended_at IS NULL` : Prisma.sql`c.ended_at IS NOT NULL`]),
    ...(from === null && to === null ? [] : [when]),
    ...(before === undefined ? [] : [Prisma.sql`c.id < ${before}::uuid`]),
  ];
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT c.id::text AS id FROM connection c WHERE ${Prisma.join(all, ' AND ')} ORDER BY c.id DESC LIMIT ${take}`;
  return rows.map(({ id }) => id);
}
