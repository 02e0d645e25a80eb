import { readFileSync } from 'node:fs';
import { v7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Sealer } from '../../src/audit/sealer.js';
import { assertEveryRouteNamesItsAction } from '../../src/policy/coverage.js';
import { actions } from '../../src/policy/policy.contract.js';
import { defaultPolicyFile } from '../../src/policy/engine.js';
import { ask, askFor, known, newName, open, register, someone, type Registered } from '../support/people.ts';
import { newService, seen, type Seen } from '../support/services.ts';
import { Line } from '../support/subscriptions.ts';
import { until } from '../support/until.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';
import { newWebhook, webhookEnv } from '../support/webhooks.ts';

let usher: Usher;
let target: Registered;
/** A target that nobody asks for, for what is done to profiles. */
let spareId: string;
let routes: string[];
let operations: string[];
/** Paths hold the names in braces; these are put in their place, anew for each caller. */
let ids: Record<string, string>;
/** Known to Usher, and to nobody else here. */
let strangers: Seen[];
const callers: Record<string, Client> = {};
const names = [
  'nobody',
  'expired',
  'foreignAudience',
  'service',
  'serviceFor',
  'locked',
  'alice',
  'bob',
  'carol',
  'dave',
] as const;
type Caller = (typeof names)[number];

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false }, env: webhookEnv });
  target = await register(usher, 'orders');
  spareId = (await register(usher, 'billing')).targetId;
  const { body: document } = await usher.withToken(undefined).get<{ paths: Record<string, object> }>('/openapi.json');
  routes = Object.entries(document.paths).flatMap(([path, item]) =>
    // what {id} is the id of
    Object.keys(item).map(
      (method) =>
        `${method.toUpperCase()} ${path
          .replace(/(request|grant|review|delegation)s\/{id}/, '$1s/{$1Id}')
          .replace('people/{id}', 'people/{personId}')
          .replace('accounts/{id}', 'accounts/{accountId}')
          .replace('services/{id}', 'services/{serviceId}')
          .replace('webhooks/{id}', 'webhooks/{webhookId}')
          .replace('discoveries/{id}', 'discoveries/{discoveryId}')
          .replace('discovered-databases/{id}', 'discovered-databases/{databaseId}')}`,
    ),
  );
  const types =
    '{ queryType { fields { name } } mutationType { fields { name } } subscriptionType { fields { name } } }';
  const { data } = await (
    await known(usher, 'carol')
  ).graphql<{ __schema: Record<string, { fields: { name: string }[] } | null> }>(`{ __schema ${types} }`);
  operations = Object.values(data?.__schema ?? {}).flatMap((type) => type?.fields.map(({ name }) => name) ?? []);
  const { oidc } = usher.standIn;
  callers['nobody'] = usher.withToken(undefined);
  callers['expired'] = usher.withToken(await oidc.tokenFor('dave', { expiresIn: -60 }));
  callers['foreignAudience'] = usher.withToken(await oidc.tokenFor('dave', { audience: 'another-service' }));
  for (const name of ['alice', 'bob', 'carol', 'dave']) callers[name] = await known(usher, name);
  await callers['bob']?.get('/v1/targets'); // who is named must have called once
  strangers = await Promise.all(Array.from({ length: 2 * names.length }, () => seen(usher, [])));
  callers['locked'] = await lockedWithEverything();
  const portal = await newService(usher, actions, { actsForAnybody: true });
  callers['service'] = portal.alone;
  callers['serviceFor'] = portal.for('bob@example.com');
});
afterAll(() => usher?.close());

/** What each made-up alice, bob, carol and dave gets; the first three never get anything but 401, and who is locked but 403. */
type Row = readonly [alice: number, bob: number, carol: number, dave: number];
const everybody: Row = [200, 200, 200, 200];
const admin = (success: number): Row => [403, 403, 403, success];

