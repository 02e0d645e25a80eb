import type { Database } from '../platform/state/database.js';
import type { Part, RecordedLine } from './entry.js';
import type { Hash, Range } from './merkle.js';

/** Where queries run: our pool, or one session of it in a transaction. */
export type Session = Pick<Database['pool'], 'query'>;

/**
 * One transaction of hand-written SQL on a session of its own. What fails ends with its connection, and a connection that breaks
 * between two statements fails the next one: without a listener it would end the process.
 */
export async function inTransaction<T>(db: Database, work: (session: Session) => Promise<T>): Promise<T> {
  const session = await db.pool.connect();
  const ignore = (): void => undefined;
  session.on('error', ignore);
  let broken = true;
  try {
    await session.query('BEGIN ISOLATION LEVEL READ COMMITTED'); // each statement sees what is there by then
    const done = await work(session);
    await session.query('COMMIT');
    broken = false;
    return done;
  } finally {
    session.off('error', ignore);
    session.release(broken);
  }
}

/** The tree as it stands, after the last batch. */
export interface Head {
  readonly size: number;
  readonly root: Hash;
  /** Every line up to this ordinal is sealed, or will never be there. */
  readonly settled: number;
  readonly at: Date;
  readonly note: string | null;
}

/** The columns of a {@link HeadRow}. */
export const HEAD = 'size, root, settled, at, note';
export interface HeadRow {
  size: string;
  root: Buffer;
  settled: string;
  at: Date;
  note: string | null;
}

export const headOf = ({ size, settled, ...row }: HeadRow): Head => ({
  ...row,
  size: Number(size),
  settled: Number(settled),
});

/** Held until the end of the transaction, in the session that seals: it cannot be lost while that goes on. */
export const SEALER_LOCK = 72_707_370;

/**
 * Begins a look, in a transaction that the caller has begun.
 * @returns false when another process seals at this moment
 */
export async function takeTurn(session: Session): Promise<boolean> {
  // a look is at few lines behind many: with statistics of yesterday PostgreSQL would read all seals to find that
  await session.query('SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off');
  const { rows } = await session.query<{ mine: boolean }>('SELECT pg_try_advisory_xact_lock($1) AS mine', [
    SEALER_LOCK,
  ]);
  return rows[0]?.mine === true;
}

/** The tree after its last batch, or the last that has a note; undefined while there is none. */
export async function newestHead(session: Session, which: { signed: boolean }): Promise<Head | undefined> {
  // spelt out, so that the index over those that are signed serves
  const { rows } = await session.query<HeadRow>(
    `SELECT ${HEAD} FROM audit_checkpoint ${which.signed ? 'WHERE note IS NOT NULL' : ''} ORDER BY size DESC LIMIT 1`,
  );
  return rows[0] && headOf(rows[0]);
}

/** How far ordinals were drawn, and a number of a transaction that is above that of everybody who drew one of them. */
export interface Horizon {
  readonly drawn: number;
  readonly xact: bigint;
}

/** How far a server's sequence went. */
export interface Drawn {
  /** The last ordinal that anybody drew, whether or not they committed; 0: none. */
  readonly ordinal: number;
  /** When the server started. After a crash or on a standby that took over, ordinals may be drawn that were drawn before. */
  readonly server: string;
}

export async function lastDrawn(session: Session): Promise<Drawn> {
  const { rows } = await session.query<{ ordinal: string; server: string }>(
    `SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS ordinal, pg_postmaster_start_time()::text AS server
       FROM audit_event_ordinal_seq`,
  );
  return { ordinal: Number(rows[0]?.ordinal), server: rows[0]?.server ?? '' };
}

/** Which transactions are over, and our own number, given now: asked for after the last ordinal was read, it is above those of all who drew. */
export interface Now {
  readonly xact: bigint;
  /** Every transaction with a smaller number is over, and what it wrote is seen by whoever looks from now on. */
  readonly over: bigint;
}

export async function ownNumber(session: Session): Promise<Now> {
  const { rows } = await session.query<{ xact: string; over: string }>(
    'SELECT pg_current_xact_id()::text AS xact, pg_snapshot_xmin(pg_current_snapshot())::text AS over',
  );
  return { xact: BigInt(rows[0]?.xact ?? 0), over: BigInt(rows[0]?.over ?? 0) };
}

/** The columns of a line, for {@link timed}: instants as milliseconds since 1970, for to write them as texts costs more than all else. */
export const LINE = `e.id, round(date_part('epoch', e.at) * 1000) AS at, e.actor_kind AS "actorKind",
  e.actor_id AS "actorId", e.actor_name AS "actorName", e.via_service_id AS "viaServiceId", e.via_name AS "viaName",
  e.subject_id AS "subjectId", e.action, e.outcome::text AS outcome, e.target_id AS "targetId", e.request_id AS "requestId",
  e.grant_id AS "grantId", e.code, e.details::text AS details, e.address, e.correlation_id AS "correlationId"`;

