import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { DecisionRecord } from '../../src/policy/decision-record.js';
import { defaultPolicyFile } from '../../src/policy/engine.js';
import { ask, askFor, known, newName, open, register, someone, type Registered } from '../support/people.ts';
import { refuses } from '../support/refusal.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

const shipped = readFileSync(defaultPolicyFile, 'utf8');
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const TEN = 10 * HOUR_MS;

let usher: Usher;
let orders: Registered;
let bob: Client;
let dave: Client;
let profile: string;
beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false, timeZone: 'Asia/Kathmandu' } });
  orders = await register(usher, 'orders');
  [bob, dave] = [await known(usher, 'bob'), await known(usher, 'dave')];
  profile = `/v1/targets/${orders.targetId}/profiles/${orders.profiles['reporting-read']}`;
});
afterAll(() => usher?.close());

const engineer = (): Client => someone(usher, ['engineers']);
const classify = (sensitivity: unknown) => dave.patch(profile, { sensitivity });
const preview = async (client: Client, more: Record<string, unknown> = {}) =>
  (
    await client.post<{
      decision: { allowed: boolean; autoApproved: boolean; policies: string[] };
      plan: { sensitivity: string } | null;
    }>('/v1/requests/preview', askFor(orders, more))
  ).body;
async function rule(text: string): Promise<void> {
  const { body } = await dave.get<{ number: number }>('/v1/policies');
  const answer = await dave.put('/v1/policies', { text, note: 'to try it', basedOn: body.number });
  if (answer.status !== 200) throw new Error(`the policy was refused: ${JSON.stringify(answer.body)}`);
}

describe('a profile', () => {
  afterEach(() => dave.patch(profile, { sensitivity: 'confidential', approvalsNeeded: 1 }));

  test('that nobody classified is confidential', async () => {
    const { body } = await dave.get<{ sensitivity: string }[]>(`/v1/targets/${orders.targetId}/profiles`);
    expect(body.map(({ sensitivity }) => sensitivity)).toEqual(['confidential', 'confidential']);
  });

  test('is classified when it is made and later, by both APIs and on record', async () => {
    await usher.database.owner.query(`UPDATE profile SET deleted_at = now() WHERE name = 'orders-write'`);
    const { registration } = usher.standIn.targets.orders;
    const input = { ...registration.profiles.find(({ name }) => name === 'orders-write'), sensitivity: 'restricted' };
    const create =
      'mutation ($targetId: ID!, $input: CreateProfile!) { createProfile(targetId: $targetId, input: $input) { id sensitivity } }';
    const made = await dave.graphql<{ createProfile: { sensitivity: string } }>(create, {
      targetId: orders.targetId,
      input,
    });
    expect(made.data?.createProfile).toMatchObject({ sensitivity: 'restricted' });
    expect((await classify('internal')).body).toMatchObject({ sensitivity: 'internal', readOnly: true });
    const { rows } = await usher.database.owner.query<{ details: object }>(
      `SELECT details FROM audit_event WHERE action = 'profile.update' ORDER BY id DESC LIMIT 1`,
    );
    expect(rows[0]?.details).toMatchObject({
      changed: { sensitivity: { from: 'confidential', to: 'internal' } },
      decidedBy: { policies: ['admins-administer'] },
    });
    const { items } = (await engineer().get<{ items: object[] }>('/v1/access-options')).body;
    expect(items).toContainEqual(expect.objectContaining({ profileName: 'reporting-read', sensitivity: 'internal' }));
  });

  test.each(['secret', 'Restricted', '', 4, ['internal']])('is not classified as %j', async (wrong) => {
    await refuses(usher, () => classify(wrong), 400, 'invalid_input');
  });

  test('is not classified as anything else past the API', async () => {
    const written = usher.database.owner.query(`UPDATE profile SET sensitivity = 'secret'`);
    await expect(written).rejects.toMatchObject({ code: '23514' });
  });

  test('is classified by nobody but administrators', async () => {
    for (const client of [engineer(), bob])
      expect((await client.patch(profile, { sensitivity: 'public' })).body).toMatchObject({ code: 'policy_denied' });
  });

  test('that is restricted is never had without a yes', async () => {
    await dave.patch(profile, { approvalsNeeded: 0 });
    expect(await preview(engineer())).toMatchObject({
      decision: { autoApproved: true },
      plan: { sensitivity: 'confidential' },
    });
    await classify('restricted');
    expect(await preview(engineer())).toMatchObject({
      decision: { autoApproved: false },
      plan: { sensitivity: 'restricted' },
    });
    const asked = await ask(engineer(), orders);
    expect(asked).toMatchObject({ state: 'pending', approvalsNeeded: 1 });
  });

  test('that is classified anew while a request waits is looked at anew', async () => {
    const asked = await ask(engineer(), orders);
    await classify('restricted');
    expect((await bob.post(`/v1/requests/${asked.id}/approve`, { revision: 1 })).body).toMatchObject({
      ...{ status: 409, code: 'plan_changed', advice: expect.stringContaining('"revision":2') },
    });
    expect((await bob.get(`/v1/requests/${asked.id}`)).body).toMatchObject({ plan: { sensitivity: 'restricted' } });
    expect((await bob.post(`/v1/requests/${asked.id}/approve`, { revision: 2 })).body).toMatchObject({
      state: 'approved',
    });
  });
});

describe('a policy of the company', () => {
  afterEach(() => dave.post('/v1/policies/rollback', { number: 0 }));

  test('speaks of how a profile is classified, up to the token', async () => {
    const who = engineer();
    const { grantId } = await open(usher, who, orders);
    await rule(`${shipped}
      @id("not-so-confidential") @advice("Ask for a profile that shows less.")
      forbid (principal, action in Usher::Action::"use", resource)
      unless { [Usher::Sensitivity::"public", Usher::Sensitivity::"internal"].contains(resource.profile.sensitivity) };`);
    expect((await who.post(`/v1/grants/${grantId}/tokens`, {})).body).toMatchObject({
      ...{ code: 'policy_denied', advice: 'Ask for a profile that shows less.' },
    });
    await classify('internal');
    expect((await who.post(`/v1/grants/${grantId}/tokens`, {})).status).toBe(201);
    await classify('confidential');
  });

  test('speaks of the hour on the wall, and a dry run of what it was then', async () => {
    const name = newName();
    const who = someone(usher, ['engineers'], {}, name);
    usher.clock.move(DAY_MS + TEN - (usher.clock.now().getTime() % DAY_MS)); // 15:45 there
    await rule(`${shipped}
      @id("closed") @advice("Ask after five.") forbid (principal, action == Usher::Action::"request", resource)
      when { context.local.minute >= 945 && context.local.minute < 1020 };`);
    expect((await preview(who)).decision).toMatchObject({ allowed: false, policies: ['closed'] });
    usher.clock.move(2 * HOUR_MS);
    expect((await preview(who)).decision.allowed).toBe(true);
    await usher.app.get(DecisionRecord, { strict: false }).flush();
    const { body } = await dave.post<{ changes: { actor: string; action: string; before: object; after: object }[] }>(
      '/v1/policies/simulate',
      { text: shipped },
    );
    expect(body.changes.filter(({ actor, action }) => actor.startsWith(name) && action === 'request')).toEqual([
      expect.objectContaining({
        before: expect.objectContaining({ allowed: false, policies: ['closed'] }),
        after: expect.objectContaining({ allowed: true }),
      }),
    ]);
  });
});
