/** What a line `audit.drop` says of how many lines are gone. */
export interface DropTale {
  /** Of the month that it tells of. */
  readonly lines?: unknown;
  /** Of this month and of all before it: their own lines may be gone with theirs. Older versions of Usher did not say it. */
  readonly inAll?: unknown;
}

/** Whoever may write lines may write anything into them. @returns undefined for what tells nothing */
export const taleIn = (details: unknown): DropTale | undefined =>
  typeof details === 'object' && details !== null ? details : undefined;

/** How many lines are told to be gone, after one more line `audit.drop`. @param told before it */
export function toldWith(told: number, { lines, inAll }: DropTale): number {
  if (typeof inAll === 'number') return Math.max(told, inAll);
  return typeof lines === 'number' ? told + lines : told;
}
