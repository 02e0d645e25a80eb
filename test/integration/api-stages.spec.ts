import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, claimsOf, known, newName, register, someone, type Asked, type Registered } from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

let usher: Usher;
let orders: Registered;
let billing: Registered;
let dave: Client;
beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  orders = await register(usher, 'orders');
  billing = await register(usher, 'billing');
  dave = await known(usher, 'dave');
});
afterAll(() => usher?.close());

interface Staged extends Asked {
  approvalsNeeded: number;
  stages: { name: string; needed: number; agreed: number; open: boolean; groups: string[]; people: string[] }[];
  votes: { stage: number }[];
  code?: string;
  advice?: string;
}
const engineer = (): Client => someone(usher, ['engineers']);
const owner = (): Client => someone(usher, ['orders-owners']);
const security = (): Client => someone(usher, ['sec-approvers']);
const act = (client: Client, id: string, verb: string, body: unknown = {}) =>
  client.post<Staged>(`/v1/requests/${id}/${verb}`, body);

/** Somebody whom Usher has met, with the id it knows them by. */
async function met(groups: readonly string[], more: Record<string, unknown> = {}): Promise<[Client, string]> {
  const name = newName();
  const client = usher.withToken(usher.standIn.oidc.signWith(claimsOf(usher, name, groups, more)));
  await client.get('/v1/requests');
  const { rows } = await usher.database.owner.query<{ id: string }>('SELECT id FROM person WHERE subject = $1', [
    `sub-${name}`,
  ]);
  return [client, rows[0]?.id ?? ''];
}

const profilePath = (): string => `/v1/targets/${orders.targetId}/profiles/${orders.profiles['reporting-read']}`;
async function staged(approvalStages: object[], more: object = {}): Promise<void> {
  const { status, body } = await dave.patch(profilePath(), { approvalsNeeded: 1, ...more, approvalStages });
  expect([status, body]).toEqual([200, expect.objectContaining({ id: orders.profiles['reporting-read'] })]);
}
const one = { name: 'security', needed: 1, groups: ['sec-approvers'] };
const two = { name: 'data', needed: 2, groups: ['orders-owners'] };

describe('the stages of a profile', () => {
  test('are kept, shown, on record and taken away', async () => {
    const [, id] = await met(['engineers']);
    const stages = [
      { ...one, people: [id] },
      { ...two, people: [] },
    ];
    const changed = await dave.patch<{ approvalStages: object[] }>(profilePath(), { approvalStages: stages });
    expect(changed.body.approvalStages).toEqual(stages);
    const { rows } = await usher.database.owner.query<{ details: object }>(
      `SELECT details FROM audit_event WHERE action = 'profile.update' ORDER BY id DESC LIMIT 1`,
    );
    expect(rows[0]?.details).toMatchObject({ changed: { approvalStages: { to: stages } } });
    expect((await dave.patch(profilePath(), { approvalStages: [] })).body).toMatchObject({ approvalStages: [] });
  });

  test.each<[string, object[], number, string]>([
    ['without anybody', [{ name: 'a', needed: 1 }], 400, 'invalid_input'],
    [
      'of fewer people than it needs',
      [{ name: 'a', needed: 2, people: ['0190163d-8694-739b-aea5-966c26f8ad91'] }],
      400,
      'invalid_input',
    ],
    [
      'of somebody unknown',
      [{ name: 'a', needed: 1, people: ['0190163d-8694-739b-aea5-966c26f8ad91'] }],
      422,
      'person_not_found',
    ],
    ['that needs nobody', [{ ...one, needed: 0 }], 400, 'invalid_input'],
    ['that needs eleven', [{ ...one, needed: 11 }], 400, 'invalid_input'],
    ['twice of one name', [one, one], 400, 'invalid_input'],
    ['six of them', Array.from({ length: 6 }, (_, i) => ({ ...one, name: `s${i}` })), 400, 'invalid_input'],
    ['of too many groups', [{ ...one, groups: Array.from({ length: 21 }, (_, i) => `g${i}`) }], 400, 'invalid_input'],
    ['with something else in it', [{ ...one, skip: true }], 400, 'invalid_input'],
  ])('a stage %s is refused', async (_, approvalStages, status, code) => {
    const before = await dave.get<object[]>(`/v1/targets/${orders.targetId}/profiles`);
    expect((await dave.patch(profilePath(), { approvalStages })).body).toMatchObject({ status, code });
    expect((await dave.get(`/v1/targets/${orders.targetId}/profiles`)).body).toEqual(before.body);
  });

  test('only administrators set them', async () => {
    for (const client of [owner(), engineer(), security()])
      expect((await client.patch(profilePath(), { approvalStages: [one] })).body).toMatchObject({
        status: 403,
        code: 'policy_denied',
      });
  });
});

