/** Subscriptions over real WebSockets: who hears what, in which order, where it goes on, and what ends it. */
import { v7 } from 'uuid';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { AuditService } from '../../src/audit/audit.service.js';
import { systemActor } from '../../src/platform/actor.js';
import { Sockets } from '../../src/platform/http/sockets.js';
import { ask, auditLines, known, open, register, type Asked, type Registered } from '../support/people.ts';
import { later, newService, seen, type Seen } from '../support/services.ts';
import { codeOf, Line, rawSocket, type Heard } from '../support/subscriptions.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';
import { until } from '../support/until.ts';
import { seal } from '../support/webhooks.ts';

let usher: Usher;
let target: Registered;
let dave: Client;
let bob: string;
const lines: Line[] = [];

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false }, env: { USHER_SOCKETS_PER_PERSON: '3' } });
  target = await register(usher, 'orders');
  dave = await known(usher, 'dave');
  bob = await usher.standIn.oidc.tokenFor('bob', { expiresIn: 86_400 });
});
afterEach(async () => {
  await Promise.all(lines.splice(0).map((line) => line.close()));
});
afterAll(() => usher?.close());

interface RequestEvent {
  sequence: number;
  action: string;
  requestId: string;
  request: { id: string; state: string };
}
const REQUESTS =
  '($after: Float, $person: ID) { requestEvents(after: $after, person: $person) { sequence action requestId request { id state } } }';
const GRANTS = '($after: Float) { grantEvents(after: $after) { sequence action grantId grant { state } } }';

function listen(token: string, more: Record<string, string> = {}, at = usher): Line {
  const line = new Line(at, { authorization: `Bearer ${token}`, ...more });
  lines.push(line);
  return line;
}
/** When it was let in: what is on record from now on is behind the sequence that it was told. */
async function connected(line: Line): Promise<number> {
  await until('the connection', async () => line.greeting ?? line.closed);
  return Number(line.greeting?.['sequence']);
}
const requestsOf = (line: Line, after: number, more: Record<string, unknown> = {}): Heard<RequestEvent> =>
  line.subscribe<RequestEvent>(REQUESTS, { after, ...more });
const heard = (from: Heard<unknown>, count: number): Promise<unknown> =>
  until(`${count} events`, async () => from.events.length >= count || from.ended !== undefined);
const over = (from: Heard<unknown>): Promise<unknown> => until('the end', async () => from.ended !== undefined);
const gone = async (line: Line): Promise<unknown[]> => {
  await until('the end of the connection', async () => line.closed);
  return [line.closed?.code, line.closed?.reason.split(':')[0]];
};
const told = ({ events }: Heard<RequestEvent>): string[] => events.map(({ action, requestId }) => `${action} ${requestId}`);
/** As many lines about a request as nobody would make by hand. */
async function edits(request: Asked, count: number): Promise<void> {
  const about = { requestId: request.id, subjectId: request.personId, targetId: target.targetId };
  const entries = Array.from({ length: count }, () => ({ action: 'request.edit' as const, ...about }));
  await usher.db.tx((tx) => usher.app.get(AuditService).appendAll(tx, systemActor('test', v7()), entries));
  await seal(usher);
}

