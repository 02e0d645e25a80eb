import { DomainError } from '../platform/errors.js';
import { stagesIn, totalOf, type Stage } from '../targets/stages.js';

/** A yes that counts: of which human, with who gave it for them, and in which stage, counted from 1. */
export interface Yes {
  readonly humans: readonly string[];
  readonly stage: number;
}

export interface Progress extends Stage {
  /** How many of whom it takes have agreed. */
  readonly agreed: number;
}

/**
 * The stages that a request is given, out of those of its profile. Where policy or the profile's own number asks for more people
 * than they have, owners of the target are the rest: they come last. Without stages, or where nobody need agree, there is none.
 */
export function pinned(stages: readonly Stage[], needed: number, ownerGroup: string): Stage[] {
  if (stages.length === 0 || needed === 0) return [];
  const rest = needed - totalOf(stages);
  return rest > 0 ? [...stages, { name: 'owners', needed: rest, groups: [ownerGroup], people: [] }] : [...stages];
}

/** The stages of a request; without any it is one, for whoever policy lets. */
export function stagesOf({ stages, approvalsNeeded }: { stages: unknown; approvalsNeeded: number }): Stage[] {
  const own = stagesIn(stages);
  return own.length > 0 ? own : [{ name: 'approval', needed: approvalsNeeded, groups: [], people: [] }];
}

/**
 * How far each stage is. Nobody counts twice, and nobody in two stages: the first yes of a human is the one that counts. One that
 * was given for somebody else is of both.
 */
export function progressOf(stages: readonly Stage[], yeses: readonly Yes[]): Progress[] {
  const seen = new Set<string>();
  const counted = yeses.flatMap(({ humans, stage }) => {
    const isFirst = !humans.some((human) => seen.has(human));
    for (const human of humans) if (isFirst) seen.add(human);
    return isFirst ? [stage] : [];
  });
  return stages.map((stage, index) => ({ ...stage, agreed: counted.filter((one) => one === index + 1).length }));
}

/**
 * The stage that is open, counted from 1; undefined when all are full. An earlier one opens again when somebody who agreed in it
 * counts no more.
 */
export function openStage(progress: readonly Progress[]): number | undefined {
  const index = progress.findIndex(({ agreed, needed }) => agreed < needed);
  return index < 0 ? undefined : index + 1;
}

/** Whether a person is one of those who agree in a stage; in one that names nobody, that is policy's to say. */
export const isOf = (
  { groups, people }: Pick<Stage, 'groups' | 'people'>,
  person: { id: string; groups: readonly string[] },
): boolean =>
  (groups.length === 0 && people.length === 0) ||
  people.includes(person.id) ||
  groups.some((group) => person.groups.includes(group));

/** @throws DomainError `not_your_stage` for who is not one of those whose turn it is */
export function refuseOtherStage(stage: Stage, person: { id: string; groups: readonly string[] }): void {
  if (isOf(stage, person)) return;
  const { name, groups, people } = stage;
  const whom = [
    ...(groups.length > 0 ? [`a member of ${groups.join(' or ')}`] : []),
    ...(people.length > 0 ? [`one of the ${people.length} people that GET /v1/requests/{id}/review names`] : []),
  ];
  throw new DomainError(
    'forbidden',
    'not_your_stage',
    `Stage ${name} of this request is open, and you are not one of those who agree in it.`,
    `Ask ${whom.join(', or ')}.`,
  );
}
