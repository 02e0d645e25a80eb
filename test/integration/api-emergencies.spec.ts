import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ask,
  askFor,
  known,
  open,
  register,
  rowCounts,
  someone,
  type Asked,
  type Registered,
  newName,
} from '../support/people.ts';
import { refuses } from '../support/refusal.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

interface Review {
  id: string;
  state: string;
  personId: string;
  closedByName: string | null;
  comment: string | null;
}

let usher: Usher;
let orders: Registered;
let bob: Client;
let carol: Client;
let dave: Client;
const onCall = (more: string[] = []): Client => someone(usher, ['break-glass', ...more]);
const security = (): Client => someone(usher, ['security']);
const emergency = { breakGlass: true, reason: 'orders are lost since four in the morning' };

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  orders = await register(usher, 'orders');
  [bob, carol, dave] = [await known(usher, 'bob'), await known(usher, 'carol'), await known(usher, 'dave')];
});
afterAll(() => usher?.close());

async function broken(client: Client): Promise<Asked & { grantId: string }> {
  const asked = await ask(client, orders, emergency);
  if (asked.grantId === null) throw new Error('nothing was opened');
  await usher.reconciler.reconcile({ targetId: orders.targetId, login: asked.plan.login });
  return { ...asked, grantId: asked.grantId };
}
const close = (client: Client, id: string, comment = 'as it was said') =>
  client.post<Review>(`/v1/reviews/${id}/close`, { comment });
const reviewsOf = async (client: Client, query = 'state=open'): Promise<string[]> => {
  const { body } = await client.get<{ items: Review[] }>(`/v1/reviews?limit=200&${query}`);
  return body.items.map(({ id }) => id);
};
const recorded = async (grantId: string): Promise<string[]> => {
  const { rows } = await usher.database.owner.query<{ action: string }>(
    `SELECT action FROM audit_event a WHERE outcome = 'success' AND (grant_id = $1 OR request_id = (SELECT request_id FROM access_grant WHERE id = $1)) ORDER BY id`,
    [grantId],
  );
  return rows.map(({ action }) => action);
};
const gauge = async (name: string): Promise<number> => {
  const { body } = await dave.get<{ text: string }>('/metrics');
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(body.text)?.[1]);
};

