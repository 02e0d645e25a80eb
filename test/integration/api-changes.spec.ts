import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RequestJobs } from '../../src/access/requests.job.js';
import { asMaster } from '../e2e/holdings.ts';
import { ask, auditLines, known, open, register, someone, type Asked, type Registered } from '../support/people.ts';
import { refuses } from '../support/refusal.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

const MINUTE = 60_000;

interface Grant {
  id: string;
  state: string;
  startsAt: string;
  endsAt: string;
}
interface Extension extends Asked {
  kind: string;
  extendsId: string | null;
  approvalsNeeded: number;
  planRevision: number;
  closeReason: string | null;
  votes: { verdict: string; planRevision: number }[];
  plan: Asked['plan'] & {
    groups: string[];
    endsAt: string | null;
    statements: { call: string; parameters: { name: string; value: string }[] }[];
  };
}

let usher: Usher;
let orders: Registered;
let billing: Registered;
let bob: Client;
let dave: Client;
const engineer = (): Client => someone(usher, ['engineers']);

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  orders = await register(usher, 'orders');
  billing = await register(usher, 'billing');
  [bob, dave] = [await known(usher, 'bob'), await known(usher, 'dave')];
});
afterAll(() => usher?.close());

const why = { reason: 'not done yet' };
const extend = (client: Client, id: string, durationMinutes: number, more: object = {}) =>
  client.post<Extension>(`/v1/grants/${id}/extend`, { durationMinutes, ...why, ...more });
const approve = (client: Client, id: string, body: object = {}) =>
  client.post<Extension>(`/v1/requests/${id}/approve`, body);
const grantOf = async (id: string): Promise<Grant> => (await dave.get<Grant>(`/v1/grants/${id}`)).body;
const requestOf = async (id: string): Promise<Extension> => (await dave.get<Extension>(`/v1/requests/${id}`)).body;
const after = (from: string, minutes: number): string => new Date(Date.parse(from) + minutes * MINUTE).toISOString();
const parameter = ({ plan }: Extension, name: string): string | undefined =>
  plan.statements.find(({ call }) => call === 'open')?.parameters.find((one) => one.name === name)?.value;
const actionsOf = async (where: 'request_id' | 'grant_id', id: string): Promise<string[]> => {
  const text = `SELECT action FROM audit_event WHERE ${where} = $1 AND outcome = 'success' ORDER BY id`;
  return (await usher.database.owner.query<{ action: string }>(text, [id])).rows.map(({ action }) => action);
};
/** When reconciles of this login are due by the job engine. */
const dueOf = async (login: string): Promise<string[]> => {
  const text = `SELECT start_after AS at FROM pgboss.job WHERE name = 'reconcile' AND data->>'login' = $1 ORDER BY 1`;
  return (await usher.database.owner.query<{ at: Date }>(text, [login])).rows.map(({ at }) => at.toISOString());
};
/** What a profile of orders is in Usher; the target itself says no word in these tests. */
async function setProfile(name: string, change: Record<string, unknown>): Promise<void> {
  const sets = Object.keys(change).map((column, index) => `${column} = $${index + 2}`);
  await usher.database.owner.query(`UPDATE profile SET ${sets.join(', ')} WHERE id = $1`, [
    orders.profiles[name],
    ...Object.values(change),
  ]);
}

