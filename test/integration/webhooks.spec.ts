/** Webhooks over real HTTP: who gets what, in which order, and what comes of a receiver that is away. */
import { v7 } from 'uuid';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { NotificationJobs } from '../../src/notifications/notifications.job.js';
import { Jobs } from '../../src/platform/jobs/jobs.js';
import { auditLines, known } from '../support/people.ts';
import { startReceiver, verify, type Message, type Receiver } from '../support/receiver.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';
import { until } from '../support/until.ts';
import { newWebhook, record, seal, send, webhookEnv } from '../support/webhooks.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let usher: Usher;
let dave: Client;
let receiver: Receiver;

beforeAll(async () => {
  usher = await startUsher({ work: false, env: webhookEnv });
  dave = await known(usher, 'dave');
});
afterAll(() => usher?.close());
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(async () => {
  await receiver.stop();
  await usher.db.client.webhook.deleteMany();
});

const [ana, ben, cleo] = [v7(), v7(), v7()];
const say = (subjectId: string, ...words: string[]): Promise<void> =>
  words.reduce(
    (before, word) => before.then(() => record(usher, 'grant.active', { subjectId, details: { word } })),
    Promise.resolve(),
  );
/** What somebody's messages said, in the order in which they came. */
const heard = (subjectId: string, got = receiver.got): unknown[] =>
  got.flatMap(({ body: { data } }) =>
    data['subjectId'] === subjectId ? [(data['details'] as { word: string }).word] : [],
  );
const show = async (id: string): Promise<Record<string, unknown>> => (await dave.get(`/v1/webhooks/${id}`)).body;
type Delivery = Record<string, unknown> & { sequence: number };
const deliveries = async (id: string, query = ''): Promise<Delivery[]> =>
  (await dave.get<{ items: Delivery[] }>(`/v1/webhooks/${id}/deliveries${query}`)).body.items;
const onRecord = async (action: string): Promise<unknown[]> =>
  (await auditLines(usher)).filter((line) => line.action === action);
/** Lets time go by, minute by minute, with the looks of a process in between. */
async function pass(milliseconds: number, step = MINUTE): Promise<void> {
  for (let gone = 0; gone < milliseconds; gone += step) {
    usher.clock.move(step);
    await send(usher);
  }
}

