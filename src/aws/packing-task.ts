import type { OwnPolicy } from './packing-slot.js';

/** The inline policy of Usher's own on a principal. */
export const INLINE_NAME = 'usher-connect';

/** Of one principal, as `GetAccountSummary` says; sizes in characters without white space. */
export interface PackingQuotas {
  /** All inline policies of the principal together. */
  readonly inline: number;
  /** One managed policy. */
  readonly managed: number;
  /** Versions of one managed policy. */
  readonly versions: number;
  /** Managed policies on the principal. */
  readonly attached: number;
}

/** What there is on one principal. */
export interface PrincipalPolicies {
  readonly own: readonly OwnPolicy[];
  /** Characters of the inline policies that are not ours. */
  readonly otherInline: number;
  /** How many managed policies that are not ours are attached. */
  readonly otherAttached: number;
}

export interface PackingTask extends PrincipalPolicies {
  /** ARNs of database users, each once, that the principal is to reach: those and no others. */
  readonly desired: readonly string[];
  readonly quotas: PackingQuotas;
  /** Name of the managed policy of this number, 1 and up. */
  readonly shardName: (number: number) => string;
  /** Tidying is done only within so many writes in all. Default 3. */
  readonly most?: number;
}

/** In the words of IAM's calls; a version that is created is the default at once. */
export type PolicyWrite =
  | { readonly kind: 'putInline' | 'createPolicy' | 'createVersion'; readonly name: string; readonly arns: string[] }
  | { readonly kind: 'deleteInline' | 'attach' | 'detach' | 'deletePolicy'; readonly name: string }
  | { readonly kind: 'deleteVersion'; readonly name: string; readonly version: string };

export interface Packing {
  /** To be carried out in this order: access that stays is never interrupted, access that ends goes first. */
  readonly writes: readonly PolicyWrite[];
  /** What fits nowhere. Everything else is in its place when the writes are done. */
  readonly unplaced: readonly string[];
}
