import fc from 'fast-check';
import { moments, type Moment } from './life.ts';
import { profiles, targetCount } from './world.ts';

/** What somebody does. `nth` counts through what there is at that moment, over and over: a shrunk play stays one. */
export type Act =
  | { do: 'ask'; person: number; target: number; profile: number; minutes: number; inMinutes: number }
  | { do: 'approve'; nth: number }
  | { do: 'revoke'; nth: number }
  /** To an end so many minutes from now; or by so many minutes. */
  | { do: 'shorten' | 'extend'; nth: number; minutes: number }
  | { do: 'cut off' | 'bring back'; target: number };

/** Some acts at once, after a while. */
export interface Round {
  /** Minutes by which the clock is moved before. */
  after: number;
  acts: readonly Act[];
  /** Whether the jobs that are due are worked beside the acts, until there are no more; else they wait. */
  work: boolean;
  /** The service dies at this step of the round; a round of fewer steps is survived. */
  crash: { step: number; moment: Moment } | null;
}

export const PEOPLE = 3;

const nth = fc.nat(11);
const ask = fc.record({
  do: fc.constant('ask' as const),
  person: fc.nat(PEOPLE - 1),
  target: fc.nat(targetCount - 1),
  profile: fc.nat(profiles.length - 1),
  minutes: fc.constantFrom(10, 20, 40, 60),
  inMinutes: fc.constantFrom(0, 0, 0, 5, 15),
});
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 6, arbitrary: ask },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('approve' as const), nth }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('revoke' as const), nth }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('shorten' as const, 'extend' as const),
      nth,
      minutes: fc.constantFrom(5, 10, 15, 30),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('cut off' as const, 'bring back' as const),
      target: fc.nat(targetCount - 1),
    }),
  },
);

const round: fc.Arbitrary<Round> = fc.record({
  after: fc.constantFrom(0, 0, 0, 5, 15, 30),
  acts: fc.array(act, { minLength: 1, maxLength: 4 }),
  work: fc.boolean(),
  crash: fc.option(fc.record({ step: fc.integer({ min: 1, max: 24 }), moment: fc.constantFrom(...moments) }), {
    freq: 4,
  }),
});

/** Six to fifteen acts as a rule. */
export const plays = fc.array(round, { minLength: 2, maxLength: 5 });

const told = (one: Act): string => {
  switch (one.do) {
    case 'ask': {
      const when = one.inMinutes === 0 ? '' : ` in ${one.inMinutes} minutes`;
      return `person ${one.person} asks for ${profiles[one.profile]?.name} on target ${one.target}, ${one.minutes} minutes${when}`;
    }
    case 'approve':
      return `pending request ${one.nth} is approved`;
    case 'revoke':
      return `living grant ${one.nth} is revoked`;
    case 'shorten':
      return `living grant ${one.nth} is to end in ${one.minutes} minutes`;
    case 'extend':
      return `${one.minutes} minutes more are asked for on living grant ${one.nth}`;
    case 'cut off':
    case 'bring back':
      return `target ${one.target} is ${one.do === 'cut off' ? 'down' : 'back'}`;
  }
};

/** A play in words, one line a round. */
export const script = (play: readonly Round[]): string =>
  play
    .map(({ after, acts, work, crash }) =>
      [
        after > 0 && `${after} minutes later`,
        acts.map(told).join(' | '),
        work && 'jobs run beside',
        crash && `dies at step ${crash.step} (${crash.moment})`,
      ]
        .filter(Boolean)
        .join('; '),
    )
    .join('\n');