describe('more time', () => {
  test('is asked for with a plan, agreed to, and is the same grant to a later end', async () => {
    const holder = engineer();
    const { grantId, plan } = await open(usher, holder, orders);
    const before = await grantOf(grantId);
    const { status, body: asked } = await extend(holder, grantId, 45);
    const end = after(before.endsAt, 45);
    expect([status, asked]).toEqual([
      201,
      expect.objectContaining({ kind: 'extend', extendsId: grantId, state: 'pending', grantId: null }),
    ]);
    expect([asked.plan.endsAt, parameter(asked, 'ends_at'), parameter(asked, 'grant_id')]).toEqual([end, end, grantId]);
    expect((await grantOf(grantId)).endsAt).toBe(before.endsAt);
    expect((await holder.get<{ items: { id: string }[] }>('/v1/requests')).body.items[0]?.id).toBe(asked.id);

    const { body: agreed } = await approve(bob, asked.id);
    expect(agreed).toMatchObject({ state: 'approved', grantId });
    expect(await grantOf(grantId)).toEqual({ ...before, endsAt: end });
    expect(await dueOf(plan.login)).toContain(end);
    expect((await actionsOf('request_id', asked.id)).slice(-2)).toEqual(['request.approve', 'grant.extend']);
    const { rows } = await usher.database.owner.query<{ details: object }>(
      `SELECT details FROM audit_event WHERE action = 'grant.extend' AND grant_id = $1`,
      [grantId],
    );
    expect(rows).toMatchObject([{ details: { was: before.endsAt, now: end, state: 'active' } }]);
  });

  test('is given at once where nobody need agree, also before the beginning', async () => {
    const holder = engineer();
    const startsAt = new Date(usher.clock.now().getTime() + 60 * MINUTE).toISOString();
    const { grantId } = await ask(holder, billing, { startsAt, durationMinutes: 10 });
    const { body } = await extend(holder, grantId ?? '', 5);
    expect(body).toMatchObject({ state: 'approved', approvalsNeeded: 0, grantId });
    expect(await grantOf(grantId ?? '')).toMatchObject({ state: 'scheduled', endsAt: after(startsAt, 15) });
  });

  test('is never more than the profile gives from the beginning', async () => {
    const holder = engineer();
    const { grantId } = await open(usher, holder, orders, { durationMinutes: 400 });
    const refused = await refuses(usher, () => extend(holder, grantId, 81) as never, 422, 'invalid_duration');
    expect(refused.body['detail']).toContain('80 more');
    expect((await extend(holder, grantId, 80)).status).toBe(201);
  });

  test('is asked for once at a time', async () => {
    const holder = engineer();
    const { grantId } = await open(usher, holder, orders);
    const { body: first } = await extend(holder, grantId, 5);
    await refuses(usher, () => extend(holder, grantId, 5) as never, 409, 'extension_pending');
    await holder.post(`/v1/requests/${first.id}/cancel`);
    expect((await extend(holder, grantId, 5)).status).toBe(201);
  });

  test('asked for ten times at once is one request', async () => {
    const holder = engineer();
    const { grantId } = await open(usher, holder, orders);
    const answers = await Promise.all(Array.from({ length: 10 }, () => extend(holder, grantId, 5)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array<number>(9).fill(409)]);
    for (const { status, body } of answers)
      if (status === 409) expect(body).toMatchObject({ code: 'extension_pending' });
  });

  test('is for the holder alone', async () => {
    const { grantId } = await open(usher, engineer(), orders);
    for (const other of [bob, dave])
      expect((await extend(other, grantId, 5)).body).toMatchObject({ status: 403, code: 'not_your_grant' });
    expect((await extend(engineer(), grantId, 5)).body).toMatchObject({ status: 404, code: 'grant_not_found' });
  });

  test('is asked of policy, for the whole time', async () => {
    const sub = randomUUID();
    const { grantId } = await open(usher, someone(usher, ['engineers'], { sub }, 'walter'), orders);
    const elsewhere = someone(usher, ['visitors'], { sub }, 'walter');
    expect((await extend(elsewhere, grantId, 5)).body).toMatchObject({ status: 403, code: 'policy_denied' });
  });

  test('an owner does not agree to an own extension', async () => {
    const holder = someone(usher, ['orders-owners']);
    const { grantId } = await open(usher, holder, orders);
    const { body } = await extend(holder, grantId, 5);
    expect((await approve(holder, body.id)).body).toMatchObject({ status: 403, code: 'own_request' });
  });

  test('comes too late for what is over, and revives nothing', async () => {
    const holder = engineer();
    const { grantId, plan } = await open(usher, holder, orders);
    const { body: asked } = await extend(holder, grantId, 5);
    await holder.post(`/v1/grants/${grantId}/revoke`);
    await refuses(usher, () => extend(holder, grantId, 5) as never, 409, 'grant_closed');
    const late = await approve(bob, asked.id);
    expect(late.body).toMatchObject({ status: 409, code: 'grant_closed' });
    expect(await requestOf(asked.id)).toMatchObject({ state: 'expired', closeReason: 'the grant is over', votes: [] });
    await usher.reconciler.reconcile({ targetId: orders.targetId, login: plan.login });
    expect(await grantOf(grantId)).toMatchObject({ state: 'closed', closeReason: 'revoked' });
  });

  test('comes too late by a moment', async () => {
    const holder = engineer();
    const { grantId } = await open(usher, holder, orders);
    const { body: asked } = await extend(holder, grantId, 5);
    usher.clock.move(30 * MINUTE);
    expect((await approve(bob, asked.id)).body).toMatchObject({ status: 409, code: 'grant_closed' });
    expect(await requestOf(asked.id)).toMatchObject({ state: 'expired', closeReason: 'the grant is over' });
  });

  test('that nobody can agree to any more does not wait', async () => {
    const holder = engineer();
    const { grantId } = await open(usher, holder, orders);
    const { body: asked } = await extend(holder, grantId, 5);
    await usher.app.get(RequestJobs, { strict: false }).sweep();
    expect((await requestOf(asked.id)).state).toBe('pending');
    await holder.post(`/v1/grants/${grantId}/revoke`);
    await usher.app.get(RequestJobs, { strict: false }).sweep();
    expect(await requestOf(asked.id)).toMatchObject({ state: 'expired', closeReason: 'the grant is over' });
  });

  test.each([0, -5, 1.5, 44641, '5', null])('of %s minutes is no input', async (durationMinutes) => {
    const { grantId } = await ask(engineer(), billing);
    const answer = await dave.post(`/v1/grants/${grantId}/extend`, { durationMinutes, ...why });
    expect(answer.body).toMatchObject({ status: 400, code: 'invalid_input' });
  });
});

