import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ask,
  askFor,
  auditLines,
  claimsOf,
  known,
  newName,
  register,
  someone,
  type Asked,
  type Registered,
} from '../support/people.ts';
import { later, newService, refused, seen, type Seen } from '../support/services.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

const DAY = 86_400_000;

interface Delegation extends Record<string, unknown> {
  id: string;
  state: string;
  endedAt: string | null;
  endReason: string | null;
}
interface Voted extends Asked, Record<string, unknown> {
  code?: string;
  votes: { personId: string; forPersonId: string | null; forPersonName: string | null; voidedAt: string | null }[];
}

let usher: Usher;
let orders: Registered;
let dave: Client;

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  orders = await register(usher, 'orders');
  dave = await known(usher, 'dave');
});
afterAll(() => usher?.close());

const engineer = (): Client => someone(usher, ['engineers']);
const owner = (): Promise<Seen> => seen(usher, ['orders-owners']);
const nobody = (): Promise<Seen> => seen(usher, []);
const inDays = (days: number): string => new Date(usher.clock.now().getTime() + days * DAY).toISOString();
const delegate = (from: Seen, to: Pick<Seen, 'id'>, more: object = {}) =>
  from.client.post<Delegation & { code?: string }>('/v1/delegations', {
    ...{ delegate: to.id, endsAt: inDays(7), reason: 'on holiday' },
    ...more,
  });
async function delegated(from: Seen, to: Seen, more: object = {}): Promise<Delegation> {
  const { status, body } = await delegate(from, to, more);
  expect([status, body.state]).toEqual([201, 'startsAt' in more ? 'scheduled' : 'live']);
  return body;
}
const end = (client: Client, id: string) => client.post<Delegation>(`/v1/delegations/${id}/end`);
const act = (client: Client, id: string, verb = 'approve') => client.post<Voted>(`/v1/requests/${id}/${verb}`, {});
const votes = async (id: string): Promise<number> =>
  (await usher.database.owner.query('SELECT 1 FROM vote WHERE request_id = $1', [id])).rowCount ?? 0;

async function needing(approvalsNeeded: number, approvalStages: object[] = []): Promise<void> {
  const path = `/v1/targets/${orders.targetId}/profiles/${orders.profiles['reporting-read']}`;
  expect((await dave.patch(path, { approvalsNeeded, approvalStages })).status).toBe(200);
}

