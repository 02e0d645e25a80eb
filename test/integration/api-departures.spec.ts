import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RequestJobs } from '../../src/access/requests.job.js';
import {
  ask,
  askFor,
  known,
  newName,
  open,
  register,
  someone,
  type Asked,
  type Registered,
} from '../support/people.ts';
import { refuses } from '../support/refusal.ts';
import { until } from '../support/until.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

interface Person {
  id: string;
  name: string;
  login: string | null;
  userName: string;
  groups: string[];
  removedAt: string | null;
}
interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

let usher: Usher;
let orders: Registered;
let bob: Client;
let carol: Client;
let dave: Client;
const engineer = (): Client => someone(usher, ['engineers']);

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  orders = await register(usher, 'orders');
  [bob, carol, dave] = [await known(usher, 'bob'), await known(usher, 'carol'), await known(usher, 'dave')];
});
afterAll(() => usher?.close());

const remove = (client: Client, id: string) => client.delete<Person>(`/v1/people/${id}`);
const restore = (client: Client, id: string) => client.post<Person>(`/v1/people/${id}/restore`);
const approve = (client: Client, id: string) => client.post<Asked>(`/v1/requests/${id}/approve`);
const requestOf = async (id: string) => (await dave.get(`/v1/requests/${id}`)).body;
const grantOf = async (id: string) => (await dave.get(`/v1/grants/${id}`)).body;
const sweep = (): Promise<void> => usher.app.get(RequestJobs, { strict: false }).sweep();
const recorded = async (action: string, column: string, id: string): Promise<Record<string, unknown>[]> => {
  const text = `SELECT details FROM audit_event WHERE action = $1 AND ${column} = $2 AND outcome = 'success' ORDER BY id`;
  const { rows } = await usher.database.owner.query<{ details: Record<string, unknown> }>(text, [action, id]);
  return rows.map(({ details }) => details);
};
const later = (minutes: number): string => new Date(usher.clock.now().getTime() + minutes * 60_000).toISOString();

