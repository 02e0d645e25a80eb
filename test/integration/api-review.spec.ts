import { v7 } from 'uuid';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, claimsOf, known, newName, open, register, someone, type Registered } from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

let usher: Usher;
let orders: Registered;
let billing: Registered;
let dave: Client;
beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  orders = await register(usher, 'orders');
  billing = await register(usher, 'billing');
  dave = await known(usher, 'dave');
});
afterAll(() => usher?.close());

interface Review {
  request: { id: string; plan: { statements: object[] } };
  ownerGroup: string;
  stages: { name: string; open: boolean; people: { id: string; name: string }[] }[];
  held: { grantId: string; targetId: string; targetName: string; profileName: string; state: string; endsAt: string }[];
  heldCount: number;
  lastUsedAt: string | null;
  earlier: { count: number; last: { id: string } | null };
}
const engineer = (): Client => someone(usher, ['engineers']);
const owner = (): Client => someone(usher, ['orders-owners']);
const review = (client: Client, id: string) => client.get<Review>(`/v1/requests/${id}/review`);

async function met(groups: readonly string[], more: Record<string, unknown> = {}): Promise<[Client, string, string]> {
  const name = newName();
  const client = usher.withToken(usher.standIn.oidc.signWith(claimsOf(usher, name, groups, more)));
  await client.get('/v1/requests');
  const { rows } = await usher.database.owner.query<{ id: string; name: string }>(
    'SELECT id, name FROM person WHERE subject = $1',
    [`sub-${name}`],
  );
  return [client, rows[0]?.id ?? '', rows[0]?.name ?? ''];
}

test('what the requester has, and asked for before; nothing of others', async () => {
  const asker = engineer();
  await open(usher, engineer(), orders);
  const first = await open(usher, asker, orders);
  const elsewhere = await ask(asker, billing);
  const { id, personId } = await ask(asker, orders);
  const before = await review(owner(), id);
  expect(before.status).toBe(200);
  expect(before.body).toMatchObject({
    request: { id, plan: { statements: expect.any(Array) } },
    ownerGroup: 'orders-owners',
    stages: [{ name: 'approval', needed: 1, agreed: 0, open: true, groups: [], people: [] }],
    held: [
      { grantId: elsewhere.grantId, targetId: billing.targetId, targetName: 'billing', state: 'opening' },
      { grantId: first.grantId, targetName: 'orders', profileName: 'reporting-read', state: 'active' },
    ],
    heldCount: 2,
    lastUsedAt: null,
    earlier: { count: 1, last: { id: first.id } },
  });
  const seen = new Date('2026-03-01T10:00:00.000Z');
  const { id: endpointId } = await usher.db.client.endpoint.findFirstOrThrow({ where: { targetId: orders.targetId } });
  const owned = { login: 'x', loginKind: 'person', personId };
  const session = { endpointId, ...owned, tls: true, backendStart: seen, startedAt: seen, firstSeenAt: seen };
  for (const [targetId, lastSeenAt] of [
    [orders.targetId, new Date(seen.getTime() + 60_000)],
    [orders.targetId, seen],
    [billing.targetId, new Date(seen.getTime() + 120_000)],
  ] as const)
    await usher.db.client.connection.create({
      data: { id: v7(), ...session, pid: lastSeenAt.getTime() % 1_000_000, targetId, lastSeenAt },
    });
  await asker.post(`/v1/grants/${elsewhere.grantId}/revoke`);
  expect((await review(owner(), id)).body).toMatchObject({
    held: [{ grantId: first.grantId }],
    lastUsedAt: new Date(seen.getTime() + 60_000).toISOString(),
  });
});

test('who may still agree: not who voted, asked, is locked, or is one of these by another name', async () => {
  const email = `${newName()}@example.com`;
  const asker = someone(usher, ['engineers'], { email });
  const [left, leftId, leftName] = await met([]);
  const [voter, voterId] = await met([]);
  const [, lockedId] = await met([]);
  const [, againId] = await met([], { email: email.toUpperCase() });
  await dave.post(`/v1/people/${lockedId}/lock`, { reason: 'a laptop was stolen' });
  const path = `/v1/targets/${orders.targetId}/profiles/${orders.profiles['reporting-read']}`;
  const stages = [{ name: 'named', needed: 2, groups: ['sec'], people: [leftId, voterId, lockedId, againId] }];
  expect((await dave.patch(path, { approvalStages: stages })).status).toBe(200);
  try {
    const { id } = await ask(asker, orders);
    expect((await voter.post(`/v1/requests/${id}/approve`, {})).status).toBe(200);
    const { body } = await review(left, id);
    expect(body.stages).toEqual([
      { name: 'named', needed: 2, agreed: 1, open: true, groups: ['sec'], people: [{ id: leftId, name: leftName }] },
    ]);
    expect((await review(someone(usher, ['sec']), id)).status).toBe(200);
    expect((await review(engineer(), id)).body).toMatchObject({ status: 404, code: 'request_not_found' });
  } finally {
    await dave.patch(path, { approvalStages: [] });
  }
});

test('is for who approves or sees everything, and not for who asked', async () => {
  const asker = engineer();
  const { id } = await ask(asker, orders);
  for (const groups of [['auditors'], ['admins'], ['orders-owners']])
    expect((await review(someone(usher, groups), id)).status).toBe(200);
  expect((await review(asker, id)).body).toMatchObject({ status: 403, code: 'policy_denied' });
  for (const stranger of [engineer(), someone(usher, ['billing-owners'])])
    expect((await review(stranger, id)).body).toMatchObject({ status: 404, code: 'request_not_found' });
  expect((await review(owner(), 'x')).body).toMatchObject({ status: 400, code: 'invalid_id' });
});

test('shows fifty grants at the most, and counts them all', async () => {
  const asker = engineer();
  const { id, grantId } = await open(usher, asker, orders);
  const { requestId: _, ...grant } = await usher.db.client.grant.findUniqueOrThrow({ where: { id: grantId } });
  const { id: __, plan, stages, ...request } = await usher.db.client.request.findUniqueOrThrow({ where: { id } });
  const json = { plan: plan as object, stages: stages as object[] };
  for (let i = 0; i < 55; i++) {
    const [requestId, copy] = [v7(), v7()];
    await usher.db.client.request.create({ data: { ...request, ...json, id: requestId, grantId: copy } });
    await usher.db.client.grant.create({ data: { ...grant, id: copy, requestId, state: 'opening' } });
  }
  const { id: asked } = await ask(asker, orders);
  const { body } = await review(owner(), asked);
  expect([body.held.length, body.heldCount, body.earlier.count]).toEqual([50, 56, 56]);
});

test('GraphQL has it, too', async () => {
  const asker = engineer();
  const { id } = await ask(asker, orders);
  const document = `{ requestReview(id: "${id}") { request { id } ownerGroup stages { name people { id name } } held { grantId targetName endsAt } heldCount lastUsedAt earlier { count last { id } } } }`;
  expect((await owner().graphql(document)).data).toMatchObject({
    requestReview: { request: { id }, held: [], heldCount: 0, lastUsedAt: null, earlier: { count: 0, last: null } },
  });
  expect((await asker.graphql(document)).errors?.[0]?.extensions).toMatchObject({ code: 'policy_denied' });
});
