import { openCheckpoint, type Checkpoint, type NamedKey } from './checkpoint.js';
import { toldWith } from './drop-tale.js';
import { Frontier, leafHash } from './merkle.js';
import {
  dropTaleOf,
  faultOf,
  readCheckpointLine,
  readDroppedLine,
  readEntryLine,
  type EntryLine,
} from './record-line.js';

/** The first entry that cannot be trusted; where no more can be known, that it is one of several. */
export interface BadEntry {
  readonly seq: number;
  /** The same as `seq` when it is known exactly. */
  readonly upTo: number;
  readonly why: string;
}

export interface Verdict {
  readonly bad: BadEntry | undefined;
  /** Entries that are proved to be what was sealed, from the first. */
  readonly proved: number;
  /** Entries a part of which was redacted. */
  readonly redacted: number;
  /** Entries that are gone with their months, as the record says of as many; of them nothing but their leaves is proved. */
  readonly dropped: number;
  /** The last that was proved. */
  readonly checkpoint: Checkpoint | undefined;
}

/** A checkpoint, and the tree as it was when so many entries were read. */
interface Claim {
  readonly size: number;
  /** Unread: its signature costs more than a hundred hashes. */
  readonly note: string;
  readonly tree: Frontier;
  /** Of what the entries say, where that is not what their leaves say. */
  readonly recomputed: Frontier | undefined;
}

/** More entries are gone than months that were dropped had. */
const UNTOLD = 'gone: more of them than the record says were dropped';

/** So many checkpoints wait at most: when the last of them is good, all before it are. */
const WAITING = 512;

/**
 * Reads a record line by line, in order, and holds it against checkpoints that were kept elsewhere. Needs the public key alone.
 * Whoever may change everything that is read cannot sign: what was changed no longer leads to a root that was.
 */
export class Verification {
  private readonly tree = new Frontier();
  private recomputed: Frontier | undefined;
  private suspect: BadEntry | undefined;
  private waiting: Claim[] = [];
  private proved: Checkpoint | undefined;
  private redacted = 0;
  private dropped = 0;
  private firstDropped = 0;
  /** By the entries that say so. */
  private toldDropped = 0;
  private bad: BadEntry | undefined;

  private readonly kept: readonly Checkpoint[];

  /** @param kept checkpoints that the auditor kept, already opened; in any order */
  constructor(
    private readonly keys: readonly NamedKey[],
    kept: readonly Checkpoint[],
  ) {
    this.kept = kept.toSorted((a, b) => a.size - b.size);
  }

  /** @returns false when enough is known: reading on would not change the verdict */
  read(line: string): boolean {
    if (this.isDecided()) return false;
    const note = readCheckpointLine(line);
    if (note === undefined) this.readEntry(line);
    else this.claim(note);
    return !this.isDecided();
  }

  /**
   * An entry that cannot be read, although its place is there.
   * @param why it cannot, e.g. "gone"
   */
  missing(seq: number, leaf: Buffer, why: string): boolean {
    if (seq === this.tree.size + 1) this.take(leaf, leaf, why);
    else this.outOfOrder(seq);
    return !this.isDecided();
  }

  private isDecided(): boolean {
    return this.bad !== undefined;
  }

  verdict(): Verdict {
    if (!this.bad) this.settle();
    const beyond = this.kept.find(({ size }) => size > this.tree.size);
    this.bad ??= this.suspect;
    if (beyond)
      this.bad ??= badBetween(this.tree.size + 1, beyond.size, 'gone: a checkpoint that was kept is over them');
    const proved = this.proved?.size ?? 0;
    if (proved < this.tree.size) this.bad ??= badBetween(proved + 1, this.tree.size, 'under no signed checkpoint');
    if (this.dropped > this.toldDropped)
      this.bad ??= badBetween(this.firstDropped, this.firstDropped + this.dropped - 1, UNTOLD);
    return { bad: this.bad, proved, redacted: this.redacted, dropped: this.dropped, checkpoint: this.proved };
  }