describe('a webhook', () => {
  test('gets what is on record after it was made, signed, as the API shows it', async () => {
    await say(ana, 'before');
    const { secret, webhook } = await newWebhook(usher, receiver.url);
    await say(ana, 'hello');
    await record(usher, 'request.create', { subjectId: ana });
    await send(usher);
    expect(heard(ana)).toEqual(['hello']);
    const message = receiver.got[0] as Message;
    expect(verify(secret, message)).toEqual(message.body);
    const { body: page } = await dave.get<{ items: Record<string, unknown>[] }>(
      '/v1/audit/events?action=grant.active&limit=1',
    );
    const { sequence } = message.body.data;
    expect(message.body).toEqual({
      type: 'grant.active',
      timestamp: page.items[0]?.['at'],
      data: { sequence, ...page.items[0] },
    });
    expect(message.headers).toMatchObject({
      'content-type': 'application/json',
      'webhook-id': `msg_${webhook.id.replaceAll('-', '')}_${sequence}`,
    });
    expect(await deliveries(webhook.id)).toEqual([
      expect.objectContaining({ sequence, state: 'delivered', attempts: 1, lastStatus: 204, lastError: null }),
    ]);
    await send(usher);
    expect(receiver.got).toHaveLength(1);
  });

  test('gets only what is about the targets and the people that it names', async () => {
    const targetId = v7();
    await newWebhook(usher, receiver.url, { events: ['*'], targetIds: [targetId], subjectIds: [ana] });
    await record(usher, 'grant.closed', { targetId, subjectId: ben });
    await record(usher, 'grant.closed', { targetId: v7(), subjectId: ana });
    await record(usher, 'drift.found', { targetId });
    await record(usher, 'token.mint', { targetId, subjectId: ana });
    await send(usher);
    expect(receiver.got.map(({ body }) => body.type)).toEqual(['token.mint']);
  });

  test('that was away for an hour gets everything once it is back, in order and once', async () => {
    const { secret, webhook } = await newWebhook(usher, receiver.url);
    await say(ana, 'a0');
    await send(usher);
    await receiver.stop();
    for (let minute = 3; minute <= 60; minute += 3) {
      await say(ana, `a${minute}`);
      if (minute % 15 === 0) await say(ben, `b${minute}`);
      await pass(3 * MINUTE, 3 * MINUTE);
    }
    const { state, failures } = await show(webhook.id);
    expect([state, Number(failures) > 10]).toEqual(['enabled', true]);
    expect((await deliveries(webhook.id, '?state=pending&limit=1'))[0]).toMatchObject({ lastStatus: null });
    await receiver.start();
    await pass(6 * MINUTE); // the longest pause, and a fifth of it
    expect(heard(ana)).toEqual(Array.from({ length: 21 }, (_, third) => `a${3 * third}`));
    expect(heard(ben)).toEqual(['b15', 'b30', 'b45', 'b60']);
    for (const message of receiver.got) expect(verify(secret, message)).toEqual(message.body);
    const ids = receiver.got.map(({ headers }) => headers['webhook-id']);
    expect(new Set(ids).size).toBe(ids.length);
    expect(await show(webhook.id)).toMatchObject({ state: 'enabled', failures: 0, pausedUntil: null });
    expect(await deliveries(webhook.id, '?state=pending')).toEqual([]);
  });

  test('that does not take one event gets those about others, and the rest of the same story afterwards', async () => {
    await newWebhook(usher, receiver.url);
    let broken = true;
    receiver.answer = ({ body }) => (broken && body.data['subjectId'] === ana ? 500 : 204);
    await say(ana, 'a1', 'a2');
    await say(ben, 'b1', 'b2');
    await send(usher);
    expect([heard(ana), heard(ben)]).toEqual([['a1'], ['b1', 'b2']]);
    await pass(5 * MINUTE);
    await say(ben, 'b3');
    await send(usher);
    expect(heard(ben)).toEqual(['b1', 'b2', 'b3']);
    expect(new Set(heard(ana))).toEqual(new Set(['a1']));
    broken = false;
    receiver.got = [];
    await pass(6 * MINUTE);
    expect(heard(ana)).toEqual(['a1', 'a2']);
  });

  test('that takes nothing at all is left in peace, however many wait, and gets all of it when it is back', async () => {
    const { webhook } = await newWebhook(usher, receiver.url);
    receiver.answer = () => 500;
    const many = Array.from({ length: 30 }, () => v7());
    for (const one of many) await say(one, 'first', 'second');
    await pass(MINUTE, 5_000);
    expect(receiver.got.length).toBeLessThanOrEqual(6 * 8); // at 0, 5, 15, 35 s, a fifth more or less
    expect(await show(webhook.id)).toMatchObject({ pausedUntil: expect.any(String) });
    receiver.answer = () => 204;
    receiver.got = [];
    await pass(6 * MINUTE);
    expect(many.map((one) => heard(one))).toEqual(many.map(() => ['first', 'second']));
  });

  test('is tried again with the same id and body, at longer and longer intervals', async () => {
    await newWebhook(usher, receiver.url);
    receiver.answer = () => 503;
    await say(ana, 'again');
    const times: number[] = [];
    for (let step = 0; step < 60; step++) {
      const before = receiver.got.length;
      await pass(5_000, 5_000);
      if (receiver.got.length > before) times.push(step);
    }
    const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(pauses.length).toBeGreaterThan(3);
    expect(pauses).toEqual([...pauses].sort((a, b) => a - b));
    expect(new Set(receiver.got.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(new Set(receiver.got.map(({ text }) => text)).size).toBe(1);
  });

  test('that lost its answer on the way is sent the same again', async () => {
    const { webhook } = await newWebhook(usher, receiver.url);
    receiver.answer = () => 0;
    await say(ana, 'once');
    await send(usher);
    expect((await deliveries(webhook.id))[0]).toMatchObject({ lastError: expect.stringContaining('ECONNRESET') });
    receiver.answer = () => 204;
    await pass(MINUTE);
    expect(heard(ana)).toEqual(['once', 'once']);
    expect(receiver.got[1]?.headers['webhook-id']).toBe(receiver.got[0]?.headers['webhook-id']);
  });
});

describe('after a day', () => {
  test('a webhook is failing, on record once, and sends nothing until it is replayed', async () => {
    const { webhook } = await newWebhook(usher, receiver.url);
    await say(ana, 'fine');
    await send(usher);
    const first = receiver.got[0]?.body.data.sequence ?? 0;
    receiver.answer = () => 500;
    await say(ana, 'lost');
    await pass(23 * HOUR, HOUR);
    expect(await show(webhook.id)).toMatchObject({ state: 'enabled' });
    await pass(2 * HOUR, HOUR);
    expect(await show(webhook.id)).toMatchObject({
      state: 'failing',
      stateReason: expect.stringContaining('The receiver answered 500'),
    });
    const { body: metrics } = await dave.get<{ text: string }>('/metrics');
    expect(metrics.text).toContain('usher_webhooks{state="failing"} 1');
    expect(metrics.text).toMatch(/usher_webhook_failing_seconds_max [89]\d{4}/);
    receiver.answer = () => 204;
    receiver.got = [];
    await say(ana, 'later');
    await pass(HOUR, HOUR);
    expect(receiver.got).toEqual([]);
    expect(await onRecord('webhook.failed')).toEqual([
      expect.objectContaining({
        outcome: 'failed',
        details: expect.objectContaining({ webhookId: webhook.id, receiver: new URL(receiver.url).origin }),
      }),
    ]);
    const again = await dave.post(`/v1/webhooks/${webhook.id}/replay`, { from: first });
    expect(again).toMatchObject({ status: 200, body: { state: 'enabled', stateReason: null, cursor: first - 1 } });
    await send(usher);
    expect(heard(ana)).toEqual(['fine', 'lost', 'later']);
  });

  test('what stands before the event that is replayed from is left out', async () => {
    const { webhook } = await newWebhook(usher, receiver.url);
    receiver.answer = () => 500;
    await say(ana, 'poison', 'good');
    await send(usher);
    const [good] = await deliveries(webhook.id);
    receiver.answer = () => 204;
    receiver.got = [];
    await dave.post(`/v1/webhooks/${webhook.id}/replay`, { from: good?.sequence });
    await send(usher);
    expect(heard(ana)).toEqual(['good']);
    expect((await onRecord('webhook.replay')).at(-1)).toMatchObject({ details: { from: good?.sequence, leftOut: 1 } });
  });

  test('nobody replays from beyond the end of the record', async () => {
    const { webhook } = await newWebhook(usher, receiver.url);
    await seal(usher);
    const { body } = await dave.post(`/v1/webhooks/${webhook.id}/replay`, { from: 1_000_000 });
    expect(body).toMatchObject({ status: 400, code: 'invalid_input', fields: [{ field: 'from' }] });
  });
});

describe('a webhook is disabled', () => {
  test('by a receiver that answers 410, and goes on where it stood when it is enabled again', async () => {
    const { webhook } = await newWebhook(usher, receiver.url);
    receiver.answer = () => 410;
    await say(ana, 'a1', 'a2');
    await send(usher);
    expect(await show(webhook.id)).toMatchObject({ state: 'disabled', stateReason: expect.stringContaining('410') });
    expect(await onRecord('webhook.disabled')).toHaveLength(1);
    await pass(HOUR, HOUR);
    expect(receiver.got).toHaveLength(1);
    const refused = await dave.post(`/v1/webhooks/${webhook.id}/replay`, { from: 1 });
    expect(refused.body).toMatchObject({ status: 409, code: 'webhook_disabled', advice: expect.any(String) });
    receiver.answer = () => 204;
    await dave.patch(`/v1/webhooks/${webhook.id}`, { enabled: true });
    await send(usher);
    expect(heard(ana)).toEqual(['a1', 'a1', 'a2']);
  });

  test('by who administers it, and what happens meanwhile is sent afterwards', async () => {
    const { webhook } = await newWebhook(usher, receiver.url);
    const { body } = await dave.patch(`/v1/webhooks/${webhook.id}`, { enabled: false });
    expect(body).toMatchObject({ state: 'disabled', stateReason: expect.stringContaining('disabled it') });
    await say(ana, 'meanwhile');
    await pass(HOUR, HOUR);
    expect(receiver.got).toEqual([]);
    await dave.patch(`/v1/webhooks/${webhook.id}`, { enabled: true });
    await send(usher);
    expect(heard(ana)).toEqual(['meanwhile']);
  });

  test('or taken away, with all that waits', async () => {
    const { webhook } = await newWebhook(usher, receiver.url);
    receiver.answer = () => 500;
    await say(ana, 'a1', 'a2');
    await send(usher);
    expect((await dave.delete(`/v1/webhooks/${webhook.id}`)).status).toBe(200);
    expect((await dave.get(`/v1/webhooks/${webhook.id}`)).body).toMatchObject({ code: 'webhook_not_found' });
    expect((await onRecord('webhook.delete')).at(-1)).toMatchObject({ details: { waiting: 2 } });
    await pass(HOUR, HOUR);
    expect(receiver.got).toHaveLength(1);
  });
});

test('several processes never send at once, and whoever is left sends the rest', async () => {
  const other = await startUsher({ work: false, env: webhookEnv, database: usher.database, clock: usher.clock });
  try {
    await newWebhook(usher, receiver.url);
    const [came, go] = [Promise.withResolvers<void>(), Promise.withResolvers<number>()];
    receiver.answer = () => {
      came.resolve();
      return go.promise;
    };
    await say(ana, 'a1', 'a2');
    const first = send(usher);
    await came.promise;
    await other.app.get(NotificationJobs).tick(); // finds it taken, and waits for nothing
    expect(heard(ana)).toEqual(['a1']);
    receiver.answer = () => 204;
    go.resolve(204);
    await first;
    expect(heard(ana)).toEqual(['a1', 'a2']);
    await say(cleo, 'c1');
    await Promise.all([send(usher), other.app.get(NotificationJobs).tick()]);
    await other.app.get(NotificationJobs).tick();
    expect(heard(cleo)).toEqual(['c1']);
  } finally {
    await other.stop();
  }
});

test('a process whose hold on a webhook is lost takes it anew', async () => {
  await newWebhook(usher, receiver.url);
  const [came, go] = [Promise.withResolvers<void>(), Promise.withResolvers<number>()];
  receiver.answer = () => {
    came.resolve();
    return go.promise;
  };
  await say(ana, 'a1');
  const held = send(usher);
  await came.promise;
  const { rowCount } = await usher.database.owner.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'usher locks' AND datname = current_database()`,
  );
  expect(rowCount).toBe(1);
  receiver.answer = () => 204;
  go.resolve(204);
  await held;
  await say(ana, 'a2');
  await send(usher);
  expect(heard(ana)).toEqual(['a1', 'a2']);
});

test('a receiver that does not answer holds up no other', async () => {
  const other = await startReceiver();
  try {
    const [came, go] = [Promise.withResolvers<void>(), Promise.withResolvers<number>()];
    receiver.answer = () => {
      came.resolve();
      return go.promise;
    };
    await newWebhook(usher, receiver.url);
    await say(ana, 'a1');
    const held = send(usher);
    await came.promise;
    await newWebhook(usher, other.url);
    await say(ana, 'a2');
    await seal(usher);
    const looks = usher.app.get(NotificationJobs).tick();
    await until('the other has it', () => Promise.resolve(heard(ana, other.got).length > 0));
    expect(heard(ana, other.got)).toEqual(['a2']);
    receiver.answer = () => 204;
    go.resolve(204);
    await Promise.all([held, looks]);
    expect(heard(ana)).toEqual(['a1', 'a2']);
  } finally {
    await other.stop();
  }
});

test('what was delivered is forgotten after a week, and what waits never', async () => {
  const { webhook } = await newWebhook(usher, receiver.url);
  receiver.answer = ({ body }) => (body.data['subjectId'] === ana ? 500 : 204);
  await say(ana, 'waits');
  await say(ben, 'arrives');
  await send(usher);
  usher.clock.move(8 * 24 * HOUR);
  await usher.app.get(NotificationJobs).forget();
  expect((await deliveries(webhook.id)).map(({ state }) => state)).toEqual(['pending']);
});

test('a process with jobs looks by itself, and forgets by itself', async () => {
  await usher.app.get(Jobs).start();
  await usher.app.get(NotificationJobs).start();
  await newWebhook(usher, receiver.url);
  await say(ana, 'by itself');
  await seal(usher);
  await until('it is sent', () => Promise.resolve(receiver.got.length > 0));
  expect(heard(ana)).toEqual(['by itself']);
  const { rows } = await usher.database.owner.query(
    `SELECT cron FROM pgboss.schedule WHERE name = 'forget-deliveries'`,
  );
  expect(rows).toEqual([{ cron: '41 * * * *' }]);
});
