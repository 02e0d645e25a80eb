import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ask,
  askFor,
  auditLines,
  known,
  newName,
  open,
  register,
  someone,
  type Registered,
} from '../support/people.ts';
import { startUsher, type Answer, type Client, type Usher } from '../support/usher.ts';

let usher: Usher;
let orders: Registered;
let bob: Client;
let dave: Client;

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  orders = await register(usher, 'orders');
  [bob, dave] = [await known(usher, 'bob'), await known(usher, 'dave')];
  // what a test names here makes the line of that action fail, in the transaction of its change
  await usher.database.owner.query(`
    CREATE TABLE failing (action text);
    CREATE FUNCTION fail_audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
      BEGIN
        IF EXISTS (SELECT FROM failing WHERE action = NEW.action) THEN RAISE EXCEPTION 'the record fails'; END IF;
        RETURN NEW;
      END $$;
    CREATE TRIGGER fail_audit BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION fail_audit();
    CREATE FUNCTION fail_target() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
      BEGIN
        IF EXISTS (SELECT FROM failing WHERE action = 'the commit') THEN RAISE EXCEPTION 'the commit fails'; END IF;
        RETURN NEW;
      END $$;
    CREATE CONSTRAINT TRIGGER fail_target AFTER UPDATE ON target DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail_target();`);
});
afterAll(() => usher?.close());

/** All that a change could touch, as one text. */
async function state(): Promise<string> {
  const tables = ['target', 'endpoint', 'profile', 'request', 'vote', 'access_grant', 'grant_history', 'login_name'];
  const parts = tables.map(
    (table) => `(SELECT coalesce(string_agg(t::text, '|' ORDER BY t::text), '') FROM ${table} t)`,
  );
  const jobs = `(SELECT count(*)::text FROM pgboss.job WHERE name IN ('reconcile', 'expire-requests'))`;
  const { rows } = await usher.database.owner.query<{ all: string }>(
    `SELECT concat_ws('#', ${[...parts, jobs].join(', ')}) AS all`,
  );
  return rows[0]?.all ?? '';
}

async function whileFailing<T>(action: string, work: () => Promise<T>): Promise<T> {
  await usher.database.owner.query('INSERT INTO failing VALUES ($1)', [action]);
  try {
    return await work();
  } finally {
    await usher.database.owner.query('DELETE FROM failing');
  }
}

const engineer = (): Client => someone(usher, ['engineers']);
const spare = (): Record<string, unknown> => {
  const name = newName('t');
  return { ...usher.standIn.targets.orders.registration.target, name, resourceId: `cluster-${name.toUpperCase()}` };
};
const spareId = async (): Promise<string> => (await dave.post<{ id: string }>('/v1/targets', spare())).body.id;
const profilePath = (): string => `/v1/targets/${orders.targetId}/profiles/${orders.profiles['orders-write']}`;

describe('a change and its line are there together or not at all', () => {
  test.each<[action: string, prepare: () => Promise<() => Promise<Answer>>]>([
    [
      'target.create',
      async () =>
        (
          (target) => () =>
            dave.post('/v1/targets', target)
        )(spare()),
    ],
    [
      'target.update',
      async () =>
        (
          (id) => () =>
            dave.patch(`/v1/targets/${id}`, { engineVersion: '17.11' })
        )(await spareId()),
    ],
    [
      'target.delete',
      async () =>
        (
          (id) => () =>
            dave.delete(`/v1/targets/${id}`)
        )(await spareId()),
    ],
    ['profile.update', async () => () => dave.patch(profilePath(), { approvalsNeeded: 2 })],
    ['profile.delete', async () => () => dave.delete(profilePath())],
    [
      'profile.create',
      async () => () =>
        dave.post(`/v1/targets/${orders.targetId}/profiles`, usher.standIn.targets.orders.registration.profiles[1]),
    ],
    [
      'request.create',
      async () =>
        (
          (client) => () =>
            client.post('/v1/requests', askFor(orders))
        )(engineer()),
    ],
    [
      'request.approve',
      async () =>
        (
          (id) => () =>
            bob.post(`/v1/requests/${id}/approve`, {})
        )((await ask(engineer(), orders)).id),
    ],
    [
      'grant.create',
      async () =>
        (
          (id) => () =>
            bob.post(`/v1/requests/${id}/approve`, {})
        )((await ask(engineer(), orders)).id),
    ],
    [
      'request.deny',
      async () =>
        (
          (id) => () =>
            bob.post(`/v1/requests/${id}/deny`, {})
        )((await ask(engineer(), orders)).id),
    ],
    [
      'request.cancel',
      async () =>
        (
          (client, id) => () =>
            client.post(`/v1/requests/${id}/cancel`)
        )(...(await asked())),
    ],
    [
      'grant.revoke',
      async () =>
        (
          (id) => () =>
            bob.post(`/v1/grants/${id}/revoke`)
        )((await open(usher, engineer(), orders)).grantId),
    ],
    [
      'grant.closing',
      async () =>
        (
          (id) => () =>
            bob.post(`/v1/grants/${id}/revoke`)
        )((await open(usher, engineer(), orders)).grantId),
    ],
    [
      'token.mint',
      async () =>
        (
          (client, id) => () =>
            client.post(`/v1/grants/${id}/tokens`, {})
        )(...(await opened())),
    ],
  ])('%s', async (action, prepare) => {
    const call = await prepare();
    const before = await state();
    const failed = await whileFailing(action, call);
    expect([failed.status, failed.body['code'], failed.body['token']]).toEqual([500, 'internal', undefined]);
    expect(await state()).toBe(before);
    const told = await auditLines(usher, String(failed.body['correlationId']));
    expect(told.map(({ outcome, code }) => [outcome, code])).toEqual([['failed', 'internal']]);
    const done = await call();
    expect(done.status).toBeLessThan(300);
    if (action !== 'token.mint') expect(await state()).not.toBe(before);
    const lines = await auditLines(usher, done.headers.get('x-correlation-id') ?? '');
    expect(lines.filter((line) => line.action === action)).toMatchObject([
      { outcome: 'success', actor_kind: 'person' },
    ]);
  });

  test('a commit that fails takes the line along', async () => {
    const id = await spareId();
    const before = await state();
    const failed = await whileFailing('the commit', () => dave.patch(`/v1/targets/${id}`, { engineVersion: '17.11' }));
    expect([failed.status, await state()]).toEqual([500, before]);
    expect((await auditLines(usher, String(failed.body['correlationId']))).map(({ action }) => action)).toEqual([
      'access.refused',
    ]);
  });
});

async function asked(): Promise<[Client, string]> {
  const client = engineer();
  return [client, (await ask(client, orders)).id];
}
async function opened(): Promise<[Client, string]> {
  const client = engineer();
  return [client, (await open(usher, client, orders)).grantId];
}
