/** When a webhook waits because its receiver asks for it, and when it stands still because events are not kept any more. */
import { v7 } from 'uuid';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { MonthsService } from '../../src/audit/months.service.js';
import { prepareMonths } from '../../src/platform/state/months.js';
import { known } from '../support/people.ts';
import { startReceiver, type Receiver } from '../support/receiver.ts';
import { until } from '../support/until.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';
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

const say = (subjectId: string, word: string): Promise<void> =>
  record(usher, 'grant.active', { subjectId, details: { word } });
const heard = (): unknown[] => receiver.got.map(({ body }) => (body.data['details'] as { word: string }).word);
const show = async (id: string): Promise<Record<string, unknown>> => (await dave.get(`/v1/webhooks/${id}`)).body;
const pausedFor = async (id: string): Promise<number> =>
  new Date(String((await show(id))['pausedUntil'])).getTime() - usher.clock.now().getTime();
async function pass(milliseconds: number): Promise<void> {
  usher.clock.move(milliseconds);
  await send(usher);
}

describe('a receiver that asks for patience', () => {
  test.each([
    ['in seconds', 429, () => '1200'],
    ['by a date', 503, () => new Date(usher.clock.now().getTime() + 20 * MINUTE).toUTCString()],
  ])('%s gets nothing before, of nobody, and everything afterwards', async (_, status, asked) => {
    const { webhook } = await newWebhook(usher, receiver.url);
    receiver.answer = () => status;
    receiver.headers = { 'retry-after': asked() };
    await say(v7(), 'first');
    await send(usher);
    const pause = await pausedFor(webhook.id);
    expect([pause > 19 * MINUTE, pause <= 20 * MINUTE]).toEqual([true, true]);
    await say(v7(), 'of somebody else');
    await pass(18 * MINUTE);
    expect(heard()).toEqual(['first']);
    receiver.answer = () => 204;
    receiver.got = [];
    await pass(3 * MINUTE);
    expect(heard().sort()).toEqual(['first', 'of somebody else']);
    expect(await show(webhook.id)).toMatchObject({ state: 'enabled', failures: 0, pausedUntil: null });
  });

  test('for longer than four hours gets a message then, and is not asked less than usual for a moment', async () => {
    const { webhook } = await newWebhook(usher, receiver.url);
    receiver.answer = () => 503;
    receiver.headers = { 'retry-after': '604800' };
    await say(v7(), 'first');
    await send(usher);
    expect(await pausedFor(webhook.id)).toBeLessThanOrEqual(4 * HOUR);
    receiver.headers = { 'retry-after': '0' };
    await pass(4 * HOUR);
    expect(receiver.got).toHaveLength(2);
    expect(await pausedFor(webhook.id)).toBeGreaterThanOrEqual(4_000);
  });

  test.each([429, 502, 504])('by %i alone is left in peace as a whole, as long as usual', async (status) => {
    const { webhook } = await newWebhook(usher, receiver.url);
    receiver.answer = () => status;
    await say(v7(), 'first');
    await send(usher);
    expect(await pausedFor(webhook.id)).toBeGreaterThanOrEqual(4_000);
    await say(v7(), 'of somebody else');
    await send(usher);
    expect(heard()).toEqual(['first']);
  });

  test('by nonsense, or with what it took, is not believed', async () => {
    const { webhook } = await newWebhook(usher, receiver.url);
    receiver.headers = { 'retry-after': '3600' };
    await say(v7(), 'taken');
    await send(usher);
    receiver.answer = () => 500;
    receiver.headers = { 'retry-after': 'next year' };
    await say(v7(), 'not taken');
    await send(usher);
    expect(await show(webhook.id)).toMatchObject({ state: 'enabled', failures: 1, pausedUntil: null });
  });
});

describe('events that are not kept any more', () => {
  let upTo: number;
  let late: { id: string };

  beforeAll(async () => {
    receiver = await startReceiver();
    late = (await newWebhook(usher, receiver.url)).webhook;
    await dave.patch(`/v1/webhooks/${late.id}`, { enabled: false });
    await say(v7(), 'lost');
    await seal(usher);
    await usher.database.owner.query(
      `UPDATE audit_partition SET to_at = now() - interval '30 months' WHERE from_at IS NULL`,
    );
    await prepareMonths(usher.database.url, 24);
    await usher.app.get(MonthsService).turn();
    const { rows } = await usher.database.owner.query<{ last: number }>('SELECT max(seq)::int AS last FROM audit_seal');
    upTo = rows[0]?.last ?? 0;
    await receiver.stop();
  });

  test('stop a webhook that had not looked at them, with the place to go on from', async () => {
    await usher.db.client.webhook.update({ where: { id: late.id }, data: { url: receiver.url } });
    expect((await dave.patch(`/v1/webhooks/${late.id}`, { enabled: true })).status).toBe(200);
    await say(v7(), 'kept');
    await send(usher);
    expect(await show(late.id)).toMatchObject({
      state: 'failing',
      stateReason: expect.stringContaining(`from ${upTo + 1}.`),
    });
    expect(receiver.got).toEqual([]);
    const { rows } = await usher.database.owner.query(
      `SELECT details->>'webhookId' AS id FROM audit_event WHERE action = 'webhook.failed'`,
    );
    expect(rows).toEqual([{ id: late.id }]);
    expect((await dave.post(`/v1/webhooks/${late.id}/replay`, { from: upTo + 1 })).status).toBe(200);
    await send(usher);
    expect(heard()).toEqual(['kept']);
  });

  test('stop no webhook that somebody moves beyond them meanwhile', async () => {
    const { webhook } = await newWebhook(usher, receiver.url);
    await usher.db.client.webhook.update({ where: { id: webhook.id }, data: { cursor: 0 } });
    const session = await usher.database.owner.connect();
    try {
      await session.query('BEGIN');
      await session.query('SELECT FROM webhook WHERE id = $1 FOR UPDATE', [webhook.id]);
      const sent = send(usher);
      await until('the round waits', async () => {
        const waits = `SELECT FROM pg_stat_activity WHERE (SELECT pg_backend_pid()) = ANY (pg_blocking_pids(pid))`;
        return (await session.query(waits)).rowCount === 1;
      });
      await session.query('UPDATE webhook SET cursor = $2 WHERE id = $1', [webhook.id, upTo]);
      await session.query('COMMIT');
      await sent;
    } finally {
      session.release();
    }
    expect(await show(webhook.id)).toMatchObject({ state: 'enabled', stateReason: null });
  });

  test('are not replayed from, in either API, and nothing is changed', async () => {
    const { webhook } = await newWebhook(usher, receiver.url);
    const before = await show(webhook.id);
    for (const from of [1, upTo]) {
      const { body } = await dave.post(`/v1/webhooks/${webhook.id}/replay`, { from });
      expect(body).toMatchObject({ status: 409, code: 'events_dropped', advice: `Replay from ${upTo + 1} on.` });
    }
    const document = 'mutation($id: ID!) { replayWebhook(id: $id, input: { from: 1 }) { id } }';
    const { errors } = await dave.graphql(document, { id: webhook.id });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'events_dropped' });
    expect(await show(webhook.id)).toEqual(before);
  });
});