describe('a delegation', () => {
  test('is given, seen by both, and ended; each with both names on record', async () => {
    const [ann, ben] = [await owner(), await nobody()];
    const { body } = await delegate(ann, ben);
    expect(body).toMatchObject({
      ...{ state: 'live', delegatorId: ann.id, delegateId: ben.id, reason: 'on holiday' },
      ...{ delegatorName: ann.email, delegateName: ben.email, endedAt: null, endReason: null },
    });
    for (const { client } of [ann, ben])
      expect((await client.get<{ items: object[] }>('/v1/delegations?state=live')).body.items).toEqual([body]);
    expect((await end(ann.client, body.id)).body).toMatchObject({
      state: 'ended',
      endReason: 'who delegated ended it',
    });
    const again = await end(ann.client, body.id);
    expect(again.body).toMatchObject({ state: 'ended', endedAt: expect.any(String) });
    expect((await ben.client.get<{ items: object[] }>('/v1/delegations?state=live')).body.items).toEqual([]);
    expect((await ben.client.get<{ items: object[] }>('/v1/delegations?state=ended')).body.items).toEqual([again.body]);
    const lines = (await auditLines(usher)).filter(({ details }) => details['delegationId'] === body.id);
    const both = { delegator: { id: ann.id, name: ann.email }, delegate: { id: ben.id, name: ben.email } };
    expect(lines).toMatchObject([
      { action: 'delegation.create', actor_name: ann.email, details: { ...both, reason: 'on holiday' } },
      { action: 'delegation.end', actor_name: ann.email, details: both },
    ]);
  });

  test('names the delegate by e-mail in any case, and begins later', async () => {
    const [ann, ben] = [await owner(), await nobody()];
    const { body } = await delegate(ann, { id: ben.email.toUpperCase() }, { startsAt: inDays(2) });
    expect(body).toMatchObject({ state: 'scheduled', delegateId: ben.id });
    const { id } = await ask(engineer(), orders);
    refused(await act(ben.client, id), 404, 'request_not_found');
    expect((await ben.client.get<{ items: object[] }>('/v1/delegations?state=scheduled')).body.items).toEqual([body]);
  });

  test.each<[string, () => object, number, string]>([
    ['that ends before it begins', () => ({ endsAt: inDays(-1) }), 422, 'invalid_end'],
    ['of more than 30 days', () => ({ endsAt: inDays(30.01) }), 422, 'invalid_end'],
    ['of more than 30 days, later', () => ({ startsAt: inDays(2), endsAt: inDays(33) }), 422, 'invalid_end'],
    ['that began yesterday', () => ({ startsAt: inDays(-1) }), 422, 'invalid_start'],
    ['that begins in a hundred days', () => ({ startsAt: inDays(100), endsAt: inDays(101) }), 422, 'invalid_start'],
    ['without an end', () => ({ endsAt: undefined }), 400, 'invalid_input'],
    ['without a reason', () => ({ reason: ' ' }), 400, 'invalid_input'],
    ['to nobody known', () => ({ delegate: 'nobody@nowhere.example' }), 403, 'unknown_person'],
    ['to nobody', () => ({ delegate: '' }), 400, 'invalid_input'],
    ['with something else in it', () => ({ chain: true }), 400, 'invalid_input'],
  ])('%s is refused', async (_, more, status, code) => {
    const [ann, ben] = [await owner(), await nobody()];
    refused(await delegate(ann, ben, more()), status, code);
    expect((await ann.client.get<{ items: object[] }>('/v1/delegations')).body.items).toEqual([]);
  });

  test('to oneself, by whichever account, or to who may do nothing is refused', async () => {
    const [ann, ben, eve] = [await owner(), await nobody(), await nobody()];
    refused(await delegate(ann, ann), 403, 'policy_denied');
    refused(await delegate(ann, await seen(usher, [], { email: ann.email.toUpperCase() })), 403, 'policy_denied');
    await dave.post(`/v1/people/${ben.id}/lock`, { reason: 'a laptop was stolen' });
    await dave.delete(`/v1/people/${eve.id}`);
    refused(await delegate(ann, ben), 409, 'person_locked');
    refused(await delegate(ann, eve), 409, 'person_removed');
    expect((await ben.client.post('/v1/delegations', { delegate: ann.id })).status).toBe(400);
    refused(await delegate(ben, ann), 403, 'policy_denied');
  });

  test('is given once for a time, also by two calls at once, and to ten people at most', async () => {
    const [ann, ben] = [await owner(), await nobody()];
    const answers = await Promise.all([1, 2, 3].map(() => delegate(ann, ben)));
    expect(answers.map(({ body }) => body.code ?? body.state).sort()).toEqual([
      ...['delegation_exists', 'delegation_exists', 'live'],
    ]);
    for (let n = 1; n < 10; n++) await delegated(ann, await nobody());
    expect((await delegate(ann, await nobody())).body).toMatchObject({ code: 'quota' });
  });

  test('of others is nobody else’s to see or to end, but for auditors, security and administrators', async () => {
    const [ann, ben, eve] = [await owner(), await nobody(), await owner()];
    const { id } = await delegated(ann, ben);
    refused(await end(eve.client, id), 404, 'delegation_not_found');
    refused(await end(eve.client, '0192e4a0-0000-7000-8000-000000000000'), 404, 'delegation_not_found');
    expect((await eve.client.get<{ items: object[] }>(`/v1/delegations?person=${ann.id}`)).body.items).toEqual([]);
    const carol = await known(usher, 'carol');
    const { body } = await carol.get<{ items: Delegation[] }>(`/v1/delegations?person=${ann.id}`);
    expect(body.items.map((one) => one.id)).toEqual([id]);
    refused(await end(carol, id), 403, 'policy_denied');
    expect((await end(someone(usher, ['security']), id)).body).toMatchObject({
      endReason: 'an administrator ended it',
    });
    const { id: second } = await delegated(ann, ben);
    expect((await end(ben.client, second)).body).toMatchObject({ endReason: 'the delegate gave it back' });
  });

  test('is not given through a service that only names somebody', async () => {
    const [ann, ben] = [await owner(), await nobody()];
    const portal = await newService(usher, ['actFor', 'delegateVotes', 'viewDelegations'], { actsForAnybody: true });
    const body = { delegate: ben.id, endsAt: inDays(1), reason: 'on holiday' };
    refused(await portal.for(ann.email).post('/v1/delegations', body), 403, 'policy_denied');
    expect((await portal.for(ann.email).get('/v1/delegations')).status).toBe(200);
    refused(await portal.alone.get('/v1/delegations'), 403, 'not_for_services');
    expect((await portal.for(undefined, ann.token).post('/v1/delegations', body)).status).toBe(201);
  });

  test('is the same by GraphQL', async () => {
    const [ann, ben] = [await owner(), await nobody()];
    const fields = 'id state delegatorId delegateId reason endsAt endReason';
    const input = { delegate: ben.id, endsAt: inDays(3), reason: 'on holiday' };
    const made = await ann.client.graphql<{ createDelegation: Delegation }>(
      `mutation ($input: CreateDelegation!) { createDelegation(input: $input) { ${fields} } }`,
      { input },
    );
    expect(made).toMatchObject({ data: { createDelegation: { state: 'live', delegateId: ben.id } } });
    const list = await ben.client.graphql(`{ delegations(state: live) { items { ${fields} } nextCursor } }`);
    expect(list).toMatchObject({ data: { delegations: { items: [{ delegatorId: ann.id }], nextCursor: null } } });
    const document = `mutation { endDelegation(id: "${made.data?.createDelegation.id}") { ${fields} } }`;
    const stranger = await engineer().graphql(document);
    expect(stranger.errors?.[0]?.extensions).toMatchObject({ code: 'delegation_not_found' });
    expect(await ann.client.graphql(document)).toMatchObject({ data: { endDelegation: { state: 'ended' } } });
  });
});

