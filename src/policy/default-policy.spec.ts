import { readFileSync } from 'node:fs';
import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import { describe, expect, test } from 'vitest';
import { defaultPolicyFile, PolicyEngine } from './engine.js';
import { actions, scopes, type AccessContext, type Action, type ProfileFacts } from './policy.contract.js';
import { toCedar, type Question } from './question.js';

const now = new Date('2026-03-10T10:00:00Z');
const text = readFileSync(defaultPolicyFile, 'utf8');
const schema = readFileSync(new URL('./schema.cedarschema', import.meta.url), 'utf8');
const engine = PolicyEngine.load();

const person = (id: string, ...groups: string[]) => ({ id, groups, locked: false });
const alice = person('alice', 'engineers');
const bob = person('bob', 'orders-owners');
const carol = person('carol', 'auditors');
const dave = person('dave', 'admins');
const erin = person('erin', 'security');
const frank = person('frank', 'monitoring');
const nobody = person('nobody');
const locked = (who: typeof alice) => ({ ...who, locked: true });

const orders = { id: 'orders', environment: 'prod', ownerGroup: 'orders-owners', enabled: true } as const;
const read: ProfileFacts = { id: 'read', target: orders, readOnly: true, approvalsNeeded: 1, maxMinutes: 240 };
const write: ProfileFacts = { ...read, id: 'write', readOnly: false };
const free: ProfileFacts = { ...read, id: 'free', approvalsNeeded: 0 };
const dev: ProfileFacts = { ...read, id: 'dev', target: { ...orders, id: 'orders-dev', environment: 'dev' } };
const staging: ProfileFacts = { ...read, id: 'staging', target: { ...orders, environment: 'staging' } };
const off: ProfileFacts = { ...free, target: { ...orders, enabled: false } };
const asked: AccessContext = { durationMinutes: 60, method: 'iam', mode: 'session', hasTicket: true };

const request = { id: 'r1', requesterId: 'alice', profile: read, approverIds: [] as string[] };
const grant = { id: 'g1', holderId: 'alice', profile: read, live: true, expiresAt: new Date('2026-03-10T11:00:00Z') };

type Case = [
  name: string,
  actor: typeof alice,
  action: Action,
  resource?: Question['resource'],
  context?: Partial<AccessContext>,
];
const ask = ([, actor, action, resource, context]: Case): Question => ({
  actor,
  action,
  ...(resource === undefined ? {} : { resource }),
  context: { now, ...(action === 'request' || action === 'skipApproval' ? { ...asked, ...context } : {}) },
});

const allowed: Case[] = [
  ['an engineer asks to read', alice, 'request', read],
  ['for as long as the profile allows', alice, 'request', read, { durationMinutes: 240 }],
  ['for one minute', alice, 'request', read, { durationMinutes: 1 }],
  ['without a ticket where it is not production', alice, 'request', staging, { hasTicket: false }],
  ['by password, attached', alice, 'request', read, { method: 'password', mode: 'attached' }],
  ['an owner asks to write', bob, 'request', write],
  ['no approval where the profile needs none', alice, 'skipApproval', free],
  ['no approval for an owner in dev', bob, 'skipApproval', dev],
  ['an owner approves', bob, 'approve', request],
  ['a second owner approves', person('ben', 'orders-owners'), 'approve', { ...request, approverIds: ['bob'] }],
  ['an owner denies', bob, 'deny', request],
  ['an owner denies what was asked of a disabled target', bob, 'deny', { ...request, profile: off }],
  ['an owner denies what he approved', bob, 'deny', { ...request, approverIds: ['bob'] }],
  ['the requester cancels', alice, 'cancel', request],
  ['the holder mints', alice, 'mintToken', grant],
  ['the holder revokes', alice, 'revoke', grant],
  ['the holder revokes what is not live', alice, 'revoke', { ...grant, live: false }],
  ['an owner revokes', bob, 'revoke', grant],
  ['security revokes', erin, 'revoke', grant],
  ['anybody sees his own requests', nobody, 'viewRequests', 'own'],
  ['anybody sees his own audit', nobody, 'viewAudit', 'own'],
  ['anybody sees what his groups own', nobody, 'viewGrants', 'owned'],
  ['an auditor sees every connection', carol, 'viewConnections', 'all'],
  ['an auditor sees the whole audit', carol, 'viewAudit', 'all'],
  ['an administrator sees every request', dave, 'viewRequests', 'all'],
  ['anybody sees targets', nobody, 'viewTargets'],
  ['anybody sees trust', nobody, 'viewTrust'],
  ['an administrator administers', dave, 'administerTargets'],
  ['an administrator sees metrics', dave, 'viewMetrics'],
  ['an auditor sees metrics', carol, 'viewMetrics'],
  ['monitoring sees metrics', frank, 'viewMetrics'],
];

