import { completeRanges, Frontier, nodeHash, type Hash, type Range, type RootOf } from './merkle.js';

/** Between two levels whose hashes are kept: the roots of 256 at one level make one at the next. */
export const LEVELS = 8;
const WIDTH = 2 ** LEVELS;

/** Gives the kept hashes of a level; the range counts in the units of the level. */
export type HashesAt = (level: number, range: Range) => Promise<readonly Hash[]>;

/**
 * The root over any range of leaves, out of kept hashes: at most 256 of each level are read, of which a tree of a billion
 * leaves has four.
 */
export function rootsOf(hashesAt: HashesAt): RootOf {
  return async ({ start, end }) => {
    const pieces: Hash[] = [];
    for (const piece of completeRanges(end - start)) pieces.push(await subtree(hashesAt, start, piece));
    return folded(pieces);
  };
}

/** A complete subtree: it has a power of two of leaves, and begins at a multiple of that. */
async function subtree(hashesAt: HashesAt, offset: number, piece: Range): Promise<Hash> {
  const width = piece.end - piece.start;
  let [level, unit] = [0, 1];
  while (unit * WIDTH <= width) [level, unit] = [level + LEVELS, unit * WIDTH];
  const start = (offset + piece.start) / unit;
  const hashes = await hashesAt(level, { start, end: start + width / unit });
  const grown = new Frontier();
  for (const hash of hashes) grown.append(hash);
  return grown.root();
}

/** Subtrees from left to right, each smaller than the one before. */
const folded = (pieces: readonly Hash[]): Hash => pieces.reduceRight((right, left) => nodeHash(left, right));

/** The frontier of a tree of so many leaves, to go on from there. */
export async function frontierAt(size: number, rootOf: RootOf): Promise<Frontier> {
  const roots: Hash[] = [];
  for (const range of completeRanges(size)) roots.push(await rootOf(range));
  return new Frontier(size, roots);
}
