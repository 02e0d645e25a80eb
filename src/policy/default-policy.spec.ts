import { readFileSync } from 'node:fs';
import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import { describe, expect, test } from 'vitest';
import { defaultPolicyFile, PolicyEngine } from './engine.js';
import {
  actions,
  approvalsNeeded,
  scopes,
  sensitivities,
  serviceActions,
  type AccessContext,
  type Action,
  type EmergencyContext,
  type ProfileFacts,
  type ServiceFacts,
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
/** As the token of somebody says who signed in so many seconds ago. */
const signedIn = (who: typeof alice, secondsAgo: number) => ({
  ...who,
  authenticatedAt: new Date(now.getTime() - secondsAgo * 1_000),
});
const portal: ServiceFacts = {
  kind: 'service',
  id: 'portal',
  groups: [],
  locked: false,
  actsForAnybody: false,
  actsFor: ['engineers'],
};
const serviceIn = (...groups: string[]): ServiceFacts => ({ ...portal, id: `service-${groups.join()}`, groups });
/** A call for somebody through the portal. */
const through = (who: typeof alice, proof: 'named' | 'token') => ({ ...who, via: { service: portal, proof } });
const locked = <T extends { locked: boolean }>(who: T): T => ({ ...who, locked: true });

const orders = { id: 'orders', environment: 'prod', ownerGroup: 'orders-owners', enabled: true } as const;
const read: ProfileFacts = {
  id: 'read',
  target: orders,
  readOnly: true,
  sensitivity: 'internal',
  approvalsNeeded: 1,
  maxMinutes: 240,
  managesPasswords: false,
};
const write: ProfileFacts = { ...read, id: 'write', readOnly: false };
const free: ProfileFacts = { ...read, id: 'free', approvalsNeeded: 0 };
const dev: ProfileFacts = { ...read, id: 'dev', target: { ...orders, id: 'orders-dev', environment: 'dev' } };
const staging: ProfileFacts = { ...read, id: 'staging', target: { ...orders, environment: 'staging' } };
const brief: ProfileFacts = { ...read, id: 'brief', maxMinutes: 30 };
const off: ProfileFacts = { ...free, target: { ...orders, enabled: false } };
const passwords: ProfileFacts = { ...read, id: 'passwords', readOnly: false, managesPasswords: true };
const devPasswords: ProfileFacts = { ...passwords, target: { ...orders, environment: 'dev' } };
const restricted: ProfileFacts = { ...free, id: 'restricted', sensitivity: 'restricted' };
const gina = person('gina', 'password-managers');
/** On call. */
const hugo = person('hugo', 'break-glass');
/** Owner, engineer and administrator at once: who may ask for everything else. */
const mighty = person('mighty', 'orders-owners', 'engineers', 'admins');
const asked: AccessContext = { durationMinutes: 60, method: 'iam', mode: 'session', hasTicket: true };

const tagged: ProfileFacts = { ...read, target: { ...orders, tags: { 'usher:step-up': 'yes' } } };
const request = {
  id: 'r1',
  requesterId: 'alice',
  profile: read,
  approverIds: [] as string[],
  stageGroups: [] as string[],
  stagePeople: [] as string[],
};
const staged = { ...request, stageGroups: ['sec-approvers'], stagePeople: ['eve'] };
const asked1 = { ...request, viaServiceId: 'portal' };
const delegation = { id: 'd1', delegatorId: 'bob', delegateId: 'alice' };
/** As policy is asked where alice votes for bob. */
const bobByAlice = { ...bob, delegateId: 'alice' };
const grant = { id: 'g1', holderId: 'alice', profile: read, live: true, expiresAt: new Date('2026-03-10T11:00:00Z') };

type Case = [
  name: string,
  actor: Question['actor'],
  action: Action,
  resource?: Question['resource'],
  context?: Partial<EmergencyContext>,
];
const contextOf = (action: Action, more: Partial<EmergencyContext> = {}): Partial<EmergencyContext> => {
  if (action === 'breakGlass') return { ...asked, reasonLength: 20, ...more };
  return action === 'request' || action === 'skipApproval' ? { ...asked, ...more } : {};
};
const ask = ([, actor, action, resource, context]: Case): Question => ({
  actor,
  action,
  ...(resource === undefined ? {} : { resource }),
  context: { now, ...contextOf(action, context) },
});

const allowed: Case[] = [
  ['an engineer asks to read', alice, 'request', read],
  ['for as long as the profile allows', alice, 'request', read, { durationMinutes: 240 }],
  ['for one minute', alice, 'request', read, { durationMinutes: 1 }],
  ['without a ticket where it is not production', alice, 'request', staging, { hasTicket: false }],
  ['by password, attached', alice, 'request', read, { method: 'password', mode: 'attached' }],
  ['an owner asks to write', bob, 'request', write],
  ['an engineer asks to read what is restricted', alice, 'request', restricted],
  ['no approval where what is seen is confidential', alice, 'skipApproval', { ...free, sensitivity: 'confidential' }],
  ['a password manager asks for the passwords', gina, 'request', passwords],
  ['no approval where the profile needs none', alice, 'skipApproval', free],
  ['no approval for an owner in dev', bob, 'skipApproval', dev],
  ['who is on call breaks the glass', hugo, 'breakGlass', write, { hasTicket: false }],
  ['for one minute in an emergency', hugo, 'breakGlass', read, { durationMinutes: 1 }],
  ['an owner approves', bob, 'approve', request],
  ['a second owner approves', person('ben', 'orders-owners'), 'approve', { ...request, approverIds: ['bob'] }],
  ['an owner denies', bob, 'deny', request],
  ['an owner approves by whom they let', bobByAlice, 'approve', { ...request, requesterId: 'someone' }],
  ['an owner reviews by whom they let', bobByAlice, 'reviewRequest', request],
  ['anybody lets another vote for them', nobody, 'delegateVotes', bob],
  ['who delegated ends it', bob, 'endDelegation', delegation],
  ['the delegate gives it back', alice, 'endDelegation', delegation],
  ['security ends a delegation', erin, 'endDelegation', delegation],
  ['an administrator ends a delegation', dave, 'endDelegation', delegation],
  ['anybody sees what they delegated', nobody, 'viewDelegations', 'own'],
  ['an auditor sees every delegation', carol, 'viewDelegations', 'all'],
  ['whoever just signed in asks where that is demanded', signedIn(alice, 900), 'request', tagged],
  ['the holder mints there', signedIn(alice, 0), 'mintToken', { ...grant, profile: tagged }],
  ['an owner denies there, whenever he signed in', bob, 'deny', { ...request, profile: tagged }],
  ['the holder revokes there, whenever he signed in', alice, 'revoke', { ...grant, profile: tagged }],
  ['an owner denies what was asked of a disabled target', bob, 'deny', { ...request, profile: off }],
  ['an owner denies what he approved', bob, 'deny', { ...request, approverIds: ['bob'] }],
  ['who is in a group of a stage approves', person('sue', 'sec-approvers'), 'approve', staged],
  ['whom a stage names approves', person('eve'), 'approve', staged],
  ['whom a stage names denies', person('eve'), 'deny', staged],
  ['an owner reviews', bob, 'reviewRequest', request],
  ['whom a stage names reviews', person('eve'), 'reviewRequest', staged],
  ['who is in a group of a stage reviews', person('sue', 'sec-approvers'), 'reviewRequest', staged],
  ['an auditor reviews', carol, 'reviewRequest', request],
  ['an administrator reviews', dave, 'reviewRequest', request],
  ['the requester changes it', alice, 'editRequest', request],
  ['the requester cancels', alice, 'cancel', request],
  ['the holder mints', alice, 'mintToken', grant],
  ['the holder has a password issued', alice, 'issuePassword', grant],
  ['the holder revokes', alice, 'revoke', grant],
  ['the holder revokes what is not live', alice, 'revoke', { ...grant, live: false }],
  ['an owner revokes', bob, 'revoke', grant],
  ['security revokes', erin, 'revoke', grant],
  ['an owner closes a review', bob, 'closeReview', grant],
  ['security closes a review', erin, 'closeReview', grant],
  ['an administrator closes a review', dave, 'closeReview', grant],
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
  ['anybody sees the reviews of what he did', nobody, 'viewReviews', 'own'],
  ['security sees every review', erin, 'viewReviews', 'all'],
  ['anybody sees what he may have', nobody, 'viewAccess', nobody],
  ['an auditor sees what somebody may have', carol, 'viewAccess', alice],
  ['an administrator sees what somebody may have', dave, 'viewAccess', alice],
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
  ['an administrator locks a target', dave, 'lockTargets', orders],
  ['security locks a target', erin, 'lockTargets', orders],
  ['an owner locks a target', bob, 'lockTargets', orders],
  ['an owner locks a target that is disabled', bob, 'lockTargets', { ...orders, enabled: false }],
  ['an administrator looks for somebody', dave, 'viewPeople'],
  ['an auditor looks for somebody', carol, 'viewPeople'],
  ['an administrator sees services', dave, 'viewServices'],
  ['an auditor sees services', carol, 'viewServices'],
  ['an administrator administers services', dave, 'administerServices'],
  ['an administrator locks services', dave, 'lockServices'],
  ['security locks services', erin, 'lockServices'],
  ['an administrator administers webhooks', dave, 'administerWebhooks'],
  ['a service acts for a member of its groups', portal, 'actFor', alice],
  ['a service acts for anybody', { ...portal, actsForAnybody: true }, 'actFor', nobody],
  ['a service sees targets', portal, 'viewTargets'],
  ['a service sees trust', portal, 'viewTrust'],
  ['a service of monitoring sees metrics', serviceIn('monitoring'), 'viewMetrics'],
  ['a service of auditors sees the whole audit', serviceIn('auditors'), 'viewAudit', 'all'],
  ['a service of auditors sees readiness', serviceIn('auditors'), 'viewReadiness'],
  ['a service that only names her asks for an engineer', through(alice, 'named'), 'request', read],
  ['a service that only names her needs no more approval', through(alice, 'named'), 'skipApproval', free],
  ['a service that only names her takes back what she asked', through(alice, 'named'), 'cancel', asked1],
  ['a service that only names her sees her requests', through(alice, 'named'), 'viewRequests', 'own'],
  ['a service that only names her sees targets', through(alice, 'named'), 'viewTargets'],
  ['a service that only names her sees trust', through(alice, 'named'), 'viewTrust'],
  ['a service with her token mints', through(alice, 'token'), 'mintToken', grant],
  ['a service with her token has a password issued', through(alice, 'token'), 'issuePassword', grant],
  ['a service with her token revokes', through(alice, 'token'), 'revoke', grant],
  ['a service with his token approves what came another way', through(bob, 'token'), 'approve', request],
  [
    'a service with his token approves what another service asked',
    through(bob, 'token'),
    'approve',
    { ...request, viaServiceId: 'bot' },
  ],
  ['an owner approves what a service asked', bob, 'approve', asked1],
  ['a service with his token sees all that an auditor sees', through(carol, 'token'), 'viewAudit', 'all'],
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
  ['an engineer breaks the glass', alice, 'breakGlass', read],
  ['an owner breaks the glass', bob, 'breakGlass', read],
  ['an administrator breaks the glass', dave, 'breakGlass', read],
  ['security breaks the glass', erin, 'breakGlass', read],
  ['who may break the glass asks in the ordinary way', hugo, 'request', read],
  ['who may break the glass closes a review', hugo, 'closeReview', grant],
  ['a stranger closes a review', nobody, 'closeReview', grant],
  ['an auditor closes a review', carol, 'closeReview', grant],
  ['an owner of another target closes a review', person('zoe', 'billing-owners'), 'closeReview', grant],
  ['an engineer sees every review', alice, 'viewReviews', 'all'],
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
  ['an owner sees services', bob, 'viewServices'],
  ['an engineer sees services', alice, 'viewServices'],
  ['an auditor administers services', carol, 'administerServices'],
  ['an auditor locks services', carol, 'lockServices'],
  ['an owner locks services', bob, 'lockServices'],
  ['a stranger ends a delegation', nobody, 'endDelegation', delegation],
  ['an auditor ends a delegation', carol, 'endDelegation', delegation],
  ['an owner sees every delegation', bob, 'viewDelegations', 'all'],
  ['security administers services', erin, 'administerServices'],
  ['an auditor administers webhooks', carol, 'administerWebhooks'],
  ['security administers webhooks', erin, 'administerWebhooks'],
  ['a service acts for whom it may not', portal, 'actFor', bob],
  ['a service acts for who is in no group', portal, 'actFor', nobody],
  ['a service sees its own requests, of which there are none', portal, 'viewRequests', 'own'],
  ['a service of owners sees what they own', serviceIn('orders-owners'), 'viewGrants', 'owned'],
  ['a service sees metrics', portal, 'viewMetrics'],
  ['a service sees readiness', portal, 'viewReadiness'],
  ['a service sees the whole audit', portal, 'viewAudit', 'all'],
  ['a service asks with the token of who may not', through(nobody, 'token'), 'request', read],
  ['an auditor removes somebody', carol, 'administerPeople', alice],
  ['an owner removes somebody', bob, 'administerPeople', alice],
  ['security removes somebody', erin, 'administerPeople', alice],
  ['who is in no stage approves', person('mal', 'engineers'), 'approve', staged],
  ['whom a stage of another request names approves', person('eve'), 'approve', request],
  ['the requester reviews', alice, 'reviewRequest', request],
  ['a stranger reviews', person('mal', 'engineers'), 'reviewRequest', staged],
  ['an owner changes what others asked', bob, 'editRequest', request],
  ['an administrator changes what others asked', dave, 'editRequest', request],
  ['an auditor locks somebody', carol, 'lockPeople', alice],
  ['an owner locks somebody', bob, 'lockPeople', alice],
  ['an engineer locks a target', alice, 'lockTargets', orders],
  ['an auditor locks a target', carol, 'lockTargets', orders],
  ['an owner locks the target of others', person('zoe', 'billing-owners'), 'lockTargets', orders],
  ['an engineer sees what somebody may have', alice, 'viewAccess', bob],
  ['an owner sees what somebody may have', bob, 'viewAccess', alice],
  ['security sees what somebody may have', erin, 'viewAccess', alice],
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
  [
    'no-own-approval',
    'whom a stage names approves his own',
    person('eve'),
    'approve',
    { ...staged, requesterId: 'eve' },
  ],
  ['one-vote-each', 'an owner approves twice', bob, 'approve', { ...request, approverIds: ['ben', 'bob'] }],
  ['disabled-target', 'a disabled target is asked for', alice, 'request', off],
  ['disabled-target', 'a disabled target needs no approval', alice, 'skipApproval', off],
  ['no-locked', 'a locked service looks', locked(portal), 'viewTargets'],
  ['no-locked', 'a locked service acts for somebody', locked(portal), 'actFor', alice],
  ['named-is-not-proven', 'a service that only names her mints', through(alice, 'named'), 'mintToken', grant],
  [
    'named-is-not-proven',
    'a service that only names her has a password issued',
    through(alice, 'named'),
    'issuePassword',
    grant,
  ],
  ['named-is-not-proven', 'a service that only names her revokes', through(alice, 'named'), 'revoke', grant],
  ['named-is-not-proven', 'a service that only names her diagnoses', through(alice, 'named'), 'diagnose', grant],
  ['named-is-not-proven', 'a service that only names him approves', through(bob, 'named'), 'approve', request],
  ['named-is-not-proven', 'a service that only names him denies', through(bob, 'named'), 'deny', request],
  ['named-is-not-proven', 'a service that only names him administers', through(dave, 'named'), 'administerTargets'],
  ['named-is-not-proven', 'a service that only names him makes keys', through(dave, 'named'), 'administerServices'],
  ['named-is-not-proven', 'a service that only names her locks somebody', through(erin, 'named'), 'lockPeople', alice],
  ['named-sees-own', 'a service that only names her sees the whole audit', through(carol, 'named'), 'viewAudit', 'all'],
  ['named-sees-own', 'a service that only names him sees what he owns', through(bob, 'named'), 'viewRequests', 'owned'],
  [
    'no-say-through-who-asked',
    'a service with his token approves what it asked',
    through(bob, 'token'),
    'approve',
    asked1,
  ],
  ['no-say-through-who-asked', 'a service with his token denies what it asked', through(bob, 'token'), 'deny', asked1],
  ['duration-within-profile', 'one minute too long', alice, 'request', read, { durationMinutes: 241 }],
  ['duration-within-profile', 'no time at all', alice, 'request', read, { durationMinutes: 0 }],
  ['duration-within-profile', 'too long to skip', alice, 'skipApproval', free, { durationMinutes: 241 }],
  ['prod-needs-ticket', 'production without a ticket', alice, 'request', read, { hasTicket: false }],
  ['prod-needs-ticket', 'production without a ticket, by its owner', bob, 'request', write, { hasTicket: false }],
  ['step-up-where-tagged', 'a sign-in of long ago', signedIn(alice, 901), 'request', tagged],
  ['step-up-where-tagged', 'a sign-in of which nobody says when', alice, 'request', tagged],
  [
    'step-up-where-tagged',
    'a token for a sign-in of long ago',
    signedIn(alice, 901),
    'mintToken',
    { ...grant, profile: tagged },
  ],
  ['step-up-where-tagged', 'a yes of long ago', signedIn(bob, 901), 'approve', { ...request, profile: tagged }],
  ['never-oneself', 'an administrator removes himself', dave, 'administerPeople', dave],
  ['no-delegating-to-oneself', 'an owner lets himself', bob, 'delegateVotes', bob],
  ['named-is-not-proven', 'a service that only names him delegates', through(bob, 'named'), 'delegateVotes', alice],
  ['never-oneself', 'somebody of security locks himself', erin, 'lockPeople', erin],
  ['use-needs-live-grant', 'a grant that is not open', alice, 'mintToken', { ...grant, live: false }],
  ['use-needs-live-grant', 'a grant in its last moment', alice, 'mintToken', { ...grant, expiresAt: now }],
  ['use-needs-live-grant', 'a password for one that is not open', alice, 'issuePassword', { ...grant, live: false }],
  ['no-locked', 'who is locked breaks the glass', locked(hugo), 'breakGlass', read],
  ['no-glass-on-disabled-target', 'an emergency on a disabled target', hugo, 'breakGlass', off],
  ['no-glass-for-passwords', 'an emergency with the passwords of others', hugo, 'breakGlass', passwords],
  ['glass-is-short', 'an emergency of more than an hour', hugo, 'breakGlass', read, { durationMinutes: 61 }],
  ['glass-is-short', 'longer than the profile', hugo, 'breakGlass', brief, { durationMinutes: 31 }],
  ['glass-is-short', 'an emergency of no time', hugo, 'breakGlass', read, { durationMinutes: 0 }],
  ['glass-needs-words', 'an emergency without words', hugo, 'breakGlass', read, { reasonLength: 19 }],
  ['no-own-review', 'an owner closes his own review', bob, 'closeReview', { ...grant, holderId: 'bob' }],
  ['password-managers-only', 'an engineer asks for the passwords', alice, 'request', { ...passwords, readOnly: true }],
  ['password-managers-only', 'an owner asks for the passwords', bob, 'request', passwords],
  ['password-managers-only', 'who may ask for all else asks for the passwords', mighty, 'request', passwords],
  ['restricted-needs-approval', 'a profile that says none is needed', alice, 'skipApproval', restricted],
  [
    'restricted-needs-approval',
    'an owner of a database in dev',
    bob,
    'skipApproval',
    { ...dev, sensitivity: 'restricted' },
  ],
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

  // by Cedar itself, on the slices of the engine: an engine without each of them would be checked and sliced anew, for a second each
  const policies = engine.about();
  test.each(policies)('without "$id" some case is decided otherwise', ({ id, actions: touched }) => {
    const allows = (given: Case): boolean => {
      const slice = policies.filter((policy) => policy.id !== id && policy.actions.includes(given[2]));
      const staticPolicies = Object.fromEntries(slice.map((policy) => [policy.id, policy.text]));
      const question = { ...toCedar(ask(given)), schema, validateRequest: true };
      const answer = cedar.isAuthorized({ ...question, policies: { staticPolicies } });
      if (answer.type === 'failure') throw new Error(answer.errors.map(({ message }) => message).join('; '));
      return answer.response.decision === 'allow' && answer.response.diagnostics.errors.length === 0;
    };
    const flipped =
      allowed.find((given) => touched.includes(given[2]) && !allows(given)) ??
      forbidden.find(([, ...given]) => touched.includes(given[2]) && allows(given));
    expect(flipped).toBeDefined();
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
    const byServices = named.filter(([, { appliesTo }]) => appliesTo?.principalTypes.includes('Service'));
    expect(byServices.map(([name]) => name).sort()).toEqual([...serviceActions].sort());
    expect(json.json.Usher?.entityTypes.Records).toEqual({ enum: [...scopes] });
    expect(json.json.Usher?.entityTypes.Sensitivity).toEqual({ enum: [...sensitivities] });
  });
});
