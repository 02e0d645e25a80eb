import type pg from 'pg';

/** Seals what is not sealed yet, in the order of ordinals, under a checkpoint that nobody verifies: for tests of what comes after it. */
export async function seal(owner: pg.Pool, { signed = true } = {}): Promise<void> {
  const session = await owner.connect();
  try {
    await session.query('BEGIN; LOCK TABLE audit_checkpoint IN EXCLUSIVE MODE');
    await session.query(`
      INSERT INTO audit_seal (seq, event_id, leaf)
      SELECT (SELECT coalesce(max(seq), 0) FROM audit_seal) + row_number() OVER (ORDER BY e.ordinal), e.id, sha256(e.id::text::bytea)
        FROM audit_event e WHERE NOT EXISTS (SELECT FROM audit_seal s WHERE s.event_id = e.id)`);
    await session.query(
      `INSERT INTO audit_checkpoint (size, root, settled, at, note)
       SELECT max(seq), sha256('root'), (SELECT max(ordinal) FROM audit_event), now(), $1 FROM audit_seal
       HAVING max(seq) > coalesce((SELECT max(size) FROM audit_checkpoint), 0)`,
      [signed ? 'a signed note' : null],
    );
    await session.query('COMMIT');
  } finally {
    session.release();
  }
}
