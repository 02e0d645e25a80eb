import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { PolicyEngine } from './engine.js';
import { approvalsNeeded, type Decision, type PolicyPerson, type ProfileFacts } from './policy.contract.js';
import { toCedar, type Question } from './question.js';

const now = new Date('2026-03-10T10:00:00Z');
const target = {
  id: 't',
  environment: 'prod',
  ownerGroup: 'owners',
  enabled: true,
  tags: { team: 'billing' },
} as const;
const profile: ProfileFacts = {
  id: 'p',
  target,
  readOnly: true,
  sensitivity: 'internal',
  approvalsNeeded: 1,
  maxMinutes: 60,
  managesPasswords: false,
};
const context = { now, durationMinutes: 30, method: 'iam', mode: 'session', hasTicket: true } as const;
const question: Question = {
  actor: { id: 'ana', groups: ['engineers', 'owners'], locked: false },
  action: 'request',
  resource: profile,
  context,
};
const permitAll = '@id("all") permit (principal, action, resource);';
const engineOf = (text: string) => new PolicyEngine(text, 'company.cedar');
const engine = PolicyEngine.load();

describe('what Cedar leaves open is closed', () => {
  test('a forbid that errs denies, though Cedar would skip it and allow', () => {
    const strict = engineOf(
      `${permitAll} @id("stop") @advice("Stop.") forbid (principal, action, resource) when { principal.locked };`,
    );
    expect(strict.decide(question).allowed).toBe(true);
    const asked = toCedar(question);
    const withoutPerson = asked.entities.filter(({ uid }) => !('type' in uid && uid.type === 'Usher::Person'));
    const decision = strict.decideCedar({ ...asked, entities: withoutPerson });
    expect(decision.allowed).toBe(false);
    expect(decision.errors.join()).toMatch(/^stop: .*does not exist/);
  });

  test('a missing target denies', () => {
    const asked = toCedar(question);
    const entities = asked.entities.filter(({ uid }) => !('type' in uid && uid.type === 'Usher::Target'));
    expect(engine.decideCedar(asked).allowed).toBe(true);
    expect(engine.decideCedar({ ...asked, entities })).toMatchObject({ allowed: false, policies: [] });
  });

  test('the schema is always there: without it the group `obtain` would match nothing', () => {
    const grouped = engineOf(
      `${permitAll} @id("none") @advice("No.") forbid (principal, action in Usher::Action::"obtain", resource);`,
    );
    expect(grouped.decide(question)).toMatchObject({ allowed: false, policies: ['none'], advice: ['No.'] });
  });

  test.each([
    ['an attribute is missing', { ...question, actor: { id: 'ana', groups: [] } }],
    ['a number is a fraction', { ...question, resource: { ...profile, maxMinutes: 1.5 } }],
    ['a number is not one', { ...question, context: { ...context, durationMinutes: Number.NaN } }],
    ['the context is short', { ...question, context: { now } }],
    ['the context has more', { ...question, action: 'approve', context }],
    ['the resource is of another kind', { ...question, action: 'viewAudit', resource: 'everything' }],
    ['there is no resource', { actor: question.actor, action: 'request', context }],
    ['the action is unknown', { ...question, action: 'toString' }],
    ['the time is none', { ...question, context: { ...context, now: new Date(Number.NaN) } }],
  ])('denies when %s', (_, broken) => {
    const decision = engineOf(permitAll).decide(broken as Question);
    expect(decision).toMatchObject({ allowed: false, policies: [], approvals: 0 });
    expect(decision.errors).not.toEqual([]);
  });

  test('a forbid whose arithmetic overflows denies, though Cedar would skip it and allow', () => {
    const strict = engineOf(
      `${permitAll} @id("stop") @advice("Stop.") forbid (principal, action == Usher::Action::"request", resource) when { context.durationMinutes * 9223372036854775807 < 0 };`,
    );
    const decision = strict.decide(question);
    expect(decision).toMatchObject({ allowed: false, policies: [] });
    expect(decision.errors.join()).toMatch(/^stop: .*overflow/);
  });

  test('a parent that is missing says silently no in a scope, so a forbid reads the attribute', () => {
    const forbid = (scope: string, when: string): string =>
      `${permitAll} @id("stop") @advice("Stop.") forbid (principal, action == Usher::Action::"request", ${scope})${when};`;
    const scoped = engineOf(forbid('resource in Usher::Target::"t"', ''));
    const reading = engineOf(forbid('resource', ' when { resource.target == Usher::Target::"t" }'));
    const asked = toCedar(question);
    const orphan = asked.entities.map((entity) => ({ ...entity, parents: [] }));
    expect([scoped, reading].map((each) => each.decideCedar(asked).allowed)).toEqual([false, false]);
    expect([scoped, reading].map((each) => each.decideCedar({ ...asked, entities: orphan }).allowed)).toEqual([
      true,
      false,
    ]);
  });

  test('names of groups are exact', () => {
    const cased = engineOf('@id("in") permit (principal in Usher::Group::"engineers", action, resource);');
    const as = (group: string) => cased.decide({ ...question, actor: { ...question.actor, groups: [group] } }).allowed;
    expect(['engineers', 'Engineers', 'engineers '].map(as)).toEqual([true, false, false]);
  });

  test('a place that is used again holds the newer text, and a text that is refused leaves it as it was', () => {
    const shut = '@id("only-zoe") permit (principal == Usher::Person::"zoe", action, resource);';
    expect(new PolicyEngine(permitAll, 'one', 'place').decide(question).allowed).toBe(true);
    const second = new PolicyEngine(shut, 'two', 'place');
    expect(() => new PolicyEngine('@id("x") permit (', 'three', 'place')).toThrow(/three/);
    expect(second.decide(question)).toMatchObject({ allowed: false, errors: [] });
  });

  test('tags reach policy', () => {
    const tagged = engineOf(
      '@id("team") permit (principal, action == Usher::Action::"request", resource) when { resource.target.hasTag("team") && resource.target.getTag("team") == "billing" };',
    );
    expect(tagged.decide(question).allowed).toBe(true);
    expect(tagged.decide({ ...question, resource: { ...profile, target: { ...target, tags: {} } } }).allowed).toBe(
      false,
    );
  });

  test('two engines in one process do not mix, and the same text has the same version', () => {
    const open = engineOf(permitAll);
    const shut = engineOf('@id("only-zoe") permit (principal == Usher::Person::"zoe", action, resource);');
    expect([open, shut, open].map((each) => each.decide(question).allowed)).toEqual([true, false, true]);
    expect(engineOf(permitAll).version).toBe(open.version);
    expect(shut.version).not.toBe(open.version);
  });
});