/** REST. A request is alice's on bob's target, the grant is alice's and active. */
const rest: Record<string, { row: Row; query?: string; body?: () => object }> = {
  'POST /v1/targets': { row: admin(201), body: newTarget },
  'GET /v1/targets': { row: everybody },
  'GET /v1/targets/{id}': { row: everybody },
  'PATCH /v1/targets/{id}': { row: admin(200), body: () => ({ engineVersion: '17.11' }) },
  'DELETE /v1/targets/{id}': { row: admin(200) },
  'POST /v1/targets/{id}/lock': { row: [403, 200, 403, 200], body: () => ({ reason: 'it leaks' }) },
  'POST /v1/targets/{id}/unlock': { row: admin(200) },
  'POST /v1/targets/{id}/profiles': { row: admin(201), body: spareProfile },
  'GET /v1/targets/{id}/profiles': { row: everybody },
  'PATCH /v1/targets/{id}/profiles/{profileId}': { row: admin(200), body: () => ({ approvalsNeeded: 2 }) },
  'DELETE /v1/targets/{id}/profiles/{profileId}': { row: admin(200) },
  'POST /v1/accounts': { row: admin(201), body: newAccount },
  'GET /v1/accounts': { row: [403, 403, 200, 200] },
  'GET /v1/accounts/{accountId}': { row: [403, 403, 200, 200] },
  'PATCH /v1/accounts/{accountId}': { row: admin(200), body: () => ({ regions: [] }) },
  'POST /v1/accounts/{accountId}/check': { row: admin(200) },
  'DELETE /v1/accounts/{accountId}': { row: admin(200) },
  'POST /v1/services': { row: admin(201), body: aService },
  'GET /v1/services': { row: [403, 403, 200, 200] },
  'GET /v1/services/{serviceId}': { row: [403, 403, 200, 200] },
  'PATCH /v1/services/{serviceId}': { row: admin(200), body: () => ({ groups: ['monitoring'] }) },
  'DELETE /v1/services/{serviceId}': { row: admin(200) },
  'POST /v1/services/{serviceId}/lock': { row: admin(200), body: () => ({ reason: 'its key was seen in a log' }) },
  'POST /v1/services/{serviceId}/unlock': { row: admin(200) },
  'POST /v1/services/{serviceId}/keys': { row: admin(201), body: () => ({ scopes: ['viewTargets'] }) },
  'GET /v1/services/{serviceId}/keys': { row: [403, 403, 200, 200] },
  'POST /v1/services/{serviceId}/keys/{keyId}/rotate': { row: admin(201), body: () => ({}) },
  'DELETE /v1/services/{serviceId}/keys/{keyId}': { row: admin(200) },
  'POST /v1/webhooks': { row: admin(201), body: aWebhook },
  'GET /v1/webhooks': { row: admin(200) },
  'GET /v1/webhooks/{webhookId}': { row: admin(200) },
  'PATCH /v1/webhooks/{webhookId}': { row: admin(200), body: () => ({ events: ['*'] }) },
  'DELETE /v1/webhooks/{webhookId}': { row: admin(200) },
  'POST /v1/webhooks/{webhookId}/rotate': { row: admin(201), body: () => ({}) },
  'POST /v1/webhooks/{webhookId}/test': { row: admin(200) },
  'POST /v1/webhooks/{webhookId}/replay': { row: admin(200), body: () => ({ from: 1 }) },
  'GET /v1/webhooks/{webhookId}/deliveries': { row: admin(200) },
  'GET /v1/policies': { row: [403, 403, 200, 200] },
  'PUT /v1/policies': { row: admin(200), body: newPolicy },
  'GET /v1/policies/versions': { row: [403, 403, 200, 200] },
  'GET /v1/policies/versions/{number}': { row: [403, 403, 200, 200] },
  'POST /v1/policies/validate': { row: admin(200), body: () => ({ text: 'permit' }) },
  'POST /v1/policies/simulate': { row: admin(200), body: () => ({ text: shippedPolicy, last: 1 }) },
  'POST /v1/policies/rollback': { row: admin(200), body: () => ({ number: 0 }) },
  'GET /v1/targets/{id}/readiness': { row: [403, 403, 200, 200] },
  'GET /v1/targets/{id}/server-log': { row: [403, 403, 200, 200] },
  'POST /v1/targets/{id}/iam-authentication': { row: admin(200) },
  'POST /v1/discoveries': { row: admin(201), body: () => ({}) },
  'GET /v1/discoveries/{discoveryId}': { row: admin(200) },
  'GET /v1/discovered-databases': { row: admin(200) },
  'GET /v1/discovered-databases/{databaseId}': { row: admin(200) },
  'POST /v1/discovered-databases/{databaseId}/register': { row: admin(201), body: () => ({}) },
  'POST /v1/discovered-databases/{databaseId}/apply': { row: admin(200) },
  'POST /v1/requests/preview': { row: everybody, body: () => askFor(target) },
  'POST /v1/requests': { row: [201, 201, 403, 403], body: () => askFor(target) },
  'GET /v1/requests': { row: everybody },
  'GET /v1/requests/{requestId}': { row: [404, 200, 200, 200] },
  'PATCH /v1/requests/{requestId}': { row: [404, 403, 403, 403], body: () => ({ reason: 'another reason' }) },
  'GET /v1/requests/{requestId}/review': { row: [404, 200, 200, 200] },
  // each decision is refused for itself: see api-decisions.spec.ts
  'POST /v1/requests/decisions': { row: everybody, body: noDecisions },
  'POST /v1/requests/{requestId}/approve': { row: [404, 200, 403, 403], body: () => ({}) },
  'POST /v1/requests/{requestId}/deny': { row: [404, 200, 403, 403], body: () => ({}) },
  'POST /v1/requests/{requestId}/cancel': { row: [404, 403, 403, 403] },
  'POST /v1/delegations': { row: [201, 201, 201, 201], body: aDelegation },
  'GET /v1/delegations': { row: everybody },
  // of two others: 200 for dave, and then it has ended already
  'POST /v1/delegations/{delegationId}/end': { row: [404, 404, 403, 200] },
  'GET /v1/reviews': { row: everybody },
  // 409: bob has closed it already
  'POST /v1/reviews/{reviewId}/close': { row: [404, 200, 403, 409], body: () => ({ comment: 'as it was said' }) },
  'GET /v1/grants': { row: everybody },
  'GET /v1/grants/{grantId}': { row: [404, 200, 200, 200] },
  'POST /v1/grants/{grantId}/revoke': { row: [404, 200, 403, 403] },
  'POST /v1/grants/{grantId}/shorten': { row: [404, 200, 403, 403], body: soon },
  'POST /v1/grants/{grantId}/extend': { row: [404, 403, 403, 403], body: longer },
  'GET /v1/access-options': { row: everybody },
  'GET /v1/targets/{id}/access': { row: everybody },
  'GET /v1/people/{personId}/access': { row: [403, 403, 200, 200] },
  'GET /v1/people': { row: [403, 403, 200, 200] },
  'GET /v1/people/{personId}': { row: [403, 403, 200, 200] },
  'DELETE /v1/people/{personId}': { row: admin(200) },
  'POST /v1/people/{personId}/restore': { row: admin(200) },
  'POST /v1/people/{personId}/lock': { row: admin(200), body: () => ({ reason: 'a laptop was stolen' }) },
  'POST /v1/people/{personId}/unlock': { row: admin(200) },
  'POST /v1/grants/{grantId}/tokens': { row: [404, 403, 403, 403], body: () => ({}) },
  'POST /v1/grants/{grantId}/passwords': { row: [404, 403, 403, 403], body: () => ({}) },
  'GET /v1/grants/{grantId}/recipes': { row: [404, 403, 403, 403] },
  'POST /v1/grants/{grantId}/diagnose': { row: [404, 200, 403, 200], body: () => ({}) },
  'GET /v1/audit/events': { row: everybody },
  'GET /v1/audit/count': { row: everybody },
  'GET /v1/audit/export': { row: everybody },
  'GET /v1/audit/checkpoint': { row: everybody },
  'GET /v1/audit/checkpoints': { row: everybody },
  'GET /v1/audit/key': { row: everybody },
  // of a line about bob's target
  'GET /v1/audit/proofs/inclusion': { row: [404, 200, 200, 200], query: '?event={eventId}' },
  'GET /v1/audit/proofs/consistency': { row: everybody, query: '?from=1' },
  'GET /v1/connections': { row: everybody },
  'GET /v1/connections/tls': { row: everybody },
  'GET /v1/connections/failures': { row: everybody },
  'GET /v1/connections/grant-use': { row: everybody },
  'GET /v1/connections/profile-use': { row: everybody },
  'GET /v1/statements': { row: everybody, query: '?target={id}' },
  'GET /v1/drift': { row: everybody },
  'POST /v1/targets/{id}/drift': { row: admin(200) },
  'GET /v1/trust/bundles': { row: everybody },
  'GET /v1/trust/bundles/{region}': { row: everybody },
  'GET /v1/trust/partitions': { row: everybody },
  'GET /v1/trust/partitions/{partition}': { row: everybody },
  'GET /v1/trust/authorities': { row: everybody },
  'GET /v1/trust/mirror': { row: everybody },
  'GET /metrics': { row: [403, 403, 200, 200] },
};

