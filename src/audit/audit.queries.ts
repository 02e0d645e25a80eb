import type { AuditEvent as Row } from '../generated/prisma/client.js';
import type { Database } from '../platform/state/database.js';
import type { ExportedLine } from './exported-line.js';
import type { Bind, Way } from './search.js';
import { LINE as LINE_AS_TEXT, timed, type TimedRow } from './seals.queries.js';

type Pool = Pick<Database['pool'], 'query'>;

/** A line as it is shown. */
export type AuditRow = Omit<Row, 'ordinal'>;

/** The columns of a line that are shown, by the names of its row. */
export const LINE = `e.id, e.at, e.actor_kind AS "actorKind", e.actor_id AS "actorId", e.actor_name AS "actorName",
  e.via_service_id AS "viaServiceId", e.via_name AS "viaName", e.subject_id AS "subjectId", e.action, e.outcome, e.target_id AS "targetId",
  e.request_id AS "requestId", e.grant_id AS "grantId", e.code, e.details, e.address, e.correlation_id AS "correlationId"`;

interface Statement {
  text: string;
  values: unknown[];
}

/** The newest lines to which any of the ways leads, of ids below `before`. */
export async function readLines(
  pool: Pool,
  ways: readonly Way[],
  before: string | undefined,
  take: number,
): Promise<AuditRow[]> {
  if (ways.length === 0) return [];
  return (await pool.query<AuditRow>(page(ways, before, take))).rows;
}

/** How many lines the ways lead to, counted no further than `most`. */
export async function countLines(pool: Pool, ways: readonly Way[], most: number): Promise<number> {
  if (ways.length === 0) return 0;
  return (await pool.query<{ lines: number }>(count(ways, most))).rows[0]?.lines ?? 0;
}

/** The statement of a page, for whoever wants to see how it is done. */
export const page = (ways: readonly Way[], before: string | undefined, take: number): Statement =>
  statement((bind) => {
    const most = bind(take);
    const beyond = before === undefined ? [] : [`e.id < ${bind(before)}`];
    const order = `ORDER BY e.id DESC LIMIT ${most}`;
    const found = `(${ways.map((way) => walk('e.*', way, beyond, order, bind)).join(' UNION ALL ')}) e`;
    if (ways.length === 1) return `SELECT ${LINE} FROM ${found} ${order}`;
    // no way leads to a line twice: among so many of the newest are as many lines as are wanted
    const newest = `(SELECT e.* FROM ${found} ORDER BY e.id DESC LIMIT ${most} * ${ways.length}) e`;
    return `SELECT DISTINCT ON (e.id) ${LINE} FROM ${newest} ${order}`;
  });

/** The same for a count. */
export const count = (ways: readonly Way[], most: number): Statement =>
  statement((bind) => {
    const limit = `LIMIT ${bind(most)}`;
    const walks = ways.map((way) => walk('e.id', way, [], limit, bind));
    return `SELECT count(*)::int AS lines FROM (SELECT e.id FROM (${walks.join(' UNION ')}) e ${limit}) e`;
  });

/** Ends after as many lines as are wanted at all; that also keeps a list of values from being joined, which would read everything. */
function walk(what: string, way: Way, beyond: readonly string[], end: string, bind: Bind): string {
  const { from, where } = parts(way, bind);
  const one = `SELECT ${what} FROM audit_event e ${whereOf([...where, ...beyond])} ${end}`;
  return from === undefined ? `(${one})` : `(SELECT e.* FROM ${from} CROSS JOIN LATERAL (${one}) e)`;
}

/** How many lines are sealed: the sequence of the last one. */
export async function sealedSize(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ size: number }>(
    'SELECT size::float8 AS size FROM audit_checkpoint ORDER BY size DESC LIMIT 1',
  );
  return rows[0]?.size ?? 0;
}

/** Those of the sealed lines behind `after` and up to `upTo` to which any of the ways leads, in order: found by their seals. */
export const readSealed = (pool: Pool, ways: readonly Way[], after: number, upTo: number): Promise<ExportedLine[]> =>
  readExported(pool, ways, (bind) => {
    const any = ways.map((way) => `(${['true', ...inList(way, bind)].join(' AND ')})`).join(' OR ');
    // looked up for each seal: joined otherwise, a part of the record would cost as much as all of it
    return `audit_seal s CROSS JOIN LATERAL (SELECT e.* FROM audit_event e WHERE e.id = s.event_id AND (${any}) LIMIT 1) e
            WHERE ${between(after, upTo, bind)}`;
  });

/** The same, all at once, found by the ways: for few lines of a large record. */
export const readFewSealed = (pool: Pool, ways: readonly Way[], after: number, upTo: number): Promise<ExportedLine[]> =>
  readExported(pool, ways, (bind) => {
    const walks = ways.map((way) => walk('e.*', way, [], '', bind));
    const found = `(SELECT DISTINCT ON (e.id) e.* FROM (${walks.join(' UNION ALL ')}) e)`;
    return `${found} e CROSS JOIN LATERAL (SELECT * FROM audit_seal s WHERE s.event_id = e.id LIMIT 1) s
            WHERE ${between(after, upTo, bind)}`;
  });

async function readExported(pool: Pool, ways: readonly Way[], from: (bind: Bind) => string): Promise<ExportedLine[]> {
  if (ways.length === 0) return [];
  const text = (bind: Bind): string =>
    `SELECT s.seq::float8 AS sequence, ${LINE_AS_TEXT} FROM ${from(bind)} ORDER BY s.seq`;
  return timed((await pool.query<TimedRow<ExportedLine>>(statement(text))).rows);
}

const between = (after: number, upTo: number, bind: Bind): string =>
  `s.seq > ${bind(after)}::bigint AND s.seq <= ${bind(upTo)}::bigint`;

const inList = ({ conditions, each }: Way, bind: Bind): string[] => [
  ...each.map(({ column, source }) => `e.${column} IN (SELECT of.id FROM ${source(bind)})`),
  ...conditions.map((condition) => condition(bind)),
];

/** The first list of values leads the walk, a further one only says which lines of it are meant. */
function parts({ conditions, each }: Way, bind: Bind): { from: string | undefined; where: string[] } {
  const [leading, ...others] = each;
  return {
    from: leading?.source(bind),
    where: [
      ...(leading === undefined ? [] : [`e.${leading.column} = of.id`]),
      ...inList({ conditions, each: others }, bind),
    ],
  };
}

const whereOf = (conditions: readonly string[]): string =>
  conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;

function statement(write: (bind: Bind) => string): Statement {
  const values: unknown[] = [];
  const text = write((value) => `$${values.push(value)}`);
  return { text, values };
}
