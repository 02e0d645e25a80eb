import { Prisma } from '../generated/prisma/client.js';
import type { Tx } from '../platform/state/database.js';
import type { Visibility } from '../policy/visibility.js';
import { visibleTo } from './connection-search.queries.js';
import { firstMoment, lastMoment, TIED } from './statement-ties.js';
import type { StatementQuery } from './statements.contract.js';

/** What is asked for; null is without end. */
export interface StatementSearch extends Pick<
  StatementQuery,
  'connection' | 'person' | 'grant' | 'target' | 'class' | 'object'
> {
  command: string | undefined;
  from: Date | null;
  to: Date | null;
}

export interface StatementRow {
  id: string;
  at: Date;
  connectionId: string | null;
  personId: string | null;
  personName: string | null;
  grantId: string | null;
  login: string;
  database: string;
  targetId: string;
  auditType: string;
  class: string;
  command: string;
  objectType: string | null;
  objectName: string | null;
  statementId: number;
  substatementId: number;
}

interface Part {
  /** The statement behind which it begins. */
  before: string | undefined;
  take: number;
}

/** Newest first. */
export const findStatements = (
  db: Tx,
  seen: Visibility,
  search: StatementSearch,
  part: Part,
): Promise<StatementRow[]> => db.$queryRaw<StatementRow[]>(statementsOf(seen, search, part));

/** The target of a session that somebody may see. */
export async function targetOfSession(db: Tx, seen: Visibility, id: string): Promise<string | undefined> {
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT c.target_id::text AS id FROM connection c WHERE c.id = ${id}::uuid AND ${visibleTo(seen, 'c')}`;
  return rows[0]?.id;
}

/**
 * The question as it is put, for whoever wants to see how it is answered: by the sessions where it names some, or where only those
 * of somebody's own may be seen; else by the log of the target, those of no known session too.
 */
export function statementsOf(seen: Visibility, search: StatementSearch, part: Part): Prisma.Sql {
  const { connection, person, grant, target = '' } = search;
  const named = (connection ?? person ?? grant) !== undefined;
  const all = seen.all || seen.targetIds.includes(target);
  const found = named || !all ? ofSessions(seen, search, part) : ofTarget(search, part);
  return Prisma.sql`
    SELECT e.id::text AS id, e.at, c.id::text AS "connectionId", c.person_id::text AS "personId", p.name AS "personName", c.grant_id::text AS "grantId",
           e.login, e.database, e.target_id::text AS "targetId", e.details->>'auditType' AS "auditType", e.details->>'statementClass' AS "class",
           e.details->>'command' AS command, e.details->>'objectType' AS "objectType", e.details->>'objectName' AS "objectName",
           (e.details->>'statementId')::int AS "statementId", (e.details->>'substatementId')::int AS "substatementId"
      FROM (${found}) e LEFT JOIN connection c ON c.id = e.session LEFT JOIN person p ON p.id = c.person_id
     ORDER BY e.at DESC, e.id DESC`;
}

/** The order is that of what happened, and of the log where its time is the same: ids are given as it is read. */
const newest = (take: number): Prisma.Sql => Prisma.sql`ORDER BY e.at DESC, e.id DESC LIMIT ${take}`;

/** Of the page alone it is looked up whose they are. */
const ofTarget = (search: StatementSearch, { before, take }: Part): Prisma.Sql => Prisma.sql`
  SELECT e.*, t.id AS session
    FROM (SELECT e.* FROM server_log_event e WHERE e.target_id = ${search.target}::uuid AND ${wanted(search, before)} ${newest(take)}) e
    LEFT JOIN LATERAL (${Prisma.raw(TIED)}) t ON true`;

/** For each session the newest of its process in its time that are its own: the index of processes has them in order. */
function ofSessions(seen: Visibility, search: StatementSearch, { before, take }: Part): Prisma.Sql {
  const { connection, person, grant, target } = search;
  const all = [
    // of a target that is not theirs somebody sees what is their own: said so that the index of persons finds it
    target === undefined || seen.all || seen.targetIds.includes(target)
      ? visibleTo(seen, 'c')
      : Prisma.sql`c.person_id = ${seen.personId}::uuid`,
    ...(connection === undefined ? [] : [Prisma.sql`c.id = ${connection}::uuid`]),
    ...(person === undefined ? [] : [Prisma.sql`c.person_id = ${person}::uuid`]),
    ...(grant === undefined ? [] : [Prisma.sql`c.grant_id = ${grant}::uuid`]),
    ...(target === undefined ? [] : [Prisma.sql`c.target_id = ${target}::uuid`]),
  ];
  return Prisma.sql`
    SELECT e.*, c.id AS session FROM connection c LEFT JOIN endpoint_look l ON l.endpoint_id = c.endpoint_id CROSS JOIN LATERAL (
      SELECT e.* FROM server_log_event e
       WHERE e.target_id = c.target_id AND e.pid = c.pid AND e.login = c.login AND e.at >= ${Prisma.raw(firstMoment('c'))}
         AND e.at <= ${Prisma.raw(lastMoment('c', 'l'))} AND ${wanted(search, before)} AND c.id = (${Prisma.raw(TIED)}) ${newest(take)}) e
     WHERE ${Prisma.join(all, ' AND ')} ${newest(take)}`;
}

/** Characters of an object's name that the index keeps: one row of it holds 2,704 bytes, and a function's name has all its arguments. */
const INDEXED = 200;

function wanted({ class: of, command, object, from, to }: StatementSearch, before: string | undefined): Prisma.Sql {
  const name = Prisma.raw(`e.details->>'objectName'`);
  const all = [
    Prisma.sql`e.kind = 'statement'`,
    ...(of === undefined ? [] : [Prisma.sql`e.details->>'statementClass' = ${of}`]),
    ...(command === undefined ? [] : [Prisma.sql`e.details->>'command' = ${command}`]),
    ...(object === undefined
      ? []
      : [Prisma.sql`left(${name}, ${Prisma.raw(`${INDEXED}`)}) = left(${object}, ${INDEXED}) AND ${name} = ${object}`]),
    ...(from === null ? [] : [Prisma.sql`e.at >= ${from}::timestamptz`]),
    ...(to === null ? [] : [Prisma.sql`e.at <= ${to}::timestamptz`]),
    ...(before === undefined
      ? []
      : [Prisma.sql`(e.at, e.id) < (SELECT b.at, b.id FROM server_log_event b WHERE b.id = ${before}::uuid)`]),
  ];
  return Prisma.join(all, ' AND ');
}