const harmless = Object.fromEntries(
  ['/v1/targets', '/v1/targets/{id}', '/v1/targets/{id}/profiles']
    .concat(
      ['/bundles', '/bundles/{region}', '/partitions', '/partitions/{partition}'].map((path) => `/v1/trust${path}`),
    )
    .concat(['/v1/trust/authorities', '/v1/trust/mirror'])
    .map((path) => [`GET ${path}`, 200]),
);
/** What a service gets by itself, though its key is for everything; all that is not here is 403. */
const alone: Record<string, number> = harmless;
/** And what it gets for bob, who owns the target, when it only names him. What is not bob's own is not there at all. */
const named: Record<string, number> = {
  ...harmless,
  'POST /v1/requests/preview': 200,
  'POST /v1/requests': 201,
  'POST /v1/requests/decisions': 200, // each is refused by itself
  ...Object.fromEntries(
    [
      'requests',
      'grants',
      'reviews',
      'delegations',
      'audit/events',
      'audit/count',
      'audit/export',
      'audit/checkpoint',
      'audit/checkpoints',
      'audit/key',
      'audit/proofs/consistency',
      'connections',
      'connections/tls',
      'connections/failures',
      'connections/grant-use',
      'connections/profile-use',
      'statements',
      'drift',
      'access-options',
      'targets/{id}/access',
    ].map((of) => [`GET /v1/${of}`, 200]),
  ),
  ...Object.fromEntries(
    [
      'GET /v1/requests/{requestId}',
      'PATCH /v1/requests/{requestId}',
      'GET /v1/requests/{requestId}/review',
      'POST /v1/reviews/{reviewId}/close',
      'POST /v1/delegations/{delegationId}/end',
      ...['approve', 'deny', 'cancel'].map((what) => `POST /v1/requests/{requestId}/${what}`),
    ]
      .concat(['GET /v1/audit/proofs/inclusion', 'GET /v1/grants/{grantId}', 'GET /v1/grants/{grantId}/recipes'])
      .concat(
        ['revoke', 'shorten', 'extend', 'tokens', 'passwords', 'diagnose'].map(
          (what) => `POST /v1/grants/{grantId}/${what}`,
        ),
      )
      .map((route) => [route, 404]),
  ),
};
const anonymous = ['GET /health/live', 'GET /health/ready', 'GET /v1/sign-in'];
/** For everybody too; here there is nothing to hand out. See trust-mirror.spec.ts. */
const file = 'GET /v1/trust/bundles/{name}.pem';

/** A stream that whoever may have it is told at once that there is no such place: those who may not are told that before. */
const BEYOND = '(after: 1e15) { sequence }';

/** GraphQL: the same permissions under the names of the operations, with what follows the name in the document. */
const twins: Record<
  string,
  { of: keyof typeof rest; call: string; mutation?: true; stream?: true; body?: () => object; type?: string }
