import { entryOf, MissingKey, ownerOf, parts, type RecordedLine } from './entry.js';
import { checkpointLine, droppedLine, entryLine } from './record-line.js';
import { knownKeys, notesAfter, redactionsOf, sealedAfter, type Sealed, type Session } from './seals.queries.js';
import { provableSize, unsigned } from './signatures.queries.js';

/** A line as an export has it, or a place whose entry cannot be read any more. */
export type SealedLine =
  { readonly text: string } | { readonly seq: number; readonly leaf: Buffer; readonly why: string };

/** Rows that are read together. */
const CHUNK = 2_000;

/**
 * The sealed record in its order, each signed checkpoint behind the last entry that it is over: what an export holds and what a
 * verification of the database reads. Ends where the record could be proved to when it began.
 * @param after the last place that is not wanted
 * @param upTo the last that is; left out, as far as it can be proved
 */
export async function* sealedLines(session: Session, after = 0, upTo?: number): AsyncGenerator<SealedLine> {
  const size = upTo ?? (await provableSize(session));
  for (let last = after; last < size; last = Math.min(size, last + CHUNK)) {
    const next = Math.min(size, last + CHUNK);
    const sealed = await sealedAfter(session, last, next);
    const notes = await notesAfter(session, last, next);
    const texts = await linesOf(session, sealed);
    for (const [at, { seq }] of sealed.entries()) {
      const line = texts[at];
      if (line) yield line;
      while (notes[0]?.size === seq) yield { text: checkpointLine(notes.shift()?.note ?? '') };
    }
  }
}

/** Up to where a verification of the database reads: as far as it can be proved, and as far as what an auditor kept is over. */
export const verifiableSize = async (session: Session, kept: readonly { size: number }[]): Promise<number> =>
  Math.max(await provableSize(session), ...kept.map(({ size }) => size));

/** How many entries are sealed, of which those behind the newest signature may be beyond what can be proved. */
export const countSealed = async (session: Session): Promise<number> => (await unsigned(session)).sealed;

/** Entries of an export, for lines that have their places. */
export async function linesOf(session: Session, sealed: readonly Sealed[]): Promise<SealedLine[]> {
  const lines = sealed.flatMap(({ line }) => line ?? []);
  const keys = await knownKeys(session, peopleOf(lines));
  const redacted = await redactionsOf(
    session,
    lines.map(({ id }) => id),
  );
  return sealed.map(({ seq, leaf, line, dropped }) => {
    if (!line) return dropped === true ? { text: droppedLine(seq, leaf) } : { seq, leaf, why: 'gone' };
    try {
      const gone = redacted.get(line.id);
      return { text: entryLine(seq, entryOf(line, { keys, ...(gone && { redacted: gone }) }), leaf) };
    } catch (error) {
      if (error instanceof MissingKey) return { seq, leaf, why: 'closed: a key is gone that opened it' };
      throw error;
    }
  });
}

/** Whose keys open these lines. */
export const peopleOf = (lines: readonly RecordedLine[]): string[] => [
  ...new Set(lines.flatMap((line) => parts.map((part) => ownerOf(part, line)))),
];
