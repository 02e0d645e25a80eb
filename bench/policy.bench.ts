/** `npm run bench -- policy`: what a decision costs with many policies, beside what asking Cedar costs at all in the same run. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type * as engine from '../src/policy/engine.ts';
import type { Question } from '../src/policy/question.ts';
import { path } from './processes.ts';

const help = `npm run bench -- policy [--policies 200] [--decisions 4000] [--rounds 4]

Asks the policy that is shipped, filled up to so many policies, about the minting of a token and about a request, and in turns
with it its floor: the same questions to a set that has nothing to say about them. One thread, warm, milliseconds a decision.`;

const { PolicyEngine } = (await import(path('dist/policy/engine.js'))) as typeof engine;

const option = (text: string) => ({ type: 'string', default: text }) as const;
const { values } = parseArgs({
  options: {
    ...{ policies: option('200'), decisions: option('4000'), rounds: option('4') },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const whole = (name: 'policies' | 'decisions' | 'rounds'): number => {
  const number = Number(values[name]);
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} must be a whole number above 0`);
  return number;
};

const now = new Date('2026-03-10T10:00:00Z');
const target = {
  id: 't',
  environment: 'staging',
  ownerGroup: 'owners',
  enabled: true,
  tags: { team: 'billing' },
} as const;
const profile = {
  id: 'p',
  target,
  readOnly: true,
  sensitivity: 'internal',
  approvalsNeeded: 1,
  maxMinutes: 240,
  managesPasswords: false,
};
const actor = { id: 'ana', groups: ['engineers', 'analysts', 'oncall'], locked: false };
const asked = { durationMinutes: 60, method: 'iam', mode: 'session', hasTicket: true } as const;
const grant = { id: 'g', holderId: 'ana', profile, live: true, expiresAt: new Date(now.getTime() + 3_600_000) };
const questions = {
  mintToken: { actor, action: 'mintToken', resource: grant, context: { now } },
  request: { actor, action: 'request', resource: profile, context: { now, ...asked } },
} as const satisfies Record<string, Question>;

/** As a company would write them: a team and a tag each, spread over what teams do. */
function filledUp(text: string, count: number): string {
  const actions = ['request', 'approve', 'revoke', 'mintToken', 'viewGrants'];
  const have = text.match(/^@id\(/gm)?.length ?? 0;
  const more = Array.from({ length: Math.max(0, count - have) }, (_, index) => {
    const action = actions[index % actions.length] ?? 'request';
    const when = ['request', 'mintToken', 'approve', 'revoke'].includes(action)
      ? ` when { resource.target.hasTag("team") && resource.target.getTag("team") == "team-${index}" }`
      : '';
    return `@id("team-${index}") permit (principal in Usher::Group::"team-${index}", action == Usher::Action::"${action}", resource)${when};`;
  });
  return [text, ...more].join('\n');
}

function time(rules: InstanceType<typeof PolicyEngine>, question: Question, decisions: number): number[] {
  return Array.from({ length: decisions }, () => {
    const start = performance.now();
    rules.decide(question);
    return performance.now() - start;
  });
}

function main(): void {
  if (values.help) {
    console.log(help);
    return;
  }
  const [policies, decisions, rounds] = [whole('policies'), whole('decisions'), whole('rounds')];
  const many = new PolicyEngine(filledUp(readFileSync('src/policy/default.cedar', 'utf8'), policies), 'many');
  const floor = new PolicyEngine(
    '@id("trust") permit (principal, action == Usher::Action::"viewTrust", resource);',
    'floor',
  );
  console.log(`${many.policies.length} policies, ${rounds} × ${decisions} decisions each, in turns`);
  for (const [name, question] of Object.entries(questions)) {
    if (!many.decide(question).allowed) throw new Error(`${name} is not allowed: the numbers mean nothing`);
    const found: Record<'floor' | 'policies', number[]> = { floor: [], policies: [] };
    for (const side of [floor, many]) time(side, question, decisions); // warm
    for (let round = 0; round < rounds; round += 1) {
      found.floor.push(...time(floor, question, decisions));
      found.policies.push(...time(many, question, decisions));
    }
    const matters = many.about().filter(({ actions }) => actions.includes(question.action)).length;
    console.log(`${name}: ${matters} of them matter`);
    for (const [side, times] of Object.entries(found)) {
      times.sort((a, b) => a - b);
      const at = (share: number): string => (times[Math.floor((times.length - 1) * share)] ?? NaN).toFixed(3);
      console.log(`  ${side.padEnd(10)}p50 ${at(0.5)} ms   p99 ${at(0.99)} ms`);
    }
  }
}

main();