> = {
  createTarget: {
    of: 'POST /v1/targets',
    call: '(input: $input) { id }',
    mutation: true,
    body: () => ({ ...newTarget(), kind: 'aurora_cluster' }),
    type: 'CreateTarget!',
  },
  targets: { of: 'GET /v1/targets', call: '{ items { id } }' },
  target: { of: 'GET /v1/targets/{id}', call: '(id: "{id}") { id }' },
  updateTarget: {
    of: 'PATCH /v1/targets/{id}',
    call: '(id: "{id}", input: { engineVersion: "17.11" }) { id }',
    mutation: true,
  },
  deleteTarget: { of: 'DELETE /v1/targets/{id}', call: '(id: "{id}") { id }', mutation: true },
  lockTarget: {
    of: 'POST /v1/targets/{id}/lock',
    call: '(id: "{id}", input: $input) { id }',
    mutation: true,
    body: () => ({ reason: 'it leaks' }),
    type: 'LockTarget!',
  },
  unlockTarget: { of: 'POST /v1/targets/{id}/unlock', call: '(id: "{id}") { id }', mutation: true },
  createProfile: {
    of: 'POST /v1/targets/{id}/profiles',
    call: '(targetId: "{id}", input: $input) { id }',
    mutation: true,
    body: spareProfile,
    type: 'CreateProfile!',
  },
  profiles: { of: 'GET /v1/targets/{id}/profiles', call: '(targetId: "{id}") { id }' },
  updateProfile: {
    of: 'PATCH /v1/targets/{id}/profiles/{profileId}',
    call: '(targetId: "{id}", id: "{profileId}", input: { approvalsNeeded: 2 }) { id }',
    mutation: true,
  },
  deleteProfile: {
    of: 'DELETE /v1/targets/{id}/profiles/{profileId}',
    call: '(targetId: "{id}", id: "{profileId}") { id }',
    mutation: true,
  },
  createAccount: {
    of: 'POST /v1/accounts',
    call: '(input: $input) { id }',
    mutation: true,
    body: newAccount,
    type: 'CreateAccount!',
  },
  accounts: { of: 'GET /v1/accounts', call: '{ id }' },
  account: { of: 'GET /v1/accounts/{accountId}', call: '(id: "{accountId}") { id }' },
  updateAccount: {
    of: 'PATCH /v1/accounts/{accountId}',
    call: '(id: "{accountId}", input: { regions: [] }) { id }',
    mutation: true,
  },
  checkAccount: {
    of: 'POST /v1/accounts/{accountId}/check',
    call: '(id: "{accountId}") { accountId }',
    mutation: true,
  },
  deleteAccount: { of: 'DELETE /v1/accounts/{accountId}', call: '(id: "{accountId}") { id }', mutation: true },
  createService: {
    of: 'POST /v1/services',
    call: '(input: $input) { id }',
    mutation: true,
    body: aService,
    type: 'CreateService!',
  },
  services: { of: 'GET /v1/services', call: '{ id }' },
  service: { of: 'GET /v1/services/{serviceId}', call: '(id: "{serviceId}") { id }' },
  updateService: {
    of: 'PATCH /v1/services/{serviceId}',
    call: '(id: "{serviceId}", input: { groups: ["monitoring"] }) { id }',
    mutation: true,
  },
  removeService: { of: 'DELETE /v1/services/{serviceId}', call: '(id: "{serviceId}") { id }', mutation: true },
  lockService: {
    of: 'POST /v1/services/{serviceId}/lock',
    call: '(id: "{serviceId}", input: { reason: "its key was seen in a log" }) { id }',
    mutation: true,
  },
  unlockService: { of: 'POST /v1/services/{serviceId}/unlock', call: '(id: "{serviceId}") { id }', mutation: true },
  createApiKey: {
    of: 'POST /v1/services/{serviceId}/keys',
    call: '(serviceId: "{serviceId}", input: { scopes: ["viewTargets"] }) { apiKey { id } }',
    mutation: true,
  },
  apiKeys: { of: 'GET /v1/services/{serviceId}/keys', call: '(serviceId: "{serviceId}") { id }' },
  rotateApiKey: {
    of: 'POST /v1/services/{serviceId}/keys/{keyId}/rotate',
    call: '(serviceId: "{serviceId}", id: "{keyId}") { apiKey { id } }',
    mutation: true,
  },
  revokeApiKey: {
    of: 'DELETE /v1/services/{serviceId}/keys/{keyId}',
    call: '(serviceId: "{serviceId}", id: "{keyId}") { id }',
    mutation: true,
  },
  createWebhook: {
    of: 'POST /v1/webhooks',
    call: '(input: $input) { webhook { id } }',
    mutation: true,
    body: aWebhook,
    type: 'CreateWebhook!',
  },
  webhooks: { of: 'GET /v1/webhooks', call: '{ id }' },
  webhook: { of: 'GET /v1/webhooks/{webhookId}', call: '(id: "{webhookId}") { id }' },
  updateWebhook: {
    of: 'PATCH /v1/webhooks/{webhookId}',
    call: '(id: "{webhookId}", input: { events: ["*"] }) { id }',
    mutation: true,
  },
  deleteWebhook: { of: 'DELETE /v1/webhooks/{webhookId}', call: '(id: "{webhookId}") { id }', mutation: true },
  rotateWebhookSecret: {
    of: 'POST /v1/webhooks/{webhookId}/rotate',
    call: '(id: "{webhookId}") { webhook { id } }',
    mutation: true,
  },
  testWebhook: {
    of: 'POST /v1/webhooks/{webhookId}/test',
    call: '(id: "{webhookId}") { delivered }',
    mutation: true,
  },
  replayWebhook: {
    of: 'POST /v1/webhooks/{webhookId}/replay',
    call: '(id: "{webhookId}", input: { from: 1 }) { id }',
    mutation: true,
  },
  webhookDeliveries: {
    of: 'GET /v1/webhooks/{webhookId}/deliveries',
    call: '(webhookId: "{webhookId}") { items { id } }',
  },
  policies: { of: 'GET /v1/policies', call: '{ sha256 }' },
  activatePolicies: {
    of: 'PUT /v1/policies',
    call: '(input: $input) { sha256 }',
    mutation: true,
    body: newPolicy,
    type: 'ActivatePolicies!',
  },
  policyVersions: { of: 'GET /v1/policies/versions', call: '{ items { id } }' },
  policyVersion: { of: 'GET /v1/policies/versions/{number}', call: '(number: {number}) { diff }' },
  validatePolicies: { of: 'POST /v1/policies/validate', call: '(input: { text: "permit" }) { valid }' },
  simulatePolicies: {
    of: 'POST /v1/policies/simulate',
    call: '(input: $input) { decisions }',
    body: () => ({ text: shippedPolicy, last: 1 }),
    type: 'SimulatePolicies!',
  },
  rollBackPolicies: {
    of: 'POST /v1/policies/rollback',
    call: '(input: { number: 0 }) { sha256 }',
    mutation: true,
  },
  targetReadiness: { of: 'GET /v1/targets/{id}/readiness', call: '(targetId: "{id}") { verdict }' },
  serverLog: { of: 'GET /v1/targets/{id}/server-log', call: '(targetId: "{id}") { source }' },
  enableIamAuthentication: {
    of: 'POST /v1/targets/{id}/iam-authentication',
    call: '(targetId: "{id}") { changed }',
    mutation: true,
  },
  startDiscovery: { of: 'POST /v1/discoveries', call: '(input: {}) { id }', mutation: true },
  discovery: { of: 'GET /v1/discoveries/{discoveryId}', call: '(id: "{discoveryId}") { id }' },
  discoveredDatabases: { of: 'GET /v1/discovered-databases', call: '{ items { id } }' },
  discoveredDatabase: { of: 'GET /v1/discovered-databases/{databaseId}', call: '(id: "{databaseId}") { id }' },
  registerDatabase: {
    of: 'POST /v1/discovered-databases/{databaseId}/register',
    call: '(id: "{databaseId}", input: {}) { id }',
    mutation: true,
  },
  applyDiscovered: {
    of: 'POST /v1/discovered-databases/{databaseId}/apply',
    call: '(id: "{databaseId}") { id }',
    mutation: true,
  },
  previewRequest: {
    of: 'POST /v1/requests/preview',
    call: '(input: $input) { decision { allowed } }',
    body: () => askFor(target),
    type: 'CreateRequest!',
  },
  createRequest: {
    of: 'POST /v1/requests',
    call: '(input: $input) { id }',
    mutation: true,
    body: () => askFor(target),
    type: 'CreateRequest!',
  },
  requests: { of: 'GET /v1/requests', call: '{ items { id } }' },
  request: { of: 'GET /v1/requests/{requestId}', call: '(id: "{requestId}") { id }' },
  editRequest: {
    of: 'PATCH /v1/requests/{requestId}',
    call: '(id: "{requestId}", input: { reason: "another reason" }) { id }',
    mutation: true,
  },
  requestReview: { of: 'GET /v1/requests/{requestId}/review', call: '(id: "{requestId}") { ownerGroup }' },
  decideRequests: {
    of: 'POST /v1/requests/decisions',
    call: '(input: $input) { results { id } }',
    mutation: true,
    body: noDecisions,
    type: 'DecideRequests!',
  },
  approveRequest: { of: 'POST /v1/requests/{requestId}/approve', call: '(id: "{requestId}") { id }', mutation: true },
  denyRequest: { of: 'POST /v1/requests/{requestId}/deny', call: '(id: "{requestId}") { id }', mutation: true },
  cancelRequest: { of: 'POST /v1/requests/{requestId}/cancel', call: '(id: "{requestId}") { id }', mutation: true },
  createDelegation: {
    of: 'POST /v1/delegations',
    call: '(input: $input) { id }',
    mutation: true,
    body: aDelegation,
    type: 'CreateDelegation!',
  },
  delegations: { of: 'GET /v1/delegations', call: '{ items { id } }' },
  endDelegation: {
    of: 'POST /v1/delegations/{delegationId}/end',
    call: '(id: "{delegationId}") { id }',
    mutation: true,
  },
  reviews: { of: 'GET /v1/reviews', call: '{ items { id } }' },
  closeReview: {
    of: 'POST /v1/reviews/{reviewId}/close',
    call: '(id: "{reviewId}", input: $input) { id }',
    mutation: true,
    body: () => ({ comment: 'as it was said' }),
    type: 'CloseReview!',
  },
  grants: { of: 'GET /v1/grants', call: '{ items { id } }' },
  grant: { of: 'GET /v1/grants/{grantId}', call: '(id: "{grantId}") { id }' },
  shortenGrant: {
    of: 'POST /v1/grants/{grantId}/shorten',
    call: '(id: "{grantId}", input: $input) { id }',
    mutation: true,
    body: soon,
    type: 'ShortenGrant!',
  },
  extendGrant: {
    of: 'POST /v1/grants/{grantId}/extend',
    call: '(id: "{grantId}", input: $input) { id }',
    mutation: true,
    body: longer,
    type: 'ExtendGrant!',
  },
  accessOptions: { of: 'GET /v1/access-options', call: '{ items { profileId } }' },
  targetAccess: { of: 'GET /v1/targets/{id}/access', call: '(targetId: "{id}") { items { grantId } }' },
  personAccess: { of: 'GET /v1/people/{personId}/access', call: '(personId: "{personId}") { personId }' },
  people: { of: 'GET /v1/people', call: '{ items { id } }' },
  person: { of: 'GET /v1/people/{personId}', call: '(id: "{personId}") { id }' },
  removePerson: { of: 'DELETE /v1/people/{personId}', call: '(id: "{personId}") { id }', mutation: true },
  lockPerson: {
    of: 'POST /v1/people/{personId}/lock',
    call: '(id: "{personId}", input: $input) { id }',
    mutation: true,
    body: () => ({ reason: 'a laptop was stolen' }),
    type: 'LockPerson!',
  },
  unlockPerson: { of: 'POST /v1/people/{personId}/unlock', call: '(id: "{personId}") { id }', mutation: true },
  restorePerson: { of: 'POST /v1/people/{personId}/restore', call: '(id: "{personId}") { id }', mutation: true },
  revokeGrant: { of: 'POST /v1/grants/{grantId}/revoke', call: '(id: "{grantId}") { id }', mutation: true },
  diagnoseGrant: {
    of: 'POST /v1/grants/{grantId}/diagnose',
    call: '(grantId: "{grantId}") { grantId }',
    mutation: true,
  },
  selfSigning: { of: 'GET /v1/grants/{grantId}/recipes', call: '(grantId: "{grantId}") { host }' },
  mintToken: { of: 'POST /v1/grants/{grantId}/tokens', call: '(grantId: "{grantId}") { tokenLength }', mutation: true },
  issuePassword: {
    of: 'POST /v1/grants/{grantId}/passwords',
    call: '(grantId: "{grantId}") { user }',
    mutation: true,
  },
  auditEvents: { of: 'GET /v1/audit/events', call: '{ items { id } }' },
  auditEventCount: { of: 'GET /v1/audit/count', call: '{ count more }' },
  auditCheckpoint: { of: 'GET /v1/audit/checkpoint', call: '{ size }' },
  auditCheckpoints: { of: 'GET /v1/audit/checkpoints', call: '{ items { size } }' },
  auditKey: { of: 'GET /v1/audit/key', call: '{ verifierKey }' },
  auditInclusionProof: { of: 'GET /v1/audit/proofs/inclusion', call: '(event: "{eventId}") { seq }' },
  auditConsistencyProof: { of: 'GET /v1/audit/proofs/consistency', call: '(from: 1) { toRoot }' },
  connections: { of: 'GET /v1/connections', call: '{ items { id } }' },
  requestEvents: { of: 'GET /v1/requests', call: BEYOND, stream: true },
  grantEvents: { of: 'GET /v1/grants', call: BEYOND, stream: true },
  flagEvents: { of: 'GET /v1/connections', call: BEYOND, stream: true },
  tlsReport: { of: 'GET /v1/connections/tls', call: '{ leftOut }' },
  failedLogins: { of: 'GET /v1/connections/failures', call: '{ items { id } }' },
  grantUse: { of: 'GET /v1/connections/grant-use', call: '{ items { grantId } }' },
  profileUse: { of: 'GET /v1/connections/profile-use', call: '{ items { profileId } }' },
  statements: { of: 'GET /v1/statements', call: '(target: "{id}") { items { id } }' },
  driftFindings: { of: 'GET /v1/drift', call: '{ items { id } }' },
  lookForDrift: { of: 'POST /v1/targets/{id}/drift', call: '(targetId: "{id}") { targetId }', mutation: true },
  trustBundles: { of: 'GET /v1/trust/bundles', call: '{ region }' },
  trustBundle: { of: 'GET /v1/trust/bundles/{region}', call: '(region: "{region}") { region }' },
  trustPartitions: { of: 'GET /v1/trust/partitions', call: '{ partition }' },
  trustPartition: {
    of: 'GET /v1/trust/partitions/{partition}',
    call: '(partition: "{partition}") { partition }',
  },
  trustMirror: { of: 'GET /v1/trust/mirror', call: '{ name }' },
  trustAuthorities: { of: 'GET /v1/trust/authorities', call: '{ identifier }' },
};