describe('approvals', () => {
  const raising = engineOf(`
    @id("b-two") @approvals("2") permit (principal in Usher::Group::"engineers", action == Usher::Action::"request", resource);
    @id("a-three") @approvals("3") permit (principal in Usher::Group::"owners", action == Usher::Action::"request", resource);`);
  const zero = { ...profile, approvalsNeeded: 0 };
  const skip = (allowed: boolean): Decision => ({ allowed, policies: [], advice: [], approvals: 0, errors: [] });

  test('the highest of those that permit counts, and reasons are sorted', () => {
    expect(raising.decide(question)).toMatchObject({ allowed: true, approvals: 3, policies: ['a-three', 'b-two'] });
    const engineer = { ...question.actor, groups: ['engineers'] };
    expect(raising.decide({ ...question, actor: engineer }).approvals).toBe(2);
  });

  test('a raised number is not skipped; unskipped is one at the least', () => {
    expect(approvalsNeeded(zero, raising.decide(question), skip(true))).toBe(3);
    expect(approvalsNeeded({ ...profile, approvalsNeeded: 5 }, raising.decide(question), skip(false))).toBe(5);
    expect(approvalsNeeded(profile, engine.decide(question), skip(true))).toBe(0);
    expect(approvalsNeeded(zero, engine.decide(question), skip(false))).toBe(1);
  });
});

