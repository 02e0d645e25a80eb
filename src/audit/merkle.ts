import { hash } from 'node:crypto';

/** SHA-256, 32 bytes. */
export type Hash = Buffer;

/** By way of a text of as many characters: a Buffer that comes from the hash itself has memory of its own, and costs more than the hash. */
const sha256 = (bytes: Buffer | string): Hash => Buffer.from(hash('sha256', bytes, 'binary'), 'binary');

/** The tree over nothing (RFC 6962, 2.1). */
export const emptyRoot: Hash = sha256(Buffer.alloc(0));
/** Of the bytes, or of the text as UTF-8. */
export const leafHash = (entry: string | Buffer): Hash =>
  sha256(typeof entry === 'string' ? `\0${entry}` : Buffer.concat([Buffer.of(0), entry]));

/** Filled anew for each node, which is hashed before the next: there are as many nodes as leaves. */
const node = Buffer.alloc(65, 1);
export function nodeHash(left: Hash, right: Hash): Hash {
  left.copy(node, 1);
  right.copy(node, 33);
  return sha256(node);
}

/** The largest power of two below `size`, which is 2 at the least: where a tree is split. */
const splitOf = (size: number): number => 2 ** Math.floor(Math.log2(size - 1));

/** A subtree over the leaves from `start` to before `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Finds the root over a range of leaves of the tree. */
export type RootOf = (range: Range) => Promise<Hash>;

/**
 * Grows leaf by leaf and holds the roots of the complete subtrees at its left, one for each bit of its size: enough for the
 * root at every size that it passes.
 */
export class Frontier {
  /** From the largest subtree to the smallest. */
  private readonly roots: { readonly level: number; readonly hash: Hash }[];
  #size: number;

  /** @param roots of the complete subtrees of a tree of this size, from the largest */
  constructor(size = 0, roots: readonly Hash[] = []) {
    const complete = completeRanges(size);
    if (complete.length !== roots.length) throw new RangeError(`a tree of ${size} has ${complete.length} subtrees`);
    this.#size = size;
    this.roots = roots.map((hash, at) => ({ hash, level: Math.log2(widthOf(complete[at])) }));
  }

  get size(): number {
    return this.#size;
  }

  /** @param completed told of each subtree of two leaves or more that this leaf makes complete */
  append(leaf: Hash, completed: (level: number, index: number, hash: Hash) => void = () => undefined): void {
    let [level, hash] = [0, leaf];
    while (this.roots.at(-1)?.level === level) {
      hash = nodeHash((this.roots.pop() as { hash: Hash }).hash, hash);
      level += 1;
      completed(level, Math.floor(this.#size / 2 ** level), hash);
    }
    this.roots.push({ level, hash });
    this.#size += 1;
  }

  root(): Hash {
    const [last, ...above] = this.roots.map(({ hash }) => hash).reverse();
    return last === undefined ? emptyRoot : above.reduce((right, left) => nodeHash(left, right), last);
  }

  /** Goes on by itself, and leaves this one as it is. */
  copy(): Frontier {
    return new Frontier(
      this.#size,
      this.roots.map(({ hash }) => hash),
    );
  }
}

const widthOf = (range: Range | undefined): number => (range === undefined ? 0 : range.end - range.start);

/** The complete subtrees of a tree from left to right, each half as large as the one before, or smaller. */
export function completeRanges(size: number): Range[] {
  const ranges: Range[] = [];
  for (let start = 0; start < size;) {
    const width = 2 ** Math.floor(Math.log2(size - start));
    ranges.push({ start, end: start + width });
    start += width;
  }
  return ranges;
}

/** What is hashed with the leaf to come to the root, from the leaf upwards (RFC 6962, 2.1.1). */
export function inclusionRanges(index: number, size: number): Range[] {
  if (!(index >= 0 && index < size)) throw new RangeError(`a tree of ${size} has no leaf ${index}`);
  return pathIn({ start: 0, end: size }, index);
}

function pathIn(tree: Range, index: number): Range[] {
  if (widthOf(tree) === 1) return [];
  const middle = tree.start + splitOf(widthOf(tree));
  const [left, right] = [
    { start: tree.start, end: middle },
    { start: middle, end: tree.end },
  ];
  return index < middle ? [...pathIn(left, index), right] : [...pathIn(right, index), left];
}

/** What shows that a tree of `from` leaves became one of `to` by appending alone (RFC 6962, 2.1.2). */
export function consistencyRanges(from: number, to: number): Range[] {
  if (!(from >= 1 && from <= to)) throw new RangeError(`no tree of ${from} grows to one of ${to}`);
  return from === to ? [] : growthIn({ start: 0, end: to }, from, true);
}

function growthIn(tree: Range, from: number, whole: boolean): Range[] {
  if (from === tree.end) return whole ? [] : [tree];
  const middle = tree.start + splitOf(widthOf(tree));
  const [left, right] = [
    { start: tree.start, end: middle },
    { start: middle, end: tree.end },
  ];
  return from <= middle ? [...growthIn(left, from, whole), right] : [...growthIn(right, from, false), left];
}

/** What an inclusion proof says of a leaf (RFC 9162, 2.1.3.2). */
export function provesInclusion(leaf: Hash, index: number, size: number, proof: readonly Hash[], root: Hash): boolean {
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) return false;
  const ranges = inclusionRanges(index, size);
  if (ranges.length !== proof.length) return false;
  const found = proof.reduce(
    (below, hash, at) => ((ranges[at]?.start ?? 0) > index ? nodeHash(below, hash) : nodeHash(hash, below)),
    leaf,
  );
  return found.equals(root);
}

/** Two trees, the younger of which may hold the older as its beginning. */
export interface Growth {
  readonly from: number;
  readonly fromRoot: Hash;
  readonly to: number;
  readonly toRoot: Hash;
}

/** What a consistency proof says of two trees (RFC 9162, 2.1.4.2). */
export function provesConsistency({ from, fromRoot, to, toRoot }: Growth, proof: readonly Hash[]): boolean {
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from < 1 || from > to) return false;
  if (from === to) return proof.length === 0 && fromRoot.equals(toRoot);
  const ranges = consistencyRanges(from, to);
  if (ranges.length !== proof.length) return false;
  const known = new Map(ranges.map((range, at) => [keyOf(range), proof[at] as Hash]));
  // the older tree itself is no part of the proof where the younger holds it as one subtree
  if (Number.isInteger(Math.log2(from))) known.set(keyOf({ start: 0, end: from }), fromRoot);
  const [older, younger] = [rebuilt({ start: 0, end: from }, known), rebuilt({ start: 0, end: to }, known)];
  return older?.equals(fromRoot) === true && younger?.equals(toRoot) === true;
}

const keyOf = ({ start, end }: Range): string => `${start}-${end}`;

/** The root over a range, out of those that are known; undefined where they do not reach. */
function rebuilt(range: Range, known: ReadonlyMap<string, Hash>): Hash | undefined {
  const found = known.get(keyOf(range));
  if (found !== undefined || widthOf(range) === 1) return found;
  const middle = range.start + splitOf(widthOf(range));
  const left = rebuilt({ start: range.start, end: middle }, known);
  if (left === undefined) return undefined;
  const right = rebuilt({ start: middle, end: range.end }, known);
  return right && nodeHash(left, right);
}