const shippedPolicy = readFileSync(defaultPolicyFile, 'utf8');

/** The same rules anew: the callers of this table are to stay who they are. */
function newPolicy(): object {
  return { text: shippedPolicy, note: 'the same again', basedOn: 0 };
}

/** Somebody in every group that gives anything here, who was locked. */
async function lockedWithEverything(): Promise<Client> {
  const groups = ['engineers', 'orders-owners', 'billing-owners', 'auditors', 'admins', 'security', 'break-glass'];
  const client = someone(usher, groups);
  const { personId } = await ask(client, target);
  const { status } = await (callers['dave'] as Client).post(`/v1/people/${personId}/lock`, {
    reason: 'for this table',
  });
  if (status !== 200) throw new Error(`the lock was refused with ${status}`);
  return client;
}

function spareProfile(): object {
  return usher.standIn.targets.billing.registration.profiles[0] ?? {};
}

/** Some minutes ahead, and earlier than the end of any grant here. */
function soon(): object {
  return { endsAt: soonOf(10) };
}

const soonOf = (minutes: number): string => new Date(usher.clock.now().getTime() + minutes * 60_000).toISOString();

/** On nothing that there is. */
function noDecisions(): object {
  return { decisions: [{ id: v7(), verdict: 'deny' }] };
}

