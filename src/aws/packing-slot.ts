import { connectPolicy } from './connect-policy.js';

/** One of Usher's own policies on a principal, as IAM has it. */
export interface OwnPolicy {
  readonly place: 'inline' | 'managed';
  readonly name: string;
  /** Whether it gives anything: always true of an inline one. */
  readonly attached: boolean;
  /** JSON, of the default version. */
  readonly document: string;
  /** Versions beside the default, oldest first; none of an inline one. */
  readonly oldVersions: readonly string[];
}

/** `x-10` comes after `x-9`. */
export const inNumbers = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true });

const ARN = 'arn:aws:rds-db:eu-west-1:123456789012:dbuser:db-A/a';
/** Characters of a document beside its ARNs, each of which brings two quotes, and a comma between two. */
const FRAME = JSON.stringify(connectPolicy([ARN])).length - ARN.length - 2;

/** Characters that IAM counts of the one document with these ARNs; there is no document without any. */
export const documentSize = (arns: number, characters: number): number =>
  arns === 0 ? 0 : FRAME + characters + 3 * arns - 1;

/** What a document of ours gives by itself, however it was edited, and whether it is as Usher writes it. */
export function readDocument(document: string): { arns: string[]; edited: boolean } {
  const arns = [...new Set(namedIn(document))].sort();
  return { arns, edited: !saysOnly(document, arns) };
}

/** A place for ARNs: one policy, as it is and as it is to be. */
export class Slot {
  readonly place: 'inline' | 'managed';
  readonly name: string;
  readonly exists: boolean;
  readonly attached: boolean;
  readonly was: readonly string[];
  readonly edited: boolean;
  readonly presentSize: number;
  readonly oldVersions: readonly string[];
  readonly keep = new Set<string>();
  /** Something it gives is wanted no more. */
  loses = false;
  /** Something is to be in it that it does not give. */
  gains = false;
  /** Something it gives was moved elsewhere: it is changed only after that is there. */
  yields = false;
  /** It is attached as it is. */
  asItIs = false;
  #characters = 0;

  constructor(found: OwnPolicy | { readonly place: 'inline' | 'managed'; readonly name: string }) {
    const own = 'document' in found ? found : undefined;
    const { arns, edited } = own ? readDocument(own.document) : { arns: [], edited: false };
    this.place = found.place;
    this.name = found.name;
    this.exists = own !== undefined;
    this.attached = own?.attached ?? false;
    this.was = arns;
    this.edited = edited;
    this.presentSize = own?.document.replace(/\s/g, '').length ?? 0;
    this.oldVersions = own?.oldVersions ?? [];
  }

  add(arn: string): void {
    if (this.keep.has(arn)) return;
    this.keep.add(arn);
    this.#characters += arn.length;
  }

  remove(arn: string): void {
    if (this.keep.delete(arn)) this.#characters -= arn.length;
  }

  /** Characters of the document to be. */
  get size(): number {
    return documentSize(this.keep.size, this.#characters);
  }

  sizeWith(arns: Iterable<string>): number {
    let [count, characters] = [this.keep.size, this.#characters];
    for (const arn of arns) {
      count += 1;
      characters += arn.length;
    }
    return documentSize(count, characters);
  }

  get changed(): boolean {
    return this.loses || this.gains || this.yields || this.edited;
  }
}

function saysOnly(document: string, arns: readonly string[]): boolean {
  try {
    const parsed: unknown = JSON.parse(document);
    return arns.length > 0 && canonical(parsed) === canonical(connectPolicy(arns));
  } catch {
    return false;
  }
}

/** Order of fields and white space say nothing; that of ARNs neither. */
const canonical = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonical).sort().join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join(',')}}`;
};

/** The users that its plain Allow statements name; what else they say is lost with the next writing. */
function namedIn(document: string): string[] {
  try {
    const { Statement } = JSON.parse(document) as { Statement?: unknown };
    return [Statement].flat().flatMap((statement) => {
      const { Effect, Action, Resource } = (statement ?? {}) as Record<string, unknown>;
      if (Effect !== 'Allow' || ![Action].flat().includes('rds-db:connect')) return [];
      return [Resource].flat().filter((arn): arn is string => typeof arn === 'string' && isOneUser(arn));
    });
  } catch {
    return [];
  }
}

function isOneUser(arn: string): boolean {
  try {
    connectPolicy([arn]);
    return true;
  } catch {
    return false;
  }
}
