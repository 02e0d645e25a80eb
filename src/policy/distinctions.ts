import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { PolicyPerson, ProfileFacts } from './policy.contract.js';

/**
 * What a set of policies looks at beyond plain attributes. A policy cannot read an id, a name of a group or the key of a tag: it can
 * only say one and compare. What no policy says is therefore the same to all of them.
 */
export interface Distinctions {
  /** Ids of targets and profiles that some policy says. */
  readonly named: ReadonlySet<string>;
  /** Groups that some policy says. */
  readonly groups: ReadonlySet<string>;
  /** Keys of tags that some policy says; undefined where one works a key out. */
  readonly tags: ReadonlySet<string> | undefined;
}

/** Reads it out of a policy as Cedar's own parser understood it. */
export function distinctionsOf(policy: PolicyJson): Distinctions {
  const found = { named: new Set<string>(), groups: new Set<string>(), tags: new Set<string>(), computed: false };
  look(policy, found);
  const { named, groups, tags, computed } = found;
  return { named, groups, tags: computed ? undefined : tags };
}

/** What several policies say together. */
export const together = (all: readonly Distinctions[]): Distinctions => ({
  named: new Set(all.flatMap(({ named }) => [...named])),
  groups: new Set(all.flatMap(({ groups }) => [...groups])),
  tags: all.some(({ tags }) => tags === undefined) ? undefined : new Set(all.flatMap(({ tags }) => [...(tags ?? [])])),
});

interface Found {
  readonly named: Set<string>;
  readonly groups: Set<string>;
  readonly tags: Set<string>;
  computed: boolean;
}

function look(node: unknown, found: Found): void {
  if (typeof node !== 'object' || node === null) return;
  const { type, id } = node as { type?: unknown; id?: unknown };
  if (typeof type === 'string' && typeof id === 'string') {
    if (type === 'Usher::Target' || type === 'Usher::Profile') found.named.add(id);
    if (type === 'Usher::Group') found.groups.add(id);
  }
  for (const [name, value] of Object.entries(node)) {
    if (name === 'hasTag' || name === 'getTag') lookAtTag(value, found);
    look(value, found);
  }
}

/** `{ left, right }`, where right is the key: a literal, or anything that comes to one. */
function lookAtTag(operands: unknown, found: Found): void {
  const key = (operands as { right?: { Value?: unknown } } | null)?.right?.Value;
  if (typeof key === 'string') found.tags.add(key);
  else found.computed = true;
}

/**
 * Two profiles with one key, asked about in the same context by the same person, are decided on alike. Most of five hundred targets
 * differ in what no policy looks at.
 */
export function alikeKey({ named, groups, tags }: Distinctions, person: PolicyPerson, profile: ProfileFacts): string {
  const { id, target, ...facts } = profile;
  const { id: targetId, ownerGroup, tags: tagged = {}, ...place } = target;
  const own = [person.groups, person.via?.service.groups ?? [], person.via?.service.actsFor ?? []];
  const matters = groups.has(ownerGroup) || own.some((some) => some.includes(ownerGroup));
  const seen = Object.entries(tagged).filter(([key]) => tags?.has(key) ?? true);
  return JSON.stringify([
    [named.has(id) ? id : '', named.has(targetId) ? targetId : '', matters ? ownerGroup : null],
    [facts, place, seen.sort(([a], [b]) => (a < b ? -1 : 1))],
  ]);
}