describe('breaking the glass', () => {
  test('opens at once, and is louder than a request', async () => {
    const [total, waiting] = [await gauge('usher_break_glass_total'), await gauge('usher_break_glass_reviews_open')];
    const who = onCall();
    const { body: preview } = await who.post('/v1/requests/preview', askFor(orders, emergency));
    expect(preview).toMatchObject({ decision: { allowed: true, autoApproved: true, approvalsNeeded: 0 } });
    const asked = await broken(who);
    expect(asked).toMatchObject({ state: 'approved', breakGlass: true, policies: ['break-glass-group'] });
    expect((await who.get(`/v1/grants/${asked.grantId}`)).body).toMatchObject({ state: 'active' });
    expect((await who.post(`/v1/grants/${asked.grantId}/tokens`, {})).status).toBe(201);
    expect(await recorded(asked.grantId)).toEqual([
      ...['request.breakGlass', 'grant.create', 'grant.active', 'token.mint'],
    ]);
    expect(await reviewsOf(bob)).toContain(asked.grantId);
    expect(await gauge('usher_break_glass_total')).toBe(total + 1);
    expect(await gauge('usher_break_glass_reviews_open')).toBe(waiting + 1);
  });

  test('is on record as decided by the policies about the glass, and by no other that would have let them', async () => {
    const decidedBy = async (action: string): Promise<string[]> => {
      const { rows } = await usher.database.owner.query<{ details: { decidedBy: { policies: string[] } } }>(
        'SELECT details FROM audit_event WHERE action = $1 ORDER BY id DESC LIMIT 1',
        [action],
      );
      return rows[0]?.details.decidedBy.policies ?? [];
    };
    const both = onCall(['engineers', 'orders-owners']);
    await both.post('/v1/requests', askFor(orders));
    expect(await decidedBy('request.create')).toEqual(['engineers-read', 'owners-request']);
    await broken(both);
    expect(await decidedBy('request.breakGlass')).toEqual(['break-glass-group']);
    expect(await decidedBy('grant.create')).toEqual(['break-glass-group']);
    await both.post('/v1/requests', askFor(orders, { ...emergency, durationMinutes: 61 }));
    expect(await decidedBy('access.refused')).toEqual(['glass-is-short']);
  });

  test.each<[string, Record<string, unknown>]>([
    ['for more than an hour', { durationMinutes: 61 }],
    ['without words', { reason: 'help, it is down' }],
    ['with blanks for words', { reason: `x${' '.repeat(40)}` }],
  ])('is refused %s', async (_, more) => {
    const body = askFor(orders, { ...emergency, ...more });
    const before = await rowCounts(usher);
    const who = onCall();
    expect((await who.post('/v1/requests', body)).body).toMatchObject({ status: 403, code: 'policy_denied' });
    expect((await who.post('/v1/requests/preview', body)).body).toMatchObject({
      ...{ plan: null, decision: { allowed: false, advice: [expect.any(String)] } },
    });
    expect(await rowCounts(usher)).toEqual(before);
  });

  test.each<[string, string[]]>([
    ['an engineer', ['engineers']],
    ['an owner', ['orders-owners']],
    ['security', ['security']],
    ['an administrator', ['admins']],
  ])('is refused to %s', async (_, groups) => {
    const who = someone(usher, groups);
    const { body } = await who.post('/v1/requests', askFor(orders, emergency));
    expect(body).toMatchObject({ status: 403, code: 'policy_denied' });
    const answer = await who.post('/v1/requests/preview', askFor(orders, emergency));
    expect(answer.body).toMatchObject({ plan: null, decision: { allowed: false } });
  });

  test('is for now', async () => {
    const startsAt = new Date(usher.clock.now().getTime() + 3_600_000).toISOString();
    const who = onCall();
    await refuses(
      usher,
      () => who.post('/v1/requests', askFor(orders, { ...emergency, startsAt })),
      422,
      'invalid_start',
    );
    expect((await who.post('/v1/requests', askFor(orders, { ...emergency, breakGlass: 'yes' }))).body).toMatchObject({
      ...{ status: 400, code: 'invalid_input' },
    });
  });

  test('reaches no target that is disabled or locked, and is for nobody who is locked', async () => {
    const other = await register(usher, 'billing');
    await dave.patch(`/v1/targets/${other.targetId}`, { enabled: false });
    const who = onCall();
    expect((await who.post('/v1/requests', askFor(other, emergency))).body).toMatchObject({
      ...{ status: 403, code: 'policy_denied', advice: expect.stringContaining('disabled') as string },
    });
    await dave.patch(`/v1/targets/${other.targetId}`, { enabled: true });
    await dave.post(`/v1/targets/${other.targetId}/lock`, { reason: 'it leaks' });
    expect((await who.post('/v1/requests', askFor(other, emergency))).body).toMatchObject({ code: 'target_locked' });
    const { personId } = await broken(who);
    await dave.post(`/v1/people/${personId}/lock`, { reason: 'stolen' });
    expect((await who.post('/v1/requests', askFor(orders, emergency))).body).toMatchObject({ code: 'policy_denied' });
  });

  test('is no way around the approvals of what is asked for in the ordinary way', async () => {
    const both = onCall(['engineers']);
    expect(await ask(both, orders)).toMatchObject({ state: 'pending', breakGlass: false, grantId: null });
    const { body } = await both.post('/v1/requests', askFor(orders, { breakGlass: false, reason: emergency.reason }));
    expect(body).toMatchObject({ state: 'pending', grantId: null });
  });
});

