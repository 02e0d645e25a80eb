import { headOf, HEAD, type Head, type HeadRow, type Session } from './seals.queries.js';

/** How far signatures are behind the sealed record. */
export interface Unsigned {
  /** The last place; 0: nothing has one. */
  readonly sealed: number;
  /** The last that is under a signed checkpoint; 0: none is. */
  readonly signed: number;
  /** When the first checkpoint was made that is over more than these; null: there is none. */
  readonly oldest: Date | null;
  /** That this was within the last hour. What is dated to come is not, but for what clocks may differ: it would be so for ever. */
  readonly fresh: boolean;
}

export async function unsigned(session: Session): Promise<Unsigned> {
  const { rows } = await session.query<Unsigned>(
    `SELECT sealed::float8 AS sealed, signed::float8 AS signed, oldest, coalesce(oldest > now() - interval '1 hour' AND oldest < now() + interval '5 minutes', false) AS fresh
       FROM (SELECT coalesce((SELECT max(seq) FROM audit_seal), 0) AS sealed,
                    coalesce((SELECT size FROM audit_checkpoint WHERE note IS NOT NULL ORDER BY size DESC LIMIT 1), 0) AS signed) ends,
            LATERAL (SELECT (SELECT at FROM audit_checkpoint WHERE size > signed ORDER BY size LIMIT 1) AS oldest) waiting`,
  );
  return rows[0] ?? { sealed: 0, signed: 0, oldest: null, fresh: false };
}

/**
 * Up to where the record can be proved: to the newest signed checkpoint, while what follows has waited for less than an hour and so
 * is only to be signed. Beyond that signatures are missing, and who verifies is to find that: everything then.
 */
export async function provableSize(session: Session): Promise<number> {
  const { sealed, signed, fresh } = await unsigned(session);
  return signed > 0 && fresh ? signed : sealed;
}

/** Checkpoints that have a note, the newest first. What is in it is for who reads it to verify: the database looks at its form alone. */
export async function notedHeads(session: Session, limit: number): Promise<Head[]> {
  const { rows } = await session.query<HeadRow>(
    `SELECT ${HEAD} FROM audit_checkpoint WHERE note IS NOT NULL ORDER BY size DESC LIMIT $1`,
    [limit],
  );
  return rows.map(headOf);
}

/**
 * Puts the signature on a checkpoint that has none.
 * @returns false when somebody else did
 */
export async function addNote(session: Session, size: number, note: string): Promise<boolean> {
  const { rowCount } = await session.query('UPDATE audit_checkpoint SET note = $2 WHERE size = $1 AND note IS NULL', [
    ...[size, note],
  ]);
  return rowCount === 1;
}
