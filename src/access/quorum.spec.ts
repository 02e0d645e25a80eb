import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DomainError } from '../platform/errors.js';
import type { Stage } from '../targets/stages.js';
import { isOf, openStage, pinned, progressOf, refuseOtherStage, stagesOf, type Yes } from './quorum.js';

const stage = (name: string, needed: number, groups: string[] = [name], people: string[] = []): Stage => ({
  ...{ name, needed, groups, people },
});
const [security, data] = [stage('security', 1), stage('data', 2)];

describe('what is pinned', () => {
  const owners = (needed: number): Stage => ({ name: 'owners', needed, groups: ['db-owners'], people: [] });
  test.each<[string, Stage[], number, Stage[]]>([
    ['no stages', [], 2, []],
    ['nobody need agree', [security], 0, []],
    ['as many as they have', [security, data], 3, [security, data]],
    ['policy asks for more', [security, data], 5, [security, data, owners(2)]],
    ['fewer than they have', [security, data], 1, [security, data]],
  ])('%s', (_, stages, needed, expected) => expect(pinned(stages, needed, 'db-owners')).toEqual(expected));

  test('without stages it is one that names nobody', () => {
    expect(stagesOf({ stages: [], approvalsNeeded: 2 })).toEqual([
      { name: 'approval', needed: 2, groups: [], people: [] },
    ]);
    expect(stagesOf({ stages: [security], approvalsNeeded: 1 })).toEqual([security]);
  });
});

describe('who is of a stage', () => {
  const both = stage('both', 1, ['g', 'h'], ['eve']);
  test.each<[string, string, string[], boolean]>([
    ['a member', 'ann', ['x', 'h'], true],
    ['who is named', 'eve', [], true],
    ['somebody else', 'ann', ['x'], false],
    ['whose group is called like a person', 'ann', ['eve'], false],
    ['whose id is called like a group', 'g', [], false],
  ])('%s', (_, id, groups, expected) => expect(isOf(both, { id, groups })).toBe(expected));

  test('anybody, where it names nobody', () => expect(isOf(stage('a', 1, []), { id: 'ann', groups: [] })).toBe(true));

  test('others hear whom to ask', () => {
    const ask = (): void => refuseOtherStage(both, { id: 'ann', groups: [] });
    expect(ask).toThrow(DomainError);
    expect(ask).toThrow(
      expect.objectContaining({
        code: 'not_your_stage',
        message: expect.stringContaining('Stage both'),
        advice: expect.stringMatching(/member of g or h, or one of the 1 people/),
      }),
    );
  });
});

test.each<[string, Yes[], number[], number | undefined]>([
  ['nobody yet', [], [0, 0], 1],
  ['the first is full', [{ humans: ['a'], stage: 1 }], [1, 0], 2],
  ['one human in both', [1, 2, 2].map((at) => ({ humans: ['a'], stage: at })), [1, 0], 2],
  [
    'who gave one for somebody, and then their own',
    [['a', 'b'], ['b']].map((humans, i) => ({ humans, stage: i + 1 })),
    [1, 0],
    2,
  ],
  [
    'in whose place one was given, and then their own',
    [['a', 'b'], ['a']].map((humans, i) => ({ humans, stage: i + 1 })),
    [1, 0],
    2,
  ],
  ['all', ['a', 'b', 'c'].map((human, i) => ({ humans: [human], stage: i === 0 ? 1 : 2 })), [1, 2], undefined],
  ['the first opens again when its yes is gone', ['b', 'c'].map((human) => ({ humans: [human], stage: 2 })), [0, 2], 1],
])('%s', (_, yeses, agreed, open) => {
  const progress = progressOf([security, data], yeses);
  expect(progress.map((one) => one.agreed)).toEqual(agreed);
  expect(openStage(progress)).toBe(open);
});

/** The same, as somebody would do it with paper: a list of names for each stage, filled from the first to the last. */
class Paper {
  readonly lists: Set<string>[];
  constructor(private readonly stages: readonly Stage[]) {
    this.lists = stages.map(() => new Set());
  }
  get turn(): number {
    return this.stages.findIndex(({ needed }, index) => (this.lists[index]?.size ?? 0) < needed);
  }
  get done(): boolean {
    return this.turn < 0;
  }
  sign(human: string, groups: readonly string[]): boolean {
    const at = this.stages[this.turn];
    if (!at || this.lists.some((list) => list.has(human))) return false;
    if (!at.people.includes(human) && !at.groups.some((group) => groups.includes(group))) return false;
    this.lists[this.turn]?.add(human);
    return true;
  }
}

test('agrees with paper, whoever signs in whatever order', () => {
  const humans = ['a', 'b', 'c', 'd', 'e', 'f'];
  const groups = ['g', 'h', 'i'];
  const stages = fc.array(
    fc.record({
      name: fc.constantFrom('one', 'two'),
      needed: fc.integer({ min: 1, max: 3 }),
      groups: fc.subarray(groups, { minLength: 1 }),
      people: fc.subarray(humans),
    }),
    { minLength: 1, maxLength: 5 },
  );
  const memberships = fc.array(fc.subarray(groups), { minLength: humans.length, maxLength: humans.length });
  const signers = fc.array(fc.nat({ max: humans.length - 1 }), { maxLength: 40 });
  fc.assert(
    fc.property(stages, memberships, signers, (all, memberOf, order) => {
      const paper = new Paper(all);
      const yeses: Yes[] = [];
      for (const index of order) {
        const person = { id: humans[index] ?? '', groups: memberOf[index] ?? [] };
        const open = openStage(progressOf(all, yeses));
        const at = all[(open ?? 0) - 1];
        const counts =
          at !== undefined && !yeses.some(({ humans: [human] }) => human === person.id) && isOf(at, person);
        expect(counts).toBe(paper.sign(person.id, person.groups));
        if (counts && open !== undefined) yeses.push({ humans: [person.id], stage: open });
        expect(openStage(progressOf(all, yeses)) === undefined).toBe(paper.done);
      }
      const agreed = progressOf(all, yeses).map((one) => one.agreed);
      expect(agreed).toEqual(paper.lists.map(({ size }) => size));
      expect(all.every(({ needed }, index) => (agreed[index] ?? 0) <= needed)).toBe(true);
    }),
  );
});

test('a yes that is taken away never brings it nearer to the end', () => {
  const yes = fc.record({
    humans: fc.tuple(fc.constantFrom('a', 'b', 'c', 'd')),
    stage: fc.integer({ min: 1, max: 2 }),
  });
  fc.assert(
    fc.property(fc.uniqueArray(yes, { selector: ({ humans: [human] }) => human }), fc.nat(), (yeses, which) => {
      const fewer = yeses.filter((_, index) => index !== which % Math.max(1, yeses.length));
      const done = (some: Yes[]): boolean => openStage(progressOf([security, data], some)) === undefined;
      return !done(fewer) || done(yeses);
    }),
  );
});
