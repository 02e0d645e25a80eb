import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { v7 } from 'uuid';
import { ask, known, open, register, someone, type Registered } from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

interface Held {
  grantId: string;
  personId: string;
  state: string;
  breakGlass: boolean;
  lastUsedAt: string | null;
}
interface Page<T> {
  items: T[];
  nextCursor: string | null;
}
interface PersonAccess {
  personId: string;
  now: Held[];
  had: Page<Held>;
  could: { profileName: string; approvalsNeeded: number }[];
  couldMore: boolean;
  groups: string[];
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

const accessOf = (client: Client, id: string, query = '') =>
  client.get<PersonAccess>(`/v1/people/${id}/access?${query}`);

/** As the observer would write it down. */
async function seen(grantId: string, personId: string, daysAgo: number, ended = true): Promise<void> {
  const { rows } = await usher.database.owner.query<{ id: string }>('SELECT id FROM endpoint WHERE target_id = $1', [
    orders.targetId,
  ]);
  await usher.database.owner.query(
    `INSERT INTO connection (id, target_id, endpoint_id, pid, backend_start, login, login_kind, tls, person_id, grant_id, started_at, first_seen_at, last_seen_at, ended_at)
     VALUES ($1, $2, $3, (random() * 1e6)::int, now() - $6 * interval '1 day', 'x', 'person', true, $5, $4, now() - $6 * interval '1 day', now() - $6 * interval '1 day', now() - $6 * interval '1 day',
             CASE WHEN $7 THEN now() - $6 * interval '1 day' END)`,
    [v7(), orders.targetId, rows[0]?.id, grantId, personId, daysAgo, ended],
  );
}

describe('what a person has, had and could have', () => {
  test('is told to themselves, to auditors and to administrators', async () => {
    const who = engineer();
    const { grantId, personId } = await open(usher, who, orders);
    const gone = await open(usher, who, orders);
    await who.post(`/v1/grants/${gone.grantId}/revoke`);
    await usher.reconciler.reconcile({ targetId: orders.targetId, login: gone.plan.login });
    await seen(grantId, personId, 2);
    for (const client of [who, carol, dave]) {
      const { status, body } = await accessOf(client, personId);
      expect(status).toBe(200);
      expect(body).toMatchObject({ personId, groups: ['engineers'], couldMore: false });
      expect(body.now).toEqual([expect.objectContaining({ grantId, state: 'active', breakGlass: false })]);
      expect(Date.now() - Date.parse(body.now[0]?.lastUsedAt ?? '')).toBeGreaterThan(86_400_000);
      expect(body.had.items).toEqual([
        expect.objectContaining({ grantId: gone.grantId, state: 'closed', lastUsedAt: null }),
      ]);
      expect(body.could).toEqual([expect.objectContaining({ profileName: 'reporting-read', approvalsNeeded: 1 })]);
    }
    const answer = await carol.graphql<{ personAccess: PersonAccess }>(
      `{ personAccess(personId: "${personId}", limit: 1) { now { grantId } had { items { grantId } } could { profileName } } }`,
    );
    expect(answer.data?.personAccess).toEqual({
      now: [{ grantId }],
      had: { items: [{ grantId: gone.grantId }] },
      could: [{ profileName: 'reporting-read' }],
    });
  });

  test('is told to nobody else', async () => {
    const { personId } = await ask(engineer(), orders);
    for (const client of [engineer(), bob, someone(usher, ['security'])])
      expect((await accessOf(client, personId)).body).toMatchObject({ status: 403, code: 'policy_denied' });
    const nobody = '0192e4a0-0000-7000-8000-000000000000';
    expect((await accessOf(dave, nobody)).body).toMatchObject({ status: 404, code: 'person_not_found' });
    expect((await accessOf(bob, nobody)).body).toMatchObject({ status: 403, code: 'policy_denied' });
    expect((await accessOf(dave, 'x')).body).toMatchObject({ status: 400, code: 'invalid_id' });
  });

  test('comes by pages of what is over', async () => {
    const who = engineer();
    const ids: string[] = [];
    let personId = '';
    for (let i = 0; i < 3; i++) {
      const made = await open(usher, who, orders);
      await who.post(`/v1/grants/${made.grantId}/revoke`);
      await usher.reconciler.reconcile({ targetId: orders.targetId, login: made.plan.login });
      ids.unshift(made.grantId);
      personId = made.personId;
    }
    const { body: first } = await accessOf(who, personId, 'limit=2');
    const { body: second } = await accessOf(who, personId, `limit=2&cursor=${first.had.nextCursor}`);
    expect([...first.had.items, ...second.had.items].map(({ grantId }) => grantId)).toEqual(ids);
    expect(second.had.nextCursor).toBeNull();
  });

  test('could be nothing for who is locked or was removed', async () => {
    const { personId } = await ask(engineer(), orders);
    await dave.post(`/v1/people/${personId}/lock`, { reason: 'stolen' });
    expect((await accessOf(dave, personId)).body).toMatchObject({ now: [], could: [] });
    const other = await ask(engineer(), orders);
    await dave.delete(`/v1/people/${other.personId}`);
    expect((await accessOf(dave, other.personId)).body).toMatchObject({ now: [], could: [] });
  });
});

describe('who has access to a target', () => {
  const onTarget = (client: Client, query = 'limit=200') =>
    client.get<Page<Held>>(`/v1/targets/${orders.targetId}/access?${query}`);

  test('is told to its owners and to those who see all; others see their own', async () => {
    const who = engineer();
    const { grantId, personId } = await open(usher, who, orders);
    await seen(grantId, personId, 3);
    await seen(grantId, personId, 1);
    for (const client of [bob, carol, dave, who]) {
      const { body } = await onTarget(client);
      const mine = body.items.find((one) => one.grantId === grantId);
      expect(mine).toMatchObject({ personId, state: 'active' });
      expect(Date.now() - Date.parse(mine?.lastUsedAt ?? '')).toBeLessThan(2 * 86_400_000);
    }
    expect((await onTarget(who)).body.items).toHaveLength(1);
    for (const client of [engineer(), someone(usher, ['billing-owners'])])
      expect((await onTarget(client)).body).toEqual({ items: [], nextCursor: null });
    const nowhere = '/v1/targets/0192e4a0-0000-7000-8000-000000000000/access';
    expect((await dave.get(nowhere)).body).toMatchObject({ status: 404, code: 'target_not_found' });
    const answer = await bob.graphql<{ targetAccess: Page<Held> }>(
      `{ targetAccess(targetId: "${orders.targetId}", limit: 200) { items { grantId } } }`,
    );
    expect(answer.data?.targetAccess.items).toContainEqual({ grantId });
  });

  test('shows an emergency as one', async () => {
    const { grantId } = await ask(someone(usher, ['break-glass']), orders, {
      ...{ breakGlass: true, reason: 'orders are lost since four in the morning' },
    });
    expect((await onTarget(bob)).body.items).toContainEqual(expect.objectContaining({ grantId, breakGlass: true }));
  });
});

describe('grants that nobody uses', () => {
  const unused = async (client: Client, days: number | string) => {
    const { body } = await client.get<Page<{ id: string }>>(`/v1/grants?limit=200&unusedDays=${days}`);
    return body.items?.map(({ id }) => id);
  };

  test('are live, and nobody was seen connected by them for so long, or ever', async () => {
    const made = [];
    for (let i = 0; i < 4; i++) made.push(await open(usher, engineer(), orders));
    const [never, long, lately, still] = made;
    if (!never || !long || !lately || !still) throw new Error('too few');
    await seen(long.grantId, long.personId, 10);
    await seen(lately.grantId, lately.personId, 10);
    await seen(lately.grantId, lately.personId, 2);
    await seen(still.grantId, still.personId, 10, false);
    const found = await unused(bob, 7);
    expect(found).toEqual(expect.arrayContaining([never.grantId, long.grantId]));
    expect(found).not.toContain(lately.grantId);
    expect(found).not.toContain(still.grantId);
    expect(await unused(bob, 1)).toContain(lately.grantId);
    expect(await unused(bob, 30)).not.toContain(long.grantId);
    expect(await unused(engineer(), 7)).toEqual([]);
    await dave.post(`/v1/people/${never.personId}/lock`, { reason: 'stolen' });
    expect(await unused(bob, 7)).not.toContain(never.grantId);
  });

  test.each(['0', '367', 'x', '1.5'])('for %s days are asked for wrongly', async (days) => {
    expect((await dave.get(`/v1/grants?unusedDays=${days}`)).body).toMatchObject({
      status: 400,
      code: 'invalid_input',
    });
  });
});
