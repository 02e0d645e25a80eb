import type { Reader } from '../platform/actor.js';
import type { Scope } from './policy.contract.js';

/** Which rows a list may show: all of them, else those of this person and of these targets. */
export interface Visibility {
  all: boolean;
  /** Null when not even one's own rows may be seen. */
  personId: string | null;
  targetIds: readonly string[];
}

/**
 * What the scopes that policy allowed mean for who calls. The one place that says so, for every list and every row.
 * @param owned finds the targets whose owner group is one of these; only asked when it matters
 */
export async function visibility(
  actor: Reader,
  scopes: readonly Scope[],
  owned: (groups: readonly string[]) => Promise<string[]>,
): Promise<Visibility> {
  const all = scopes.includes('all');
  return {
    all,
    // no row is a service's own: what it asked for is a person's
    personId: scopes.includes('own') && actor.kind === 'person' ? actor.id : null,
    targetIds: !all && scopes.includes('owned') ? await owned(actor.groups) : [],
  };
}

/** As a filter over rows that have a person and a target. */
export const visibleRows = (seen: Visibility): { OR?: ({ personId: string } | { targetId: { in: string[] } })[] } =>
  seen.all
    ? {}
    : {
        OR: [
          ...(seen.personId === null ? [] : [{ personId: seen.personId }]),
          { targetId: { in: [...seen.targetIds] } },
        ],
      };
