import { randomUUID } from 'node:crypto';
import { v7 } from 'uuid';
import type { Database } from '../platform/state/database.js';
import { commitmentOf, entryOf, NO_PERSON, ownerOf, parts, type Part, type RecordedLine } from './entry.js';
import {
  closeFor,
  keepCommitments,
  lockSeals,
  recordRedaction,
  sealedOfPerson,
  type Commitment,
} from './redaction.queries.js';
import { inTransaction, knownKeys, type Session } from './seals.queries.js';

/** What came of a redaction. */
export interface Redacted {
  /** Lines that lost a part. */
  readonly lines: number;
}

/** Lines that are read together. */
const CHUNK = 1_000;

/**
 * Takes what is personal of one person out of the record: their name and address where they acted, the details where they are
 * whom it is about. The leaves keep their commitments, so that every proof still holds, and the key goes without which a commitment
 * says nothing. All of it or nothing, as the owner of the tables, and on record itself.
 * @param reason goes on record
 */
export async function redact(db: Database, personId: string, reason: string, now: Date): Promise<Redacted> {
  if (personId === NO_PERSON) throw new Error('what is nobody’s cannot be redacted');
  return inTransaction(db, async (session) => {
    await session.query('SET LOCAL ROLE NONE'); // the role that the service works as may change nothing of this
    await lockSeals(session);
    const lines = await redactAll(session, personId, now);
    await closeFor(session, personId);
    await recordRedaction(session, { id: v7(), at: now, personId, reason, lines, correlationId: randomUUID() });
    return { lines };
  });
}

async function redactAll(session: Session, personId: string, now: Date): Promise<number> {
  const keys = await knownKeys(session, [personId]);
  let count = 0;
  for (let last = 0; ;) {
    const lines = await sealedOfPerson(session, personId, last, CHUNK);
    const commitments = lines.flatMap(({ redacted, ...line }) =>
      parts
        .filter((part) => !redacted.includes(part) && ownerOf(part, line) === personId)
        .map((part): Commitment => ({ eventId: line.id, part, commitment: commitmentTo(part, line, keys) })),
    );
    count += new Set(commitments.map(({ eventId }) => eventId)).size;
    await keepCommitments(session, commitments, personId, now);
    if (lines.length < CHUNK) return count;
    last = lines.at(-1)?.seq ?? last;
  }
}

/** The other part may be somebody else's: its key is not needed. */
function commitmentTo(part: Part, line: RecordedLine, keys: ReadonlyMap<string, Buffer>): Buffer {
  const other = part === 'actor' ? 'details' : 'actor';
  const entry = entryOf(line, { keys, redacted: { [other]: Buffer.alloc(32) } });
  return Buffer.from(commitmentOf(entry[part] ?? ''), 'hex');
}
