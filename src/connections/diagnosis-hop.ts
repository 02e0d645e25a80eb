/** The way of a login from the grant to the first row, in the order in which it can break. */
export const hopNames = [
  'grant',
  'client',
  'network',
  'tls',
  'resource',
  'iam',
  'guard',
  'role',
  'method',
  'limit',
  'database',
  'token',
  'clock',
  'login',
  'rights',
] as const;
export type HopName = (typeof hopNames)[number];

/**
 * `unknown`: it could not be looked at, or only the far end knows. `skipped`: not looked at, as an earlier hop stands in the way
 * or nothing was given to look at.
 */
export type HopState = 'ok' | 'fault' | 'unknown' | 'skipped';

/** What was found at one hop. Neither text holds anything of a token or of a pasted error. */
export interface Hop {
  readonly name: HopName;
  readonly state: HopState;
  readonly finding: string;
  /** What to do, with the exact command where there is one; null when nothing is to be done. */
  readonly cure: string | null;
}

export const ok = (name: HopName, finding: string): Hop => ({ name, state: 'ok', finding, cure: null });
export const fault = (name: HopName, finding: string, cure: string): Hop => ({ name, state: 'fault', finding, cure });
export const unknown = (name: HopName, finding: string, cure: string | null = null): Hop => ({
  ...{ name, state: 'unknown', finding, cure },
});
export const skipped = (name: HopName, finding: string): Hop => ({ name, state: 'skipped', finding, cure: null });

const weight: Record<HopState, number> = { fault: 3, unknown: 2, ok: 1, skipped: 0 };

/** One line a hop, in order: of several the gravest, and of equals the first, which was looked at and not only told. */
export const inOrder = (hops: readonly Hop[]): Hop[] =>
  hopNames.flatMap((name) => {
    const [gravest] = hops.filter((hop) => hop.name === name).sort((a, b) => weight[b.state] - weight[a.state]);
    return gravest === undefined ? [] : [gravest];
  });

/** The first fault; else the first thing that nobody could look at and that has a cure; else nothing is wrong on this side. */
export function verdictOf(hops: readonly Hop[]): Hop | undefined {
  return (
    hops.find(({ state }) => state === 'fault') ?? hops.find(({ state, cure }) => state === 'unknown' && cure !== null)
  );
}
