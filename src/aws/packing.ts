import { inNumbers, Slot } from './packing-slot.js';
import { INLINE_NAME, type Packing, type PackingTask, type PolicyWrite } from './packing-task.js';

/** A shard is emptied into another only where that one still has room afterwards: or the next grant would part them again. */
const MERGED_SHARE = 3 / 4;
const MOST = 3;

/**
 * The least writes that make a principal reach the desired database users and no others, under the quotas.
 * First the one inline policy, then managed policies one after another. Pure; the same task gives the same writes.
 * A change of one ARN takes at most three writes: one document, with an old version deleted before it or a new policy
 * attached after it. What is left of the three goes to tidying: shards are emptied into others, and deleted.
 * Source: IAM User Guide, "IAM and AWS STS quotas".
 */
export function pack(task: PackingTask): Packing {
  const shelf = new Shelf(task);
  const unplaced = shelf.place(shelf.settle(new Set(task.desired)));
  const most = task.most ?? MOST;
  shelf.merge(most);
  const writes = shelf.writes();
  return { writes: [...writes, ...shelf.rubbish().slice(0, Math.max(0, most - writes.length))], unplaced };
}

class Shelf {
  private readonly slots: Slot[];
  private readonly inline: Slot;

  constructor(private readonly task: PackingTask) {
    const known = task.own.map((own) => new Slot(own)).sort(byName);
    const inline = known.find(({ place, name }) => place === 'inline' && name === INLINE_NAME);
    this.inline = inline ?? new Slot({ place: 'inline', name: INLINE_NAME });
    this.slots = [this.inline, ...known.filter((slot) => slot !== inline)];
  }

  /** Leaves what is well placed where it is; answers what is missing. */
  settle(wanted: ReadonlySet<string>): string[] {
    const placed = new Set<string>();
    for (const slot of this.slots.filter(({ attached }) => attached)) {
      for (const arn of slot.was) {
        if (!wanted.has(arn)) slot.loses = true;
        else if (!placed.has(arn)) slot.add(arn);
        placed.add(arn);
      }
      // by a document that somebody wrote shorter than Usher does, or a quota that was lowered
      for (const arn of [...slot.was].reverse()) {
        if (!slot.changed || slot.size <= Math.max(this.capacity(slot), 0)) break;
        if (!slot.keep.has(arn)) continue;
        slot.remove(arn);
        slot.yields = true;
        placed.delete(arn);
      }
    }
    const missing = new Set([...wanted].filter((arn) => !placed.has(arn)).sort());
    for (const slot of this.slots) this.takeBack(slot, missing);
    return [...missing];
  }

  /** Answers what fits nowhere. */
  place(missing: readonly string[]): string[] {
    return missing.filter((arn) => {
      const slot = this.slotFor(arn) ?? this.newSlot();
      if (!slot || slot.sizeWith([arn]) > this.capacity(slot)) return true;
      slot.add(arn);
      slot.gains = true;
      return false;
    });
  }

  /** Empties shards into others while that is within the writes. One that loses something is not waited for by its end. */
  merge(most: number): void {
    const movable = (slot: Slot): boolean =>
      slot.attached && slot !== this.inline && slot.keep.size > 0 && !slot.changed;
    const [inline, managed] = [this.slots.filter(isInline), this.slots.filter((slot) => !isInline(slot))];
    for (const from of [...inline, ...managed.reverse()].filter(movable)) {
      const share = isInline(from) ? 1 : MERGED_SHARE;
      const into = this.slots.find(
        (slot) =>
          (slot === this.inline || (slot.attached && !isInline(slot) && slot.keep.size > 0)) &&
          (isInline(from) || this.slots.indexOf(slot) < this.slots.indexOf(from)) &&
          !slot.yields &&
          slot.sizeWith(from.keep) <= this.capacity(slot, from) * share,
      );
      if (into) this.move(from, into, most);
    }
  }

  writes(): PolicyWrite[] {
    const closing = this.slots.filter(({ attached, keep }) => attached && keep.size === 0);
    const opening = this.slots.filter(({ attached, keep }) => !attached && keep.size > 0);
    const rewriting = this.slots.filter(({ attached, keep, changed }) => attached && keep.size > 0 && changed);
    const inOrder = rewriting.filter(({ yields }) => !yields).sort((a, b) => this.rank(a) - this.rank(b));
    return [
      ...closing.filter(({ yields }) => !yields).map(close),
      ...inOrder.flatMap((slot) => this.rewrite(slot)),
      ...opening.flatMap((slot) => this.open(slot)),
      ...rewriting.filter(({ yields }) => yields).flatMap((slot) => this.rewrite(slot)),
      ...closing.filter(({ yields }) => yields).map(close),
    ];
  }