const refused: [...Case, by?: string][] = [
  ['an engineer asks to write', alice, 'request', write],
  ['a stranger asks', nobody, 'request', read],
  ['an administrator asks', dave, 'request', read],
  ['security asks', erin, 'request', read],
  ['an owner of another target asks to write', person('zoe', 'billing-owners'), 'request', write],
  ['a group that only looks alike', person('mallory', 'Engineers'), 'request', read],
  ['an engineer skips approval', alice, 'skipApproval', read],
  ['an owner skips approval in production', bob, 'skipApproval', read],
  ['an owner skips approval in staging', bob, 'skipApproval', staging],
  ['a stranger approves', nobody, 'approve', request],
  ['an administrator approves', dave, 'approve', request],
  ['the requester denies', alice, 'deny', request],
  ['somebody else cancels', bob, 'cancel', request],
  ["somebody mints on another's grant", bob, 'mintToken', grant],
  ["an administrator mints on another's grant", dave, 'mintToken', grant],
  ['a stranger revokes', nobody, 'revoke', grant],
  ['an administrator revokes', dave, 'revoke', grant],
  ['an engineer sees the whole audit', alice, 'viewAudit', 'all'],
  ['an owner sees every grant', bob, 'viewGrants', 'all'],
  ['an owner administers', bob, 'administerTargets'],
  ['an auditor administers', carol, 'administerTargets'],
  ['an engineer sees metrics', alice, 'viewMetrics'],
];

const onDisabled = { ...request, profile: off };
const request0 = { ...request, requesterId: 'bob' };
const forbidden: [by: string, ...Case][] = [
  ['disabled-target-opens-nothing', 'an owner agrees to what the target may not give', bob, 'approve', onDisabled],
  ['no-locked', 'a locked engineer asks', locked(alice), 'request', read],
  ['no-locked', 'a locked holder mints', locked(alice), 'mintToken', grant],
  ['no-locked', 'a locked auditor looks', locked(carol), 'viewAudit', 'all'],
  ['no-locked', 'a locked administrator administers', locked(dave), 'administerTargets'],
  ['no-own-approval', 'an owner approves his own', bob, 'approve', request0],
  ['one-vote-each', 'an owner approves twice', bob, 'approve', { ...request, approverIds: ['ben', 'bob'] }],
  ['disabled-target', 'a disabled target is asked for', alice, 'request', off],
  ['disabled-target', 'a disabled target needs no approval', alice, 'skipApproval', off],
  ['duration-within-profile', 'one minute too long', alice, 'request', read, { durationMinutes: 241 }],
  ['duration-within-profile', 'no time at all', alice, 'request', read, { durationMinutes: 0 }],
  ['duration-within-profile', 'too long to skip', alice, 'skipApproval', free, { durationMinutes: 241 }],
  ['prod-needs-ticket', 'production without a ticket', alice, 'request', read, { hasTicket: false }],
  ['prod-needs-ticket', 'production without a ticket, by its owner', bob, 'request', write, { hasTicket: false }],
  ['mint-needs-live-grant', 'a grant that is not open', alice, 'mintToken', { ...grant, live: false }],
  ['mint-needs-live-grant', 'a grant in its last moment', alice, 'mintToken', { ...grant, expiresAt: now }],
];

describe('default policy', () => {
  test.each(allowed)('allows: %s', (...given) => {
    expect(engine.decide(ask(given))).toMatchObject({ allowed: true, advice: [], errors: [] });
  });

  test.each(refused)('does not permit: %s', (...given) => {
    expect(engine.decide(ask(given as Case))).toMatchObject({ allowed: false, policies: [], advice: [], errors: [] });
  });

  test.each(forbidden)('%s forbids: %s', (by, ...given) => {
    const decision = engine.decide(ask(given));
    expect(decision).toMatchObject({ allowed: false, policies: [by], errors: [] });
    expect(decision.advice).toHaveLength(1);
  });

  test.each(actions)('a locked person is refused: %s', (action) => {
    const permitted = allowed.filter((given) => given[2] === action).map(ask);
    expect(permitted).not.toEqual([]);
    for (const question of permitted) {
      const decision = engine.decide({ ...question, actor: { ...question.actor, locked: true } });
      expect(decision).toMatchObject({ allowed: false, policies: ['no-locked'] });
    }
  });

  test.each(engine.policies)('without "%s" some case is decided otherwise', (id) => {
    const parts = cedar.policySetTextToParts(text);
    if (parts.type === 'failure') throw new Error('default.cedar does not parse');
    const others = parts.policies.filter((policy) => !policy.includes(`@id("${id}")`));
    expect(others).toHaveLength(engine.policies.length - 1);
    const weaker = new PolicyEngine(others.join('\n'), 'weaker.cedar');
    const flipped = [
      ...allowed.filter((given) => !weaker.decide(ask(given)).allowed),
      ...forbidden.filter(([, ...given]) => weaker.decide(ask(given)).allowed),
    ];
    expect(flipped).not.toEqual([]);
  });

  test('slicing by action decides as the whole set does', () => {
    const parts = cedar.policySetTextToParts(text);
    if (parts.type === 'failure') throw new Error('default.cedar does not parse');
    const staticPolicies = Object.fromEntries(parts.policies.map((policy, index) => [`p${index}`, policy]));
    for (const given of [...allowed, ...refused, ...forbidden.map(([, ...rest]) => rest)]) {
      const question = toCedar(ask(given as Case));
      const whole = cedar.isAuthorized({ ...question, schema, validateRequest: true, policies: { staticPolicies } });
      expect(whole.type === 'success' && whole.response.decision).toBe(
        engine.decide(ask(given as Case)).allowed ? 'allow' : 'deny',
      );
    }
  });

  test('schema, actions and cases agree', () => {
    const json = cedar.schemaToJson(schema);
    if (json.type === 'failure') throw new Error('the schema does not parse');
    const named = Object.entries(json.json.Usher?.actions ?? {}).filter(
      ([, action]) => action.appliesTo?.principalTypes.length,
    );
    expect(named.map(([name]) => name).sort()).toEqual([...actions].sort());
    expect(json.json.Usher?.entityTypes.Records).toEqual({ enum: [...scopes] });
  });
});