/** A line as {@link LINE} reads it. */
export type TimedRow<T extends RecordedLine = RecordedLine> = Omit<T, 'at'> & { at: number };

/** The last instant that a date can be, in milliseconds since 1970; PostgreSQL has later ones, and `infinity`. */
const LAST_INSTANT = 8.64e15;

/** Writes the instants of lines as texts, in the rows themselves: there are many. What no date can be is the nearest that one can. */
export function timed<T extends RecordedLine>(rows: readonly TimedRow<T>[]): T[] {
  for (const row of rows as readonly { at: number | string }[])
    row.at = new Date(Math.max(-LAST_INSTANT, Math.min(LAST_INSTANT, Number(row.at)))).toISOString();
  return rows as unknown as T[];
}

/** A line in its place; undefined where it is gone. */
export interface Sealed {
  readonly seq: number;
  readonly leaf: Hash;
  readonly line: RecordedLine | undefined;
  /** Its month was dropped as a whole, as older than the retention. */
  readonly dropped?: boolean;
}

interface SealedRow extends RecordedLine {
  seq: string;
  leaf: Hash;
  present: string | null;
  dropped: boolean | null;
}

export async function sealedAfter(session: Session, after: number, upTo: number): Promise<Sealed[]> {
  const { rows } = await session.query<TimedRow<SealedRow>>({
    name: 'sealed-after',
    text: `SELECT s.seq, s.leaf, e.id AS present, s.event_id < (SELECT audit_first_id(max(to_at)) FROM audit_partition WHERE dropped_at IS NOT NULL) AS dropped,
                  ${LINE} FROM audit_seal s LEFT JOIN audit_event e ON e.id = s.event_id
            WHERE s.seq > $1 AND s.seq <= $2 ORDER BY s.seq`,
    values: [after, upTo],
  });
  return timed<SealedRow>(rows).map((row) => ({
    ...{ seq: Number(row.seq), leaf: row.leaf, dropped: row.dropped === true },
    line: row.present === null ? undefined : row,
  }));
}

/** One line, whether or not it has a place yet; undefined where there is none. */
export async function lineWithPlace(
  session: Session,
  id: string,
): Promise<{ line: RecordedLine; place: { seq: number; leaf: Hash } | undefined } | undefined> {
  const { rows } = await session.query<TimedRow & { seq: string | null; leaf: Hash }>(
    `SELECT s.seq, s.leaf, ${LINE} FROM audit_event e LEFT JOIN audit_seal s ON s.event_id = e.id WHERE e.id = $1`,
    [id],
  );
  const [row] = timed<RecordedLine & { seq: string | null; leaf: Hash }>(rows);
  if (!row) return undefined;
  const { seq, leaf, ...line } = row;
  return { line, place: seq === null ? undefined : { seq: Number(seq), leaf } };
}

/** What leaves hold in place of parts that were redacted, by line. */
export async function redactionsOf(
  session: Session,
  ids: readonly string[],
): Promise<Map<string, Partial<Record<Part, Buffer>>>> {
  const { rows } = await session.query<{ id: string; part: Part; commitment: Buffer }>(
    'SELECT event_id AS id, part, commitment FROM audit_redaction WHERE event_id = ANY ($1::uuid[])',
    [ids],
  );
  const found = new Map<string, Partial<Record<Part, Buffer>>>();
  for (const { id, part, commitment } of rows) found.set(id, { ...found.get(id), [part]: commitment });
  return found;
}

/** Signed notes over trees of these sizes, the smallest first. */
export async function notesAfter(
  session: Session,
  after: number,
  upTo: number,
): Promise<{ size: number; note: string }[]> {
  const { rows } = await session.query<{ size: string; note: string }>(
    'SELECT size, note FROM audit_checkpoint WHERE size > $1 AND size <= $2 AND note IS NOT NULL ORDER BY size',
    [after, upTo],
  );
  return rows.map(({ size, note }) => ({ size: Number(size), note }));
}

/** Newest first. @param below only trees that are smaller */
export async function heads(session: Session, below: number | undefined, limit: number): Promise<Head[]> {
  const { rows } = await session.query<HeadRow>(
    `SELECT ${HEAD} FROM audit_checkpoint WHERE $1::bigint IS NULL OR size < $1 ORDER BY size DESC LIMIT $2`,
    [below ?? null, limit],
  );
  return rows.map(headOf);
}

/** The signed note over a tree of exactly this size. */
export async function noteOver(session: Session, size: number): Promise<string | null> {
  const { rows } = await session.query<{ note: string | null }>('SELECT note FROM audit_checkpoint WHERE size = $1', [
    size,
  ]);
  return rows[0]?.note ?? null;
}

