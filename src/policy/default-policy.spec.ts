import { readFileSync } from 'node:fs';
import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import { describe, expect, test } from 'vitest';
import { defaultPolicyFile, PolicyEngine } from './engine.js';
import {
  actions,
  approvalsNeeded,
  scopes,
  type AccessContext,
  type Action,
  type ProfileFacts,
} from './policy.contract.js';
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
const read: ProfileFacts = {
  id: 'read',
  target: orders,
  readOnly: true,
  approvalsNeeded: 1,
  maxMinutes: 240,
  managesPasswords: false,
};
const write: ProfileFacts = { ...read, id: 'write', readOnly: false };
const free: ProfileFacts = { ...read, id: 'free', approvalsNeeded: 0 };
const dev: ProfileFacts = { ...read, id: 'dev', target: { ...orders, id: 'orders-dev', environment: 'dev' } };
const staging: ProfileFacts = { ...read, id: 'staging', target: { ...orders, environment: 'staging' } };
const off: ProfileFacts = { ...free, target: { ...orders, enabled: false } };
const passwords: ProfileFacts = { ...read, id: 'passwords', readOnly: false, managesPasswords: true };
const devPasswords: ProfileFacts = { ...passwords, target: { ...orders, environment: 'dev' } };
const gina = person('gina', 'password-managers');
/** Owner, engineer and administrator at once: who may ask for everything else. */
const mighty = person('mighty', 'orders-owners', 'engineers', 'admins');
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
  ['a password manager asks for the passwords', gina, 'request', passwords],
  ['no approval where the profile needs none', alice, 'skipApproval', free],
  ['no approval for an owner in dev', bob, 'skipApproval', dev],
  ['an owner approves', bob, 'approve', request],
  ['a second owner approves', person('ben', 'orders-owners'), 'approve', { ...request, approverIds: ['bob'] }],
  ['an owner denies', bob, 'deny', request],
  ['an owner denies what was asked of a disabled target', bob, 'deny', { ...request, profile: off }],
  ['an owner denies what he approved', bob, 'deny', { ...request, approverIds: ['bob'] }],
  ['the requester cancels', alice, 'cancel', request],
  ['the holder mints', alice, 'mintToken', grant],
  ['the holder has a password issued', alice, 'issuePassword', grant],
  ['the holder revokes', alice, 'revoke', grant],
  ['the holder revokes what is not live', alice, 'revoke', { ...grant, live: false }],
  ['an owner revokes', bob, 'revoke', grant],
  ['security revokes', erin, 'revoke', grant],
  ['the holder asks what is wrong', alice, 'diagnose', grant],
  ['the holder asks what is wrong with one that is not live', alice, 'diagnose', { ...grant, live: false }],
  ['an owner asks what is wrong', bob, 'diagnose', grant],
  ['an administrator asks what is wrong', dave, 'diagnose', grant],
  ['anybody sees his own requests', nobody, 'viewRequests', 'own'],
  ['anybody sees his own audit', nobody, 'viewAudit', 'own'],
  ['anybody sees what his groups own', nobody, 'viewGrants', 'owned'],
  ['an auditor sees every connection', carol, 'viewConnections', 'all'],
  ['an auditor sees the whole audit', carol, 'viewAudit', 'all'],
  ['an administrator sees every request', dave, 'viewRequests', 'all'],
  ['an owner sees the drift of what his groups own', bob, 'viewDrift', 'owned'],
  ['an auditor sees all drift', carol, 'viewDrift', 'all'],
  ['an administrator sees all drift', dave, 'viewDrift', 'all'],
  ['anybody sees targets', nobody, 'viewTargets'],
  ['anybody sees trust', nobody, 'viewTrust'],
  ['an administrator administers', dave, 'administerTargets'],
  ['an administrator looks for databases', dave, 'discoverDatabases'],
  ['an administrator sees readiness', dave, 'viewReadiness'],
  ['an auditor sees readiness', carol, 'viewReadiness'],
  ['an administrator switches IAM authentication on', dave, 'enableIamAuthentication'],
  ['an administrator administers accounts', dave, 'administerAccounts'],
  ['an administrator sees accounts', dave, 'viewAccounts'],
  ['an auditor sees accounts', carol, 'viewAccounts'],
  ['an administrator sees the policies', dave, 'viewPolicies'],
  ['an auditor sees the policies', carol, 'viewPolicies'],
  ['an administrator changes the policies', dave, 'administerPolicies'],
  ['an administrator removes somebody', dave, 'administerPeople', alice],
  ['an administrator locks somebody', dave, 'lockPeople', alice],
  ['security locks somebody', erin, 'lockPeople', alice],
  ['an administrator looks for somebody', dave, 'viewPeople'],
  ['an auditor looks for somebody', carol, 'viewPeople'],
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
  ["an auditor asks what is wrong with another's grant", carol, 'diagnose', grant],
  ["a stranger asks what is wrong with another's grant", nobody, 'diagnose', grant],
  ["somebody mints on another's grant", bob, 'mintToken', grant],
  ["an administrator mints on another's grant", dave, 'mintToken', grant],
  ["somebody has a password issued on another's grant", bob, 'issuePassword', grant],
  ["an administrator has a password issued on another's grant", dave, 'issuePassword', grant],
  ['a password manager asks for anything else', gina, 'request', read],
  ['a stranger revokes', nobody, 'revoke', grant],
  ['an administrator revokes', dave, 'revoke', grant],
  ['an engineer sees the whole audit', alice, 'viewAudit', 'all'],
  ['an owner sees every grant', bob, 'viewGrants', 'all'],
  ['an engineer sees all drift', alice, 'viewDrift', 'all'],
  ['an owner sees all drift', bob, 'viewDrift', 'all'],
  ['an owner administers', bob, 'administerTargets'],
  ['an auditor administers', carol, 'administerTargets'],
  ['an owner looks for databases', bob, 'discoverDatabases'],
  ['an engineer sees readiness', alice, 'viewReadiness'],
  ['an owner sees readiness', bob, 'viewReadiness'],
  ['an owner switches IAM authentication on', bob, 'enableIamAuthentication'],
  ['an auditor switches IAM authentication on', carol, 'enableIamAuthentication'],
  ['an owner administers accounts', bob, 'administerAccounts'],
  ['an auditor looks for databases', carol, 'discoverDatabases'],
  ['an auditor administers accounts', carol, 'administerAccounts'],
  ['an owner sees accounts', bob, 'viewAccounts'],
  ['an engineer sees the policies', alice, 'viewPolicies'],
  ['an owner sees the policies', bob, 'viewPolicies'],
  ['an auditor changes the policies', carol, 'administerPolicies'],
  ['an owner changes the policies', bob, 'administerPolicies'],
  ['security changes the policies', erin, 'administerPolicies'],
  ['an engineer sees metrics', alice, 'viewMetrics'],
  ['an auditor removes somebody', carol, 'administerPeople', alice],
  ['an owner removes somebody', bob, 'administerPeople', alice],
  ['security removes somebody', erin, 'administerPeople', alice],
  ['an auditor locks somebody', carol, 'lockPeople', alice],
  ['an owner locks somebody', bob, 'lockPeople', alice],
  ['an engineer looks for somebody', alice, 'viewPeople'],
  ['an owner looks for somebody', bob, 'viewPeople'],
];

