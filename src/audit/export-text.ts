import { setImmediate } from 'node:timers/promises';
import type { ExportForm } from './export-forms.js';
import type { ExportedLine } from './exported-line.js';

/** Lines that are written in one go: some 10 ms of work, in which nobody else is answered. */
export const STEP = 1_000;

/** Reads lines by their sequences. */
export interface Reader {
  /** How many sequences are looked at in one go. */
  readonly step: number;
  /** The lines behind a sequence and up to another. */
  readonly read: (after: number, upTo: number) => Promise<readonly ExportedLine[]>;
}

interface Range {
  readonly after: number;
  readonly last: number;
}

/** An export part by part. While one part is taken the next is read, and no other. */
export async function* textOf(
  form: ExportForm,
  { after, last }: Range,
  { step, read }: Reader,
): AsyncGenerator<string> {
  const started = (from: number): ReturnType<Reader['read']> | undefined => {
    if (from >= last) return undefined;
    const lines = read(from, Math.min(from + step, last));
    lines.catch(() => undefined); // told to who waits for it; nobody does when the export was left before
    return lines;
  };
  let next = started(after);
  if (form.head !== '') yield form.head;
  for (let from = after + step; next; from += step) {
    const lines = await next;
    next = started(from);
    await setImmediate(); // a pool asks for it in the next turn only: the database reads while we write
    for (let at = 0; at < lines.length; at += STEP)
      yield lines
        .slice(at, at + STEP)
        .map(form.line)
        .join('');
  }
}
