import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, known, open, register, rowCounts, someone, type Asked, type Registered } from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

let usher: Usher;
let orders: Registered;
let production: Registered;
let dave: Client;
beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  orders = await register(usher, 'orders');
  production = await register(usher, 'billing', { environment: 'prod' }, { approvalsNeeded: 1 });
  dave = await known(usher, 'dave');
});
afterAll(() => usher?.close());

interface Edited extends Asked {
  planRevision: number;
  approvalsNeeded: number;
  reason: string;
  editedAt: string | null;
  code?: string;
}
const engineer = (): Client => someone(usher, ['engineers']);
const owner = (): Client => someone(usher, ['orders-owners']);
const edit = (client: Client, id: string, body: unknown, headers?: Record<string, string>) =>
  client.patch<Edited>(`/v1/requests/${id}`, body, headers);
const approve = (client: Client, id: string, body: unknown = {}) =>
  client.post<Edited>(`/v1/requests/${id}/approve`, body);
const inMinutes = (minutes: number): string => new Date(usher.clock.now().getTime() + minutes * 60_000).toISOString();
const profile = ({ targetId, profiles }: Registered): string =>
  `/v1/targets/${targetId}/profiles/${profiles['reporting-read']}`;

describe('a change of mind', () => {
  test('is shown anew, and whoever agreed must look again', async () => {
    await dave.patch(profile(orders), { approvalsNeeded: 2 });
    try {
      const asker = engineer();
      const { id } = await ask(asker, orders);
      const bob = owner();
      await approve(bob, id);
      const startsAt = inMinutes(60);
      const change = { reason: 'a longer look', ticket: 'OPS-7', durationMinutes: 45, startsAt };
      const { status, body } = await edit(asker, id, change);
      expect([status, body]).toEqual([200, expect.objectContaining({ ...change, state: 'pending', planRevision: 2 })]);
      expect(body.editedAt).toEqual(expect.any(String));
      expect((await approve(owner(), id, { revision: 2 })).body).toMatchObject({ state: 'pending' });
      expect((await approve(bob, id, { revision: 2 })).body).toMatchObject({ state: 'approved' });
      const { rows } = await usher.database.owner.query<{ starts_at: Date; ends_at: Date }>(
        'SELECT starts_at, ends_at FROM access_grant WHERE request_id = $1',
        [id],
      );
      expect(rows.map((row) => [row.starts_at.toISOString(), row.ends_at.toISOString()])).toEqual([
        [startsAt, new Date(new Date(startsAt).getTime() + 45 * 60_000).toISOString()],
      ]);
    } finally {
      await dave.patch(profile(orders), { approvalsNeeded: 1 });
    }
  });

  test('is on record: what was changed, and how many yeses it cost', async () => {
    await dave.patch(profile(orders), { approvalsNeeded: 2 });
    const asker = engineer();
    const { id } = await ask(asker, orders);
    await approve(owner(), id);
    await dave.patch(profile(orders), { approvalsNeeded: 1 });
    expect((await edit(asker, id, { durationMinutes: 10 })).body).toMatchObject({ approvalsNeeded: 1 });
    const { rows } = await usher.database.owner.query<{ details: object }>(
      `SELECT details FROM audit_event WHERE request_id = $1 AND action = 'request.edit'`,
      [id],
    );
    expect(rows.map(({ details }) => details)).toMatchObject([
      {
        changed: { durationMinutes: { from: 30, to: 10 } },
        ...{ revision: 2, approvalsNeeded: 1, voided: 1, policies: ['engineers-read'] },
      },
    ]);
  });

  test('does not win against who says yes: a yes to what was changed names what it is for', async () => {
    const asker = engineer();
    const { id } = await ask(asker, orders);
    await edit(asker, id, { durationMinutes: 60 });
    for (const body of [{}, { revision: 1 }])
      expect((await approve(owner(), id, body)).body).toMatchObject({
        status: 409,
        code: 'plan_changed',
        advice: expect.stringContaining('"revision":2'),
      });
    expect((await approve(owner(), id, { revision: 2 })).body).toMatchObject({
      state: 'approved',
      durationMinutes: 60,
    });
  });

  test('takes the stages that the profile has by now', async () => {
    const asker = engineer();
    const { id } = await ask(asker, orders);
    const stages = [{ name: 'security', needed: 1, groups: ['sec-approvers'] }];
    await dave.patch(profile(orders), { approvalStages: stages });
    try {
      expect((await edit(asker, id, { reason: 'another' })).body).toMatchObject({ stages });
      expect((await approve(owner(), id, { revision: 2 })).body).toMatchObject({ code: 'not_your_stage' });
    } finally {
      await dave.patch(profile(orders), { approvalStages: [] });
    }
    expect((await approve(someone(usher, ['sec-approvers']), id, { revision: 2 })).status).toBe(200);
  });

  test('that needs nobody’s yes opens at once', async () => {
    const asker = engineer();
    const { id } = await ask(asker, orders);
    await dave.patch(profile(orders), { approvalsNeeded: 0 });
    try {
      expect((await edit(asker, id, { durationMinutes: 5 })).body).toMatchObject({
        state: 'approved',
        grantId: expect.any(String),
        policies: ['engineers-read', 'no-approval-needed'],
      });
    } finally {
      await dave.patch(profile(orders), { approvalsNeeded: 1 });
    }
  });

  test('made twice by one call is made once', async () => {
    const asker = engineer();
    const { id } = await ask(asker, orders);
    const key = { 'Idempotency-Key': randomUUID() };
    const [first, again] = [await edit(asker, id, { reason: 'b' }, key), await edit(asker, id, { reason: 'b' }, key)];
    expect(again.body).toEqual(first.body);
    expect((await asker.get(`/v1/requests/${id}`)).body).toMatchObject({ planRevision: 2 });
  });
});

