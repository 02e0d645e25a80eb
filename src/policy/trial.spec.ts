import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { defaultPolicyFile, PolicyEngine } from './engine.js';
import { toCedar, type Question } from './question.js';
import { hasPassed, Trial, tryOut } from './trial.js';

const text = readFileSync(defaultPolicyFile, 'utf8');
const engine = PolicyEngine.load();
const now = new Date('2026-03-10T10:00:00Z');
const person = (...groups: string[]) => ({ id: 'ana', groups, locked: false });
const asked = (...groups: string[]): Question => ({
  actor: person(...groups),
  action: 'administerPolicies',
  context: { now },
});
const request = (when: string): string =>
  `@id("x") permit (principal, action == Usher::Action::"request", resource) when { ${when} };`;

/** However a trial ends, the engine beside it decides on. */
afterEach(() => expect(engine.decide(asked('admins')).allowed).toBe(true));

describe('a text is read in a thread of its own', () => {
  test('and answers there as it would here', async () => {
    const trial = await Trial.open(text, 'policy');
    expect(trial.problems).toEqual([]);
    expect(trial.policies).toEqual(engine.about());
    const questions = [
      asked('admins'),
      asked('engineers'),
      { ...asked('admins'), actor: { ...person(), locked: true } },
    ];
    expect(await trial.decide(questions.map(toCedar))).toEqual(questions.map((question) => engine.decide(question)));
    await trial.close();
  });

  test('its group is the one in its scope, written either way', async () => {
    const scope = 'action == Usher::Action::"viewTrust", resource';
    const three = `@id("a") permit (principal in Usher::Group::"g", ${scope});
      @id("b") permit (principal is Usher::Person in Usher::Group::"h", ${scope});
      @id("c") permit (principal, ${scope}) when { principal in Usher::Group::"i" };`;
    const groups = await tryOut(three, ({ policies }) => Promise.resolve(policies.map(({ group }) => group)));
    expect(groups).toEqual(['g', 'h', undefined]);
  });

  test.each([
    ['a parse error', '// é\n\npermit (principal, actoin, resource);', { line: 3, column: 20 }],
    [
      'an unknown attribute',
      `// é\n${request('resource.target.enviroment == 1')}`,
      { policy: 'x', line: 2, column: 82 },
    ],
    ['a policy without a name', `${request('true')}\npermit (principal, action, resource);`, { line: 2, column: 1 }],
    ['a forbid without advice', `\n\n${request('true').replace('permit', 'forbid')}`, { policy: 'x', line: 3 }],
    ['an unseen character', `${request('true')} //\n// a\u202e b`, { line: 2, column: 5 }],
    ['NUL', `${request('true')} // \0`, { line: 1 }],
  ])('says where %s is', async (_, broken, place) => {
    const [problem] = await tryOut(broken, ({ problems }) => Promise.resolve(problems));
    expect(problem).toMatchObject(place);
  });

  test.each([
    ['brackets', request(`${'('.repeat(20_000)}true${')'.repeat(20_000)}`)],
    ['negations', request(`${'!'.repeat(40_000)}true`)],
    ['negations apart', request(`${'! '.repeat(20_000)}true`)],
    ['conditionals', request(`${'if true then '.repeat(800)}true${' else false'.repeat(800)}`)],
    ['sets in sets', request(`${'['.repeat(10_000)}${']'.repeat(10_000)}.isEmpty()`)],
    ['a chain of attributes', request(`resource${'.target'.repeat(6_000)} == resource`)],
    ['a chain of has', request(`resource has ${Array(6_000).fill('target').join('.')}`)],
    ['a chain of calls', request(`context.now${'.toDate()'.repeat(5_000)} == context.now`)],
    ['a sum', request(`0${'+1'.repeat(20_000)} == 1`)],
    ['minus', request(`0${' -1'.repeat(15_000)} == 1`)],
    ['a conjunction', request(Array(9_000).fill('true').join('&&'))],
    ['a wide pattern', request(`context.method like "${'*a'.repeat(20_000)}"`)],
    ['very many policies', Array.from({ length: 400 }, (_, i) => request('true').replace('"x"', `"x${i}"`)).join('\n')],
    ['an open string', request(`"${'x'.repeat(40_000)}`)],
    ['too much', '/'.repeat(300_000)],
  ])('hostile: %s', async (_, hostile) => {
    const trial = await Trial.open(hostile, 'policy');
    await trial.close();
    // what passes there is parsed here next
    if (trial.problems.length === 0) expect(new PolicyEngine(hostile, 'policy', 'hostile').policies).not.toEqual([]);
  });

  const enough = { milliseconds: 10_000, patience: 120_000, megabytes: 512, resources: { stackSizeMb: 0.75 } };
  test.each([
    ['work', { ...enough, milliseconds: 1 }, 'it took more than 0.001 s of work'],
    ['time', { ...enough, patience: 1 }, 'it took longer than 0.001 s'],
    ['memory', { ...enough, megabytes: -1 }, 'it took more than -1 MB'],
  ])('a check that takes too much %s is ended', async (_, limits, why) => {
    const trial = await Trial.open(text, 'policy', limits);
    expect(trial.problems).toEqual([{ message: `cannot be checked: ${why}` }]);
  });

  test('what passed once in this process is known to have, and nothing else', async () => {
    const [good, bad] = [`${text}// once`, `${text}permit`];
    expect([good, bad].map(hasPassed)).toEqual([false, false]);
    for (const one of [good, bad]) await tryOut(one, () => Promise.resolve());
    expect([good, `${good} `, bad].map(hasPassed)).toEqual([true, false, false]);
  });

  test('two at the same time at the most', async () => {
    const held = Promise.withResolvers<void>();
    const both = [1, 2].map(() => tryOut(text, () => held.promise));
    await expect(tryOut(text, () => Promise.resolve())).rejects.toMatchObject({ code: 'too_many_requests' });
    held.resolve();
    await Promise.all(both);
    expect(await tryOut(text, () => Promise.resolve('again'))).toBe('again');
  });
});