describe('less time', () => {
  const shorten = (client: Client, id: string, endsAt: string) =>
    client.post<Grant & { code?: string }>(`/v1/grants/${id}/shorten`, { endsAt });

  test('for the holder, and for who may end it', async () => {
    const holder = engineer();
    const { grantId, plan } = await open(usher, holder, orders);
    const { startsAt } = await grantOf(grantId);
    for (const [who, minutes] of [
      [holder, 20],
      [bob, 10],
      [someone(usher, ['security']), 5],
    ] as const) {
      const end = after(startsAt, minutes);
      expect((await shorten(who, grantId, end)).body).toMatchObject({ state: 'active', endsAt: end });
      expect(await dueOf(plan.login)).toContain(end);
    }
    expect((await shorten(engineer(), grantId, after(startsAt, 2))).body).toMatchObject({
      status: 404,
      code: 'grant_not_found',
    });
    expect((await actionsOf('grant_id', grantId)).slice(-3)).toEqual(Array(3).fill('grant.shorten'));
  });

  test('only to an end that is ahead and nearer', async () => {
    const holder = engineer();
    const { grantId } = await open(usher, holder, orders);
    const { endsAt } = await grantOf(grantId);
    const now = usher.clock.now().toISOString();
    for (const [to, advice] of [
      [after(now, -1), 'revoke'],
      [endsAt, 'extend'],
      [after(endsAt, 1), 'extend'],
    ] as const) {
      const { body } = await refuses(usher, () => shorten(holder, grantId, to) as never, 422, 'invalid_end');
      expect(body['advice']).toContain(advice);
    }
    await holder.post(`/v1/grants/${grantId}/revoke`);
    await refuses(usher, () => shorten(holder, grantId, after(now, 1)) as never, 409, 'grant_closed');
  });

  test('before it begins, but not to before it begins', async () => {
    const holder = engineer();
    const startsAt = new Date(usher.clock.now().getTime() + 60 * MINUTE).toISOString();
    const { grantId } = await ask(holder, billing, { startsAt });
    expect((await shorten(holder, grantId ?? '', after(startsAt, -1))).body).toMatchObject({ code: 'invalid_end' });
    expect((await shorten(holder, grantId ?? '', after(startsAt, 1))).body).toMatchObject({
      state: 'scheduled',
      endsAt: after(startsAt, 1),
    });
  });

  test('makes a pending extension ask again: its plan named another end', async () => {
    const holder = engineer();
    const { grantId } = await open(usher, holder, orders);
    const { body: asked } = await extend(holder, grantId, 45);
    const { startsAt } = await grantOf(grantId);
    await shorten(holder, grantId, after(startsAt, 10));
    expect((await approve(bob, asked.id)).body).toMatchObject({ status: 409, code: 'plan_changed' });
    expect((await grantOf(grantId)).endsAt).toBe(after(startsAt, 10));
    const renewed = await requestOf(asked.id);
    expect(renewed).toMatchObject({ state: 'pending', planRevision: 2, plan: { endsAt: after(startsAt, 55) } });
    await approve(bob, asked.id, { revision: 2 });
    expect((await grantOf(grantId)).endsAt).toBe(after(startsAt, 55));
  });

  test.each(['soon', null, '2026-13-01'])('to %s is no input', async (endsAt) => {
    const { grantId } = await ask(engineer(), billing);
    const answer = await dave.post(`/v1/grants/${grantId}/shorten`, { endsAt });
    expect(answer.body).toMatchObject({ status: 400, code: 'invalid_input' });
  });
});