describe('a person who is removed', () => {
  test('has nothing any more: grants end, requests are cancelled, and no token of theirs is taken', async () => {
    const person = engineer();
    const { grantId, personId } = await open(usher, person, orders);
    const { id: pending } = await ask(person, orders);
    const { id: planned } = await ask(person, orders, { startsAt: later(60) });
    const { body: scheduled } = await approve(bob, planned);
    const extension = await person.post<Asked>(`/v1/grants/${grantId}/extend`, { durationMinutes: 5, reason: 'more' });

    const { status, body } = await remove(dave, personId);
    expect([status, body]).toEqual([200, expect.objectContaining({ id: personId, removedAt: expect.any(String) })]);
    expect(await grantOf(grantId)).toMatchObject({ state: 'closing', closeReason: 'the person was removed' });
    expect(await grantOf(scheduled.grantId ?? '')).toMatchObject({ state: 'closed', openedAt: null });
    for (const id of [pending, extension.body.id])
      expect(await requestOf(id)).toMatchObject({ state: 'cancelled', closeReason: 'the person was removed' });
    expect(await recorded('person.remove', 'subject_id', personId)).toMatchObject([{ requests: 2, grants: 2 }]);

    for (const call of [
      () => person.get('/v1/grants'),
      () => person.get(`/v1/grants/${grantId}`),
      () => person.post(`/v1/grants/${grantId}/tokens`, {}),
      () => person.post('/v1/requests', askFor(orders)),
      () => person.get('/metrics'),
    ])
      expect((await call()).body).toMatchObject({ status: 403, code: 'person_removed', advice: expect.any(String) });
    for (const document of ['{ grants { items { id } } }', `mutation { revokeGrant(id: "${grantId}") { id } }`]) {
      const { data, errors } = await person.graphql(document);
      expect([data, errors?.[0]?.extensions]).toEqual([
        null,
        expect.objectContaining({ code: 'person_removed', status: 403 }),
      ]);
    }
    const { rows } = await usher.database.owner.query<{ subject_id: string }>(
      `SELECT subject_id FROM audit_event WHERE code = 'person_removed' ORDER BY id DESC LIMIT 7`,
    );
    expect(rows.map(({ subject_id }) => subject_id)).toEqual(Array(7).fill(personId));
  });

  test('is removed once, however often', async () => {
    const { personId } = await ask(engineer(), orders);
    const answers = await Promise.all(Array.from({ length: 5 }, () => remove(dave, personId)));
    expect(answers.map(({ status }) => status)).toEqual(Array(5).fill(200));
    expect(new Set(answers.map(({ body }) => body.removedAt)).size).toBe(1);
    expect(await recorded('person.remove', 'subject_id', personId)).toHaveLength(1);
  });

  test('has no say any more in what waits', async () => {
    const path = `/v1/targets/${orders.targetId}/profiles/${orders.profiles['reporting-read']}`;
    await dave.patch(path, { approvalsNeeded: 2 });
    try {
      const leaving = someone(usher, ['orders-owners']);
      const { personId } = await ask(leaving, orders);
      const { id } = await ask(engineer(), orders);
      expect((await approve(leaving, id)).body).toMatchObject({ state: 'pending' });
      await remove(dave, personId);
      expect((await approve(bob, id)).body).toMatchObject({ state: 'pending', grantId: null });
      expect((await approve(someone(usher, ['orders-owners']), id)).body).toMatchObject({ state: 'approved' });
    } finally {
      await dave.patch(path, { approvalsNeeded: 1 });
    }
  });

  test('may come back, and begins anew under the old name', async () => {
    const person = engineer();
    const before = await open(usher, person, orders);
    await remove(dave, before.personId);
    expect((await person.get('/v1/targets')).status).toBe(403);
    expect((await restore(dave, before.personId)).body).toMatchObject({ removedAt: null });
    expect((await restore(dave, before.personId)).status).toBe(200);
    expect(await recorded('person.restore', 'subject_id', before.personId)).toHaveLength(1);
    expect(await grantOf(before.grantId)).toMatchObject({ state: 'closing' });
    const again = await ask(person, orders);
    expect([again.personId, again.plan.login]).toEqual([before.personId, before.plan.login]);
  });

  test('leaves the login name to nobody else', async () => {
    const name = newName('gone');
    const first = someone(usher, ['engineers'], { sub: `first-${name}` }, name);
    const { personId, plan } = await ask(first, orders);
    await remove(dave, personId);
    const second = await ask(someone(usher, ['engineers'], { sub: `second-${name}` }, name), orders);
    expect([plan.login, second.plan.login]).toEqual([name, expect.stringMatching(`^${name}_[0-9a-f]{6}$`)]);
  });

  test('is no administrator for it: nobody removes or restores themselves', async () => {
    const admin = someone(usher, ['admins']);
    await admin.get('/v1/targets');
    const { body } = await admin.get<Page<Person>>('/v1/people?limit=1');
    const [self] = body.items;
    for (const call of [remove, restore])
      expect((await call(admin, self?.id ?? '')).body).toMatchObject({
        status: 403,
        code: 'policy_denied',
        detail: expect.stringContaining('never-oneself'),
      });
  });

  test('while ten approvals of theirs are on the way: no grant that lives is left', async () => {
    const person = engineer();
    const asked = [];
    for (let n = 0; n < 5; n++) asked.push(await ask(person, orders));
    const { personId } = asked[0] as Asked;
    const [, ...answers] = await Promise.all([remove(dave, personId), ...asked.map(({ id }) => approve(bob, id))]);
    const codes = new Set(answers.map(({ status, body }) => (status === 200 ? 'ok' : String((body as never)['code']))));
    for (const code of codes) expect(['ok', 'request_not_pending', 'person_removed']).toContain(code);
    const { rows } = await usher.database.owner.query<{ state: string }>(
      `SELECT DISTINCT state::text FROM access_grant WHERE person_id = $1 UNION SELECT 'request ' || state::text FROM request WHERE person_id = $1 AND state = 'pending'`,
      [personId],
    );
    expect(rows.filter(({ state }) => state !== 'closing' && state !== 'closed')).toEqual([]);
  });

  test('is not found by who may not know', async () => {
    const nobody = '0190163d-8694-739b-aea5-966c26f8ad91';
    expect((await dave.get(`/v1/people/${nobody}`)).body).toMatchObject({ status: 404, code: 'person_not_found' });
    await refuses(usher, () => remove(dave, nobody) as never, 404, 'person_not_found');
    for (const client of [carol, bob, engineer()])
      expect((await remove(client, nobody)).body).toMatchObject({ status: 403, code: 'policy_denied' });
    expect((await dave.get('/v1/people/me')).body).toMatchObject({ status: 400, code: 'invalid_id' });
  });
});

describe('people', () => {
  test('are found by name, page by page', async () => {
    const prefix = newName('seek');
    for (const n of [1, 2, 3]) await someone(usher, ['engineers'], {}, `${prefix}x${n}`).get('/v1/targets');
    const seek = (more: string) => carol.get<Page<Person>>(`/v1/people?search=${prefix.toUpperCase()}${more}`);
    const all = (await seek('')).body.items;
    expect(all.map(({ userName }) => userName)).toEqual([3, 2, 1].map((n) => `${prefix}x${n}`));
    expect(all[0]).toMatchObject({ login: null, groups: ['engineers'], removedAt: null });
    const first = (await seek('&limit=2')).body;
    const second = (await seek(`&limit=2&cursor=${first.nextCursor}`)).body;
    expect([...first.items, ...second.items]).toEqual(all);
    expect(second.nextCursor).toBeNull();
    expect((await carol.get(`/v1/people/${all[0]?.id}`)).body).toEqual(all[0]);
    expect((await carol.get('/v1/people?limit=0')).body).toMatchObject({ status: 400, code: 'invalid_input' });
  });
});

