import type { Part, RecordedLine } from './entry.js';
import { LINE, SEALER_LOCK, timed, type Session, type TimedRow } from './seals.queries.js';

/** Waits until nothing is being sealed, and keeps it so until the end of the transaction. */
export async function lockSeals(session: Session): Promise<void> {
  await session.query('SELECT pg_advisory_xact_lock($1)', [SEALER_LOCK]);
}

/** Lines in their places that a person is the actor or the subject of, and what was redacted of them already. */
export async function sealedOfPerson(
  session: Session,
  personId: string,
  after: number,
  limit: number,
): Promise<(RecordedLine & { seq: number; redacted: Part[] })[]> {
  const { rows } = await session.query<TimedRow & { seq: string; redacted: Part[] }>(
    `SELECT s.seq, ARRAY(SELECT r.part FROM audit_redaction r WHERE r.event_id = e.id) AS redacted, ${LINE}
       FROM audit_event e JOIN audit_seal s ON s.event_id = e.id
      WHERE (e.actor_id = $1 OR e.subject_id = $1) AND e.action <> 'audit.redact' AND s.seq > $2 ORDER BY s.seq LIMIT $3`,
    [personId, after, limit],
  );
  return timed<RecordedLine & { seq: string; redacted: Part[] }>(rows).map(({ seq, ...row }) => ({
    ...row,
    seq: Number(seq),
  }));
}

export interface Commitment {
  readonly eventId: string;
  readonly part: Part;
  readonly commitment: Buffer;
}

/** Puts commitments in the place of what they are to, which the database allows in this order alone. */
export async function keepCommitments(
  session: Session,
  kept: readonly Commitment[],
  personId: string,
  at: Date,
): Promise<void> {
  await session.query(
    `INSERT INTO audit_redaction (event_id, part, person_id, commitment, at)
     SELECT id, part, $4, commitment, $5 FROM unnest($1::uuid[], $2::text[], $3::bytea[]) AS u (id, part, commitment)`,
    [kept.map(({ eventId }) => eventId), kept.map(({ part }) => part), kept.map((one) => one.commitment), personId, at],
  );
  await session.query(
    `UPDATE audit_event e
        SET actor_name = CASE WHEN 'actor' = ANY (r.parts) THEN '[redacted]' ELSE e.actor_name END,
            address = CASE WHEN 'actor' = ANY (r.parts) THEN NULL ELSE e.address END,
            details = CASE WHEN 'details' = ANY (r.parts) THEN '{}' ELSE e.details END
       FROM (SELECT event_id, array_agg(part) AS parts FROM audit_redaction WHERE event_id = ANY ($1::uuid[]) GROUP BY event_id) r
      WHERE e.id = r.event_id`,
    [kept.map(({ eventId }) => eventId)],
  );
}

/** What this person does from now on is sealed with another key. */
export async function closeFor(session: Session, personId: string): Promise<void> {
  await session.query('DELETE FROM audit_person_key WHERE person_id = $1', [personId]);
}

export async function recordRedaction(
  session: Session,
  line: { id: string; at: Date; personId: string; reason: string; lines: number; correlationId: string },
): Promise<void> {
  await session.query(
    `INSERT INTO audit_event (id, at, actor_kind, actor_name, subject_id, action, outcome, details, correlation_id)
     VALUES ($1, $2, 'system', 'usher audit redact', $3, 'audit.redact', 'success', jsonb_build_object('lines', $4::int, 'reason', $5::text), $6)`,
    [line.id, line.at, line.personId, line.lines, line.reason, line.correlationId],
  );
}