describe('somebody who listens', () => {
  test('hears in order what becomes of their requests, with the request as it is', async () => {
    const ana = await seen(usher);
    const line = listen(ana.token);
    const events = requestsOf(line, await connected(line));
    const first = await ask(ana.client, target);
    const second = await ask(ana.client, target);
    await ana.client.post(`/v1/requests/${first.id}/cancel`);
    await seal(usher);
    await heard(events, 3);
    expect(told(events)).toEqual([
      `request.create ${first.id}`,
      `request.create ${second.id}`,
      `request.cancel ${first.id}`,
    ]);
    expect(events.events.map(({ request }) => request)).toEqual([
      { id: first.id, state: 'cancelled' },
      { id: second.id, state: 'pending' },
      { id: first.id, state: 'cancelled' },
    ]);
    const places = events.events.map(({ sequence }) => sequence);
    expect(places).toEqual([...new Set(places)].sort((a, b) => a - b));
  });

  test('hears of grants from the request on', async () => {
    const ana = await seen(usher);
    const line = listen(ana.token);
    const after = await connected(line);
    const events = line.subscribe<{ action: string; grantId: string; grant: { state: string } }>(GRANTS, { after });
    const { grantId } = await open(usher, ana.client, target);
    await seal(usher);
    await heard(events, 2);
    expect(events.events).toEqual([
      { sequence: expect.any(Number), action: 'grant.create', grantId, grant: { state: 'active' } },
      { sequence: expect.any(Number), action: 'grant.active', grantId, grant: { state: 'active' } },
    ]);
  });

  test('goes on after a cut where it stood, without loss and without anything twice, on another replica as well', async () => {
    const replica = await startUsher({ settings: { jobs: false }, database: usher.database, clock: usher.clock });
    onTestFinished(() => replica.stop());
    const ana = await seen(usher);
    const line = listen(ana.token);
    let after = await connected(line);
    const all = requestsOf(line, after);
    const request = await ask(ana.client, target);
    const got: number[] = [];
    for (const at of [usher, replica, usher, replica]) {
      const piece = listen(ana.token, {}, at);
      const events = requestsOf(piece, after);
      await edits(request, 7);
      await heard(events, 3);
      piece.cut(); // wherever it may be by then
      got.push(...events.events.map(({ sequence }) => sequence));
      after = got.at(-1) ?? after;
      await edits(request, 5);
    }
    const rest = requestsOf(listen(ana.token), after);
    await heard(all, 1 + 4 * 12);
    await heard(rest, 1 + 4 * 12 - got.length);
    got.push(...rest.events.map(({ sequence }) => sequence));
    expect(got).toEqual(all.events.map(({ sequence }) => sequence));
  });

  test('hears only what their list shows: an owner of their targets, a stranger of nothing', async () => {
    const [ana, stranger] = [await seen(usher), await seen(usher)];
    const [owner, other, filtered] = [listen(bob), listen(stranger.token), listen(bob)];
    const after = await connected(owner);
    const [owned, foreign, ofHer] = [requestsOf(owner, after), requestsOf(other, after), requestsOf(filtered, after, { person: stranger.id })];
    const request = await ask(ana.client, target);
    const theirs = await ask(stranger.client, target);
    await seal(usher);
    await heard(owned, 2);
    await heard(foreign, 1);
    await heard(ofHer, 1);
    expect(told(owned)).toEqual([`request.create ${request.id}`, `request.create ${theirs.id}`]);
    expect(told(foreign)).toEqual([`request.create ${theirs.id}`]);
    expect(told(ofHer)).toEqual([`request.create ${theirs.id}`]);
  });

  test('hears of sessions that are flagged on targets of theirs', async () => {
    const { targetId } = target;
    const endpoint = await usher.db.client.endpoint.findFirstOrThrow({ where: { targetId } });
    const now = usher.clock.now();
    const connection = { id: v7(), targetId, endpointId: endpoint.id, pid: 7, login: 'intruder', loginKind: 'unknown', database: 'orders' };
    const times = { backendStart: now, startedAt: now, firstSeenAt: now, lastSeenAt: now };
    await usher.db.client.connection.create({ data: { ...connection, ...times, grade: 'observed', observed: true } });
    const [owner, other] = [listen(bob), listen((await seen(usher)).token)];
    const after = await connected(owner);
    const document = '($after: Float) { flagEvents(after: $after) { action targetId flags connections { login } } }';
    const [owned, foreign] = [owner.subscribe(document, { after }), other.subscribe(document, { after })];
    const details = { connectionIds: [connection.id], flags: ['unknown_login'], addresses: ['192.0.2.7'] };
    await usher.db.tx((tx) =>
      usher.app.get(AuditService).append(tx, systemActor('observe', v7()), { action: 'connection.flagged', targetId, details }),
    );
    await seal(usher);
    await heard(owned, 1);
    expect(owned.events).toEqual([
      { action: 'connection.flagged', targetId, flags: ['unknown_login'], connections: [{ login: 'intruder' }] },
    ]);
    expect(foreign.events).toEqual([]);
  });

  test('who is slow makes nothing pile up, and misses nothing', async () => {
    const ana = await seen(usher);
    const request = await ask(ana.client, target, { reason: 'a long story '.repeat(70) });
    await seal(usher);
    const socket = rawSocket(usher);
    const got: number[] = [];
    const say = (message: object): void => socket.send(JSON.stringify(message));
    socket.on('open', () => say({ type: 'connection_init', payload: { authorization: `Bearer ${ana.token}` } }));
    socket.on('message', (data) => {
      const { type, payload } = JSON.parse(data.toString()) as {
        type: string;
        payload: { sequence: number; data: { requestEvents: { sequence: number } } };
      };
      const query = `subscription { requestEvents(after: ${payload.sequence}) { sequence request { reason plan { statements { sql } } } } }`;
      if (type === 'connection_ack') say({ id: '1', type: 'subscribe', payload: { query } });
      if (type === 'next') got.push(payload.data.requestEvents.sequence);
    });
    await until('the subscription', async () => socket.readyState === 1 && usher.app.get(Sockets).count > 0);
    await edits(request, 5);
    await until('the first events', async () => got.length >= 5);
    socket.pause();
    for (let batch = 0; batch < 3; batch += 1) await edits(request, 2_000);
    const waiting = (): number => usher.app.get(Sockets).waiting;
    await until('a full line', async () => waiting() > 0);
    expect(waiting()).toBeLessThan(64 * 1024);
    socket.resume();
    await until('all of them', async () => got.length >= 6_005);
    expect(got).toEqual([...new Set(got)].sort((a, b) => a - b));
    socket.close();
  });
});
