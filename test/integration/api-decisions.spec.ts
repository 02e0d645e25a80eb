import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, auditLines, known, open, register, someone, type Asked, type Registered } from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

let usher: Usher;
let orders: Registered;
let dave: Client;
beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  orders = await register(usher, 'orders');
  dave = await known(usher, 'dave');
});
afterAll(() => usher?.close());

interface Result {
  id: string;
  request: Asked | null;
  problem: { status: number; code: string; detail: string; advice: string | null } | null;
}
interface Results {
  results: Result[];
}
const engineer = (): Client => someone(usher, ['engineers']);
const owner = (): Client => someone(usher, ['orders-owners']);
const decide = (client: Client, decisions: object[], headers?: Record<string, string>) =>
  client.post<Results & { correlationId: string }>('/v1/requests/decisions', { decisions }, headers);
const grantsOf = async (requestId: string): Promise<number> =>
  (await usher.database.owner.query('SELECT 1 FROM access_grant WHERE request_id = $1', [requestId])).rowCount ?? 0;
const successes = async (id: string): Promise<string[]> =>
  (
    await usher.database.owner.query<{ action: string }>(
      `SELECT action FROM audit_event WHERE request_id = $1 AND outcome = 'success' ORDER BY id`,
      [id],
    )
  ).rows.map(({ action }) => action);

describe('many decisions in one call', () => {
  test('each for itself: those that are refused do not stop the others', async () => {
    const bob = owner();
    const [yes, no, own, decided, last] = await Promise.all([
      ask(engineer(), orders),
      ask(engineer(), orders),
      ask(bob, orders),
      ask(engineer(), orders),
      ask(engineer(), orders),
    ]);
    await dave.get('/v1/requests');
    await owner().post(`/v1/requests/${decided.id}/deny`);
    const nothing = '0190163d-8694-739b-aea5-966c26f8ad91';
    const { status, body, headers } = await decide(bob, [
      { id: yes.id, verdict: 'approve', comment: 'fine with me', revision: 1 },
      { id: own.id, verdict: 'approve' },
      { id: nothing, verdict: 'deny' },
      { id: decided.id, verdict: 'deny' },
      { id: no.id, verdict: 'deny', comment: 'not today' },
      { id: yes.id, verdict: 'approve' },
      { id: last.id, verdict: 'approve', revision: 2 },
    ]);
    expect(status).toBe(200);
    expect(headers.get('content-type')).toContain('application/json');
    expect(body.results).toMatchObject([
      { id: yes.id, request: { state: 'approved', votes: [{ comment: 'fine with me' }] }, problem: null },
      { id: own.id, request: null, problem: { status: 403, code: 'own_request', advice: expect.any(String) } },
      { id: nothing, request: null, problem: { status: 404, code: 'request_not_found' } },
      { id: decided.id, request: null, problem: { status: 409, code: 'request_not_pending' } },
      { id: no.id, request: { state: 'denied' }, problem: null },
      { id: yes.id, request: null, problem: { status: 409 } },
      { id: last.id, request: null, problem: { status: 409, code: 'plan_changed' } },
    ]);
    expect(await grantsOf(yes.id)).toBe(1);
    for (const { id } of [own, decided, no, last]) expect(await grantsOf(id)).toBe(0);
  });

  test('each refusal is on record, for the request that it is about', async () => {
    const bob = owner();
    const own = await ask(bob, orders);
    const other = await ask(engineer(), orders);
    await decide(bob, [
      { id: own.id, verdict: 'approve' },
      { id: other.id, verdict: 'approve', revision: 9 },
    ]);
    const { rows } = await usher.database.owner.query(
      `SELECT request_id, code, details->>'asked' AS asked, correlation_id FROM audit_event
        WHERE action = 'access.refused' AND request_id = ANY ($1::uuid[]) ORDER BY id`,
      [[own.id, other.id]],
    );
    expect(rows).toMatchObject([
      { request_id: own.id, code: 'own_request', asked: 'approve' },
      { request_id: other.id, code: 'plan_changed', asked: 'approve' },
    ]);
  });

  test('a stranger decides on nothing, and learns of nothing', async () => {
    const { id } = await ask(engineer(), orders);
    const { body } = await decide(someone(usher, ['billing-owners']), [
      { id, verdict: 'approve' },
      { id, verdict: 'deny' },
    ]);
    expect(body.results.map(({ problem }) => problem?.code)).toEqual(['request_not_found', 'request_not_found']);
    expect((await dave.get(`/v1/requests/${id}`)).body).toMatchObject({ state: 'pending' });
  });

  test('the same call again is answered as before', async () => {
    const bob = owner();
    const { id } = await ask(engineer(), orders);
    const key = { 'Idempotency-Key': randomUUID() };
    const decisions = [
      { id, verdict: 'approve' },
      { id: '0190163d-8694-739b-aea5-966c26f8ad91', verdict: 'deny' },
    ];
    const [first, again] = [await decide(bob, decisions, key), await decide(bob, decisions, key)];
    expect(again.body).toEqual(first.body);
    expect(first.body.results[0]?.request).toMatchObject({ state: 'approved' });
    expect((await decide(bob, [{ id, verdict: 'deny' }], key)).body).toMatchObject({ code: 'idempotency_mismatch' });
    expect(await successes(id)).toEqual(['request.create', 'request.approve', 'grant.create']);
  });

  test.each<[string, unknown]>([
    ['none', []],
    ['too many', Array.from({ length: 51 }, () => ({ id: randomUUID(), verdict: 'deny' }))],
    ['no verdict', [{ id: randomUUID() }]],
    ['another verdict', [{ id: randomUUID(), verdict: 'maybe' }]],
    ['no id', [{ id: 'x', verdict: 'deny' }]],
  ])('%s of them is bad input', async (_, decisions) => {
    expect((await owner().post('/v1/requests/decisions', { decisions })).body).toMatchObject({
      status: 400,
      code: 'invalid_input',
    });
  });

  test('GraphQL has it, too', async () => {
    const [{ id }, bob] = [await ask(engineer(), orders), owner()];
    const { data, errors } = await bob.graphql<{ decideRequests: Results }>(
      'mutation ($input: DecideRequests!) { decideRequests(input: $input) { results { id request { state } problem { status code advice } } } }',
      { input: { decisions: [1, 2].map(() => ({ id, verdict: 'approve' })) } },
    );
    expect(errors).toBeUndefined();
    expect(data?.decideRequests.results).toMatchObject([
      { id, request: { state: 'approved' }, problem: null },
      { id, request: null, problem: { status: 409 } },
    ]);
  });
});