  private readEntry(line: string): void {
    const gone = readDroppedLine(line);
    if (gone) {
      this.readDropped(gone);
      return;
    }
    const entry = readEntryLine(line);
    const next = this.tree.size + 1;
    if (entry === undefined) this.bad = this.suspect ?? badBetween(next, next, 'no entry in the form of an export');
    else if (entry.seq !== next) this.outOfOrder(entry.seq);
    else {
      if (entry.actor === null || entry.details === null) this.redacted += 1;
      const fault = faultOf(entry);
      if (fault === undefined) this.hear(entry);
      this.take(entry.leaf, fault === undefined ? entry.leaf : leafHash(entry.event), fault);
    }
  }

  private hear(entry: EntryLine): void {
    const tale = dropTaleOf(entry);
    if (tale) this.toldDropped = toldWith(this.toldDropped, tale);
  }

  /** Its leaf leads to the same roots as ever; that it may be gone says a later entry. */
  private readDropped({ seq, leaf }: { seq: number; leaf: Buffer }): void {
    if (seq !== this.tree.size + 1) {
      this.outOfOrder(seq);
      return;
    }
    if (this.dropped === 0) this.firstDropped = seq;
    this.dropped += 1;
    this.take(leaf, leaf, undefined);
  }

  private outOfOrder(found: number): void {
    const next = this.tree.size + 1;
    this.bad = this.suspect ?? badBetween(next, next, `not in its place: ${found} stands there`);
  }

  private take(leaf: Buffer, computed: Buffer, fault: string | undefined): void {
    if (fault !== undefined && !this.suspect) {
      this.recomputed = this.tree.copy();
      this.suspect = badBetween(this.tree.size + 1, this.tree.size + 1, fault);
    }
    this.recomputed?.append(computed);
    this.tree.append(leaf);
    this.compareKept();
  }

  private compareKept(): void {
    for (const kept of this.kept) {
      if (kept.size !== this.tree.size) continue;
      this.settle();
      this.bad ??= this.judge(kept, this.tree, this.recomputed);
    }
  }

  private claim(note: string): void {
    this.waiting.push({ size: this.tree.size, note, tree: this.tree.copy(), recomputed: this.recomputed?.copy() });
    if (this.waiting.length >= WAITING || this.suspect) this.settle();
  }

  /** Looks at the last that waits; only when that is not good, at each before it. */
  private settle(): void {
    const waiting = this.waiting;
    this.waiting = [];
    const last = waiting.at(-1);
    if (this.bad || !last) return;
    const before = { proved: this.proved, suspect: this.suspect };
    const bad = this.judgeClaim(last);
    if (!bad) return;
    this.proved = before.proved;
    for (const claim of waiting) {
      this.bad = this.judgeClaim(claim);
      if (this.bad) return;
    }
    this.bad = bad;
  }

  private judgeClaim({ note, size, tree, recomputed }: Claim): BadEntry | undefined {
    const from = (this.proved?.size ?? 0) + 1;
    try {
      const checkpoint = openCheckpoint(note, this.keys);
      if (checkpoint.size === size) return this.judge(checkpoint, tree, recomputed);
      return badBetween(from, size, `not under their checkpoint: it is over ${checkpoint.size} entries`);
    } catch (error) {
      return badBetween(
        from,
        size,
        `not under a checkpoint: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  private judge(checkpoint: Checkpoint, tree: Frontier, recomputed: Frontier | undefined): BadEntry | undefined {
    const suspect = this.suspect && this.suspect.seq <= checkpoint.size ? this.suspect : undefined;
    if (tree.root().equals(checkpoint.root)) {
      if (!suspect) this.proved = checkpoint;
      return suspect;
    }
    if (suspect && recomputed?.root().equals(checkpoint.root))
      return { ...suspect, why: 'unchanged, but its leaf is not' };
    return badBetween((this.proved?.size ?? 0) + 1, checkpoint.size, 'not what was signed');
  }
}

/** @param why goes on after "entry 7 is" or "it is" */
const badBetween = (from: number, to: number, why: string): BadEntry => ({
  seq: Math.max(1, Math.min(from, to)),
  upTo: to,
  why,
});