const onDisabled = { ...request, profile: off };
const request0 = { ...request, requesterId: 'bob' };
const forbidden: [by: string, ...Case][] = [
  ['disabled-target-opens-nothing', 'an owner agrees to what the target may not give', bob, 'approve', onDisabled],
  ['no-locked', 'a locked engineer asks', locked(alice), 'request', read],
  ['no-locked', 'a locked holder mints', locked(alice), 'mintToken', grant],
  ['no-locked', 'a locked auditor looks', locked(carol), 'viewAudit', 'all'],
  ['no-locked', 'a locked administrator administers', locked(dave), 'administerTargets'],
  ['no-locked', 'a locked administrator changes the policies', locked(dave), 'administerPolicies'],
  ['no-own-approval', 'an owner approves his own', bob, 'approve', request0],
  ['one-vote-each', 'an owner approves twice', bob, 'approve', { ...request, approverIds: ['ben', 'bob'] }],
  ['disabled-target', 'a disabled target is asked for', alice, 'request', off],
  ['disabled-target', 'a disabled target needs no approval', alice, 'skipApproval', off],
  ['duration-within-profile', 'one minute too long', alice, 'request', read, { durationMinutes: 241 }],
  ['duration-within-profile', 'no time at all', alice, 'request', read, { durationMinutes: 0 }],
  ['duration-within-profile', 'too long to skip', alice, 'skipApproval', free, { durationMinutes: 241 }],
  ['prod-needs-ticket', 'production without a ticket', alice, 'request', read, { hasTicket: false }],
  ['prod-needs-ticket', 'production without a ticket, by its owner', bob, 'request', write, { hasTicket: false }],
  ['never-oneself', 'an administrator removes himself', dave, 'administerPeople', dave],
  ['never-oneself', 'somebody of security locks himself', erin, 'lockPeople', erin],
  ['use-needs-live-grant', 'a grant that is not open', alice, 'mintToken', { ...grant, live: false }],
  ['use-needs-live-grant', 'a grant in its last moment', alice, 'mintToken', { ...grant, expiresAt: now }],
  ['use-needs-live-grant', 'a password for one that is not open', alice, 'issuePassword', { ...grant, live: false }],
  ['password-managers-only', 'an engineer asks for the passwords', alice, 'request', { ...passwords, readOnly: true }],
  ['password-managers-only', 'an owner asks for the passwords', bob, 'request', passwords],
  ['password-managers-only', 'who may ask for all else asks for the passwords', mighty, 'request', passwords],
  [
    'password-managers-need-approval',
    'a profile that says none is needed',
    gina,
    'skipApproval',
    { ...passwords, approvalsNeeded: 0 },
  ],
  [
    'password-managers-need-approval',
    'an owner of a database in dev',
    { ...gina, groups: [...gina.groups, 'orders-owners'] },
    'skipApproval',
    devPasswords,
  ],
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

  test.each<[string, number]>([
    ['the policy, where the profile asks for fewer', 1],
    ['the profile, where it asks for more', 3],
  ])('passwords are managed with as many approvals as say %s', (_, needed) => {
    const profile = { ...passwords, approvalsNeeded: needed };
    const owner = { ...gina, groups: [...gina.groups, 'orders-owners'] };
    const [request_, skip] = (['request', 'skipApproval'] as const).map((action) =>
      engine.decide(ask(['', owner, action, profile])),
    );
    expect(request_ && skip && approvalsNeeded(profile, request_, skip)).toBe(Math.max(2, needed));
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
