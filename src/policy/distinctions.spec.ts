import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { alikeKey } from './distinctions.js';
import { PolicyEngine } from './engine.js';
import { actions, type PolicyPerson, type ProfileFacts } from './policy.contract.js';

const scope = 'action == Usher::Action::"request", resource';
const permit = (id: string, when: string, principal = 'principal'): string =>
  `@id("${id}") permit (${principal}, ${scope}) when { ${when} };`;
const ana = { id: 'ana', groups: ['g'], locked: false };
const distinctionsOf = (text: string, person: PolicyPerson = ana) =>
  new PolicyEngine(text, 'policy', 'distinctions').distinctions(person, ['request']);
/** What nobody mentions, so that a set is never empty. */
const trust = '@id("trust") permit (principal, action == Usher::Action::"viewTrust", resource);';

describe('what a set of policies says', () => {
  test.each<[string, string, Partial<Record<'named' | 'groups' | 'tags', string[] | undefined>>]>([
    [
      'a profile in the scope',
      `@id("x") permit (principal, action, resource == Usher::Profile::"p");`,
      { named: ['p'] },
    ],
    [
      'a target, with a remark between',
      '@id("x") permit (principal, action, resource in Usher // a remark\n :: Target :: "t");',
      { named: ['t'] },
    ],
    ['a target in a condition', permit('x', 'resource.target == Usher::Target::"t"'), { named: ['t'] }],
    [
      'one of several',
      permit('x', '[Usher::Target::"t", Usher::Target::"u"].contains(resource.target)'),
      { named: ['t', 'u'] },
    ],
    ['an id that is escaped', permit('x', 'resource == Usher::Profile::"\\u{70}"'), { named: ['p'] }],
    ['a kind, and so none of it', permit('x', 'resource is Usher::Profile'), {}],
    ['one that stands in a remark', `// Usher::Target::"t"\n${permit('x', 'true')}`, {}],
    ['one that stands in advice', `@id("x") @advice("Usher::Target::\\"t\\"") forbid (principal, ${scope});`, {}],
    ['a group in the scope', permit('x', 'true', 'principal in Usher::Group::"g"'), { groups: ['g'] }],
    ['a group of owners', permit('x', 'resource.target.owners == Usher::Group::"g"'), { groups: ['g'] }],
    ['tags', permit('x', 'resource.target.hasTag("a") && resource.target.getTag("a") == "b"'), { tags: ['a'] }],
    ['a tag that is worked out', permit('x', 'resource.target.hasTag(context.method)'), { tags: undefined }],
  ])('%s', (_, text, said) => {
    const { named, groups, tags } = distinctionsOf(`${trust} ${text}`);
    const found = { named: [...named].sort(), groups: [...groups].sort(), tags: tags && [...tags].sort() };
    expect(found).toEqual({ named: [], groups: [], tags: [], ...said });
  });

  test('nothing where it is about another group or another action', () => {
    const tagged = 'resource.target.hasTag("a")';
    const others = `${permit('x', tagged, 'principal in Usher::Group::"h"')} ${permit('y', tagged, 'principal is Usher::Person in Usher::Group::"h"')}
      @id("z") permit (principal, action == Usher::Action::"skipApproval", resource) when { ${tagged} };`;
    expect([...(distinctionsOf(others).tags ?? ['all'])]).toEqual([]);
    expect([...(distinctionsOf(others, { ...ana, groups: ['h'] }).tags ?? ['all'])]).toEqual(['a']);
  });

  test('of the policy that is shipped: no target, no profile, one tag', () => {
    const { named, tags } = PolicyEngine.load().distinctions(ana, actions);
    expect([[...named], [...(tags ?? ['all'])]]).toEqual([[], ['usher:step-up']]);
  });
});

const pool = [
  permit('readers', 'resource.readOnly', 'principal in Usher::Group::"g1"'),
  permit('owners', 'principal in resource.target.owners'),
  permit('owned-by-g2', 'resource.target.owners == Usher::Group::"g2"'),
  permit('one', 'resource.target == Usher::Target::"t1"'),
  `@id("within") permit (principal, action == Usher::Action::"request", resource in Usher::Target::"t2");`,
  `@id("profile") @advice("No.") forbid (principal, action == Usher::Action::"request", resource == Usher::Profile::"p3");`,
  permit('tagged', 'resource.target.hasTag("a") && resource.target.getTag("a") == "x"'),
  permit('tagged-for-g3', 'resource.target.hasTag("b")', 'principal in Usher::Group::"g3"'),
  permit('worked-out', 'resource.target.hasTag(context.method)'),
  permit('through', 'context has service && context.service in resource.target.owners'),
  permit('acting', 'context has service && context.service.actsFor.contains(resource.target.owners)'),
  permit('classified', 'resource.sensitivity == Usher::Sensitivity::"public"'),
];
const group = fc.constantFrom('g1', 'g2', 'g3', 'g4');
const groups = fc.uniqueArray(group, { maxLength: 2 });
const profile: fc.Arbitrary<ProfileFacts> = fc.record({
  id: fc.constantFrom('p1', 'p2', 'p3', 'p4'),
  target: fc.record({
    id: fc.constantFrom('t1', 't2', 't3', 't4'),
    environment: fc.constantFrom('prod', 'dev'),
    ownerGroup: group,
    enabled: fc.constant(true),
    tags: fc.dictionary(fc.constantFrom('a', 'b', 'iam'), fc.constantFrom('x', 'y'), { maxKeys: 2 }),
  }),
  readOnly: fc.boolean(),
  sensitivity: fc.constantFrom('public', 'restricted'),
  approvalsNeeded: fc.constant(1),
  maxMinutes: fc.constant(60),
  managesPasswords: fc.constant(false),
});
const service = fc.record({
  kind: fc.constant('service' as const),
  id: fc.constant('s'),
  ...{ groups, locked: fc.constant(false), actsForAnybody: fc.constant(false), actsFor: groups },
});
const person: fc.Arbitrary<PolicyPerson> = fc.record(
  {
    id: fc.constant('ana'),
    groups,
    locked: fc.constant(false),
    via: fc.record({ service, proof: fc.constant('token' as const) }),
  },
  { requiredKeys: ['id', 'groups', 'locked'] },
);

test('profiles of one key are decided on alike, whatever the policies', () => {
  const now = new Date('2026-03-10T10:00:00Z');
  const context = { now, durationMinutes: 30, method: 'iam', mode: 'session', hasTicket: true } as const;
  const profiles = fc.array(profile, { minLength: 60, maxLength: 60 });
  let [alike, apart] = [0, 0];
  fc.assert(
    fc.property(fc.subarray(pool), person, profiles, (texts, actor, offered) => {
      const engine = new PolicyEngine([trust, ...texts].join('\n'), 'policy', 'distinctions');
      const told = engine.distinctions(actor, ['request']);
      const answers = new Map<string, unknown>();
      for (const resource of offered) {
        const key = alikeKey(told, actor, resource);
        const answer = engine.decide({ actor, action: 'request', resource, context });
        expect(answer.errors).toEqual([]);
        if (answers.has(key)) alike += 1;
        else apart += 1;
        expect(answers.get(key) ?? answer).toEqual(answer);
        answers.set(key, answer);
      }
    }),
    { numRuns: 40 },
  );
  expect(Math.min(alike, apart)).toBeGreaterThan(100); // neither everything in one, nor each by itself
});
