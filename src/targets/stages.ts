import type { FieldProblem } from '../platform/errors.js';

/** Some of whom so many must agree, before those of the next stage may. */
export interface Stage {
  readonly name: string;
  readonly needed: number;
  /** Members of any of these may agree. */
  readonly groups: readonly string[];
  /** Ids of people who may, whatever groups they are in. */
  readonly people: readonly string[];
}

/** Stages out of the store, which keeps them as JSON: what is there was checked when it was written. */
export const stagesIn = (kept: unknown): Stage[] => (Array.isArray(kept) ? (kept as Stage[]).map(keptStage) : []);

/** Exactly what is kept of a stage, and in this order, so that two can be compared as text. */
export const keptStage = ({
  name,
  needed,
  groups = [],
  people = [],
}: Partial<Stage> & Pick<Stage, 'name' | 'needed'>) => ({
  name,
  needed,
  groups: [...groups],
  people: [...people],
});

/** How many people must agree in all of them; nobody counts in two. */
export const totalOf = (stages: readonly Stage[]): number => stages.reduce((sum, { needed }) => sum + needed, 0);

/** What of the stages of a profile does not fit together. */
export const stageProblems = (stages: readonly Stage[]): FieldProblem[] =>
  stages.flatMap(({ name, needed, groups, people }, index) => {
    const field = `approvalStages.${index}`;
    if (stages.findIndex((other) => other.name === name) < index)
      return [{ field: `${field}.name`, message: `Two stages are called ${name}.` }];
    if (groups.length === 0 && people.length === 0)
      return [{ field, message: `Stage ${name} names neither a group nor a person, so nobody could agree.` }];
    if (groups.length === 0 && people.length < needed)
      return [{ field, message: `Stage ${name} needs ${needed} people and names ${people.length}.` }];
    return [];
  });
