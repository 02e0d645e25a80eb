/** A change of a policy is felt only after a while: IAM is eventually consistent (IAM User Guide, "Troubleshooting IAM"). */
import type { PolicyDocument } from './policy-document.ts';

interface Written {
  readonly at: number;
  readonly documents: readonly PolicyDocument[];
}

/** What each identity carried since when. Whatever is seen first was always so. */
export class Propagation {
  readonly #history = new WeakMap<object, Written[]>();

  /** @param written what it carries now @param at milliseconds */
  felt(identity: object, written: readonly PolicyDocument[], at: number, delayMs: number): readonly PolicyDocument[] {
    const history = this.#history.get(identity) ?? [];
    this.#history.set(identity, history);
    const last = history.at(-1);
    if (last === undefined || !same(last.documents, written))
      history.push({ at: last === undefined ? Number.NEGATIVE_INFINITY : at, documents: written });
    return history.findLast((entry) => entry.at + delayMs <= at)?.documents ?? [];
  }
}

const same = (a: readonly PolicyDocument[], b: readonly PolicyDocument[]): boolean =>
  a.length === b.length && a.every((document, index) => document === b[index]);
