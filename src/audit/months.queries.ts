import type { Database, Tx } from '../platform/state/database.js';
import { taleIn, toldWith } from './drop-tale.js';

/** A month of the record that is gone. Its seals stay. */
export interface DroppedMonth {
  readonly name: string;
  /** The first moment after it. */
  readonly ends: Date;
  readonly lines: number;
  /** The highest sequence that a line of it had; null when there was none. */
  readonly lastSequence: number | null;
}

/** @returns the partitions that were made */
export async function makeMonths(pool: Pick<Database['pool'], 'query'>, ahead: number): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>('SELECT name FROM audit_make_partitions($1) name', [ahead]);
  return rows.map(({ name }) => name);
}

/**
 * Drops the oldest month that is older than the retention.
 * @returns undefined when there is none
 * @throws Error of PostgreSQL, 55000, when one is not sealed or no signed checkpoint is over it; 55P03 when somebody reads it for too long
 */
export async function dropExpired(tx: Tx): Promise<DroppedMonth | undefined> {
  const rows = await tx.$queryRaw<
    (Omit<DroppedMonth, 'lines' | 'lastSequence'> & Record<'lines' | 'last', bigint | null>)[]
  >`
    SELECT dropped AS name, ends, lines, last_sequence AS last FROM audit_drop_expired()`;
  return (
    rows[0] && {
      ...{ name: rows[0].name, ends: rows[0].ends, lines: Number(rows[0].lines) },
      lastSequence: rows[0].last === null ? null : Number(rows[0].last),
    }
  );
}

/** Nobody else makes or drops a month until the end of the transaction. As the functions of the database do it, before they look. */
export const lockMonths = (tx: Tx): Promise<unknown> =>
  tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtext('usher audit partitions'))`;

/**
 * How many lines the record itself tells to be gone. Not what `audit_partition` has: who took lines away past Usher and wrote them
 * down there would have us tell of them. A handful of lines, one for each month that was dropped since.
 */
export async function toldDropped(tx: Tx): Promise<number> {
  const rows = await tx.$queryRaw<{ details: unknown }[]>`
    SELECT details FROM audit_event WHERE action = 'audit.drop' ORDER BY id`;
  return rows.reduce((told, { details }) => toldWith(told, taleIn(details) ?? {}), 0);
}

/** How far ahead months are made, in days, and whether lines stand outside of all of them. */
export interface MonthsAhead {
  readonly days: number;
  readonly stray: number;
}

/** Strays are counted up to a thousand. */
export async function monthsAhead(pool: Pick<Database['pool'], 'query'>): Promise<MonthsAhead> {
  const { rows } = await pool.query<MonthsAhead>(`
    SELECT (extract(epoch FROM max(to_at) - now()) / 86400)::float8 AS days,
           (SELECT count(*)::int FROM (SELECT FROM audit_event_default LIMIT 1000) stray) AS stray
      FROM audit_partition`);
  return rows[0] ?? { days: 0, stray: 0 };
}