describe('is refused', () => {
  test.each<[string, object, number, string]>([
    ['to nothing', {}, 422, 'invalid_input'],
    ['to no reason', { reason: ' ' }, 400, 'invalid_input'],
    ['to no time', { durationMinutes: 0 }, 400, 'invalid_input'],
    ['to more than the profile gives', { durationMinutes: 44_640 }, 422, 'invalid_duration'],
    ['to a beginning that has passed', { startsAt: '2020-01-01T00:00:00Z' }, 422, 'invalid_start'],
    ['to a beginning far away', { startsAt: '2199-01-01T00:00:00Z' }, 422, 'invalid_start'],
    ['to another target', { targetId: randomUUID() }, 400, 'invalid_input'],
    ['to another profile', { profileId: randomUUID() }, 400, 'invalid_input'],
    ['to another person', { personId: randomUUID() }, 400, 'invalid_input'],
  ])('%s', async (_, change, status, code) => {
    const asker = engineer();
    const { id } = await ask(asker, orders);
    const [before, counts] = [await asker.get(`/v1/requests/${id}`), await rowCounts(usher)];
    const expected = code === 'invalid_input' ? 400 : status;
    expect((await edit(asker, id, change)).body).toMatchObject({ status: expected, code, detail: expect.any(String) });
    expect((await asker.get(`/v1/requests/${id}`)).body).toEqual(before.body);
    expect(await rowCounts(usher)).toEqual(counts);
  });

  test('to others, whoever they are', async () => {
    const { id } = await ask(engineer(), orders);
    for (const client of [owner(), dave])
      expect((await edit(client, id, { reason: 'x' })).body).toMatchObject({ status: 403, code: 'policy_denied' });
    expect((await edit(engineer(), id, { reason: 'x' })).body).toMatchObject({
      status: 404,
      code: 'request_not_found',
    });
    expect((await dave.get(`/v1/requests/${id}`)).body).toMatchObject({ planRevision: 1, editedAt: null });
  });

  test('where it is for more time of a grant', async () => {
    const asker = engineer();
    const { grantId } = await open(usher, asker, orders);
    const { status, body } = await asker.post<Asked>(`/v1/grants/${grantId}/extend`, {
      durationMinutes: 5,
      reason: 'more',
    });
    expect([status, body]).toEqual([201, expect.objectContaining({ state: 'pending' })]);
    expect((await edit(asker, body.id, { durationMinutes: 50 })).body).toMatchObject({
      code: 'invalid_input',
      advice: expect.stringContaining('cancel'),
    });
  });

  test('once it is decided, and once its time is over', async () => {
    const asker = engineer();
    const { id } = await open(usher, asker, orders);
    expect((await edit(asker, id, { reason: 'x' })).body).toMatchObject({ status: 409, code: 'request_not_pending' });
    const late = engineer();
    const { id: waiting } = await ask(late, orders);
    usher.clock.move(24 * 3_600_000 + 1_000);
    expect((await edit(late, waiting, { reason: 'x' })).body).toMatchObject({
      code: 'request_not_pending',
      detail: expect.stringContaining('expired'),
    });
  });

  test('by policy, like a new request: what it may no longer ask for', async () => {
    const asker = engineer();
    const { id } = await ask(asker, production, { ticket: 'OPS-1' });
    await dave.patch(`/v1/targets/${production.targetId}`, { enabled: false });
    expect((await edit(asker, id, { reason: 'x' })).body).toMatchObject({
      status: 403,
      code: 'policy_denied',
      advice: expect.stringContaining('disabled'),
    });
    await dave.patch(`/v1/targets/${production.targetId}`, { enabled: true });
    // what was asked with a ticket keeps it
    expect((await edit(asker, id, { reason: 'x' })).body).toMatchObject({ ticket: 'OPS-1', planRevision: 2 });
  });
});

test('GraphQL has it, too', async () => {
  const asker = engineer();
  const { id } = await ask(asker, orders);
  const document = (client: Client) =>
    client.graphql<{ editRequest: Edited }>(
      `mutation { editRequest(id: "${id}", input: { durationMinutes: 20 }) { durationMinutes planRevision editedAt } }`,
    );
  expect((await document(owner())).errors?.[0]?.extensions).toMatchObject({ code: 'policy_denied' });
  expect((await document(asker)).data?.editRequest).toMatchObject({ durationMinutes: 20, planRevision: 2 });
});
