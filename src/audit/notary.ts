import { Injectable } from '@nestjs/common';
import { Clock } from '../platform/clock.js';
import { Database } from '../platform/state/database.js';
import type { CheckpointSigner } from './checkpoint-signer.js';
import { askForSignature, openCheckpoint, type NamedKey } from './checkpoint.js';
import type { Hash, RootOf } from './merkle.js';
import { RecordKey } from './record-key.js';
import { Sealer } from './sealer.js';
import { hashesAt, newestHead, type Head } from './seals.queries.js';
import { addNote, notedHeads } from './signatures.queries.js';
import { rootsOf } from './tree.js';

/** So many lines were there, and led to this root. */
interface Tree {
  readonly size: number;
  readonly root: Hash;
}

/** So many times the pace a process waits before it asks for what others sealed: whoever sealed it knows best what it was. */
const PACES_OF_OTHERS = 2;
/** Checkpoints that are looked at for one that the key signed: a text may stand in the place of a signature, or one of the key of before. */
const NOTES = 200;

/** That others sealed what no note is over, and since when this process sees it. */
interface Waiting {
  /** The last that had a note; 0: none. */
  readonly behind: number;
  readonly since: number;
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
  private waiting: Waiting | undefined;
  /** The newest checkpoint with a note when it was looked at, and what the key has signed of it or last before it. */
  private verified: { readonly size: number; readonly tree: Tree | undefined } = { size: 0, tree: undefined };

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
   * @param strange told once of a newest checkpoint whose note the key did not sign; the next is signed all the same
   * @returns for how many lines there is a signature now; undefined when it is not time, or nothing is to be signed
   * @throws DomainError when there is no signature to be had; WrongSignature, ChangedRecord: nothing was kept
   */
  async sign(signal: AbortSignal, strange: (size: number) => void = () => undefined): Promise<number | undefined> {
    const { elsewhere } = this.key;
    // both before the head is read, which they must not be beyond
    const own = this.sealer.sealed;
    const noted = await newestHead(this.db.pool, { signed: true });
    const head = await newestHead(this.db.pool, { signed: false });
    if (!elsewhere || !head) return undefined;
    const signer = { name: this.key.origin, key: await elsewhere.publicKey() };
    const signed = await this.lastSigned(noted, signer, strange);
    if (head.note !== null || !this.isDue(noted)) return undefined;
    await this.refuseChanged(head, [own, this.known, signed]); // whoever may ask: who knows better tells
    if (!this.isTurn(own.size < head.size, noted)) return undefined;
    const note = await this.ask(head, signer, elsewhere, signal);
    await addNote(this.db.pool, head.size, note);
    this.known = head;
    return head.size;
  }

  /**
   * By when the last was sealed that anybody has signed, so that processes share one pace. A clock that is far ahead holds nobody up:
   * what it wrote is as far off as what is old.
   */
  private isDue(noted: Head | undefined): boolean {
    const now = this.clock.now().getTime();
    const { paceMs } = this.key;
    return Math.abs(now - (noted?.at.getTime() ?? 0)) >= paceMs && Math.abs(now - this.askedAt) >= paceMs;
  }

  /** Who sealed the head asks first. Others wait by what they saw themselves: what the database says of times could be changed too. */
  private isTurn(sealedByOthers: boolean, noted: Head | undefined): boolean {
    const now = this.clock.now().getTime();
    const behind = noted?.size ?? 0;
    if (!sealedByOthers) this.waiting = undefined;
    else if (this.waiting?.behind !== behind) this.waiting = { behind, since: now };
    return !this.waiting || Math.abs(now - this.waiting.since) >= PACES_OF_OTHERS * this.key.paceMs;
  }

  /**
   * The newest tree that is under a signature by the key. The database holds a note to its form alone: who works as the service can
   * put any text of that form where a signature belongs.
   */
  private async lastSigned(
    noted: Head | undefined,
    signer: NamedKey,
    strange: (size: number) => void,
  ): Promise<Tree | undefined> {
    if (!noted || noted.size <= this.verified.size) return this.verified.tree;
    let tree = opened(noted, signer);
    if (!tree) {
      const before = await notedHeads(this.db.pool, NOTES);
      tree = before.map((head) => opened(head, signer)).find((one) => one !== undefined) ?? this.verified.tree;
      strange(noted.size);
    }
    this.verified = { size: noted.size, tree };
    return tree;
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

/** Undefined: signed by a key of before, or by nobody, or not over what it stands by. */
function opened({ note, size }: Head, key: NamedKey): Tree | undefined {
  try {
    const checkpoint = openCheckpoint(note ?? '', [key]);
    return checkpoint.size === size ? checkpoint : undefined;
  } catch {
    return undefined;
  }
}
