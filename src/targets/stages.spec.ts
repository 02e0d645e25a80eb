import { expect, test } from 'vitest';
import { stageProblems, stagesIn, totalOf, type Stage } from './stages.js';

const stage = (change: Partial<Stage> = {}): Stage => ({
  name: 'security',
  needed: 1,
  groups: ['sec'],
  people: [],
  ...change,
});

test.each<[string, Stage[], string[]]>([
  ['fits', [stage(), stage({ name: 'data' })], []],
  ['people alone, as many as it needs', [stage({ groups: [], people: ['a', 'b'], needed: 2 })], []],
  ['a name twice', [stage(), stage()], ['approvalStages.1.name']],
  ['nobody at all', [stage({ groups: [] })], ['approvalStages.0']],
  ['fewer people than it needs', [stage({ groups: [], people: ['a'], needed: 2 })], ['approvalStages.0']],
  ['few people beside a group', [stage({ people: ['a'], needed: 2 })], []],
])('%s', (_, stages, fields) => expect(stageProblems(stages).map(({ field }) => field)).toEqual(fields));

test('what the store kept is read as it was, and nothing more', () => {
  expect(stagesIn([{ ...stage(), more: 1 }])).toEqual([stage()]);
  expect([stagesIn(null), stagesIn({}), stagesIn('[]')]).toEqual([[], [], []]);
  expect(totalOf([stage(), stage({ needed: 3 })])).toBe(4);
});
