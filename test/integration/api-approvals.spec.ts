import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lapses } from '../../src/access/lapses.js';
import { systemActor } from '../../src/platform/actor.js';
import {
  ask,
  askFor,
  auditLines,
  known,
  open,
  register,
  someone,
  type Asked,
  type Registered,
} from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

let usher: Usher;
let orders: Registered;
let billing: Registered;
let bob: Client;
let dave: Client;
const owner = (): Client => someone(usher, ['orders-owners']);
const engineer = (): Client => someone(usher, ['engineers']);

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  orders = await register(usher, 'orders');
  billing = await register(usher, 'billing');
  bob = await known(usher, 'bob');
  dave = await known(usher, 'dave');
});
afterAll(() => usher?.close());

const act = (client: Client, id: string, verb: string, body: unknown = {}) =>
  client.post<Asked & { code?: string }>(`/v1/requests/${id}/${verb}`, body);
const stateOf = async (id: string): Promise<unknown> => (await dave.get(`/v1/requests/${id}`)).body['state'];
const grantsOf = async (requestId: string): Promise<number> =>
  (await usher.database.owner.query('SELECT 1 FROM access_grant WHERE request_id = $1', [requestId])).rowCount ?? 0;
async function withApprovals<T>(count: number, work: () => Promise<T>): Promise<T> {
  const path = `/v1/targets/${orders.targetId}/profiles/${orders.profiles['reporting-read']}`;
  expect((await dave.patch(path, { approvalsNeeded: count })).status).toBe(200);
  try {
    return await work();
  } finally {
    await dave.patch(path, { approvalsNeeded: 1 });
  }
}