describe('one stage after the other', () => {
  beforeAll(() => staged([one, two]));

  test('each by its own people, and the last yes opens', async () => {
    const asker = engineer();
    const { id } = await ask(asker, orders);
    const [sue, bob, ben] = [security(), owner(), owner()];
    expect((await act(bob, id, 'approve')).body).toMatchObject({
      status: 403,
      code: 'not_your_stage',
      detail: expect.stringContaining('security'),
      advice: expect.stringContaining('sec-approvers'),
    });
    expect((await act(sue, id, 'approve')).body).toMatchObject({
      state: 'pending',
      approvalsNeeded: 3,
      stages: [
        { name: 'security', needed: 1, agreed: 1, open: false },
        { name: 'data', needed: 2, agreed: 0, open: true },
      ],
    });
    expect((await act(security(), id, 'approve')).body).toMatchObject({ code: 'not_your_stage' });
    expect((await act(sue, id, 'approve')).body).toMatchObject({ code: 'already_voted' });
    expect((await act(bob, id, 'approve')).body).toMatchObject({
      state: 'pending',
      votes: [{ stage: 1 }, { stage: 2 }],
    });
    expect((await act(ben, id, 'approve')).body).toMatchObject({ state: 'approved', grantId: expect.any(String) });
  });

  test('who is in both counts in one', async () => {
    const { id } = await ask(engineer(), orders);
    const both = someone(usher, ['sec-approvers', 'orders-owners']);
    await act(both, id, 'approve');
    expect((await act(both, id, 'approve')).body).toMatchObject({ status: 409, code: 'already_voted' });
    await act(owner(), id, 'approve');
    expect((await act(owner(), id, 'approve')).body).toMatchObject({ state: 'approved' });
  });

  test('who asked is of no stage of it', async () => {
    const asker = someone(usher, ['engineers', 'sec-approvers', 'orders-owners']);
    const { id } = await ask(asker, orders);
    expect((await act(asker, id, 'approve')).body).toMatchObject({ status: 403, code: 'own_request' });
  });

  test('anybody of any stage ends it', async () => {
    const { id } = await ask(engineer(), orders);
    expect((await act(owner(), id, 'deny', { comment: 'no' })).body).toMatchObject({ state: 'denied' });
  });

  test('a stage opens again when who agreed is locked', async () => {
    const { id } = await ask(engineer(), orders);
    const [sue, sueId] = await met(['sec-approvers']);
    await act(sue, id, 'approve');
    await act(owner(), id, 'approve');
    await dave.post(`/v1/people/${sueId}/lock`, { reason: 'a laptop was stolen' });
    expect((await act(owner(), id, 'approve')).body).toMatchObject({ code: 'not_your_stage' });
    expect((await act(security(), id, 'approve')).body).toMatchObject({
      stages: [{ agreed: 1 }, { agreed: 1, open: true }],
    });
    expect((await act(owner(), id, 'approve')).body).toMatchObject({ state: 'approved' });
  });

  test('approvers see what names them, and strangers do not', async () => {
    const { id } = await ask(engineer(), orders);
    await ask(engineer(), billing);
    const sue = security();
    expect((await sue.get(`/v1/requests/${id}`)).body).toMatchObject({ id });
    const { body } = await sue.get<{ items: { id: string; targetId: string }[] }>('/v1/requests?limit=200');
    expect(body.items.map((each) => each.id)).toContain(id);
    expect(new Set(body.items.map((each) => each.targetId))).toEqual(new Set([orders.targetId]));
    for (const verb of ['approve', 'deny'])
      expect((await act(engineer(), id, verb)).body).toMatchObject({ status: 404, code: 'request_not_found' });
    expect((await engineer().get(`/v1/requests/${id}`)).body).toMatchObject({ code: 'request_not_found' });
  });

  test('a profile that is changed changes nothing that waits, and all that is asked from then on', async () => {
    const { id } = await ask(engineer(), orders);
    await staged([two]);
    try {
      expect((await act(owner(), id, 'approve')).body).toMatchObject({ code: 'not_your_stage' });
      expect((await act(security(), id, 'approve')).body).toMatchObject({ stages: [{ name: 'security' }, {}] });
      const later = await ask(engineer(), orders);
      expect((await act(security(), later.id, 'approve')).body).toMatchObject({ code: 'request_not_found' });
      expect((await act(owner(), later.id, 'approve')).body).toMatchObject({ approvalsNeeded: 2 });
    } finally {
      await staged([one, two]);
    }
  });

  test('ten at once in the last stage of two: two count', async () => {
    const { id } = await ask(engineer(), orders);
    await act(security(), id, 'approve');
    const answers = await Promise.all(Array.from({ length: 10 }, () => act(owner(), id, 'approve')));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, ...Array<number>(8).fill(409)]);
  });
});

test('people who are named need be in no group, and nobody else may', async () => {
  const [eve, eveId] = await met([]);
  await staged([{ name: 'ciso', needed: 1, people: [eveId] }]);
  const { id } = await ask(engineer(), orders);
  expect((await act(owner(), id, 'approve')).body).toMatchObject({
    code: 'not_your_stage',
    advice: expect.stringContaining('1 people'),
  });
  expect((await act(eve, id, 'approve')).body).toMatchObject({ state: 'approved' });
});

