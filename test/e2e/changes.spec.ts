import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newService } from '../support/services.ts';
import { until } from '../support/until.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { asAdmin, asMaster, holdings, nothing } from './holdings.ts';
import {
  agreed,
  closed,
  grantOf,
  known,
  logIn,
  mint,
  opened,
  person,
  requestBody,
  setStage,
  story,
  whoAmI,
  type Grant,
  type Person,
  type Stage,
  type TargetName,
} from './stage.ts';

const MINUTE = 60_000;
// The targets keep their own time: all that this file moves the clock by must fit into the longest lease of billing, 240 minutes.

interface Asked {
  id: string;
  state: string;
  grantId: string | null;
  replacesId: string | null;
  replacedById: string | null;
  reason: string;
  plan: { groups: string[]; connectionLimit: number };
}

let usher: Usher;
let stage: Stage;

beforeAll(async () => {
  usher = await startUsher();
  stage = await setStage(usher);
});
afterAll(() => usher?.close());

const after = (from: string, minutes: number): string => new Date(Date.parse(from) + minutes * MINUTE).toISOString();
const later = (minutes: number): string => after(usher.clock.now().toISOString(), minutes);
const reconcile = (grant: Grant, target: TargetName): Promise<void> =>
  usher.reconciler.reconcile({ targetId: stage.targets[target].id, login: grant.login });

/** When the target itself will end the lease of a grant, by its own table. */
async function leaseEnd(target: TargetName, grantId: string): Promise<string | undefined> {
  const { rows } = await asAdmin(stage.standIn, target, (admin) =>
    admin.query<{ end: Date }>('SELECT ends_at AS "end" FROM usher.lease WHERE grant_id = $1 AND closed_at IS NULL', [
      grantId,
    ]),
  );
  return rows[0]?.end.toISOString();
}
const leaseEndsAt = (target: TargetName, grantId: string, end: string): Promise<true> =>
  until(`the lease ends at ${end}`, async () => (await leaseEnd(target, grantId)) === end);

async function extended(who: Person, grant: Grant, minutes: number): Promise<string> {
  const { body } = await who.post<Asked>(`/v1/grants/${grant.id}/extend`, {
    durationMinutes: minutes,
    reason: 'not done yet',
  });
  if (body.state === 'pending') {
    const agreed_ = await (await known(stage, 'bob')).post<Asked>(`/v1/requests/${body.id}/approve`);
    expect(agreed_.body).toMatchObject({ state: 'approved', grantId: grant.id });
  } else expect(body).toMatchObject({ state: 'approved', grantId: grant.id });
  return (await grantOf(who, grant.id)).endsAt;
}

async function shortened(who: Person, grant: Grant, endsAt: string): Promise<void> {
  const { body } = await who.post<Grant>(`/v1/grants/${grant.id}/shorten`, { endsAt });
  expect(body).toMatchObject({ id: grant.id, endsAt });
}