/** To somebody new each time: one person is named once for a time. */
function aDelegation(): object {
  return { delegate: strangers.pop()?.id, endsAt: soonOf(60), reason: 'on holiday' };
}

function longer(): object {
  return { durationMinutes: 10, reason: 'not done yet' };
}

/** With Usher's own credentials: what is to be entered is not there, so that a check comes to its end at once. */
function newAccount(): object {
  const accountId = String(Math.floor(Math.random() * 1e12)).padStart(12, '0');
  return { accountId, name: newName('a'), partition: 'aws', regions: ['eu-west-1'] };
}

function aService(): object {
  return { name: newName('s'), description: 'a portal' };
}

/** Where nobody listens. */
const nowhere = 'http://127.0.0.1:1/';

function aWebhook(): object {
  return { url: nowhere, description: 'a portal', events: ['grant.*'] };
}

function newTarget(): Record<string, unknown> {
  const name = newName('t');
  return { ...usher.standIn.targets.orders.registration.target, name, resourceId: `cluster-${name.toUpperCase()}` };
}

/** As a look at the account would have left it; registered already where `of` is about what is. */
async function discovered(of: string): Promise<string> {
  const registration = newTarget();
  const { name, resourceId } = registration as { name: string; resourceId: string };
  const { accountId } = usher.standIn.aws;
  if (of.endsWith('/apply')) await (callers['dave'] as Client).post('/v1/targets', registration);
  const where = { partition: 'aws', accountId, region: 'eu-west-1', resourceId };
  const host = `${name}.cluster-c0ffee.eu-west-1.rds.amazonaws.com`;
  const facts = {
    ...where,
    ...{ kind: 'aurora-cluster', identifier: name, arn: `arn:aws:rds:eu-west-1:${accountId}:cluster:${name}` },
    ...{ engine: 'aurora-postgresql', engineVersion: '17.4', engineMode: 'provisioned', status: 'available' },
    ...{ iamAuthentication: true, masterUser: 'postgres', databaseName: 'orders' },
    ...{ caIdentifier: 'rds-ca-rsa2048-g1', certificateValidTill: null, members: [] },
    endpoints: [{ kind: 'writer', connectHost: host, tokenHost: host, port: 5432 }],
    tags: { environment: 'dev', team: 'orders-owners' },
  };
  const now = usher.clock.now();
  const row = { ...where, kind: facts.kind, identifier: name, facts, fingerprint: name, foundAt: now, changedAt: now };
  return (await usher.db.client.discoveredDatabase.create({ data: { id: v7(), ...row } })).id;
}