/** Lines without a place, and when the oldest of them was written. */
export async function backlog(session: Session): Promise<{ lines: number; oldest: Date | null }> {
  const { rows } = await session.query<{ lines: number; oldest: Date | null }>(
    `SELECT count(*)::int AS lines, min(e.at) AS oldest FROM audit_event e
      WHERE e.ordinal > coalesce((SELECT settled FROM audit_checkpoint ORDER BY size DESC LIMIT 1), 0)
        AND NOT EXISTS (SELECT FROM audit_seal s WHERE s.event_id = e.id)`,
  );
  return rows[0] ?? { lines: 0, oldest: null };
}

/** A line without a seal, with the ordinal by which it gets its place. */
export type UnsealedLine = RecordedLine & { ordinal: number };

/**
 * Begins to read lines that have no seal yet, in the order in which they get it: what was there at this moment, however long the
 * reading takes, or parts that are read later could hold what a line knows of that comes after.
 * @returns reads the next lines, so many at most; none: that was all
 */
export async function readUnsealed(
  session: Session,
  settled: number,
  limit: number,
): Promise<(most: number) => Promise<UnsealedLine[]>> {
  await session.query(
    `DECLARE unsealed NO SCROLL CURSOR FOR
     SELECT e.ordinal::float8 AS ordinal, ${LINE} FROM audit_event e
      WHERE e.ordinal > $1 AND NOT EXISTS (SELECT FROM audit_seal s WHERE s.event_id = e.id)
      ORDER BY e.ordinal LIMIT $2`,
    [settled, limit],
  );
  return async (most) => timed((await session.query<TimedRow<UnsealedLine>>(`FETCH ${most} FROM unsealed`)).rows);
}

/** Makes a key of its own for each of these people who has none. Under the turn of {@link takeTurn} alone. */
export async function addPersonKeys(session: Session, keys: ReadonlyMap<string, Buffer>): Promise<void> {
  await session.query('INSERT INTO audit_person_key (person_id, key) SELECT * FROM unnest($1::uuid[], $2::bytea[])', [
    [...keys.keys()],
    [...keys.values()],
  ]);
}

export async function knownKeys(session: Session, ids: readonly string[]): Promise<Map<string, Buffer>> {
  const { rows } = await session.query<{ person_id: string; key: Buffer }>(
    'SELECT person_id, key FROM audit_person_key WHERE person_id = ANY ($1::uuid[])',
    [ids],
  );
  return new Map(rows.map(({ person_id, key }) => [person_id, key]));
}

export interface Node {
  readonly level: number;
  readonly index: number;
  readonly hash: Hash;
}

/** Lines that follow one another, and their leaves. */
export interface Placed {
  /** Lines in the tree before. */
  readonly after: number;
  readonly eventIds: readonly string[];
  readonly leaves: readonly Hash[];
}

export async function writeSeals(session: Session, { after, eventIds, leaves }: Placed): Promise<void> {
  // cut out of one value: thousands of separate ones would cost more than their hashes
  await session.query({
    name: 'seal',
    text: `INSERT INTO audit_seal (seq, event_id, leaf)
           SELECT $1::bigint + n, id, substring($3::bytea FROM (n::int - 1) * 32 + 1 FOR 32)
             FROM unnest($2::uuid[]) WITH ORDINALITY AS u (id, n)`,
    values: [after, eventIds, Buffer.concat(leaves)],
  });
}

/** Ends what one look seals, when all seals of it are written. */
export async function writeHead(session: Session, head: Head, nodes: readonly Node[]): Promise<void> {
  await session.query(
    `INSERT INTO audit_node (level, index, hash) SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[])`,
    [nodes.map(({ level }) => level), nodes.map(({ index }) => index), nodes.map(({ hash }) => hash)],
  );
  await session.query('INSERT INTO audit_checkpoint (size, root, settled, at, note) VALUES ($1, $2, $3, $4, $5)', [
    ...[head.size, head.root, head.settled, head.at, head.note],
  ]);
}

/** Leaves (level 0) or roots of complete subtrees, in their order; the range counts in the units of its level. */
export async function hashesAt(session: Session, level: number, { start, end }: Range): Promise<Hash[]> {
  const { rows } = await session.query<{ hash: Hash }>(
    level === 0
      ? {
          name: 'leaves',
          text: 'SELECT leaf AS hash FROM audit_seal WHERE seq > $1 AND seq <= $2 ORDER BY seq',
          values: [start, end],
        }
      : {
          name: 'nodes',
          text: 'SELECT hash FROM audit_node WHERE level = $3 AND index >= $1 AND index < $2 ORDER BY index',
          values: [start, end, level],
        },
  );
  if (rows.length !== end - start)
    throw new Error(`of the sealed record, hashes ${start} to ${end} at level ${level} are not there`);
  return rows.map(({ hash }) => hash);
}
