import { Injectable } from '@nestjs/common';
import { Clock } from '../platform/clock.js';
import { Database } from '../platform/state/database.js';
import type { CheckpointSigner } from './checkpoint-signer.js';
import { askForSignature, openCheckpoint, type NamedKey } from './checkpoint.js';
import type { Hash, RootOf } from './merkle.js';
import { RecordKey } from './record-key.js';
import { Sealer } from './sealer.js';
import { hashesAt, newestHead, type Head } from './seals.queries.js';
import { addNote } from './signatures.queries.js';
import { rootsOf } from './tree.js';

/** So many lines were there, and led to this root. */
interface Tree {
  readonly size: number;
  readonly root: Hash;
}

/** The record is not what it was: nothing is signed any more. */
export class ChangedRecord extends Error {}

/**
 * Has the newest checkpoint signed by a key that is elsewhere, after it was sealed: outside of every transaction, so that nobody
 * waits for the answer. Any process may, and any number at once: an Ed25519 signature over the same bytes is the same, and the first
 * is kept.
 */
@Injectable()
export class Notary {
  private readonly rootOf: RootOf;
  /** What this process saw signed last. */
  private known: Tree | undefined;
  private askedAt = -Infinity;

  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly key: RecordKey,
    private readonly sealer: Sealer,
  ) {
    this.rootOf = rootsOf((level, range) => hashesAt(db.pool, level, range));
  }

  /**
   * One look.
   * @returns for how many lines there is a signature now; undefined when it is not time, or nothing is to be signed
   * @throws DomainError when there is no signature to be had; WrongSignature, ChangedRecord: nothing was kept
   */
  async sign(signal: AbortSignal): Promise<number | undefined> {
    const { elsewhere } = this.key;
    const own = this.sealer.sealed; // before the head is read, which it must not be beyond
    const head = await newestHead(this.db.pool, { signed: false });
    if (!elsewhere || !head || head.note !== null) return undefined;
    const signed = await newestHead(this.db.pool, { signed: true });
    if (!this.isDue(signed)) return undefined;
    const signer = { name: this.key.origin, key: await elsewhere.publicKey() };
    await this.refuseChanged(head, [own, this.known, signed && opened(signed, signer)]);
    const note = await this.ask(head, signer, elsewhere, signal);
    await addNote(this.db.pool, head.size, note);
    this.known = head;
    return head.size;
  }

  /**
   * By when the last was sealed that anybody has signed, so that processes share one pace. A clock that is far ahead holds nobody up:
   * what it wrote is as far off as what is old.
   */
  private isDue(signed: Head | undefined): boolean {
    const now = this.clock.now().getTime();
    const { paceMs } = this.key;
    return Math.abs(now - (signed?.at.getTime() ?? 0)) >= paceMs && Math.abs(now - this.askedAt) >= paceMs;
  }

  private async ask(head: Head, signer: NamedKey, key: CheckpointSigner, signal: AbortSignal): Promise<string> {
    const note = await askForSignature({ origin: this.key.origin, size: head.size, root: head.root }, signer, (body) =>
      key.sign(body, signal),
    );
    this.askedAt = this.clock.now().getTime();
    return note;
  }

  /** Between sealing and signing lies time in which somebody could change both: what is known must still lead to its roots. */
  private async refuseChanged(head: Head, trees: readonly (Tree | undefined)[]): Promise<void> {
    for (const { size, root } of [...trees.flatMap((tree) => tree ?? []), head]) {
      if (size === 0) continue;
      if (size <= head.size && (await this.rootOf({ start: 0, end: size })).equals(root)) continue;
      throw new ChangedRecord(
        `the sealed record is not what it was when it had ${size} lines: nothing is signed. Look at it before a restart`,
      );
    }
  }
}

/** Undefined: signed by a key of before, or by nobody. */
function opened({ note }: Head, key: NamedKey): Tree | undefined {
  try {
    return openCheckpoint(note ?? '', [key]);
  } catch {
    return undefined;
  }
}