/** That dave registered bob's target. */
async function sealedEvent(): Promise<string> {
  await usher.app.get(Sealer, { strict: false }).seal();
  const { id } = await usher.db.client.auditEvent.findFirstOrThrow({
    where: { targetId: target.targetId, action: 'target.create' },
  });
  return id;
}

const place = { region: 'eu-west-1', partition: 'aws' };

/** What the path names: something of its own for a call that changes it, for others still need what is shared. */
async function fresh(of: string): Promise<Record<string, string>> {
  const shared = { id: target.targetId, profileId: target.profiles['reporting-read'] ?? '', ...place };
  if (of.includes('/requests/{requestId}'))
    return { ...shared, requestId: (await ask(someone(usher, ['engineers']), target)).id };
  if (of.includes('/grants/{grantId}'))
    return { ...shared, grantId: (await open(usher, someone(usher, ['engineers']), target)).grantId };
  if (of.includes('/delegations/{delegationId}')) {
    const [ann, ben] = [await seen(usher, []), await seen(usher, [])];
    const body = { delegate: ben.id, endsAt: soonOf(60), reason: 'on holiday' };
    return { ...shared, delegationId: (await ann.client.post<{ id: string }>('/v1/delegations', body)).body.id };
  }
  if (of.includes('/reviews/{reviewId}')) {
    const asked = await ask(someone(usher, ['break-glass']), target, {
      ...{ breakGlass: true, reason: 'orders are lost, and nobody knows why' },
    });
    return { ...shared, reviewId: asked.grantId ?? 'no grant' };
  }
  if (of.includes('/people/{personId}')) {
    const { body } = await someone(usher, ['engineers']).post<{ personId: string }>('/v1/requests', askFor(target));
    return { ...shared, personId: body.personId };
  }
  if (of.includes('/accounts/{accountId}')) {
    const { body } = await (callers['dave'] as Client).post<{ id: string }>('/v1/accounts', newAccount());
    return { ...shared, accountId: body.id };
  }
  if (of.includes('/services/{serviceId}')) {
    const { id: serviceId, keyId } = await newService(usher, ['viewTargets']);
    return { ...shared, serviceId, keyId };
  }
  if (of.includes('/webhooks/{webhookId}'))
    return { ...shared, webhookId: (await newWebhook(usher, nowhere)).webhook.id };
  if (of.includes('/discoveries')) {
    const dave = callers['dave'] as Client;
    await dave.post('/v1/accounts', newAccount());
    if (of.startsWith('POST')) return shared;
    return { ...shared, discoveryId: (await dave.post<{ id: string }>('/v1/discoveries', {})).body.id };
  }
  if (of.includes('/v1/policies')) {
    const dave = callers['dave'] as Client;
    await dave.post('/v1/policies/rollback', { number: 0 });
    if (!of.includes('{number}')) return shared;
    const { body } = await dave.put<{ number: number }>('/v1/policies', newPolicy());
    return { ...shared, number: String(body.number) };
  }
  if (of.includes('/v1/audit/')) return { ...shared, eventId: await sealedEvent() };
  if (of.includes('/discovered-databases/')) return { ...shared, databaseId: await discovered(of) };
  // where it is on already: nothing is to be changed in AWS
  if (of.includes('/iam-authentication')) return shared;
  if (!/^(DELETE|PATCH|POST).*\/v1\/targets\/{id}/.test(of)) return shared;
  const dave = callers['dave'] as Client;
  if (!of.includes('/profiles'))
    return { ...shared, id: (await dave.post<{ id: string }>('/v1/targets', newTarget())).body.id };
  const path = `/v1/targets/${spareId}/profiles`;
  const { body: left } = await dave.get<{ id: string }[]>(path);
  for (const { id } of left) await dave.delete(`${path}/${id}`);
  if (of.startsWith('POST')) return { ...shared, id: spareId };
  return { ...shared, id: spareId, profileId: (await dave.post<{ id: string }>(path, spareProfile())).body.id };
}