describe('the sign-in behind a call', () => {
  const at = (more: Partial<PolicyPerson>): Question => ({
    ...question,
    actor: { id: question.actor.id, groups: question.actor.groups, locked: question.actor.locked, ...more },
  });
  const permits = (condition: string, more: Partial<PolicyPerson> = {}): boolean =>
    engineOf(`@id("if") permit (principal, action, resource) when { ${condition} };`).decide(at(more)).allowed;

  test.each<[string, Partial<PolicyPerson>]>([
    [
      'context has authAgeSeconds && context.authAgeSeconds == 90',
      { authenticatedAt: new Date(now.getTime() - 90_999) },
    ],
    [
      'context has authAgeSeconds && context.authAgeSeconds == 0',
      { authenticatedAt: new Date(now.getTime() + 20_000) },
    ],
    ['context has acr && context.acr == "urn:mfa"', { acr: 'urn:mfa' }],
    ['context.amr.contains("otp")', { amr: ['pwd', 'otp'] }],
  ])('is there to ask for: %s', (condition, more) => {
    expect(permits(condition, more)).toBe(true);
    expect(permits(condition)).toBe(false);
  });

  test('what the token does not say is absent, not something', () => {
    expect(permits('!(context has authAgeSeconds) && !(context has acr) && context.amr.isEmpty()')).toBe(true);
  });

  const fresh = `@id("fresh") @advice("Sign in.") @max_age("60")
    forbid (principal, action, resource) unless { context has authAgeSeconds && context.authAgeSeconds <= 60 };`;
  const strong = `@id("strong") @advice("Use a key.") @acr_values("phrh phr") @max_age("600")
    forbid (principal, action, resource) unless { context has acr && ["phrh", "phr"].contains(context.acr) };`;
  const stop = `@id("stop") @advice("Stop.") forbid (principal, action, resource) when { principal.locked };`;

  test('that alone would do is asked for', () => {
    const asking = engineOf(permitAll + fresh);
    expect(asking.decide(question)).toMatchObject({
      allowed: false,
      policies: ['fresh'],
      advice: ['Sign in.'],
      stepUp: { maxAgeSeconds: 60 },
    });
    expect(asking.decide(at({ authenticatedAt: now })).allowed).toBe(true);
  });

  test('does for all that ask for one', () => {
    expect(engineOf(permitAll + fresh + strong).decide(question).stepUp).toEqual({
      maxAgeSeconds: 60,
      acrValues: ['phrh', 'phr'],
    });
    const other = strong.replace('"strong"', '"other"').replace('"phrh phr"', '"phr"').replace('"600"', '"30"');
    expect(engineOf(permitAll + other + strong).decide(question).stepUp).toEqual({
      maxAgeSeconds: 30,
      acrValues: ['phr'],
    });
  });

  test('is not asked for where it would not help', () => {
    const alsoStopped = engineOf(permitAll + fresh + stop).decide(at({ locked: true }));
    expect(alsoStopped).toMatchObject({ allowed: false, policies: ['fresh', 'stop'] });
    expect(alsoStopped).not.toHaveProperty('stepUp');
    const neverPermitted = engineOf(
      `@id("zoe") permit (principal == Usher::Person::"zoe", action, resource); ${fresh}`,
    );
    expect(neverPermitted.decide(question)).toEqual({
      ...{ allowed: false, policies: [], advice: [], approvals: 0, errors: [] },
    });
    const faulty = engineOf(
      `${permitAll} ${fresh} @id("err") @advice("x") forbid (principal, action == Usher::Action::"request", resource) when { resource.maxMinutes + 9223372036854775807 > 0 };`,
    ).decide(question);
    expect(faulty.errors).not.toEqual([]);
    expect(faulty).not.toHaveProperty('stepUp');
  });
});