describe('a target that is removed', () => {
  const path = (target: Registered): string => `/v1/targets/${target.targetId}`;
  let billing: Registered;
  const owner = (): Client => someone(usher, ['billing-owners']);
  beforeAll(async () => {
    billing = await register(usher, 'billing', {}, { approvalsNeeded: 1 });
  });

  test('is gone at once where nothing lives, and its name is free', async () => {
    const name = newName('t');
    const input = { ...usher.standIn.targets.orders.registration.target, name, resourceId: 'cluster-GONE' };
    const { body: target } = await dave.post<{ id: string }>('/v1/targets', input);
    expect((await dave.delete(`/v1/targets/${target.id}`)).body).toMatchObject({ removingAt: expect.any(String) });
    expect((await dave.get(`/v1/targets/${target.id}`)).status).toBe(404);
    expect(await recorded('target.delete', 'target_id', target.id)).toMatchObject([{ name }]);
    expect((await dave.post('/v1/targets', input)).status).toBe(201);
  });

  test('takes nothing new, ends what lives, and goes with the last of it', async () => {
    const holder = engineer();
    const { id, plan } = await ask(holder, billing);
    const grantId = (await approve(owner(), id)).body.grantId ?? '';
    await usher.reconciler.reconcile({ targetId: billing.targetId, login: plan.login });
    const { id: pending } = await ask(engineer(), billing);
    const { id: planned } = await ask(engineer(), billing, { startsAt: later(60) });
    const { body: scheduled } = await approve(owner(), planned);

    const { status, body } = await dave.delete(path(billing));
    const again = await dave.delete(path(billing));
    expect([status, body['removingAt']]).toEqual([200, expect.any(String)]);
    expect(again.body).toEqual(body);
    expect(await recorded('target.removing', 'target_id', billing.targetId)).toMatchObject([
      { name: 'billing', grants: 2, requests: 1 },
    ]);
    for (const call of [
      () => engineer().post('/v1/requests', askFor(billing)),
      () => engineer().post('/v1/requests/preview', askFor(billing)),
      () => approve(owner(), pending),
      () => holder.post(`/v1/grants/${grantId}/extend`, { durationMinutes: 1, reason: 'more' }),
    ])
      expect((await call()).body).toMatchObject({ status: 409, code: 'target_removing', advice: expect.any(String) });
    expect(await grantOf(grantId)).toMatchObject({ state: 'active' });

    await sweep();
    expect(await requestOf(pending)).toMatchObject({ state: 'cancelled', closeReason: 'the target was removed' });
    expect(await grantOf(scheduled.grantId ?? '')).toMatchObject({ state: 'closed', openedAt: null });
    expect(await grantOf(grantId)).toMatchObject({ state: 'closing', closeReason: 'the target was removed' });

    const { rds } = usher.standIn.targets.billing;
    await rds.stop();
    try {
      await usher.reconciler.reconcile({ targetId: billing.targetId, login: plan.login });
      await sweep();
      expect(await grantOf(grantId)).toMatchObject({ state: 'closing', lastError: expect.any(String) });
      expect((await dave.get(path(billing))).body).toEqual(body); // visibly on its way
      expect((await dave.get<Page<{ id: string }>>('/v1/targets')).body.items.map(({ id }) => id)).toContain(
        billing.targetId,
      );
    } finally {
      await rds.start();
    }
    await until('the grant is closed', async () => {
      await usher.reconciler.reconcile({ targetId: billing.targetId, login: plan.login });
      return (await grantOf(grantId))['state'] === 'closed';
    });
    await Promise.all([sweep(), sweep()]);
    expect((await dave.get(path(billing))).status).toBe(404);
    expect(await recorded('target.delete', 'target_id', billing.targetId)).toMatchObject([{ name: 'billing' }]);
    const next = await register(usher, 'billing', {}, { approvalsNeeded: 1 }); // under the same name
    expect(next.targetId).not.toBe(billing.targetId);
    billing = next;
  });

  test('while ten ask and ten agree: nothing lives on it afterwards', async () => {
    const busy = billing;
    const asked = await Promise.all(Array.from({ length: 5 }, () => ask(engineer(), busy)));
    await Promise.all([
      dave.delete(path(busy)),
      ...asked.map(({ id }) => approve(owner(), id)),
      ...asked.map(() => engineer().post('/v1/requests', askFor(busy))),
    ]);
    await sweep();
    const { rows } = await usher.database.owner.query<{ left: string }>(
      `SELECT state::text AS left FROM request WHERE target_id = $1 AND state = 'pending'
       UNION ALL SELECT state::text FROM access_grant WHERE target_id = $1 AND state NOT IN ('closing', 'closed')`,
      [busy.targetId],
    );
    expect(rows).toEqual([]);
    expect((await ask(engineer(), orders)).state).toBe('pending');
  });
});