describe('deciding', () => {
  test('an owner cannot agree to an own request, but another can', async () => {
    const asker = owner();
    const { id } = await ask(asker, orders);
    expect((await act(asker, id, 'approve')).body).toMatchObject({
      status: 403,
      code: 'own_request',
      advice: expect.any(String),
    });
    expect(await stateOf(id)).toBe('pending');
    const { body } = await act(bob, id, 'approve', { comment: 'fine with me' });
    expect(body).toMatchObject({ state: 'approved', votes: [{ verdict: 'approve', comment: 'fine with me' }] });
    expect(await grantsOf(id)).toBe(1);
  });

  test('two must agree, and nobody counts twice', async () => {
    await withApprovals(2, async () => {
      const { id } = await ask(engineer(), orders);
      const first = owner();
      expect((await act(first, id, 'approve')).body).toMatchObject({
        state: 'pending',
        grantId: null,
        approvalsNeeded: 2,
      });
      expect((await act(first, id, 'approve')).body).toMatchObject({ status: 409, code: 'already_voted' });
      expect((await act(first, id, 'deny')).body).toMatchObject({ status: 409, code: 'already_voted' });
      expect([await stateOf(id), await grantsOf(id)]).toEqual(['pending', 0]);
      expect((await act(bob, id, 'approve')).body).toMatchObject({ state: 'approved' });
      expect(await grantsOf(id)).toBe(1);
    });
  });

  test('one no is enough, also after a yes', async () => {
    await withApprovals(2, async () => {
      const { id } = await ask(engineer(), orders);
      await act(owner(), id, 'approve');
      expect((await act(bob, id, 'deny', { comment: 'not today' })).body).toMatchObject({
        state: 'denied',
        grantId: null,
      });
      expect((await act(owner(), id, 'approve')).body).toMatchObject({ status: 409, code: 'request_not_pending' });
      expect(await grantsOf(id)).toBe(0);
    });
  });

  test('only the requester takes a request back', async () => {
    const asker = engineer();
    const { id } = await ask(asker, orders);
    for (const other of [bob, dave])
      expect((await act(other, id, 'cancel')).body).toMatchObject({ status: 403, code: 'policy_denied' });
    expect((await act(engineer(), id, 'cancel')).body).toMatchObject({ status: 404, code: 'request_not_found' });
    expect((await act(asker, id, 'cancel')).body).toMatchObject({ state: 'cancelled' });
    expect((await act(bob, id, 'approve')).body).toMatchObject({ status: 409, code: 'request_not_pending' });
    expect((await act(asker, id, 'cancel')).body).toMatchObject({ status: 409, code: 'request_not_pending' });
    expect(await grantsOf(id)).toBe(0);
  });

  test('who owns another target has no say, and does not learn how it stands', async () => {
    const { id } = await ask(engineer(), orders);
    const stranger = someone(usher, ['billing-owners']);
    for (const verb of ['approve', 'deny', 'cancel'])
      expect((await act(stranger, id, verb)).body).toMatchObject({ status: 404, code: 'request_not_found' });
    await act(bob, id, 'approve');
    for (const verb of ['approve', 'deny', 'cancel'])
      expect((await act(stranger, id, verb)).body).toMatchObject({ status: 404, code: 'request_not_found' });
    expect((await stranger.get(`/v1/requests/${id}`)).body).toMatchObject({ code: 'request_not_found' });
  });

  test('an id that was guessed is answered as one of nothing, and the attempt is on record', async () => {
    const { id, grantId } = await open(usher, engineer(), orders);
    const nothing = '0190163d-8694-739b-aea5-966c26f8ad91';
    const stranger = engineer();
    const calls: [path: (id: string) => string, one: string, body?: object][] = [
      ...['approve', 'deny', 'cancel'].map((verb): [(one: string) => string, string] => [
        (one) => `/v1/requests/${one}/${verb}`,
        id,
      ]),
      [(one) => `/v1/grants/${one}/revoke`, grantId],
      [(one) => `/v1/grants/${one}/shorten`, grantId, { endsAt: new Date(usher.clock.now().getTime() + 60_000) }],
      [(one) => `/v1/grants/${one}/extend`, grantId, { durationMinutes: 5, reason: 'more' }],
      [(one) => `/v1/grants/${one}/tokens`, grantId, {}],
      [(one) => `/v1/grants/${one}/passwords`, grantId, {}],
      [(one) => `/v1/grants/${one}/diagnose`, grantId, {}],
    ];
    for (const [path, one, body] of calls) {
      const [there, nowhere] = [await stranger.post(path(one), body), await stranger.post(path(nothing), body)];
      expect({ ...(there.body as object), correlationId: 0 }).toEqual({
        ...(nowhere.body as object),
        correlationId: 0,
      });
      expect(there.status).toBe(404);
      const { correlationId } = there.body as { correlationId: string };
      const { rows } = await usher.database.owner.query(
        `SELECT action, outcome FROM audit_event WHERE correlation_id = $1 AND (grant_id = $2 OR request_id = $2)`,
        [correlationId, one],
      );
      expect([path(one), rows]).toEqual([path(one), [{ action: 'access.refused', outcome: 'refused' }]]);
    }
  });

  test('ten agree at the same moment: one grant', async () => {
    const { id } = await ask(engineer(), orders);
    const answers = await Promise.all(Array.from({ length: 10 }, () => act(owner(), id, 'approve')));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(9).fill(409)]);
    expect(answers.filter(({ status }) => status === 409).map(({ body }) => body.code)).toEqual(
      Array(9).fill('request_not_pending'),
    );
    expect(await grantsOf(id)).toBe(1);
    const { rows } = await usher.database.owner.query<{ action: string }>(
      'SELECT action FROM audit_event WHERE request_id = $1 AND outcome = $2 ORDER BY id',
      [id, 'success'],
    );
    expect(rows.map(({ action }) => action)).toEqual(['request.create', 'request.approve', 'grant.create']);
  });

  test('one yes and one no at the same moment: one of them', async () => {
    const { id } = await ask(engineer(), orders);
    const answers = await Promise.all([act(bob, id, 'approve'), act(owner(), id, 'deny')]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    expect(await grantsOf(id)).toBe((await stateOf(id)) === 'approved' ? 1 : 0);
  });

  test('a target that was disabled meanwhile opens nothing', async () => {
    const { id } = await ask(engineer(), orders);
    const asker = engineer();
    await dave.patch(`/v1/targets/${orders.targetId}`, { enabled: false });
    try {
      expect((await asker.post('/v1/requests', askFor(orders))).body).toMatchObject({
        status: 403,
        code: 'policy_denied',
      });
      expect((await act(bob, id, 'approve')).body).toMatchObject({
        status: 403,
        code: 'policy_denied',
        advice: expect.stringContaining('disabled'),
      });
      expect(await grantsOf(id)).toBe(0);
    } finally {
      await dave.patch(`/v1/targets/${orders.targetId}`, { enabled: true });
    }
    expect((await act(bob, id, 'approve')).body).toMatchObject({ state: 'approved' });
  });
});

test('policy lets a profile without approvals open at once', async () => {
  const { id, grantId, state } = await ask(engineer(), billing);
  expect(state).toBe('approved');
  expect((await dave.get(`/v1/grants/${grantId}`)).body).toMatchObject({ requestId: id, state: 'opening' });
  expect((await dave.get(`/v1/requests/${id}`)).body).toMatchObject({
    approvalsNeeded: 0,
    votes: [],
    policies: expect.arrayContaining(['no-approval-needed']),
  });
});

