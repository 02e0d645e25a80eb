import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { entryOf, leafOf, ownerOf } from './entry.js';
import type { Frontier, Hash } from './merkle.js';
import {
  addPersonKeys,
  knownKeys,
  readUnsealed,
  writeSeals,
  type Node,
  type Placed,
  type Session,
  type UnsealedLine,
} from './seals.queries.js';
import { LEVELS } from './tree.js';

/** Lines that are read and written together. */
const PART = 1_000;
/** Lines that are hashed in one go: some 3 ms of work, in which nobody else is answered. */
const STEP = 250;

/** What has a place now. */
export interface Placing {
  readonly lines: number;
  /** The ordinal of the last of them. */
  readonly last: number;
  readonly nodes: readonly Node[];
}

/**
 * Gives lines that have none their places behind those of the tree, which grows by them. While a part is hashed, the one before is
 * written and the next is read.
 * @param above the ordinal below which nothing is looked at
 */
export async function placeUnsealed(
  session: Session,
  tree: Frontier,
  { above, most }: { above: number; most: number },
): Promise<Placing> {
  const read = await readUnsealed(session, above, most);
  const keys = new Map<string, Buffer>();
  const nodes: Node[] = [];
  let [lines, last] = [0, 0];
  let before: Placed | undefined;
  for (let part = await read(PART); part.length > 0;) {
    await addKeys(session, keys, part);
    const [next, placed] = await Promise.all([writeAndRead(before), placedIn(tree, part, keys, nodes)]);
    [lines, last] = [lines + part.length, part.at(-1)?.ordinal ?? last];
    [part, before] = [next, placed];
  }
  if (before) await writeSeals(session, before);
  return { lines, last, nodes };

  async function writeAndRead(done: Placed | undefined): Promise<UnsealedLine[]> {
    if (done) await writeSeals(session, done);
    return read(PART);
  }
}

async function placedIn(
  tree: Frontier,
  lines: readonly UnsealedLine[],
  keys: ReadonlyMap<string, Buffer>,
  nodes: Node[],
): Promise<Placed> {
  const after = tree.size;
  const leaves: Hash[] = [];
  const keep = (level: number, index: number, hash: Hash): void => {
    if (level % LEVELS === 0) nodes.push({ level, index, hash });
  };
  for (const line of lines) {
    const leaf = leafOf(entryOf(line, { keys }));
    tree.append(leaf, keep);
    if (leaves.push(leaf) % STEP === 0) await setImmediate();
  }
  return { after, eventIds: lines.map(({ id }) => id), leaves };
}

/** The key of each person of these lines, made where somebody has none. */
async function addKeys(session: Session, keys: Map<string, Buffer>, lines: readonly UnsealedLine[]): Promise<void> {
  const ids = new Set<string>();
  for (const line of lines) ids.add(ownerOf('actor', line)).add(ownerOf('details', line));
  const unknown = [...ids].filter((id) => !keys.has(id));
  if (unknown.length === 0) return;
  const known = await knownKeys(session, unknown);
  const fresh = new Map(unknown.filter((id) => !known.has(id)).map((id) => [id, randomBytes(32)]));
  if (fresh.size > 0) await addPersonKeys(session, fresh);
  for (const [id, key] of [...known, ...fresh]) keys.set(id, key);
}