  /** Managed policies of ours that give nothing any more. */
  rubbish(): PolicyWrite[] {
    return this.slots
      .filter(({ place, exists, keep }) => place === 'managed' && exists && keep.size === 0)
      .flatMap(({ name, oldVersions }): PolicyWrite[] => [
        ...oldVersions.map((version) => ({ kind: 'deleteVersion' as const, name, version })),
        { kind: 'deletePolicy', name },
      ]);
  }

  /** One that was taken off by hand is put back as it is, if it says nothing but what is missing. */
  private takeBack(slot: Slot, missing: Set<string>): void {
    if (slot.attached || !slot.exists || slot.edited || slot.was.length === 0 || !this.mayAttach()) return;
    if (!slot.was.every((arn) => missing.has(arn))) return;
    for (const arn of slot.was) {
      slot.add(arn);
      missing.delete(arn);
    }
    slot.asItIs = true;
  }

  /** One that is to be written anyway, else the inline one, else the first managed one with room. */
  private slotFor(arn: string): Slot | undefined {
    const open = this.slots.filter(
      (slot) => slot === this.inline || (!isInline(slot) && (slot.attached || slot.keep.size > 0)),
    );
    const fits = (slot: Slot): boolean => !slot.asItIs && slot.sizeWith([arn]) <= this.capacity(slot);
    return open.find((slot) => slot.changed && fits(slot)) ?? open.find(fits);
  }

  /** One that is there and gives nothing, else one of a number that is free. */
  private newSlot(): Slot | undefined {
    if (!this.mayAttach()) return undefined;
    const spare = this.slots.find(({ place, attached, keep }) => place === 'managed' && !attached && keep.size === 0);
    if (spare) return spare;
    const names = new Set(this.slots.map(({ name }) => name));
    let number = 1;
    while (names.has(this.task.shardName(number))) number += 1;
    const made = new Slot({ place: 'managed', name: this.task.shardName(number) });
    this.slots.push(made);
    return made;
  }

  /** One that is emptied into others still takes a place while others are attached. */
  private mayAttach(): boolean {
    const taken = this.slots.filter(
      (slot) => !isInline(slot) && (slot.keep.size > 0 || (slot.attached && slot.yields)),
    ).length;
    return this.task.otherAttached + taken < this.task.quotas.attached;
  }

  /** Characters that its document may have, counting what is still there while it is written. */
  private capacity(slot: Slot, leaving?: Slot): number {
    if (!isInline(slot)) return this.task.quotas.managed;
    const others = this.slots
      .filter((other) => other !== slot && isInline(other))
      .map((other) => (other.yields || other === leaving ? Math.max(other.presentSize, other.size) : other.size))
      .reduce((sum, size) => sum + size, 0);
    return this.task.quotas.inline - this.task.otherInline - others;
  }

  private move(from: Slot, into: Slot, most: number): void {
    const [moved, gained] = [[...from.keep], into.gains];
    for (const arn of moved) {
      from.remove(arn);
      into.add(arn);
    }
    [from.yields, into.gains] = [true, true];
    if (this.writes().length <= most) return;
    for (const arn of moved) {
      into.remove(arn);
      from.add(arn);
    }
    [from.yields, into.gains] = [false, gained];
  }

  /** Other inline policies first, which only ever shrink; then what loses something, then what only gains. */
  private rank(slot: Slot): number {
    return isInline(slot) && slot !== this.inline ? 0 : slot.loses ? 1 : 2;
  }

  private rewrite(slot: Slot): PolicyWrite[] {
    const { name, oldVersions } = slot;
    const arns = [...slot.keep].sort();
    if (isInline(slot)) return [{ kind: 'putInline', name, arns }];
    const [oldest] = oldVersions;
    const full = oldest !== undefined && oldVersions.length + 1 >= this.task.quotas.versions;
    return [
      ...(full ? [{ kind: 'deleteVersion' as const, name, version: oldest }] : []),
      { kind: 'createVersion', name, arns },
    ];
  }

  private open(slot: Slot): PolicyWrite[] {
    const { name, keep } = slot;
    const attach: PolicyWrite = { kind: 'attach', name };
    if (isInline(slot)) return this.rewrite(slot);
    if (slot.asItIs) return [attach];
    if (slot.exists) return [...this.rewrite(slot), attach];
    return [{ kind: 'createPolicy', name, arns: [...keep].sort() }, attach];
  }
}

const isInline = ({ place }: Slot): boolean => place === 'inline';

const close = (slot: Slot): PolicyWrite => ({ kind: isInline(slot) ? 'deleteInline' : 'detach', name: slot.name });

/** Inline ones first. */
const byName = (a: Slot, b: Slot): number => (a.place === b.place ? inNumbers(a.name, b.name) : isInline(a) ? -1 : 1);
