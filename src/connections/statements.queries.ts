import { Prisma } from '../generated/prisma/client.js';
import type { Tx } from '../platform/state/database.js';
import type { Read } from '../platform/state/in-time.js';
import type { Visibility } from '../policy/visibility.js';
import { visibleTo } from './connection-search.queries.js';
import { ENDED, FIRST_MOMENT, FIRST_NAME, LAST_MOMENT, TIED } from './statement-ties.js';
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

/** A session, and the last moment, by the target's clock, that a statement of it may have. */
interface Until {
  id: string;
  untilMs: number;
}

/** Sessions that are looked through at first; twice as many each time after that. */
const AT_FIRST = 20;

/**
 * Newest first: by the log of the target where all of it may be seen and nothing else is named, those of no known session too; else
 * by the sessions.
 */
export async function findStatements(
  read: Read,
  seen: Visibility,
  search: StatementSearch,
  part: Part,
): Promise<StatementRow[]> {
  const { connection, person, grant } = search;
  if ((connection ?? person ?? grant) === undefined && allOf(seen, search))
    return read<StatementRow>(statementsOfTarget(search, part));
  const sessions = await read<Until>(sessionsOf(seen, search, part.before));
  return newestOf(read, sessions, search, part);
}

/** Those that ended last come first: where a page is newer than all that those behind could have, it is done. */
async function newestOf(read: Read, sessions: Until[], search: StatementSearch, part: Part): Promise<StatementRow[]> {
  let found: StatementRow[] = [];
  for (let [at, most] = [0, AT_FIRST]; at < sessions.length; [at, most] = [at + most, most * 2]) {
    const oldest = found[part.take - 1]?.at;
    if (oldest !== undefined && (sessions[at]?.untilMs ?? 0) < oldest.getTime()) break;
    const ids = sessions.slice(at, at + most).map(({ id }) => id);
    const since = oldest === undefined ? search : { ...search, from: oldest };
    const more = await read<StatementRow>(statementsOfSessions(ids, since, part));
    found = [...found, ...more].sort(newestFirst).slice(0, part.take);
  }
  return found;
}

const newestFirst = (a: StatementRow, b: StatementRow): number =>
  b.at.getTime() - a.at.getTime() || (a.id < b.id ? 1 : -1);

const allOf = (seen: Visibility, { target = '' }: StatementSearch): boolean =>
  seen.all || seen.targetIds.includes(target);

/** Where a session is that somebody may see, and by which of its names its statements are led back to it. */
export async function placeOfSession(
  db: Tx,
  seen: Visibility,
  id: string,
): Promise<{ target: string; connection: string } | undefined> {
  const rows = await db.$queryRaw<{ target: string; connection: string }[]>`
    SELECT k.target_id::text AS target, (${Prisma.raw(FIRST_NAME)})::text AS connection
      FROM connection k WHERE k.id = ${id}::uuid AND ${visibleTo(seen, 'k')}`;
  return rows[0];
}

/** Of the page alone it is looked up whose they are. */
export const statementsOfTarget = (search: StatementSearch, { before, take }: Part): Prisma.Sql =>
  shown(Prisma.sql`
    SELECT e.*, t.id AS session
      FROM (SELECT e.* FROM server_log_event e WHERE e.target_id = ${search.target}::uuid AND ${wanted(search, before)} ${newest(take)}) e
      LEFT JOIN LATERAL (${Prisma.raw(TIED)}) t ON true`);

/** Sessions that may be seen and are asked for, without those that can have had no statement in the time; last ended first. */
export function sessionsOf(seen: Visibility, search: StatementSearch, before: string | undefined): Prisma.Sql {
  const { connection, person, grant, target, from, to } = search;
  const [first, last] = [Prisma.raw(FIRST_MOMENT), Prisma.raw('u.at')];
  const all = [
    Prisma.sql`k.backend_start > 'epoch'`,
    // of a target that is not theirs somebody sees what is their own: said so that the index of persons finds it
    target === undefined || allOf(seen, search)
      ? visibleTo(seen, 'k')
      : Prisma.sql`k.person_id = ${seen.personId}::uuid`,
    ...(connection === undefined ? [] : [Prisma.sql`k.id = ${connection}::uuid`]),
    ...(person === undefined ? [] : [Prisma.sql`k.person_id = ${person}::uuid`]),
    ...(grant === undefined ? [] : [Prisma.sql`k.grant_id = ${grant}::uuid`]),
    ...(target === undefined ? [] : [Prisma.sql`k.target_id = ${target}::uuid`]),
    // most ended long before: that is known without a look at who had the pid next
    ...(from === null
      ? []
      : [Prisma.sql`${Prisma.raw(ENDED)} >= ${from}::timestamptz`, Prisma.sql`${last} >= ${from}::timestamptz`]),
    ...(to === null ? [] : [Prisma.sql`${first} <= ${to}::timestamptz`]),
    ...(before === undefined
      ? []
      : [Prisma.sql`${first} <= (SELECT b.at FROM server_log_event b WHERE b.id = ${before}::uuid)`]),
  ];
  return Prisma.sql`
    SELECT k.id::text AS id, (extract(epoch FROM least(${last}, '9999-01-01')) * 1000)::float8 AS "untilMs"
      FROM connection k LEFT JOIN endpoint_look l ON l.endpoint_id = k.endpoint_id
     CROSS JOIN LATERAL (SELECT ${Prisma.raw(LAST_MOMENT)} AS at) u WHERE ${Prisma.join(all, ' AND ')} ORDER BY u.at DESC, k.id`;
}

/** For each session the newest of its process in its time that are its own: the index of processes has them in order. */
export const statementsOfSessions = (
  ids: readonly string[],
  search: StatementSearch,
  { before, take }: Part,
): Prisma.Sql =>
  shown(Prisma.sql`
    SELECT e.*, k.id AS session FROM connection k LEFT JOIN endpoint_look l ON l.endpoint_id = k.endpoint_id
     CROSS JOIN LATERAL (SELECT ${Prisma.raw(LAST_MOMENT)} AS at) u CROSS JOIN LATERAL (
      SELECT e.* FROM server_log_event e
       WHERE e.target_id = k.target_id AND e.pid = k.pid AND e.login = k.login AND e.at >= ${Prisma.raw(FIRST_MOMENT)} AND e.at <= u.at
         AND ${wanted(search, before)} AND k.id = (${Prisma.raw(TIED)}) ${newest(take)}) e
     WHERE k.id = ANY (${[...ids]}::uuid[]) ${newest(take)}`);

const shown = (found: Prisma.Sql): Prisma.Sql => Prisma.sql`
  SELECT e.id::text AS id, e.at, c.id::text AS "connectionId", c.person_id::text AS "personId", p.name AS "personName", c.grant_id::text AS "grantId",
         e.login, e.database, e.target_id::text AS "targetId", e.details->>'auditType' AS "auditType", e.details->>'statementClass' AS "class",
         e.details->>'command' AS command, e.details->>'objectType' AS "objectType", e.details->>'objectName' AS "objectName",
         (e.details->>'statementId')::int AS "statementId", (e.details->>'substatementId')::int AS "substatementId"
    FROM (${found}) e LEFT JOIN connection c ON c.id = e.session LEFT JOIN person p ON p.id = c.person_id
   ORDER BY e.at DESC, e.id DESC`;

/** The order is that of what happened, and of the log where its time is the same: ids are given as it is read. */
const newest = (take: number): Prisma.Sql => Prisma.sql`ORDER BY e.at DESC, e.id DESC LIMIT ${take}`;

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