describe('fifty at the same moment', () => {
  const outcome = ['approved', 'denied', 'cancelled'];

  test('agree, refuse, change and take back one request: one outcome', async () => {
    const asker = engineer();
    const { id } = await ask(asker, orders);
    const owners = Array.from({ length: 30 }, owner);
    const path = `/v1/requests/${id}`;
    const answers = await Promise.all([
      ...owners.map((one, i) => one.post(`${path}/${i % 3 === 2 ? 'deny' : 'approve'}`, {})),
      ...Array.from({ length: 15 }, (_, i) => asker.patch(path, { reason: `reason ${i}` })),
      ...Array.from({ length: 5 }, () => asker.post(`${path}/cancel`)),
    ]);
    expect(answers.filter(({ status }) => status >= 500)).toEqual([]);
    const { body } = await dave.get<{ state: string; planRevision: number }>(path);
    expect(outcome).toContain(body.state);
    expect(await grantsOf(id)).toBe(body.state === 'approved' ? 1 : 0);
    const done = await successes(id);
    const ends = done.filter((action) => ['request.approve', 'request.deny', 'request.cancel'].includes(action));
    expect(ends).toHaveLength(1);
    expect(done.filter((action) => action === 'request.edit')).toHaveLength(body.planRevision - 1);
    expect(done.indexOf('request.edit', done.indexOf(ends[0] ?? ''))).toBe(-1); // nothing is changed once it is decided
  });

  test('two who must agree: two of fifty, and one grant', async () => {
    const path = `/v1/targets/${orders.targetId}/profiles/${orders.profiles['reporting-read']}`;
    await dave.patch(path, { approvalsNeeded: 2 });
    try {
      const { id } = await ask(engineer(), orders);
      const answers = await Promise.all(
        Array.from({ length: 50 }, owner).map((one) => one.post<Asked>(`/v1/requests/${id}/approve`, {})),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, ...Array<number>(48).fill(409)]);
      expect(answers.filter(({ body }) => body.state === 'approved')).toHaveLength(1);
      expect(await grantsOf(id)).toBe(1);
    } finally {
      await dave.patch(path, { approvalsNeeded: 1 });
    }
  });

  test('end one grant: it is ended once', async () => {
    const asker = engineer();
    const { grantId } = await open(usher, asker, orders);
    const callers = Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? asker : owner()));
    const answers = await Promise.all(callers.map((one) => one.post(`/v1/grants/${grantId}/revoke`)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(49).fill(409)]);
    const lines = (await auditLines(usher)).filter(({ action }) => action === 'grant.revoke');
    expect(lines.filter((line) => (line as unknown as { grant_id: string }).grant_id === grantId)).toHaveLength(1);
  });

  test('calls of many decisions on the same requests: each is decided once', async () => {
    const ids = (await Promise.all(Array.from({ length: 5 }, () => ask(engineer(), orders)))).map(({ id }) => id);
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        decide(
          owner(),
          (i % 2 === 0 ? ids : ids.toReversed()).map((id) => ({ id, verdict: i % 3 === 0 ? 'deny' : 'approve' })),
        ),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
    const results = answers.flatMap(({ body }) => body.results);
    expect(results.filter(({ problem }) => (problem?.status ?? 0) >= 500)).toEqual([]);
    for (const id of ids) expect(results.filter((one) => one.id === id && one.request !== null)).toHaveLength(1);
  });
});