describe('a profile that is changed while a request waits', () => {
  const profile = 'reporting-read';

  test('is shown anew, votes for the old plan do not count, and what opens is what was seen', async () => {
    await setProfile(profile, { connection_limit: 4, approvals_needed: 2 });
    const allowed = await dba(`SELECT usher.allow('${profile}', '{orders_read}', 480, 4)`);
    try {
      const asked = (await ask(engineer(), orders)) as Extension;
      expect(asked).toMatchObject({ planRevision: 1, plan: { connectionLimit: 4 } });
      const other = someone(usher, ['orders-owners']);
      expect((await approve(other, asked.id, { revision: 1 })).body).toMatchObject({
        state: 'pending',
        votes: [{ planRevision: 1 }],
      });
      await allowed.undo();
      const path = `/v1/targets/${orders.targetId}/profiles/${orders.profiles[profile]}`;
      expect((await dave.patch(path, { connectionLimit: 5 })).status).toBe(200);

      const refused = await approve(bob, asked.id, { revision: 1 });
      expect(refused.body).toMatchObject({
        status: 409,
        code: 'plan_changed',
        advice: expect.stringContaining('"revision":2'),
      });
      const renewed = await requestOf(asked.id);
      expect(renewed).toMatchObject({ state: 'pending', planRevision: 2, plan: { connectionLimit: 5 } });
      expect(parameter(renewed, 'connection_limit')).toBe('5');
      expect(await actionsOf('request_id', asked.id)).toContain('request.replan');
      expect((await approve(bob, asked.id, { revision: 1 })).body).toMatchObject({ code: 'plan_changed' });

      expect((await approve(bob, asked.id, { revision: 2 })).body).toMatchObject({ state: 'pending', grantId: null });
      const { body: agreed } = await approve(other, asked.id); // may vote again, for what stands there now
      expect(agreed).toMatchObject({ state: 'approved' });
      expect(agreed.votes.map(({ planRevision }) => planRevision)).toEqual([1, 2, 2]);
      const { rows } = await usher.database.owner.query<object>(
        'SELECT groups, connection_limit FROM access_grant WHERE id = $1',
        [agreed.grantId],
      );
      expect(rows).toEqual([{ groups: ['orders_read'], connection_limit: 5 }]);
    } finally {
      await allowed.undo();
      await setProfile(profile, { connection_limit: 5, approvals_needed: 1 });
    }
  });

  test('ten who agree at once to the old plan renew it once', async () => {
    const asked = (await ask(engineer(), orders)) as Extension;
    await outdate(asked.id);
    const owners = Array.from({ length: 10 }, () => someone(usher, ['orders-owners']));
    const answers = await Promise.all(owners.map((one) => approve(one, asked.id, { revision: 1 })));
    expect(answers.map(({ body }) => (body as { code?: string }).code)).toEqual(Array(10).fill('plan_changed'));
    expect(await requestOf(asked.id)).toMatchObject({ state: 'pending', planRevision: 2, votes: [] });
  });

  test('is no answer that is kept: the same key agrees to the plan once it is true', async () => {
    const asked = (await ask(engineer(), orders)) as Extension;
    await outdate(asked.id);
    const again = () =>
      bob.post<Extension>(`/v1/requests/${asked.id}/approve`, {}, { 'idempotency-key': `again-${asked.id}` });
    expect((await again()).body).toMatchObject({ status: 409, code: 'plan_changed' });
    const agreed = await again();
    expect(agreed.body).toMatchObject({ id: asked.id, state: 'approved', votes: [{ planRevision: 2 }] });
    expect((await again()).body).toEqual(agreed.body);
  });

  test('keeps its plan when the target cannot be asked for a new one', async () => {
    const asked = (await ask(engineer(), orders)) as Extension;
    await setProfile(profile, { connection_limit: 3 }); // as no PATCH would leave it: the target says 5
    try {
      expect((await approve(bob, asked.id)).body).toMatchObject({ status: 422, code: 'profile_not_allowed' });
      expect(await requestOf(asked.id)).toMatchObject({ state: 'pending', planRevision: 1 });
    } finally {
      await setProfile(profile, { connection_limit: 5 });
    }
    expect((await approve(bob, asked.id)).body).toMatchObject({ state: 'approved' });
  });

  test('to a shorter time than was asked for: nobody agrees to it', async () => {
    const asked = await ask(engineer(), orders, { durationMinutes: 60 });
    const { grantId } = await open(usher, engineer(), orders);
    await setProfile(profile, { max_minutes: 40 });
    try {
      await refuses(usher, () => approve(bob, asked.id) as never, 422, 'invalid_duration');
      expect((await grantOf(grantId)).state).toBe('active');
    } finally {
      await setProfile(profile, { max_minutes: 480 });
    }
  });

  test('a revision that never was', async () => {
    const { id } = await ask(engineer(), orders);
    expect((await approve(bob, id, { revision: 7 })).body).toMatchObject({ status: 409, code: 'plan_changed' });
    for (const revision of [0, 1.5, 'one'])
      expect((await approve(bob, id, { revision })).body).toMatchObject({ status: 400, code: 'invalid_input' });
    expect((await approve(bob, id, { revision: 1 })).body).toMatchObject({ state: 'approved' });
  });
});