describe.each<TargetName>(['orders', 'billing'])('on %s', (target) => {
  test('an extension moves the lease, and the session lives past the end that was', async () => {
    const ada = person(stage, 'ada', ['engineers']);
    const grant = await opened(stage, ada, { target, minutes: 20 });
    const session = await logIn(stage, await mint(ada, grant.id));
    expect(await leaseEnd(target, grant.id)).toBe(grant.endsAt);
    const end = await extended(ada, grant, 15);
    expect(end).toBe(after(grant.endsAt, 15));
    await leaseEndsAt(target, grant.id, end);

    usher.clock.move(21 * MINUTE);
    await reconcile(grant, target); // as the job of the old end would
    expect(await grantOf(ada, grant.id)).toMatchObject({ state: 'active', endsAt: end, openedAt: grant.openedAt });
    expect((await session.query<{ one: number }>('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    expect(await whoAmI(stage, await mint(ada, grant.id))).toBe(grant.login);

    usher.clock.move(15 * MINUTE);
    await reconcile(grant, target);
    expect(await closed(ada, grant.id)).toMatchObject({ closeReason: 'expired' });
    expect(await holdings(stage, target, grant.login)).toEqual(nothing);
    await expect(session.query('SELECT 1')).rejects.toThrow();
  });

  test('a shorter grant is shorter on the target at once, and cut at the new end', async () => {
    const bea = person(stage, 'bea', ['engineers']);
    const grant = await opened(stage, bea, { target, minutes: 50 });
    const session = await logIn(stage, await mint(bea, grant.id));
    const end = later(5);
    await shortened(bea, grant, end);
    await leaseEndsAt(target, grant.id, end);
    await session.query('SELECT 1');
    usher.clock.move(5 * MINUTE);
    await reconcile(grant, target);
    expect(await closed(bea, grant.id)).toMatchObject({ closeReason: 'expired', endsAt: end });
    expect(await holdings(stage, target, grant.login)).toEqual(nothing);
    await expect(session.query('SELECT 1')).rejects.toThrow();
  });

  test('a grant for later, shortened and extended before it begins, opens to its last end', async () => {
    const cleo = person(stage, 'cleo', ['engineers']);
    const startsAt = later(10);
    const id = await agreed(stage, cleo, { target, minutes: 40, startsAt });
    const grant = await grantOf(cleo, id);
    await shortened(cleo, grant, after(startsAt, 10));
    const end = await extended(cleo, grant, 5);
    expect(end).toBe(after(startsAt, 15));
    expect(await leaseEnd(target, id)).toBeUndefined();
    usher.clock.move(10 * MINUTE);
    await reconcile(grant, target);
    expect(await grantOf(cleo, id, 'active')).toMatchObject({ state: 'active', endsAt: end });
    await leaseEndsAt(target, id, end);
    const actions = (await story(stage, id)).map(({ action }) => action);
    expect(actions.filter((action) => /extend|shorten/.test(action))).toEqual(['grant.shorten', 'grant.extend']);
  });
});

test('who is removed is cut off everywhere, and no token of theirs is taken', async () => {
  const dora = person(stage, 'dora', ['engineers']);
  const [one, two] = [
    await opened(stage, dora, { target: 'orders' }),
    await opened(stage, dora, { target: 'billing' }),
  ] as const;
  const sessions = [await logIn(stage, await mint(dora, one.id)), await logIn(stage, await mint(dora, two.id))];
  const dave = await known(stage, 'dave');
  const { body } = await dave.get<{ items: { id: string }[] }>(`/v1/people?search=${dora.name}`);
  expect((await dave.delete(`/v1/people/${body.items[0]?.id}`)).status).toBe(200);
  expect((await dora.post(`/v1/grants/${one.id}/tokens`, {})).body).toMatchObject({ code: 'person_removed' });
  await Promise.all([closed(dave, one.id), closed(dave, two.id)]);
  for (const target of ['orders', 'billing'] as const)
    expect(await holdings(stage, target, one.login)).toEqual(nothing);
  for (const session of sessions) await expect(session.query('SELECT 1')).rejects.toThrow();
});

test('a profile that changes under a live grant: it keeps what was agreed, and more is asked for anew', async () => {
  const emma = person(stage, 'emma', ['engineers']);
  const before = await opened(stage, emma, { target: 'orders' });
  const undo = await allowOrders(['orders_read'], 2);
  try {
    await reconcile(before, 'orders');
    expect(await grantOf(emma, before.id)).toMatchObject({ state: 'active', lastError: null });
    expect(await whoAmI(stage, await mint(emma, before.id))).toBe(before.login);
    const other = person(stage, 'emma', ['engineers']);
    const grant = await opened(stage, other, { target: 'orders' });
    expect(await limitOf(grant.login)).toBe(2);
  } finally {
    await undo();
  }
});

describe('a target that changed between the yes and the opening', () => {
  test('opens nothing; the request is asked again with the plan that is true, and then opens exactly that', async () => {
    const flo = person(stage, 'flo', ['engineers']);
    const startsAt = later(10);
    const bob = await known(stage, 'bob');
    const portal = await newService(usher, ['actFor', 'request'], { actsForAnybody: true });
    const { body: asked } = await portal
      .for(undefined, flo.token)
      .post<Asked>(
        '/v1/requests',
        requestBody(stage, { target: 'orders', minutes: 40, startsAt, reason: 'the yearly report' }),
      );
    expect(asked.plan).toMatchObject({ groups: ['orders_read'], connectionLimit: 5 });
    const { body: yes } = await bob.post<Asked>(`/v1/requests/${asked.id}/approve`);
    const grant = await grantOf(flo, yes.grantId ?? '');

    const undo = await allowOrders(['orders_read', 'orders_write'], 3);
    try {
      usher.clock.move(10 * MINUTE);
      await reconcile(grant, 'orders');
      const failed = await until('the grant has failed', async () => {
        const now = await grantOf(flo, grant.id);
        return now.state === 'failed' && now;
      });
      expect(failed).toMatchObject({ openedAt: null, lastError: expect.any(String) });
      expect(await holdings(stage, 'orders', grant.login)).toEqual(nothing);

      const replacedById = await until('the request is asked again', async () => {
        const { body } = await flo.get<Asked>(`/v1/requests/${asked.id}`);
        return body.replacedById ?? false;
      });
      const { body: again } = await bob.get<Asked>(`/v1/requests/${replacedById}`);
      expect(again).toMatchObject({
        ...{ state: 'pending', replacesId: asked.id, reason: 'the yearly report', grantId: null },
        viaServiceId: portal.id,
        plan: { groups: ['orders_read', 'orders_write'], connectionLimit: 3 },
      });
      const { body: second } = await bob.post<Asked>(`/v1/requests/${again.id}/approve`, { revision: 1 });
      await grantOf(flo, second.grantId ?? '', 'active');
      expect(await holdings(stage, 'orders', grant.login)).toEqual({
        ...{ canLogin: true, memberships: ['orders_read', 'orders_write', 'rds_iam'], sessions: 0 },
        leases: [second.grantId],
      });
      expect(await limitOf(grant.login)).toBe(3);
    } finally {
      await undo();
    }
  });

  test('and that Usher knows nothing of: nothing is asked again, and what to do is on record', async () => {
    const gus = person(stage, 'gus', ['engineers']);
    const startsAt = later(10);
    const id = await agreed(stage, gus, { target: 'orders', minutes: 40, startsAt });
    const grant = await grantOf(gus, id);
    await allow(['orders_read'], 4);
    try {
      usher.clock.move(10 * MINUTE);
      await reconcile(grant, 'orders');
      const carol = await known(stage, 'carol');
      const line = await until('it is on record', async () => {
        const { body } = await carol.get<{ items: { outcome: string; code: string; details: { advice: string } }[] }>(
          `/v1/audit/events?action=request.replace&target=${stage.targets.orders.id}&outcome=failed`,
        );
        return body.items[0];
      });
      expect(line).toMatchObject({ code: 'profile_not_allowed', details: { advice: expect.any(String) } });
      expect(await holdings(stage, 'orders', grant.login)).toEqual(nothing);
      const { body } = await gus.get<{ items: Asked[] }>('/v1/requests');
      expect(body.items.map(({ state }) => state)).toEqual(['approved']);
    } finally {
      await allow(['orders_read'], 5);
    }
  });
});

test('what needed nobody to agree is not asked for again behind the back of its person', async () => {
  const ivy = person(stage, 'ivy', ['engineers']);
  const { status, body: asked } = await ivy.post<Asked>(
    '/v1/requests',
    requestBody(stage, { target: 'billing', minutes: 20, startsAt: later(10) }),
  );
  expect([status, asked.state]).toEqual([201, 'approved']);
  const grant = await grantOf(ivy, asked.grantId ?? '');
  const set = (limit: number): Promise<unknown> =>
    asMaster(stage.standIn, 'billing', 'postgres', (master) =>
      master.query(`SELECT usher.allow('invoices-read', '{billing_read}', 240, $1)`, [limit]),
    );
  await set(2);
  try {
    usher.clock.move(10 * MINUTE);
    await reconcile(grant, 'billing');
    await until('the grant has failed', async () => (await grantOf(ivy, grant.id)).state === 'failed');
    await until('the job that asks again is done', async () => {
      const { rows } = await usher.database.owner.query<{ state: string }>(
        `SELECT state::text FROM pgboss.job WHERE name = 'ask-again' AND data->>'requestId' = $1`,
        [asked.id],
      );
      return rows.length > 0 && rows.every(({ state }) => state === 'completed');
    });
    const { body } = await ivy.get<{ items: Asked[] }>('/v1/requests');
    expect(body.items.map(({ id, replacedById }) => [id, replacedById])).toEqual([[asked.id, null]]);
    expect(await holdings(stage, 'billing', grant.login)).toEqual(nothing);
    const failure = (await story(stage, grant.id)).find(({ outcome }) => outcome === 'failed');
    expect(failure?.details['advice']).toContain('Ask again');
  } finally {
    await set(5);
  }
});

test('a target that is removed under a live session: the session dies, then the target is gone', async () => {
  const hal = person(stage, 'hal', ['engineers']);
  const grant = await opened(stage, hal, { target: 'billing' });
  const session = await logIn(stage, await mint(hal, grant.id));
  const dave = await known(stage, 'dave');
  const path = `/v1/targets/${stage.targets.billing.id}`;
  expect((await dave.delete(path)).body).toMatchObject({ removingAt: expect.any(String) });
  const last = await closed(hal, grant.id);
  expect(last).toMatchObject({ closeReason: 'the target was removed' });
  expect(await holdings(stage, 'billing', grant.login)).toEqual(nothing);
  await expect(session.query('SELECT 1')).rejects.toThrow();
  await until('the target is gone', async () => (await dave.get(path)).status === 404);
});

/** As the DBA of orders: what the profile gives there. */
const allow = (groups: string[], connectionLimit: number): Promise<unknown> =>
  asMaster(stage.standIn, 'orders', 'postgres', (master) =>
    master.query('SELECT usher.allow($1, $2, 480, $3)', ['reporting-read', groups, connectionLimit]),
  );

/** The same on both sides: by the DBA there, by dave here. @returns how to put it back */
async function allowOrders(groups: string[], connectionLimit: number): Promise<() => Promise<void>> {
  const set = async (to: string[], limit: number): Promise<void> => {
    await allow(to, limit);
    const { id, profiles } = stage.targets.orders;
    const path = `/v1/targets/${id}/profiles/${profiles['reporting-read']}`;
    const { status } = await (await known(stage, 'dave')).patch(path, { groups: to, connectionLimit: limit });
    expect(status).toBe(200);
  };
  await set(groups, connectionLimit);
  return () => set(['orders_read'], 5);
}

async function limitOf(login: string): Promise<number | undefined> {
  const { rows } = await asAdmin(stage.standIn, 'orders', (admin) =>
    admin.query<{ limit: number }>('SELECT rolconnlimit AS "limit" FROM pg_roles WHERE rolname = $1', [login]),
  );
  return rows[0]?.limit;
}