describe('who votes in the place of somebody else', () => {
  beforeAll(() => needing(1));

  test('finds what waits, sees what it is judged by, and votes as both', async () => {
    const [ann, ben] = [await owner(), await nobody()];
    const { id } = await ask(engineer(), orders);
    for (const path of ['', '/review'])
      refused(await ben.client.get(`/v1/requests/${id}${path}`), 404, 'request_not_found');
    await delegated(ann, ben);
    const waiting = await ben.client.get<{ items: Asked[] }>('/v1/requests?state=pending&limit=200');
    expect(waiting.body.items.map((one) => one.id)).toContain(id);
    expect((await ben.client.get(`/v1/requests/${id}/review`)).body).toMatchObject({
      inPlaceOf: [{ id: ann.id, name: ann.email }],
    });
    const { body } = await act(ben.client, id);
    expect(body).toMatchObject({
      ...{ state: 'approved', grantId: expect.any(String) },
      votes: [{ personId: ben.id, forPersonId: ann.id, forPersonName: ann.email, voidedAt: null }],
    });
    expect((await ben.client.get(`/v1/requests/${id}`)).body).toMatchObject({ state: 'approved' });
    const lines = (await auditLines(usher)).filter(({ action }) => action === 'request.approve');
    expect(lines.at(-1)).toMatchObject({
      actor_name: ben.email,
      details: { inPlaceOf: { delegator: { id: ann.id, name: ann.email }, delegate: { id: ben.id, name: ben.email } } },
    });
  });

  test('is named with who delegated where somebody asks who agreed to a session', async () => {
    const [ann, ben] = [await owner(), await nobody()];
    const { id, personId, plan } = await ask(engineer(), orders);
    await delegated(ann, ben);
    const { grantId } = (await act(ben.client, id)).body;
    await usher.database.owner.query(
      `INSERT INTO connection (id, target_id, endpoint_id, pid, backend_start, login, login_kind, person_id, grant_id, started_at, first_seen_at, last_seen_at)
       SELECT gen_random_uuid(), target_id, id, 1, now(), $2, 'person', $3, $4, now(), now(), now() FROM endpoint WHERE target_id = $1 LIMIT 1`,
      [orders.targetId, plan.login, personId, grantId],
    );
    const carol = await known(usher, 'carol');
    const approvers = [{ id: ben.id, name: ben.email, forPersonId: ann.id, forPersonName: ann.email }];
    const { body } = await carol.get<{ items: object[] }>(`/v1/connections?grant=${grantId ?? ''}`);
    expect(body.items).toMatchObject([{ approvers }]);
    const query =
      'query($grant: String) { connections(grant: $grant) { items { approvers { id name forPersonId forPersonName } } } }';
    expect(await carol.graphql(query, { grant: grantId })).toEqual({
      data: { connections: { items: [{ approvers }] } },
    });
  });

  test('may say no, too', async () => {
    const [ann, ben] = [await owner(), await nobody()];
    await delegated(ann, ben);
    const { id } = await ask(engineer(), orders);
    expect((await act(ben.client, id, 'deny')).body).toMatchObject({
      state: 'denied',
      votes: [{ forPersonId: ann.id }],
    });
  });

  test('never votes on what who delegates asked for, nor on their own', async () => {
    const [ann, ben] = [await seen(usher, ['orders-owners', 'engineers']), await seen(usher, ['engineers'])];
    await delegated(ann, ben);
    const [hers, his] = [await ask(ann.client, orders), await ask(ben.client, orders)];
    for (const verb of ['approve', 'deny']) refused(await act(ben.client, hers.id, verb), 404, 'request_not_found');
    refused(await act(ben.client, his.id), 403, 'own_request');
    refused(await act(ben.client, his.id, 'deny'), 403, 'policy_denied');
    const twin = await ask(someone(usher, ['engineers'], { email: ben.email.toUpperCase() }), orders);
    for (const verb of ['approve', 'deny'])
      expect((await act(ben.client, twin.id, verb)).status).toBeGreaterThanOrEqual(403);
    expect([await votes(hers.id), await votes(his.id), await votes(twin.id)]).toEqual([0, 0, 0]);
  });

  test('hands it on to nobody', async () => {
    const [ann, ben, eve] = [await owner(), await nobody(), await nobody()];
    await delegated(ann, ben);
    await delegated(ben, eve);
    const { id } = await ask(engineer(), orders);
    refused(await act(eve.client, id), 404, 'request_not_found');
    expect(await votes(id)).toBe(0);
  });

  test('gets nothing of who may not approve', async () => {
    const [ann, ben] = [await seen(usher, ['billing-owners']), await nobody()];
    await delegated(ann, ben);
    const { id } = await ask(engineer(), orders);
    refused(await act(ben.client, id), 404, 'request_not_found');
  });

  test('must have signed in as lately as a target asks', async () => {
    const [ann, name] = [await owner(), newName()];
    const ben = (secondsAgo: number): Client => {
      const auth_time = Math.floor(usher.clock.now().getTime() / 1_000) - secondsAgo;
      return usher.withToken(usher.standIn.oidc.signWith(claimsOf(usher, name, [], { auth_time })));
    };
    await ben(0).get('/v1/targets');
    const { id: benId } = await usher.db.client.person.findFirstOrThrow({ where: { subject: `sub-${name}` } });
    expect((await delegate(ann, { id: benId })).status).toBe(201);
    await usher.database.owner.query(`UPDATE target SET tags = '{"usher:step-up": "yes"}' WHERE id = $1`, [
      orders.targetId,
    ]);
    try {
      const { id } = await ask(
        someone(usher, ['engineers'], { auth_time: Math.floor(usher.clock.now().getTime() / 1_000) }),
        orders,
      );
      refused(await act(ben(3_600), id), 401, 'step_up_required');
      expect((await act(ben(10), id)).body).toMatchObject({ state: 'approved', votes: [{ forPersonId: ann.id }] });
    } finally {
      await usher.database.owner.query(`UPDATE target SET tags = '{}' WHERE id = $1`, [orders.targetId]);
    }
  });

  test('does so no more once it is over: by its end, by who gave it, or with either of them', async () => {
    const over: [string, (ann: Seen, ben: Seen, id: string) => Promise<unknown>][] = [
      ['ended', (ann, _, id) => end(ann.client, id)],
      ['its giver locked', (ann) => dave.post(`/v1/people/${ann.id}/lock`, { reason: 'a laptop was stolen' })],
      ['its giver removed', (ann) => dave.delete(`/v1/people/${ann.id}`)],
      [
        'its end',
        () => {
          later(usher, 8 * DAY);
          return Promise.resolve();
        },
      ],
    ];
    for (const [why, finish] of over) {
      const [ann, ben] = [await owner(), await nobody()];
      const { id: delegationId } = await delegated(ann, ben);
      await finish(ann, ben, delegationId);
      const { id } = await ask(engineer(), orders);
      expect([why, (await act(ben.client, id)).body.code]).toEqual([why, 'request_not_found']);
      const { body } = await dave.get<{ items: Delegation[] }>(`/v1/delegations?person=${ben.id}`);
      expect(body.items).toMatchObject([{ state: 'ended' }]);
    }
  });

  test.each(['lock', 'remove'])('does so no more after %s and what takes it back', async (how) => {
    const [ann, ben] = [await owner(), await nobody()];
    await delegated(ann, ben);
    const path = `/v1/people/${ben.id}`;
    await (how === 'lock' ? dave.post(`${path}/lock`, { reason: 'a laptop was stolen' }) : dave.delete(path));
    await dave.post(`${path}/${how === 'lock' ? 'unlock' : 'restore'}`);
    const { id } = await ask(engineer(), orders);
    refused(await act(ben.client, id), 404, 'request_not_found');
    const { body } = await ann.client.get<{ items: Delegation[] }>('/v1/delegations');
    expect(body.items).toMatchObject([
      { endReason: how === 'lock' ? 'the person was locked' : 'the person was removed' },
    ]);
  });

  test('votes, or finds it ended, when both come at once; nothing in between', async () => {
    for (let round = 0; round < 4; round++) {
      const [ann, ben] = [await owner(), await nobody()];
      const { id: delegationId } = await delegated(ann, ben);
      const { id } = await ask(engineer(), orders);
      const [vote, ended] = await Promise.all([act(ben.client, id), end(ann.client, delegationId)]);
      expect(ended.body).toMatchObject({ state: 'ended' });
      expect([
        ['approved', 1],
        ['request_not_found', 0],
      ]).toContainEqual([vote.body.code ?? vote.body.state, await votes(id)]);
    }
  });
});