test('a live grant does not keep its profile from being changed, and keeps what was agreed', async () => {
  const holder = engineer();
  const { grantId } = await open(usher, holder, orders);
  const allowed = await dba(`SELECT usher.allow('reporting-read', '{orders_read}', 480, 2)`);
  const path = `/v1/targets/${orders.targetId}/profiles/${orders.profiles['reporting-read']}`;
  try {
    expect((await dave.patch(path, { connectionLimit: 2 })).status).toBe(200);
    const { rows } = await usher.database.owner.query<object>(
      'SELECT connection_limit, state FROM access_grant WHERE id = $1',
      [grantId],
    );
    expect(rows).toEqual([{ connection_limit: 5, state: 'active' }]);
    // more time would open what the target allows no more
    expect((await extend(holder, grantId, 5)).body).toMatchObject({
      ...{ status: 422, code: 'profile_not_allowed', advice: expect.stringContaining('ask for access anew') },
    });
  } finally {
    await allowed.undo();
    expect((await dave.patch(path, { connectionLimit: 5 })).status).toBe(200);
  }
});

test('who is locked is given nothing that waited', async () => {
  const asked = await ask(engineer(), orders);
  await usher.database.owner.query('UPDATE person SET locked = true WHERE id = $1', [asked.personId]);
  await refuses(usher, () => approve(bob, asked.id) as never, 409, 'person_locked');
  await usher.database.owner.query('UPDATE person SET locked = false WHERE id = $1', [asked.personId]);
  expect((await approve(bob, asked.id)).body).toMatchObject({ state: 'approved' });
});

test('every change of mind stands in the record once', async () => {
  const names = ['grant.extend', 'grant.shorten', 'request.replan', 'request.expire'];
  const lines = (await auditLines(usher)).filter(({ action }) => names.includes(action));
  expect(new Set(lines.map(({ action }) => action))).toEqual(new Set(names));
});

/** Makes the plan of a waiting request differ from what would be done now: behind the rule that it is another revision then. */
async function outdate(id: string): Promise<void> {
  await usher.database.owner.query(
    `BEGIN;
     ALTER TABLE request DISABLE TRIGGER request_promise;
     UPDATE request SET plan = jsonb_set(plan, '{statements}', '[]') WHERE id = '${id}';
     ALTER TABLE request ENABLE TRIGGER request_promise;
     COMMIT`,
  );
}

/** As the DBA of orders; undone with the allow-list that the stand-in began with. */
async function dba(sql: string): Promise<{ undo(): Promise<void> }> {
  const run = (text: string) => asMaster(usher.standIn, 'orders', 'postgres', (master) => master.query(text));
  await run(sql);
  return {
    undo: async () => {
      await run(`SELECT usher.allow('reporting-read', '{orders_read}', 480, 5)`);
    },
  };
}