const fill = (text: string): string => text.replace(/{(\w+)}/g, (_, name: string) => ids[name] ?? `no ${name}`);

const expectedOf = (route: string, row: Row): Record<Caller, number> => {
  const [alice, bob, carol, dave] = row;
  const services = { service: alone[route] ?? 403, serviceFor: named[route] ?? 403 };
  // in whatever groups
  const refused = { nobody: 401, expired: 401, foreignAudience: 401, locked: 403 };
  return { ...refused, ...services, alice, bob, carol, dave };
};
const codes: Partial<Record<Caller, string>> = {
  nobody: 'token_missing',
  expired: 'token_expired',
  foreignAudience: 'token_invalid',
};

/** What becomes of a stream, as the status that a call would have. */
async function beginOf(caller: Caller, document: string): Promise<{ status: number; code: string }> {
  const line = new Line(usher, (callers[caller] as Client).credentials);
  const stream = line.run(document);
  await until('an answer', async () => stream.ended);
  await line.close();
  const [first] = Array.isArray(stream.ended) ? stream.ended : [];
  if (line.closed && line.closed.code >= 4_000)
    return { status: line.closed.code - 4_000, code: line.closed.reason.split(':')[0] ?? '' };
  const { code, status } = first?.extensions ?? {};
  return { status: code === 'invalid_cursor' ? 200 : Number(status), code: String(code) };
}

/** Where rows and what there is part, each way. */
const apart = (rows: readonly string[], there: readonly string[]): string[] => [
  ...there.filter((one) => !rows.includes(one)).map((one) => `${one} has no row`),
  ...rows.filter((one) => !there.includes(one)).map((one) => `${one} is not there`),
];

test('every route and every operation has a row, and every handler an action', () => {
  const listed = [...Object.keys(rest), ...anonymous, file];
  expect(apart(listed, routes)).toEqual([]);
  expect(apart(Object.keys(twins), operations)).toEqual([]);
  const handlers = assertEveryRouteNamesItsAction(usher.app);
  // what a controller keeps out of the documentation is reached all the same
  expect(handlers.filter(({ handler }) => /Controller\./.test(handler))).toHaveLength(routes.length);
  const open_ = handlers.filter((handler) => handler.public !== undefined);
  expect(open_.map(({ handler }) => handler)).toEqual([
    'HealthController.live',
    'HealthController.ready',
    'SignInController.tell',
    'TrustMirrorController.pem',
  ]);
});

test('a route or an operation more would be missed here', () => {
  expect(apart(Object.keys(rest), [...Object.keys(rest), 'PUT /v1/more'])).toEqual(['PUT /v1/more has no row']);
  for (const route of routes) expect(apart(routes.toSpliced(routes.indexOf(route), 1), routes)).toHaveLength(1);
  for (const name of operations)
    expect(apart(operations.toSpliced(operations.indexOf(name), 1), operations)).toEqual([`${name} has no row`]);
});

test.each([...anonymous, 'GET /docs', 'GET /openapi.json'])('%s is for everybody', async (route) => {
  expect((await usher.withToken(undefined).get(route.slice(4))).status).toBe(200);
});

test(`${file} is for everybody`, async () => {
  const { body } = await usher.withToken(undefined).get('/v1/trust/bundles/eu-west-1.pem');
  expect(body).toMatchObject({ status: 404, code: 'bundle_not_mirrored' });
});

describe.each(Object.entries(rest))('%s', (route, { row, query, body }) => {
  test('lets in whom it should, and nobody else', async () => {
    ids = await fresh(route);
    const [method = '', path = ''] = route.split(' ');
    const answers: Record<string, number> = {};
    for (const name of names) {
      const client = callers[name] as Client;
      const filled = fill(`${path}${query ?? ''}`);
      const how = {
        GET: () => client.get(filled),
        DELETE: () => client.delete(filled),
        PATCH: () => client.patch(filled, body?.()),
        PUT: () => client.put(filled, body?.()),
      };
      const answer = await (method in how ? how[method as keyof typeof how]() : client.post(filled, body?.()));
      answers[name] = answer.status;
      if (codes[name] !== undefined)
        expect([answer.body['code'], answer.headers.get('www-authenticate')]).toEqual([
          codes[name],
          'Bearer realm="usher"',
        ]);
    }
    expect(answers).toEqual(expectedOf(route, row));
  });
});

describe.each(Object.entries(twins))('GraphQL %s', (name, twin) => {
  test('has the permissions of its REST twin', async () => {
    const { row } = rest[twin.of] as { row: Row };
    ids = await fresh(twin.of);
    const answers: Record<string, number | undefined> = {};
    for (const caller of names) {
      const head = twin.type === undefined ? '' : `($input: ${twin.type})`;
      const document = `${twin.mutation ? 'mutation' : 'query'} ${head} { ${name}${fill(twin.call)} }`;
      if (twin.stream) {
        const { status, code } = await beginOf(caller, document.replace('query', 'subscription'));
        answers[caller] = status;
        if (codes[caller] !== undefined) expect(code).toBe(codes[caller]);
        continue;
      }
      const { data, errors } = await (callers[caller] as Client).graphql(document, twin.body && { input: twin.body() });
      answers[caller] = (errors?.[0]?.extensions['status'] as number | undefined) ?? (data?.[name] ? 200 : undefined);
      if (codes[caller] !== undefined) expect(errors?.[0]?.extensions['code']).toBe(codes[caller]);
    }
    const same = Object.entries(expectedOf(twin.of, row)).map(([who, status]) => [who, status === 201 ? 200 : status]);
    expect(answers).toEqual(Object.fromEntries(same));
  });
});