describe('one human has one vote', () => {
  test('by whichever title', async () => {
    await needing(2);
    const [ann, amy, ben] = [await owner(), await owner(), await nobody()];
    for (const from of [ann, amy]) await delegated(from, ben);
    const { id } = await ask(engineer(), orders);
    expect((await act(ben.client, id)).body).toMatchObject({ state: 'pending', votes: [{ forPersonId: ann.id }] });
    refused(await act(ben.client, id), 409, 'already_voted');
    refused(await act(ann.client, id), 409, 'already_voted');
    expect((await dave.get(`/v1/requests/${id}/review`)).body).toMatchObject({ inPlaceOf: [] });
    expect((await act(amy.client, id)).body).toMatchObject({ state: 'approved' });
  });

  test('their own first, and then none for others', async () => {
    await needing(2);
    const [ann, ben] = [await owner(), await owner()];
    await delegated(ann, ben);
    const { id } = await ask(engineer(), orders);
    expect((await act(ben.client, id)).body).toMatchObject({ state: 'pending', votes: [{ forPersonId: null }] });
    refused(await act(ben.client, id), 409, 'already_voted');
    expect((await act(ann.client, id)).body).toMatchObject({ state: 'approved' });
  });

  test('also where who delegated has voted, by whichever account', async () => {
    await needing(2);
    const [ann, ben] = [await owner(), await nobody()];
    await delegated(ann, ben);
    const { id } = await ask(engineer(), orders);
    const twin = someone(usher, ['orders-owners'], { email: ann.email.toUpperCase() });
    expect((await act(twin, id)).body).toMatchObject({ state: 'pending' });
    refused(await act(ben.client, id), 409, 'already_voted');
    expect((await act((await owner()).client, id)).body).toMatchObject({ state: 'approved' });
  });

  test('of two delegates of one person, one counts, also at once', async () => {
    await needing(2);
    const [ann, ben, eve] = [await owner(), await nobody(), await nobody()];
    for (const to of [ben, eve]) await delegated(ann, to);
    const { id } = await ask(engineer(), orders);
    const answers = await Promise.all([ben, eve].map(({ client }) => act(client, id)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    expect([await votes(id), (await dave.get(`/v1/requests/${id}`)).body['state']]).toEqual([1, 'pending']);
  });

  test('in the stage that is theirs, or of who lets them', async () => {
    await needing(2, [
      { name: 'security', needed: 1, groups: ['sec-approvers'] },
      { name: 'data', needed: 1, groups: ['orders-owners'] },
    ]);
    const [ann, ben] = [await owner(), await seen(usher, ['sec-approvers'])];
    await delegated(ann, ben);
    const [first, second] = [await ask(engineer(), orders), await ask(engineer(), orders)];
    // his own stage is open: his own vote, and none for her in the next
    expect((await act(ben.client, first.id)).body).toMatchObject({ votes: [{ forPersonId: null }] });
    refused(await act(ben.client, first.id), 409, 'already_voted');
    // her stage is open: hers, for he has not voted yet
    await act(someone(usher, ['sec-approvers']), second.id);
    expect((await act(ben.client, second.id)).body).toMatchObject({
      state: 'approved',
      votes: [{}, { personId: ben.id, forPersonId: ann.id }],
    });
    // and out of turn for both
    const eve = await nobody();
    await delegated(ann, eve);
    const third = await ask(engineer(), orders);
    refused(await act(eve.client, third.id), 403, 'not_your_stage');
    await needing(1);
  });
});

describe('a vote that was given in the place of somebody', () => {
  const waiting = async (): Promise<[Seen, Seen, string]> => {
    await needing(2);
    const [ann, ben] = [await owner(), await nobody()];
    const { id: delegationId } = await delegated(ann, ben);
    const { id } = await ask(engineer(), orders);
    expect((await act(ben.client, id)).body).toMatchObject({ state: 'pending' });
    await end(ann.client, delegationId);
    return [ann, ben, id];
  };

  test('stays when the delegation ends', async () => {
    const [, , id] = await waiting();
    expect((await act((await owner()).client, id)).body).toMatchObject({ state: 'approved' });
  });

  test.each([0, 1])('is void for good when one of the two is locked: %i', async (which) => {
    const people = await waiting();
    const [who, id] = [people[which] as Seen, people[2]];
    await dave.post(`/v1/people/${who.id}/lock`, { reason: 'a laptop was stolen' });
    await dave.post(`/v1/people/${who.id}/unlock`);
    expect((await act((await owner()).client, id)).body).toMatchObject({
      state: 'pending',
      votes: [{ voidedAt: expect.any(String) }, { voidedAt: null }],
    });
    expect((await act((await owner()).client, id)).body).toMatchObject({ state: 'approved' });
  });
});

describe('the database', () => {
  const tell = async (text: string, values: unknown[]): Promise<unknown> =>
    usher.database.owner.query(text, values).then(
      () => 'done',
      (error: unknown) => (error as { code: string }).code,
    );

  test('changes nothing of a delegation but its end, once', async () => {
    const [ann, ben, eve] = [await owner(), await nobody(), await nobody()];
    const { id } = await delegated(ann, ben);
    const change = (what: string, ...more: unknown[]) =>
      tell(`UPDATE delegation SET ${what} WHERE id = $1`, [id, ...more]);
    expect(await change(`ends_at = ends_at + interval '1 day'`)).toBe('23514');
    expect(await change('delegate_id = $2', eve.id)).toBe('23514');
    expect(await change('ended_at = now()')).toBe('23514');
    await end(ann.client, id);
    expect(await change('ended_at = NULL, end_reason = NULL')).toBe('23514');
    expect(await tell('UPDATE delegation SET delegate_id = delegator_id WHERE id = $1', [id])).toBe('23514');
    for (const text of ['ends_at = ends_at', 'delegate_id = delegate_id', 'reason = reason'])
      await expect(usher.db.pool.query(`UPDATE delegation SET ${text}`)).rejects.toMatchObject({ code: '42501' });
    await expect(usher.db.pool.query('DELETE FROM delegation')).rejects.toMatchObject({ code: '42501' });
  });

  test('takes no vote of somebody else, by one that is over, or on what one of the two asked for', async () => {
    await needing(2);
    const [ann, ben] = [await seen(usher, ['orders-owners', 'engineers']), await nobody()];
    const { id: delegationId } = await delegated(ann, ben);
    const [{ id }, hers] = [await ask(engineer(), orders), await ask(ann.client, orders)];
    const vote = (requestId: string, personId: string) =>
      tell(
        `INSERT INTO vote (id, request_id, person_id, verdict, created_at, delegation_id)
         VALUES (gen_random_uuid(), $1, $2, 'approve', $3, $4)`,
        [requestId, personId, usher.clock.now(), delegationId],
      );
    expect(await vote(id, ann.id)).toBe('23503');
    expect(await vote(hers.id, ben.id)).toBe('23514');
    await end(ann.client, delegationId);
    expect(await vote(id, ben.id)).toBe('23514');
  });

  test('voids a vote once, and none by which something was decided', async () => {
    await needing(1);
    const [ann, asker] = [await owner(), engineer()];
    const { id } = await ask(asker, orders);
    await act(ann.client, id);
    const touch = (what: string) => tell(`UPDATE vote SET ${what} WHERE request_id = $1`, [id]);
    expect([await touch('voided_at = now()'), await touch(`verdict = 'deny'`)]).toEqual(['23514', '23514']);
    expect((await asker.post('/v1/requests/preview', askFor(orders))).status).toBe(200);
  });
});
