import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GrantJobs } from '../../src/grants/grants.job.ts';
import { holdGuard } from '../support/held.ts';
import { until } from '../support/until.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { holdings, nothing } from './holdings.ts';
import {
  agreed,
  closed,
  grantOf,
  known,
  logIn,
  mint,
  opened,
  person,
  setStage,
  story,
  type Grant,
  type Stage,
} from './stage.ts';

const MINUTE = 60_000;

let usher: Usher;
let stage: Stage;

beforeAll(async () => {
  usher = await startUsher();
  stage = await setStage(usher);
});
afterAll(() => usher?.close());

const reconcile = (grant: Grant, target: 'orders' | 'billing'): Promise<void> =>
  usher.reconciler.reconcile({ targetId: stage.targets[target].id, login: grant.login });

/** Times at which reconciles of this login begin, by the job engine. */
async function jobTimes(login: string): Promise<string[]> {
  const { rows } = await usher.database.owner.query<{ at: Date }>(
    `SELECT start_after AS at FROM pgboss.job WHERE name = 'reconcile' AND data->>'login' = $1 ORDER BY 1`,
    [login],
  );
  return rows.map(({ at }) => at.toISOString());
}

async function metric(name: string): Promise<number> {
  const { body } = await (await known(stage, 'carol')).get<{ text: string }>('/metrics');
  return Number(new RegExp(`^${name} (.+)$`, 'm').exec(body.text)?.[1]);
}

describe('the end of a grant', () => {
  test('is a job of its own, to the millisecond', async () => {
    const gina = person(stage, 'gina', ['engineers']);
    const grant = await opened(stage, gina, { target: 'billing', minutes: 1 });
    expect(await jobTimes(grant.login)).toContain(grant.endsAt);
    expect(new Date(grant.endsAt).getTime() - new Date(grant.startsAt).getTime()).toBe(MINUTE);
  });

  test('takes access and session', async () => {
    const hugo = person(stage, 'hugo', ['engineers']);
    const grant = await opened(stage, hugo, { target: 'orders', minutes: 30 });
    const session = await logIn(stage, await mint(hugo, grant.id));
    usher.clock.move(29 * MINUTE);
    await reconcile(grant, 'orders');
    expect((await grantOf(hugo, grant.id)).state).toBe('active');
    usher.clock.move(MINUTE);
    expect((await hugo.post(`/v1/grants/${grant.id}/tokens`, {})).body).toMatchObject({
      status: 409,
      code: 'grant_closed',
    });
    await reconcile(grant, 'orders');
    expect(await grantOf(hugo, grant.id)).toMatchObject({ state: 'closed', closeReason: 'expired' });
    expect(await holdings(stage, 'orders', grant.login)).toEqual(nothing);
    await expect(session.query('SELECT 1')).rejects.toThrow();
    const actions = (await story(stage, grant.id)).map(({ action }) => action);
    expect(actions.slice(-4)).toEqual(['grant.closing', 'grant.fenced', 'grant.sessionsEnded', 'grant.closed']);
  });
});

describe('a grant for later', () => {
  test('opens when its time comes, and not before', async () => {
    const ines = person(stage, 'ines', ['engineers']);
    const startsAt = new Date(usher.clock.now().getTime() + 10 * MINUTE).toISOString();
    const id = await agreed(stage, ines, { target: 'billing', minutes: 30, startsAt });
    const scheduled = await grantOf(ines, id);
    expect(scheduled).toMatchObject({ state: 'scheduled', startsAt });
    expect(await jobTimes(scheduled.login)).toEqual([startsAt, scheduled.endsAt]);
    await reconcile(scheduled, 'billing');
    expect((await grantOf(ines, id)).state).toBe('scheduled');
    expect(await holdings(stage, 'billing', scheduled.login)).toEqual(nothing);
    expect((await ines.post(`/v1/grants/${id}/tokens`, {})).body).toMatchObject({
      status: 409,
      code: 'grant_not_started',
    });
    usher.clock.move(10 * MINUTE);
    await reconcile(scheduled, 'billing');
    expect((await grantOf(ines, id)).state).toBe('active');
    expect((await holdings(stage, 'billing', scheduled.login)).leases).toEqual([id]);
    usher.clock.move(30 * MINUTE);
    await reconcile(scheduled, 'billing');
    await closed(ines, id);
  });

  test('that is revoked before is over at once, and never opens', async () => {
    const jan = person(stage, 'jan', ['engineers']);
    const startsAt = new Date(usher.clock.now().getTime() + 10 * MINUTE).toISOString();
    const id = await agreed(stage, jan, { target: 'billing', minutes: 30, startsAt });
    expect((await jan.post(`/v1/grants/${id}/revoke`)).body).toMatchObject({ state: 'closed' });
    usher.clock.move(10 * MINUTE);
    const grant = await grantOf(jan, id);
    await reconcile(grant, 'billing');
    expect(await holdings(stage, 'billing', grant.login)).toEqual(nothing);
  });
});

describe('a target that is down when a grant ends', () => {
  test('is tried until it is back; meanwhile everybody can see that and why', async () => {
    const { rds } = stage.standIn.targets.billing;
    const kim = person(stage, 'kim', ['engineers']);
    const grant = await opened(stage, kim, { target: 'billing', minutes: 30 });
    await usher.app.get(GrantJobs).sweepDue(0); // whose end the moved clock has passed: the sweep of the minute may be far off
    await until('nothing is overdue', async () => (await metric('usher_grants_overdue')) === 0);
    await rds.stop();
    try {
      usher.clock.move(30 * MINUTE);
      await reconcile(grant, 'billing');
      const late = await grantOf(kim, grant.id);
      expect(late).toMatchObject({ state: 'closing', closedAt: null });
      expect(late.attempts).toBeGreaterThan(0);
      expect(late.lastError).toMatch(/target/);
      expect(await metric('usher_grants_overdue')).toBeGreaterThan(0);
      await until('it is tried again', async () => (await grantOf(kim, grant.id)).attempts > late.attempts);
    } finally {
      await rds.start();
    }
    await until('the grant is closed', async () => (await grantOf(kim, grant.id)).state === 'closed', 60_000);
    expect(await holdings(stage, 'billing', grant.login)).toEqual(nothing);
    expect(await metric('usher_grants_overdue')).toBe(0);
    const faults = (await story(stage, grant.id)).filter(({ action }) => action === 'grant.fault');
    expect(faults.map(({ outcome }) => outcome)).toContain('failed');
  });
});

describe('waiting for a grant', () => {
  test('is answered when it becomes active, not at the next look', async () => {
    const lena = person(stage, 'lena', ['engineers']);
    const guard = await holdGuard(stage.standIn.targets.orders.rds.admin());
    const id = await agreed(stage, lena, { target: 'orders' });
    const answer = grantOf(lena, id, 'active').then((grant) => ({ grant, at: Date.now() }));
    await guard.release();
    const { grant, at } = await answer;
    const { rows } = await usher.database.owner.query<{ at: Date }>(
      `SELECT moved_at AS at FROM grant_history WHERE grant_id = $1 AND to_state = 'active'`,
      [id],
    );
    const late = at - (rows[0]?.at.getTime() ?? 0);
    console.log(`the answer came ${late} ms after the grant was active`);
    expect(grant.state).toBe('active');
    expect(late).toBeLessThan(4_000); // looking again without a notification would take 5 s
  });

  test('for what can no longer be is answered at once', async () => {
    const mona = person(stage, 'mona', ['engineers']);
    const grant = await opened(stage, mona, { target: 'billing' });
    expect((await grantOf(mona, grant.id, 'opening')).state).toBe('active');
  });
});