describe('the review', () => {
  test('is seen by the holder, by owners, by security and by those who see all, and by nobody else', async () => {
    const who = onCall();
    const { grantId } = await broken(who);
    for (const client of [who, bob, carol, dave, security()]) expect(await reviewsOf(client)).toContain(grantId);
    for (const client of [onCall(), someone(usher, ['engineers']), someone(usher, ['billing-owners'])])
      expect(await reviewsOf(client)).not.toContain(grantId);
    expect(await reviewsOf(bob, 'state=closed')).not.toContain(grantId);
    expect((await bob.get('/v1/reviews?state=nonsense')).body).toMatchObject({ status: 400, code: 'invalid_input' });
  });

  test('is closed once, by somebody else, with words', async () => {
    const who = onCall();
    const { grantId } = await broken(who);
    const waiting = await gauge('usher_break_glass_reviews_open');
    for (const comment of ['', ' ', 'a\u0000b', 'x'.repeat(1001)])
      expect((await close(bob, grantId, comment)).body).toMatchObject({ status: 400, code: 'invalid_input' });
    expect((await close(bob, grantId)).body).toMatchObject({
      ...{ id: grantId, state: 'closed', comment: 'as it was said', closedByName: 'bob@example.com' },
      ...{ reason: emergency.reason, targetName: 'orders', profileName: 'reporting-read' },
    });
    expect((await close(dave, grantId, 'not so')).body).toMatchObject({ status: 409, code: 'review_closed' });
    expect(await reviewsOf(bob)).not.toContain(grantId);
    expect(await reviewsOf(bob, 'state=closed')).toContain(grantId);
    expect(await gauge('usher_break_glass_reviews_open')).toBe(waiting - 1);
    expect((await recorded(grantId)).filter((action) => action === 'review.close')).toHaveLength(1);
  });

  test('may be closed by security and by administrators', async () => {
    for (const client of [security(), dave])
      expect((await close(client, (await broken(onCall())).grantId)).status).toBe(200);
  });

  test('is never closed by the holder, nor by who has no say', async () => {
    for (const groups of [['orders-owners'], ['security'], ['admins']]) {
      const who = onCall(groups);
      const { grantId } = await broken(who);
      expect((await close(who, grantId)).body).toMatchObject({ status: 403, code: 'own_review' });
      expect(await reviewsOf(who)).toContain(grantId);
    }
    const address = { email: `${newName()}@example.com` };
    const other = await broken(someone(usher, ['break-glass'], address));
    const twin = someone(usher, ['security'], { email: address.email.toUpperCase() });
    expect((await close(twin, other.grantId)).body).toMatchObject({ status: 403, code: 'own_review' });
    const { grantId } = await broken(onCall());
    expect((await close(carol, grantId)).body).toMatchObject({ status: 403, code: 'policy_denied' });
    expect((await close(someone(usher, ['engineers']), grantId)).body).toMatchObject({ code: 'grant_not_found' });
    expect(await reviewsOf(bob)).toContain(grantId);
  });

  test('is closed by one of many who try at once', async () => {
    const { grantId } = await broken(onCall());
    const answers = await Promise.all([bob, dave, security(), bob, dave].map((client) => close(client, grantId)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409, 409]);
  });

  test('there is none of a grant that was agreed to', async () => {
    const { grantId } = await open(usher, someone(usher, ['engineers']), orders);
    expect((await close(dave, grantId)).body).toMatchObject({ status: 404, code: 'grant_not_found' });
    expect((await close(dave, 'x')).body).toMatchObject({ status: 400, code: 'invalid_id' });
  });
});

test('GraphQL breaks the glass, lists and closes', async () => {
  const made = await onCall().graphql<{ createRequest: { state: string; breakGlass: boolean; grantId: string } }>(
    'mutation ($input: CreateRequest!) { createRequest(input: $input) { state breakGlass grantId } }',
    { input: askFor(orders, emergency) },
  );
  const id = made.data?.createRequest.grantId ?? '';
  expect(made.data?.createRequest).toMatchObject({ state: 'approved', breakGlass: true });
  const listed = await bob.graphql<{ reviews: { items: { id: string }[] } }>(
    '{ reviews(state: open, limit: 200) { items { id personName reason } } }',
  );
  expect(listed.data?.reviews.items.map((one) => one.id)).toContain(id);
  const done = await bob.graphql<{ closeReview: Review }>(
    `mutation { closeReview(id: "${id}", input: { comment: "as it was said" }) { state comment } }`,
  );
  expect(done.data?.closeReview).toMatchObject({ state: 'closed', comment: 'as it was said' });
});
