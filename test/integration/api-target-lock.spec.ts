import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ask, askFor, known, open, register, someone, type Asked, type Registered } from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

interface Locked {
  id: string;
  enabled: boolean;
  lockedAt: string | null;
  lockReason: string | null;
}

let usher: Usher;
let target: Registered;
let bob: Client;
let dave: Client;
const engineer = (): Client => someone(usher, ['engineers']);
const reason = 'a dump of it was found';

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  target = await register(usher, 'orders');
  [bob, dave] = [await known(usher, 'bob'), await known(usher, 'dave')];
});
afterAll(() => usher?.close());

let since: Date;
beforeEach(() => void (since = usher.clock.now()));
afterEach(() => unlock(dave));

const lock = (client: Client, why = reason) =>
  client.post<Locked>(`/v1/targets/${target.targetId}/lock`, { reason: why });
const unlock = (client: Client) => client.post<Locked>(`/v1/targets/${target.targetId}/unlock`);
const recorded = async (action: string): Promise<unknown[]> => {
  const text = `SELECT details FROM audit_event WHERE action = $1 AND target_id = $2 AND outcome = 'success' AND at >= $3 ORDER BY id`;
  return (await usher.database.owner.query<{ details: unknown }>(text, [action, target.targetId, since])).rows.map(
    ({ details }) => details,
  );
};
const alive = async (): Promise<number | null> => {
  const text = `SELECT 1 FROM access_grant WHERE target_id = $1 AND state IN ('scheduled', 'opening', 'active')`;
  return (await usher.database.owner.query(text, [target.targetId])).rowCount;
};

describe('a target that is locked', () => {
  test('gives nothing any more, and nothing new', async () => {
    const [who, next] = [engineer(), engineer()];
    const { grantId } = await open(usher, who, target);
    const startsAt = new Date(usher.clock.now().getTime() + 3_600_000).toISOString();
    const later = await ask(engineer(), target, { startsAt });
    const { body: scheduled } = await bob.post<Asked>(`/v1/requests/${later.id}/approve`, {});
    const { id: pending } = await ask(next, target);
    expect((await lock(dave)).body).toMatchObject({ lockReason: reason, lockedAt: expect.any(String) as string });
    expect((await dave.get(`/v1/grants/${grantId}`)).body).toMatchObject({
      ...{ state: 'closing', closeReason: 'the target was locked' },
    });
    expect((await dave.get(`/v1/grants/${scheduled.grantId}`)).body).toMatchObject({ state: 'closed' });
    expect((await dave.get(`/v1/requests/${pending}`)).body).toMatchObject({
      ...{ state: 'cancelled', closeReason: 'the target was locked' },
    });
    expect(await recorded('target.lock')).toMatchObject([{ reason, requests: 1, grants: 2 }]);
    expect((await who.post(`/v1/grants/${grantId}/tokens`, {})).body).toMatchObject({ code: 'grant_closed' });
    expect((await who.post(`/v1/grants/${grantId}/passwords`, {})).body).toMatchObject({ code: 'grant_closed' });
    expect((await who.post(`/v1/grants/${grantId}/extend`, { durationMinutes: 5, reason })).body).toMatchObject({
      ...{ code: 'grant_closed' },
    });
    for (const path of ['/v1/requests', '/v1/requests/preview'])
      expect((await next.post(path, askFor(target))).body).toMatchObject({
        ...{ status: 409, code: 'target_locked', advice: expect.stringContaining('unlock') as string },
      });
    expect((await bob.post(`/v1/requests/${pending}/approve`, {})).body).toMatchObject({ code: 'policy_denied' });
    expect((await next.get(`/v1/targets/${target.targetId}`)).body).toMatchObject({
      lockReason: reason,
      enabled: true,
    });
  });

  test('is stopped although it is enabled: switching it on does not open it', async () => {
    await lock(dave);
    await dave.patch(`/v1/targets/${target.targetId}`, { enabled: true });
    expect((await engineer().post('/v1/requests', askFor(target))).body).toMatchObject({ code: 'target_locked' });
  });

  test('is locked once, however often, and keeps the first reason', async () => {
    const answers = await Promise.all(Array.from({ length: 5 }, (_, n) => lock(dave, `reason ${n}`)));
    expect(answers.map(({ status }) => status)).toEqual(Array(5).fill(200));
    expect(new Set(answers.map(({ body }) => body.lockReason)).size).toBe(1);
    expect(await recorded('target.lock')).toHaveLength(1);
  });

  test('may be locked by its owners and by security, and unlocked by an administrator alone', async () => {
    const { grantId } = await open(usher, engineer(), target);
    expect((await lock(bob)).status).toBe(200);
    const erin = someone(usher, ['security']);
    expect((await lock(erin)).status).toBe(200);
    for (const client of [bob, erin]) expect((await unlock(client)).body).toMatchObject({ code: 'policy_denied' });
    expect((await unlock(dave)).body).toMatchObject({ lockedAt: null, lockReason: null });
    expect((await unlock(dave)).status).toBe(200);
    expect(await recorded('target.unlock')).toHaveLength(1);
    expect((await dave.get(`/v1/grants/${grantId}`)).body).toMatchObject({ state: 'closing' });
    expect((await ask(engineer(), target)).state).toBe('pending');
  });

  test('cannot be given what a yes at the same moment would give', async () => {
    for (let round = 0; round < 5; round++) {
      const asked = [await ask(engineer(), target), await ask(engineer(), target), await ask(engineer(), target)];
      const yes = asked.map(({ id }) => bob.post(`/v1/requests/${id}/approve`, {}));
      const [locked] = await Promise.all([lock(dave), ...yes]);
      expect([locked.status, await alive()]).toEqual([200, 0]);
      const waits = await usher.database.owner.query(
        `SELECT 1 FROM request WHERE target_id = $1 AND state = 'pending'`,
        [target.targetId],
      );
      expect(waits.rowCount).toBe(0);
      await unlock(dave);
    }
  });

  test('is not locked without a reason, nor by who has no say', async () => {
    for (const why of ['', ' ', 'a\u0000b', 'x'.repeat(1001)])
      expect((await lock(dave, why)).body).toMatchObject({ status: 400, code: 'invalid_input' });
    for (const client of [engineer(), someone(usher, ['billing-owners']), await known(usher, 'carol')])
      expect((await lock(client)).body).toMatchObject({ status: 403, code: 'policy_denied' });
    const nowhere = '/v1/targets/0192e4a0-0000-7000-8000-000000000000';
    for (const way of ['lock', 'unlock'])
      expect((await dave.post(`${nowhere}/${way}`, { reason })).body).toMatchObject({ code: 'target_not_found' });
    expect(await recorded('target.lock')).toEqual([]);
  });
});

test('GraphQL locks and unlocks', async () => {
  const { targetId } = target;
  const locked = await bob.graphql<{ lockTarget: Locked }>(
    `mutation { lockTarget(id: "${targetId}", input: { reason: "${reason}" }) { id lockReason } }`,
  );
  expect(locked.data?.lockTarget).toEqual({ id: targetId, lockReason: reason });
  const opened = await dave.graphql<{ unlockTarget: Locked }>(
    `mutation { unlockTarget(id: "${targetId}") { id lockedAt } }`,
  );
  expect(opened.data?.unlockTarget).toEqual({ id: targetId, lockedAt: null });
});