describe('a policy file is refused, by name and reason', () => {
  const directory = mkdtempSync(join(tmpdir(), 'usher-policy-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const scope = '(principal, action == Usher::Action::"request", resource)';
  test.each([
    ['syntax, with its line', `${permitAll}\n// é\n@id("x") permit (principal, actoin, resource);`, /:3: .*actoin/],
    [
      'an unknown attribute',
      `@id("env") permit ${scope} when { resource.target.enviroment == Usher::Environment::"prod" };`,
      /policy "env": .*did you mean `environment`/,
    ],
    [
      'an unknown action',
      '@id("act") permit (principal, action == Usher::Action::"requst", resource);',
      /policy "act": .*requst/,
    ],
    [
      'a misspelt environment',
      `@id("enum") permit ${scope} when { resource.target.environment == Usher::Environment::"production" };`,
      /policy "enum": .*production/,
    ],
    [
      'a policy that can never apply, which is only a warning',
      `@id("never") permit ${scope} when { false };`,
      /policy "never": .*impossible/,
    ],
    [
      'a group where a person belongs',
      '@id("mixed") permit (principal == Usher::Group::"x", action, resource);',
      /policy "mixed"/,
    ],
    [
      'a tag that is read without a look whether it is there',
      `@id("tag") permit ${scope} when { resource.target.getTag("team") == "billing" };`,
      /policy "tag": .*tag/,
    ],
    ['a character that turns the direction of writing', `${permitAll} // \u202e`, /U\+202E/],
    ['a missing @id', `permit ${scope};`, /needs an @id/],
    ['an @id twice', `${permitAll} ${permitAll}`, /two policies have @id\("all"\)/],
    ['a forbid without advice', `@id("mute") forbid ${scope};`, /policy "mute": .*@advice/],
    [
      'a misspelt annotation',
      `@id("typo") @approval("2") permit ${scope};`,
      /policy "typo": unknown annotation @approval/,
    ],
    ['approvals that are no number', `@id("many") @approvals("two") permit ${scope};`, /policy "many": @approvals/],
    ['approvals of a forbid', `@id("no") @advice("x") @approvals("2") forbid ${scope};`, /policy "no": @approvals/],
    [
      'approvals where nothing is asked for',
      '@id("see") @approvals("2") permit (principal, action == Usher::Action::"viewTrust", resource);',
      /policy "see": @approvals/,
    ],
    ['an age that is none', `@id("age") @advice("x") @max_age("15m") forbid ${scope};`, /policy "age": @max_age/],
    ['an age without bounds', `@id("age") @advice("x") @max_age("86401") forbid ${scope};`, /policy "age": @max_age/],
    ['an age that is empty', `@id("age") @advice("x") @max_age forbid ${scope};`, /policy "age": @max_age/],
    ['an age of a permit', `@id("age") @max_age("900") permit ${scope};`, /policy "age": @max_age and @acr_values/],
    [
      'classes that would break a header',
      `@id("acr") @advice("x") @acr_values("a\\"b") forbid ${scope};`,
      /policy "acr": @acr_values/,
    ],
    ['no class at all', `@id("acr") @advice("x") @acr_values("") forbid ${scope};`, /policy "acr": @acr_values/],
    ['a template', '@id("tpl") permit (principal == ?principal, action, resource);', /templates/],
    ['nothing', '// nothing here', /no policy/],
    [
      'deep brackets',
      `@id("deep") permit ${scope} when { ${'('.repeat(200)}true${')'.repeat(200)} };`,
      /nested deeper/,
    ],
    ['many operators', `@id("bang") permit ${scope} when { ${'!'.repeat(500)}true };`, /ten operators/],
    [
      'deep conditionals',
      `@id("ifs") permit ${scope} when { ${'if true then '.repeat(800)}true${' else false'.repeat(800)} };`,
      /200 times "if"/,
    ],
    ['a huge file', `// ${'x'.repeat(300_000)}\n${permitAll}`, /larger than 256 KB/],
  ])('%s', (_, text, message) => {
    const file = join(directory, 'company.cedar');
    writeFileSync(file, text);
    expect(() => PolicyEngine.load(file)).toThrow(message);
    expect(() => PolicyEngine.load(file)).toThrow(file);
    expect(engine.decide(question).allowed).toBe(true);
  });

  test('a file that is not there', () => {
    expect(() => PolicyEngine.load(join(directory, 'none.cedar'))).toThrow(/none\.cedar: cannot be read/);
  });

  test('brackets in text and comments are not nesting', () => {
    expect(() =>
      engineOf(`// ${'('.repeat(100)}\n@id("text") @advice("${'['.repeat(100)}\\"") forbid ${scope};`),
    ).not.toThrow();
  });
});

describe('hours of work', () => {
  const office = engineOf(
    '@id("office") permit (principal, action, resource) when { context.local.weekday <= 5 && context.local.minute >= 540 && context.local.minute < 1080 };',
  );
  const at = (now: string, zone?: string): boolean =>
    office.decide({ ...question, context: { ...context, now: new Date(now) }, ...(zone !== undefined && { zone }) })
      .allowed;

  test.each<[string, string | undefined, boolean]>([
    ['2026-03-10T09:00:00Z', undefined, true],
    ['2026-03-10T08:59:59Z', undefined, false],
    ['2026-03-10T17:59:59Z', undefined, true],
    ['2026-03-10T18:00:00Z', undefined, false],
    ['2026-03-14T10:00:00Z', undefined, false],
    ['2026-03-27T08:00:00Z', 'Europe/Berlin', true],
    ['2026-03-30T07:00:00Z', 'Europe/Berlin', true],
    ['2026-03-27T07:00:00Z', 'Europe/Berlin', false],
    ['2026-03-15T23:30:00Z', 'Asia/Tokyo', false],
    ['2026-03-16T00:00:00Z', 'Asia/Tokyo', true],
  ])('%s in %s: %j', (now, zone, allowed) => expect(at(now, zone)).toBe(allowed));

  test('in a zone that is none deny', () => {
    const decision = office.decide({ ...question, zone: 'Europe/Atlantis' });
    expect(decision).toMatchObject({ allowed: false, policies: [] });
    expect(decision.errors).not.toEqual([]);
  });

  test('are those of when it was asked, whenever it is asked again', () => {
    const asked = toCedar({ ...question, context: { ...context, now: new Date('2026-03-10T10:00:00Z') } });
    const kept = JSON.parse(JSON.stringify(asked)) as typeof asked;
    expect(office.decideCedar(kept).allowed).toBe(true);
    const night = toCedar({ ...question, context: { ...context, now: new Date('2026-03-10T22:00:00Z') } });
    expect(office.decideCedar(night).allowed).toBe(false);
  });
});
