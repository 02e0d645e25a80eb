/** Chance that can be repeated. */
export interface Dice {
  /** 0 to 1, 1 excluded. */
  (): number;
}

export const dice = (seed: number): Dice => {
  // neighbours in the seeds must not be neighbours in what comes of them
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // Numerical Recipes
    return state / 2 ** 32;
  };
};

export const chance = (random: Dice, probability: number): boolean => random() < probability;

/** Milliseconds. */
export const upTo = (random: Dice, most: number): number => Math.floor(random() * most);

export const oneOf = <T>(random: Dice, all: readonly T[]): T => all[Math.floor(random() * all.length)]!;

/** In another order. */
export const shuffled = <T>(random: Dice, all: readonly T[]): T[] =>
  all
    .map((one) => [random(), one] as const)
    .sort(([a], [b]) => a - b)
    .map(([, one]) => one);
