import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, askFor, known, open, register, someone, type Asked, type Registered } from '../support/people.ts';
import { seen } from '../support/services.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

interface Locked {
  id: string;
  locked: boolean;
  lockedAt: string | null;
  lockReason: string | null;
}

let usher: Usher;
let orders: Registered;
let bob: Client;
let dave: Client;
const engineer = (): Client => someone(usher, ['engineers']);

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  orders = await register(usher, 'orders');
  [bob, dave] = [await known(usher, 'bob'), await known(usher, 'dave')];
});
afterAll(() => usher?.close());

const reason = 'a laptop was stolen';
const lock = (client: Client, id: string, why = reason) =>
  client.post<Locked>(`/v1/people/${id}/lock`, { reason: why });
const unlock = (client: Client, id: string) => client.post<Locked>(`/v1/people/${id}/unlock`);
const approve = (client: Client, id: string) => client.post<Asked>(`/v1/requests/${id}/approve`);
const recorded = async (action: string, id: string): Promise<unknown[]> => {
  const text = `SELECT actor_name, details FROM audit_event WHERE action = $1 AND subject_id = $2 AND outcome = 'success' ORDER BY id`;
  const { rows } = await usher.database.owner.query<{ details: unknown }>(text, [action, id]);
  return rows.map(({ details }) => details);
};

describe('a person who is locked', () => {
  test('has nothing any more, and may do nothing', async () => {
    const person = engineer();
    const { grantId, personId } = await open(usher, person, orders);
    const { id: pending } = await ask(person, orders);
    const { status, body } = await lock(dave, personId);
    expect([status, body]).toEqual([
      200,
      expect.objectContaining({ id: personId, locked: true, lockReason: reason, lockedAt: expect.any(String) }),
    ]);
    expect((await dave.get(`/v1/grants/${grantId}`)).body).toMatchObject({
      ...{ state: 'closing', closeReason: 'the person was locked' },
    });
    expect((await dave.get(`/v1/requests/${pending}`)).body).toMatchObject({
      ...{ state: 'cancelled', closeReason: 'the person was locked' },
    });
    expect(await recorded('person.lock', personId)).toMatchObject([{ reason, requests: 1, grants: 1 }]);
    expect((await person.post(`/v1/grants/${grantId}/tokens`, {})).body).toMatchObject({ code: 'grant_closed' });
    for (const call of [
      () => person.get('/v1/targets'),
      () => person.get(`/v1/grants/${grantId}`),
      () => person.post(`/v1/grants/${grantId}/revoke`),
      () => person.post('/v1/requests', askFor(orders)),
      () => person.post('/v1/requests/preview', askFor(orders)),
      // not even what a target does not have
      () => person.post('/v1/requests/preview', askFor(orders, { database: 'none', durationMinutes: 40_000 })),
    ])
      expect((await call()).body).toMatchObject({
        ...{ status: 403, code: 'policy_denied', advice: expect.stringContaining('locked') as string },
      });
  });

  test('is locked once, however often, and keeps the first reason', async () => {
    const { personId } = await ask(engineer(), orders);
    const answers = await Promise.all(Array.from({ length: 5 }, (_, n) => lock(dave, personId, `reason ${n}`)));
    expect(answers.map(({ status }) => status)).toEqual(Array(5).fill(200));
    expect(new Set(answers.map(({ body }) => body.lockReason)).size).toBe(1);
    expect(await recorded('person.lock', personId)).toHaveLength(1);
  });

  test('may be locked by security, and unlocked by an administrator alone; nothing comes back', async () => {
    const person = engineer();
    const { grantId, personId } = await open(usher, person, orders);
    const erin = someone(usher, ['security']);
    expect((await lock(erin, personId)).status).toBe(200);
    expect((await unlock(erin, personId)).body).toMatchObject({ status: 403, code: 'policy_denied' });
    expect((await unlock(dave, personId)).body).toMatchObject({ locked: false, lockedAt: null, lockReason: null });
    expect((await unlock(dave, personId)).status).toBe(200);
    expect(await recorded('person.unlock', personId)).toHaveLength(1);
    expect((await person.get(`/v1/grants/${grantId}`)).body).toMatchObject({ state: 'closing' });
    expect((await ask(person, orders)).personId).toBe(personId);
  });

  test('has no say any more in what waits', async () => {
    const path = `/v1/targets/${orders.targetId}/profiles/${orders.profiles['reporting-read']}`;
    await dave.patch(path, { approvalsNeeded: 2 });
    try {
      const owner = someone(usher, ['orders-owners']);
      const { personId } = await ask(owner, orders);
      const { id } = await ask(engineer(), orders);
      expect((await approve(owner, id)).body).toMatchObject({ state: 'pending' });
      await lock(dave, personId);
      expect((await approve(bob, id)).body).toMatchObject({ state: 'pending', grantId: null });
      expect(await recorded('person.lock', personId)).toMatchObject([{ votes: 1 }]);
      // nor is it given back with the rest: who may act again says so again
      await unlock(dave, personId);
      expect((await dave.get(`/v1/requests/${id}`)).body).toMatchObject({
        state: 'pending',
        votes: [{ voidedAt: expect.any(String) }, { voidedAt: null }],
      });
      expect((await approve(owner, id)).body).toMatchObject({ state: 'approved' });
    } finally {
      await dave.patch(path, { approvalsNeeded: 1 });
    }
  });

  test('cannot be given what a yes at the same moment would give', async () => {
    for (let round = 0; round < 5; round++) {
      const { id, personId } = await ask(engineer(), orders);
      const [{ body }] = await Promise.all([approve(bob, id), lock(dave, personId)]);
      const grants = await usher.database.owner.query(
        `SELECT 1 FROM access_grant WHERE person_id = $1 AND state IN ('scheduled', 'opening', 'active')`,
        [personId],
      );
      expect([body.state ?? body, grants.rowCount]).toEqual([expect.anything(), 0]);
    }
  });

  test('is not locked without a reason, nor by whom it is about', async () => {
    const { personId } = await ask(engineer(), orders);
    for (const why of ['', ' ', 'a\u0000b', 'x'.repeat(1001)])
      expect((await lock(dave, personId, why)).body).toMatchObject({ status: 400, code: 'invalid_input' });
    const erin = someone(usher, ['security', 'engineers']);
    const self = await ask(erin, orders);
    expect((await lock(erin, self.personId)).body).toMatchObject({ status: 403, code: 'policy_denied' });
    expect((await lock(dave, '0192e4a0-0000-7000-8000-000000000000')).body).toMatchObject({
      status: 404,
      code: 'person_not_found',
    });
    expect((await lock(engineer(), personId)).body).toMatchObject({ status: 403, code: 'policy_denied' });
  });
});