test('access that begins later: scheduled, no token, and over at once when it is revoked', async () => {
  const asker = engineer();
  const startsAt = new Date(usher.clock.now().getTime() + 3_600_000);
  const { id } = await ask(asker, orders, { startsAt, durationMinutes: 60 });
  const { body } = await act(bob, id, 'approve');
  const path = `/v1/grants/${body.grantId}`;
  const endsAt = new Date(startsAt.getTime() + 3_600_000).toISOString();
  expect((await asker.get(path)).body).toMatchObject({ state: 'scheduled', startsAt: startsAt.toISOString(), endsAt });
  expect((await asker.post(`${path}/tokens`, {})).body).toMatchObject({ status: 409, code: 'grant_not_started' });
  await usher.reconciler.reconcile({ targetId: orders.targetId, login: body.plan.login });
  expect((await asker.get(path)).body).toMatchObject({ state: 'scheduled' });
  expect((await asker.post(`${path}/revoke`)).body).toMatchObject({
    state: 'closed',
    openedAt: null,
    closeReason: 'revoked',
  });
  expect((await asker.post(`${path}/revoke`)).body).toMatchObject({ status: 409, code: 'grant_closed' });
  expect((await asker.post(`${path}/tokens`, {})).body).toMatchObject({ status: 409, code: 'grant_closed' });
});

test('access that was scheduled opens when its time comes, and not for others', async () => {
  const asker = engineer();
  const startsAt = new Date(usher.clock.now().getTime() + 600_000);
  const { id } = await ask(asker, orders, { startsAt });
  const { body } = await act(bob, id, 'approve');
  usher.clock.move(600_000);
  await usher.reconciler.reconcile({ targetId: orders.targetId, login: body.plan.login });
  expect((await asker.get(`/v1/grants/${body.grantId}`)).body).toMatchObject({
    state: 'active',
    startsAt: startsAt.toISOString(),
  });
  expect((await bob.post(`/v1/grants/${body.grantId}/tokens`, {})).body).toMatchObject({
    status: 403,
    code: 'not_your_grant',
  });
});

test('a profile that is in use is not withdrawn', async () => {
  const path = `/v1/targets/${orders.targetId}`;
  const profile = `${path}/profiles/${orders.profiles['reporting-read']}`;
  const { id } = await ask(engineer(), orders);
  expect((await dave.delete(profile)).body).toMatchObject({ status: 409, code: 'profile_in_use' });
  expect((await bob.post(`/v1/requests/${id}/deny`)).body).toMatchObject({ state: 'denied' }); // also without a body
  const { rows } = await usher.database.owner.query<{ id: string }>(
    `SELECT id FROM access_grant WHERE target_id = $1 AND state NOT IN ('closed', 'failed')`,
    [orders.targetId],
  );
  expect(rows.length).toBeGreaterThan(0);
  expect((await dave.delete(profile)).body).toMatchObject({ status: 409, code: 'profile_in_use' });
  const unused = await dave.delete(`${path}/profiles/${orders.profiles['orders-write']}`);
  expect(unused.status).toBe(200);
  expect((await dave.get<{ name: string }[]>(`${path}/profiles`)).body.map(({ name }) => name)).toEqual([
    'reporting-read',
  ]);
});

test('an answer that never comes: the request expires, and not a moment before', async () => {
  const { id } = await ask(engineer(), orders);
  const { id: answered } = await open(usher, engineer(), orders, { durationMinutes: 480 });
  const requests = usher.app.get(Lapses, { strict: false });
  const job = systemActor('expire-requests', randomUUID());
  await requests.expire(job, id);
  expect(await stateOf(id)).toBe('pending');
  usher.clock.move(24 * 3_600_000 + 1_000);
  expect((await act(bob, id, 'approve')).body).toMatchObject({
    status: 409,
    code: 'request_not_pending',
    detail: expect.stringContaining('expired'),
  });
  await requests.expire(job, id);
  await requests.expire(job, id);
  await requests.expire(job, answered);
  expect([await stateOf(id), await stateOf(answered), await grantsOf(id)]).toEqual(['expired', 'approved', 0]);
  expect((await auditLines(usher, job.correlationId)).map(({ action }) => action)).toEqual(['request.expire']);
  expect((await dave.get(`/v1/requests/${id}`)).body).toMatchObject({ closeReason: 'nobody answered in time' });
});
