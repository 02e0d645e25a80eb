/** What a decision costs with many policies, in turns with a set that has nothing to say. */
import { readFileSync } from 'node:fs';
import type * as engine from '../src/policy/engine.ts';
import type { ProfileFacts } from '../src/policy/policy.contract.ts';
import type { Question } from '../src/policy/question.ts';
import { path } from './processes.ts';
import { costsOf, told, undisturbed, verdict } from './work.ts';
import type { Cost } from './work.ts';

const { PolicyEngine } = (await import(path('dist/policy/engine.js'))) as typeof engine;

/** Milliseconds that 99 of 100 decisions take at the most. */
const PROMISED = 0.6;

const now = new Date('2026-03-10T10:00:00Z');
const target = {
  id: 't',
  environment: 'staging',
  ownerGroup: 'owners',
  enabled: true,
  tags: { team: 'billing' },
} as const;
const profile: ProfileFacts = {
  ...{ id: 'p', target, readOnly: true, approvalsNeeded: 1, maxMinutes: 240, managesPasswords: false },
  sensitivity: 'internal',
};
const actor = { id: 'ana', groups: ['engineers', 'analysts', 'oncall'], locked: false };
const asked = { durationMinutes: 60, method: 'iam', mode: 'session', hasTicket: true } as const;
const grant = { id: 'g', holderId: 'ana', profile, live: true, expiresAt: new Date(now.getTime() + 3_600_000) };
const questions = {
  mintToken: { actor, action: 'mintToken', resource: grant, context: { now } },
  request: { actor, action: 'request', resource: profile, context: { now, ...asked } },
} as const satisfies Record<string, Question>;

/** What is shipped, filled up as a company would: a team and a tag each, spread over what teams do. */
export function filledUp(count: number): string {
  const text = readFileSync(path('src/policy/default.cedar'), 'utf8');
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

function time(rules: InstanceType<typeof PolicyEngine>, question: Question, decisions: number): Cost[] {
  return costsOf(() => void rules.decide(question), decisions);
}

export function measureDecisions(policies: number, decisions: number, rounds: number): void {
  const many = new PolicyEngine(filledUp(policies), 'many');
  const floor = new PolicyEngine(
    '@id("trust") permit (principal, action == Usher::Action::"viewTrust", resource);',
    'floor',
  );
  console.log(`decisions: ${many.policies.length} policies, ${rounds} × ${decisions} each, in turns; ms`);
  for (const [name, question] of Object.entries(questions)) {
    if (!many.decide(question).allowed) throw new Error(`${name} is not allowed: the numbers mean nothing`);
    const found: Record<'floor' | 'policies', Cost[]> = { floor: [], policies: [] };
    for (const side of [floor, many]) time(side, question, decisions); // warm
    for (let round = 0; round < rounds; round += 1) {
      found.floor.push(...time(floor, question, decisions));
      found.policies.push(...time(many, question, decisions));
    }
    const matters = many.about().filter(({ actions }) => actions.includes(question.action)).length;
    console.log(`${name}: ${matters} of them matter`);
    for (const [side, costs] of Object.entries(found)) console.log(told(side, costs, 3));
    console.log(told('policies, the fastest of three', undisturbed(found.policies), 3));
    console.log(verdict('a decision', found.policies, PROMISED));
    console.log(verdict('a decision, the fastest of three', undisturbed(found.policies), PROMISED));
  }
}