test('where more must agree than the stages name, owners are the rest', async () => {
  await staged([one], { approvalsNeeded: 2 });
  const { body: preview } = await engineer().post('/v1/requests/preview', {
    ...{ targetId: orders.targetId, profileId: orders.profiles['reporting-read'] },
    ...{ durationMinutes: 30, reason: 'to look something up' },
  });
  expect(preview).toMatchObject({
    decision: { approvalsNeeded: 2, stages: [{ name: 'security' }, { name: 'owners' }] },
  });
  const { id } = await ask(engineer(), orders);
  await act(security(), id, 'approve');
  expect((await act(security(), id, 'approve')).body).toMatchObject({ code: 'not_your_stage' });
  expect((await act(owner(), id, 'approve')).body).toMatchObject({ state: 'approved' });
});

test('stages are approval: a profile that has them is not given without', async () => {
  await staged([one], { approvalsNeeded: 0 });
  expect(await ask(engineer(), orders)).toMatchObject({ state: 'pending', grantId: null, approvalsNeeded: 1 });
});

test('more time takes the same stages', async () => {
  await staged([one]);
  const asker = engineer();
  const { id, plan } = await ask(asker, orders);
  const { body } = await act(security(), id, 'approve');
  await usher.reconciler.reconcile({ targetId: orders.targetId, login: plan.login });
  const more = await asker.post<Staged>(`/v1/grants/${body.grantId}/extend`, { durationMinutes: 5, reason: 'more' });
  expect(more.body).toMatchObject({ state: 'pending', stages: [{ name: 'security', open: true }] });
  expect((await act(owner(), more.body.id, 'approve')).body).toMatchObject({ code: 'not_your_stage' });
  expect((await act(security(), more.body.id, 'approve')).body).toMatchObject({ state: 'approved' });
});

describe('one human by two names', () => {
  beforeAll(() => staged([], { approvalsNeeded: 2 }));

  test('does not agree to what the other asked', async () => {
    const email = `${newName()}@example.com`;
    const { id } = await ask(someone(usher, ['engineers'], { email }), orders);
    const other = someone(usher, ['orders-owners'], { email: email.toUpperCase() });
    expect((await act(other, id, 'approve')).body).toMatchObject({
      status: 403,
      code: 'own_request',
      advice: expect.any(String),
    });
    const { rows } = await usher.database.owner.query('SELECT 1 FROM vote WHERE request_id = $1', [id]);
    expect(rows).toEqual([]);
  });

  test('agrees once', async () => {
    const email = `${newName()}@example.com`;
    const { id } = await ask(engineer(), orders);
    const [first, second] = [email, email.toUpperCase()].map((each) =>
      someone(usher, ['orders-owners'], { email: each }),
    );
    await act(first as Client, id, 'approve');
    expect((await act(second as Client, id, 'approve')).body).toMatchObject({ status: 409, code: 'already_voted' });
    expect((await act(owner(), id, 'approve')).body).toMatchObject({ state: 'approved' });
  });

  test('whose second name gets the address of the first only later counts once', async () => {
    const [email, name] = [`${newName()}@example.com`, newName()];
    const { id } = await ask(engineer(), orders);
    await act(someone(usher, ['orders-owners'], { email }), id, 'approve');
    const second = (more: object): Client => someone(usher, ['orders-owners'], { ...more }, name);
    await second({}).get('/v1/requests');
    await second({ email }).get('/v1/requests');
    expect((await act(second({ email }), id, 'approve')).body).toMatchObject({ code: 'already_voted' });
  });

  test('an address that the provider did not verify says nothing', async () => {
    const email = `${newName()}@example.com`;
    const { id } = await ask(engineer(), orders);
    const unverified = { email, email_verified: false };
    for (const more of [{ email }, unverified]) await act(someone(usher, ['orders-owners'], more), id, 'approve');
    expect((await dave.get(`/v1/requests/${id}`)).body).toMatchObject({ state: 'approved' });
  });
});

test('GraphQL has them, too', async () => {
  const document = `mutation ($stages: [ApprovalStageInput!]) { updateProfile(targetId: "${orders.targetId}", id: "${orders.profiles['reporting-read']}", input: { approvalsNeeded: 1, approvalStages: $stages }) { approvalStages { name needed groups people } } }`;
  const { data, errors } = await dave.graphql(document, { stages: [one, two] });
  expect([data, errors]).toEqual([
    {
      updateProfile: {
        approvalStages: [
          { ...one, people: [] },
          { ...two, people: [] },
        ],
      },
    },
    undefined,
  ]);
  const { id } = await ask(engineer(), orders);
  const approve = `mutation { approveRequest(id: "${id}") { state stages { name needed agreed open groups people } votes { stage } } }`;
  const refused = await owner().graphql(approve);
  expect(refused.errors?.[0]?.extensions).toMatchObject({ code: 'not_your_stage' });
  expect((await security().graphql(approve)).data).toMatchObject({
    approveRequest: { state: 'pending', stages: [{ agreed: 1 }, { open: true }], votes: [{ stage: 1 }] },
  });
});