describe('a human by two accounts', () => {
  interface WithOthers extends Locked {
    otherAccounts: { id: string; issuer: string; locked: boolean; removedAt: string | null }[];
  }
  const show = async (id: string): Promise<WithOthers> => (await dave.get<WithOthers>(`/v1/people/${id}`)).body;

  test('is locked by both in one call, which names them, and unlocked one by one', async () => {
    const first = await seen(usher, ['engineers']);
    const second = await seen(usher, ['engineers'], { email: first.email.toUpperCase() });
    const stranger = await seen(usher, ['engineers'], { email: `x${first.email}` });
    const { grantId } = await open(usher, second.client, orders);
    const { id: pending } = await ask(second.client, orders);
    const { status, body } = await lock(dave, first.id);
    expect([status, body]).toMatchObject([
      200,
      {
        id: first.id,
        locked: true,
        otherAccounts: [{ id: second.id, issuer: usher.standIn.oidc.issuer, locked: true }],
      },
    ]);
    expect((await dave.get(`/v1/grants/${grantId}`)).body).toMatchObject({ state: 'closing' });
    expect((await dave.get(`/v1/requests/${pending}`)).body).toMatchObject({ state: 'cancelled' });
    expect((await second.client.get('/v1/targets')).body).toMatchObject({ status: 403, code: 'policy_denied' });
    expect(await recorded('person.lock', second.id)).toMatchObject([{ reason, grants: 1, accountOf: first.id }]);
    expect((await stranger.client.get('/v1/targets')).status).toBe(200);
    await unlock(dave, first.id);
    expect(await show(first.id)).toMatchObject({ locked: false, otherAccounts: [{ id: second.id, locked: true }] });
    expect((await dave.get<{ items: WithOthers[] }>(`/v1/people?search=${first.email}`)).body.items).toContainEqual(
      expect.objectContaining({
        id: second.id,
        otherAccounts: [expect.objectContaining({ id: first.id, locked: false })],
      }),
    );
  });

  test('does not come back by a third, which begins locked', async () => {
    const first = await seen(usher, ['engineers']);
    await lock(dave, first.id);
    const third = await seen(usher, ['engineers'], { email: first.email.toUpperCase() });
    expect((await third.client.get('/v1/targets')).body).toMatchObject({ status: 403, code: 'policy_denied' });
    expect(await recorded('person.lock', third.id)).toMatchObject([{ accountOf: first.id }]);
    await unlock(dave, third.id);
    expect((await third.client.get('/v1/targets')).status).toBe(200);
  });

  test('that signs in for the first time while it is locked does not slip through', async () => {
    for (let round = 0; round < 3; round++) {
      const first = await seen(usher, ['engineers']);
      const [other] = await Promise.all([
        seen(usher, ['engineers'], { email: first.email.toUpperCase() }),
        lock(dave, first.id),
      ]);
      expect(await show(other.id)).toMatchObject({ locked: true });
    }
  });

  test('is not one for an address that was not verified', async () => {
    const first = await seen(usher, ['engineers']);
    const other = await seen(usher, ['engineers'], { email: first.email, email_verified: false });
    expect((await lock(dave, first.id)).body).toMatchObject({ otherAccounts: [] });
    expect(await show(other.id)).toMatchObject({ locked: false, otherAccounts: [] });
  });

  test('is removed by one account alone, and the answer names the other', async () => {
    const first = await seen(usher, ['engineers']);
    const second = await seen(usher, ['engineers'], { email: first.email.toUpperCase() });
    const { body } = await dave.delete<WithOthers>(`/v1/people/${first.id}`);
    expect(body).toMatchObject({ otherAccounts: [{ id: second.id, locked: false, removedAt: null }] });
    expect((await second.client.get('/v1/targets')).status).toBe(200);
  });

  test('has the same words by GraphQL', async () => {
    const first = await seen(usher, ['engineers']);
    const second = await seen(usher, ['engineers'], { email: first.email.toUpperCase() });
    const document = `mutation { lockPerson(id: "${first.id}", input: { reason: "stolen" }) { otherAccounts { id locked } } }`;
    expect(await dave.graphql(document)).toMatchObject({
      data: { lockPerson: { otherAccounts: [{ id: second.id, locked: true }] } },
    });
  });
});
