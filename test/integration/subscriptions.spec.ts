/** Subscriptions over real WebSockets: who hears what, in which order, where it goes on, and what ends it. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { v7 } from 'uuid';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { AuditService } from '../../src/audit/audit.service.js';
import { systemActor } from '../../src/platform/actor.js';
import { Sockets } from '../../src/platform/http/sockets.js';
import { RecordTail } from '../../src/streams/record-tail.js';
import {
  ask,
  auditLines,
  claimsOf,
  known,
  newName,
  open,
  register,
  type Asked,
  type Registered,
} from '../support/people.ts';
import { later, newService, seen } from '../support/services.ts';
import { codeOf, Line, rawSocket, type Heard } from '../support/subscriptions.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';
import { until } from '../support/until.ts';
import { record, seal } from '../support/webhooks.ts';

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
  '($after: Float, $person: String) { requestEvents(after: $after, person: $person) { sequence action requestId request { id state } } }';
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
async function heard(from: Heard<unknown>, count: number): Promise<void> {
  await until(`${count} events`, async () => from.events.length >= count || from.ended !== undefined);
  expect(from.ended).toBeUndefined();
}
async function over(from: Heard<unknown>): Promise<unknown> {
  await until('the end', async () => from.ended !== undefined);
  return codeOf(from);
}
const gone = async (line: Line): Promise<unknown[]> => {
  await until('the end of the connection', async () => line.closed);
  return [line.closed?.code, line.closed?.reason.split(':')[0]];
};
const told = ({ events }: Heard<RequestEvent>): string[] =>
  events.map(({ action, requestId }) => `${action} ${requestId}`);
type Raw = ReturnType<typeof rawSocket>;
type Five = [Raw, Raw, Raw, Raw, Raw];
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
    const [owned, foreign, ofHer] = [
      requestsOf(owner, after),
      requestsOf(other, after),
      requestsOf(filtered, after, { person: stranger.id }),
    ];
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
    const connection = {
      id: v7(),
      targetId,
      endpointId: endpoint.id,
      pid: 7,
      login: 'intruder',
      loginKind: 'unknown',
      database: 'orders',
    };
    const times = { backendStart: now, startedAt: now, firstSeenAt: now, lastSeenAt: now };
    await usher.db.client.connection.create({ data: { ...connection, ...times, grade: 'observed', observed: true } });
    const [owner, other] = [listen(bob), listen((await seen(usher)).token)];
    const after = await connected(owner);
    const document = '($after: Float) { flagEvents(after: $after) { action targetId flags connections { login } } }';
    const [owned, foreign] = [owner.subscribe(document, { after }), other.subscribe(document, { after })];
    const details = { connectionIds: [connection.id], flags: ['unknown_login'], addresses: ['192.0.2.7'] };
    await usher.db.tx((tx) =>
      usher.app
        .get(AuditService)
        .append(tx, systemActor('observe', v7()), { action: 'connection.flagged', targetId, details }),
    );
    await seal(usher);
    await heard(owned, 1);
    expect(owned.events).toEqual([
      { action: 'connection.flagged', targetId, flags: ['unknown_login'], connections: [{ login: 'intruder' }] },
    ]);
    expect(foreign.events).toEqual([]);
  });

  test('can do it by the example of docs/webhooks.md', async () => {
    const ana = await seen(usher);
    const text = readFileSync('docs/webhooks.md', 'utf8');
    const example = /```js\n(.*?)```/s
      .exec(text)?.[1]
      ?.replace('wss://usher.example.com', usher.url.replace('http', 'ws'));
    const program = spawn(process.execPath, ['--input-type=module', '--eval', example ?? ''], {
      env: { USHER_TOKEN: ana.token },
    });
    onTestFinished(() => {
      program.kill();
    });
    let said = '';
    for (const stream of [program.stdout, program.stderr]) stream.on('data', (chunk) => (said += String(chunk)));
    await until('its connection', async () => usher.app.get(Sockets).count > 0);
    const { id: requestId, grantId, personId: subjectId } = await open(usher, ana.client, target);
    const about = { requestId, grantId, subjectId, targetId: target.targetId };
    await until('what it says', async () => {
      await record(usher, 'grant.extend', about); // it may only now begin to listen
      await seal(usher);
      return said.includes('grant.extend');
    });
    expect(said).toContain(grantId);
  });

  test('who is slow makes nothing pile up, and misses nothing', async () => {
    const ana = await seen(usher);
    const request = await ask(ana.client, target, { reason: 'a long story '.repeat(70) });
    await seal(usher);
    const much = Array.from({ length: 12 }, (_, n) => `a${n}: reason`).join(' ');
    const socket = rawSocket(usher);
    const got: number[] = [];
    const say = (message: object): void => socket.send(JSON.stringify(message));
    socket.on('open', () => say({ type: 'connection_init', payload: { authorization: `Bearer ${ana.token}` } }));
    socket.on('message', (data) => {
      const { type, payload } = JSON.parse(data.toString()) as {
        type: string;
        payload: { sequence: number; data: { requestEvents: { sequence: number } } };
      };
      const query = `subscription { requestEvents(after: ${payload.sequence}) { sequence request { ${much} } } }`;
      if (type === 'connection_ack') say({ id: '1', type: 'subscribe', payload: { query } });
      if (type === 'next') got.push(payload.data.requestEvents.sequence);
    });
    await until('the subscription', async () => socket.readyState === 1 && usher.app.get(Sockets).count > 0);
    await edits(request, 5);
    await until('the first events', async () => got.length >= 5);
    socket.pause();
    await edits(request, 1_500);
    const waiting = (): number => usher.app.get(Sockets).waiting;
    await until('a full line', async () => waiting() > 0);
    expect(waiting()).toBeLessThan(64 * 1024);
    socket.resume();
    await until('all of them', async () => got.length >= 1_505);
    expect(got).toEqual([...new Set(got)].sort((a, b) => a - b));
    socket.close();
  });
});

describe('a stream is over', () => {
  test('when the token is', async () => {
    const ana = await seen(usher);
    const claims = usher.standIn.oidc.claimsOf('carol', { expiresIn: 600 });
    const [line, other] = [listen(usher.standIn.oidc.signWith(claims)), listen(ana.token)];
    const events = requestsOf(line, await connected(line));
    await connected(other);
    later(usher, 700_000); // with what clocks may be apart
    expect(await gone(line)).toEqual([4403, 'token_expired']);
    expect(codeOf(events)).toMatchObject({ code: 4403 });
    expect(other.closed).toBeUndefined();
    const again = listen(usher.standIn.oidc.signWith(claims));
    expect(await gone(again)).toEqual([4401, 'token_expired']);
  });

  test('when the person is locked or taken off, the key revoked, or the address that named them another’s', async () => {
    const [ana, ben, cleo, dan] = [await seen(usher), await seen(usher), await seen(usher), await seen(usher)];
    const portal = { actsForAnybody: true };
    const scopes = ['actFor', 'viewRequests', 'request'];
    const [one, two] = [await newService(usher, scopes, portal), await newService(usher, scopes, portal)];
    const [locked, removed] = [listen(dan.token), listen(cleo.token)];
    const keyed = listen(one.key, { 'usher-on-behalf-of': ana.email });
    const named = listen(two.key, { 'usher-on-behalf-of': ben.email });
    const after = await connected(keyed);
    await Promise.all([locked, removed, named].map(connected));
    const [ofAna, ofDan] = [requestsOf(keyed, after), requestsOf(locked, after)];
    const [hers, his] = [await ask(one.for(ana.email), target), await ask(dan.client, target)];
    await seal(usher);
    await Promise.all([heard(ofAna, 1), heard(ofDan, 1)]);
    expect([told(ofAna), told(ofDan)]).toEqual([[`request.create ${hers.id}`], [`request.create ${his.id}`]]);
    await dave.post(`/v1/people/${dan.id}/lock`, { reason: 'a laptop was stolen' });
    await dave.delete(`/v1/people/${cleo.id}`);
    await dave.delete(`/v1/services/${one.id}/keys/${one.keyId}`);
    const { person } = usher.db.client;
    await person.update({ where: { id: ben.id }, data: { email: null } });
    await person.update({ where: { id: ana.id }, data: { email: ben.email } });
    expect(await Promise.all([locked, removed, keyed, named].map(gone))).toEqual([
      [4403, 'person_locked'],
      [4403, 'person_removed'],
      [4403, 'key_revoked'],
      [4403, 'unknown_person'],
    ]);
    expect([codeOf(ofAna), codeOf(ofDan)]).toMatchObject([{ code: 4403 }, { code: 4403 }]);
    const refusal = await until('the line', async () =>
      (await auditLines(usher)).find(({ code, actor_name }) => code === 'person_locked' && actor_name === dan.email),
    );
    expect(refusal).toMatchObject({ action: 'access.refused', outcome: 'refused' });
    const again = listen(dan.token);
    await connected(again);
    expect(await over(requestsOf(again, 0))).toBe('policy_denied');
  });

  test('and while it lasts, a token of before takes nothing back that a newer one has said', async () => {
    const name = newName('moved');
    const tokenOf = (groups: string[]): string => usher.standIn.oidc.signWith(claimsOf(usher, name, groups));
    const line = listen(tokenOf(['engineers', 'dba']));
    const after = await connected(line);
    const stream = requestsOf(line, after);
    const newer = usher.withToken(tokenOf(['engineers']));
    await newer.get('/v1/targets');
    const read = async (): Promise<string[] | undefined> =>
      (await usher.db.client.person.findFirst({ where: { userName: name } }))?.groups;
    expect(await read()).toEqual(['engineers']);
    const asked = await ask(newer, target);
    await seal(usher);
    await heard(stream, 1); // so they were looked at once more
    expect(told(stream)).toEqual([`request.create ${asked.id}`]);
    expect(await read()).toEqual(['engineers']);
  });

  test('when policy says no, and other streams of the connection go on', async () => {
    const ana = await seen(usher);
    const line = listen(ana.token);
    const after = await connected(line);
    const [requests, grants] = [requestsOf(line, after), line.subscribe(GRANTS, { after })];
    const forbid = `@id("no-lists") @advice("Ask again tomorrow.") forbid (principal, action == Usher::Action::"viewRequests", resource);`;
    const { body: now } = await dave.get<{ text: string; activation: number }>('/v1/policies');
    onTestFinished(async () => {
      await dave.post('/v1/policies/rollback', { number: 0 });
    });
    const { status } = await dave.put('/v1/policies', {
      ...{ text: `${now.text}\n${forbid}`, note: 'for this test', basedOn: 0 },
    });
    expect(status).toBe(200);
    expect(await over(requests)).toBe('policy_denied');
    expect([grants.ended, line.closed]).toEqual([undefined, undefined]);
  });

  test('when the service ends, with a word that it comes again', async () => {
    const replica = await startUsher({ settings: { jobs: false }, database: usher.database, clock: usher.clock });
    const line = listen((await seen(usher)).token, {}, replica);
    const events = requestsOf(line, await connected(line));
    await replica.stop();
    expect(line.closed).toMatchObject({ code: 1012 });
    expect(events.ended).toMatchObject({ code: 1012 });
  });
});

describe('a stream does not begin', () => {
  test('without a token that is good', async () => {
    const nobody = new Line(usher, {});
    const expired = listen(await usher.standIn.oidc.tokenFor('alice', { expiresIn: -60 }));
    lines.push(nobody);
    expect(await gone(nobody)).toEqual([4401, 'token_missing']);
    expect(await gone(expired)).toEqual([4401, 'token_expired']);
  });

  test('for who says in two places, and differently, who they are', async () => {
    const [ana, ben] = [await seen(usher), await seen(usher)];
    const [first, header] = [{ authorization: `Bearer ${ana.token}` }, { authorization: `Bearer ${ben.token}` }];
    const line = new Line(usher, first, header);
    lines.push(line);
    expect(await gone(line)).toEqual([4400, 'invalid_input']);
    const alone = new Line(usher, {}, header);
    lines.push(alone);
    expect(await connected(alone)).toBeGreaterThan(0);
  });

  test('for who may not see such a list', async () => {
    const service = await newService(usher, ['viewRequests', 'viewTargets']);
    const line = listen(service.key);
    await connected(line);
    expect(await over(requestsOf(line, 0))).toBe('policy_denied');
    expect(await over(line.subscribe(GRANTS, {}))).toBe('scope_missing');
    expect(line.closed).toBeUndefined();
  });

  test('behind what there is, or before what is kept', async () => {
    const line = listen((await seen(usher)).token);
    const last = await connected(line);
    expect(await over(requestsOf(line, last + 1_000))).toBe('invalid_cursor');
    expect(await over(requestsOf(line, -1))).toBe('invalid_input');
    // as a month that was dropped leaves it: seals without lines, and a line that says so
    await usher.db.client.auditSeal.findFirstOrThrow({ where: { seq: 1 } });
    const { owner } = usher.database;
    await owner.query('ALTER TABLE audit_seal DISABLE TRIGGER USER');
    const { rows } = await owner.query<{ event_id: string }>('SELECT event_id FROM audit_seal WHERE seq = 1');
    await owner.query('UPDATE audit_seal SET event_id = $1 WHERE seq = 1', [v7()]);
    onTestFinished(async () => {
      await owner.query('UPDATE audit_seal SET event_id = $1 WHERE seq = 1', [rows[0]?.event_id]);
      await owner.query('ALTER TABLE audit_seal ENABLE TRIGGER USER');
    });
    const drop = { action: 'audit.drop' as const, details: { name: 'audit_event_2026_01', lines: 1, lastSequence: 1 } };
    await usher.db.tx((tx) => usher.app.get(AuditService).append(tx, systemActor('test', v7()), drop));
    const early = requestsOf(line, 0);
    expect(await over(early)).toBe('events_dropped');
    expect(early.ended).toMatchObject([{ extensions: { advice: expect.stringContaining('after: 1 ') } }]);
    const kept = requestsOf(line, 1);
    await until('a second look', async () => usher.app.get(Sockets).count > 0);
    expect(kept.ended).toBeUndefined();
  });

  test.each([
    ['an operation that is none of a stream', 'query { targets { items { id } } }', 'for subscriptions'],
    [
      'two streams in one document',
      'subscription { a: flagEvents { at } b: flagEvents { at } }',
      'one top level field',
    ],
    ['a field that is not there', 'subscription { flagEvents { secret } }', 'Cannot query field'],
    ['what is no GraphQL', 'subscription {', 'Syntax Error'],
    ['brackets without end', `subscription ${'{ a '.repeat(70)}${'}'.repeat(70)}`, 'nested more than 64 deep'],
    ['fragments of fragments', crowd(), 'more than 1000 fields'],
  ])('for %s', async (_what, document, said) => {
    const line = listen((await seen(usher)).token);
    await connected(line);
    const heardOf = line.run(document);
    expect(await over(heardOf)).toBe('invalid_input');
    expect((heardOf.ended as { message: string }[])[0]?.message).toContain(said);
  });

  test('over HTTP', async () => {
    const { errors } = await dave.graphql('subscription { flagEvents { at } }');
    expect(errors?.[0]).toMatchObject({
      message: expect.stringContaining('WebSocket'),
      extensions: { code: 'invalid_input' },
    });
  });
});

/** Small, and wide where it is spread. */
function crowd(): string {
  const levels = Array.from(
    { length: 12 },
    (_, n) => `fragment f${n} on Connection { ...f${n + 1} a${n}: id ...f${n + 1} }`,
  );
  return `subscription { flagEvents { connections { ...f0 } } } ${levels.join(' ')} fragment f12 on Connection { id login }`;
}

describe('there is an end to', () => {
  const refused = (socket: Raw): Promise<number> =>
    new Promise((resolve) => {
      socket.on('unexpected-response', (_request, { statusCode }) => resolve(statusCode ?? 0));
      socket.on('close', (code) => resolve(code));
    });

  test('connections of one person, and they may come again when one is closed', async () => {
    const ana = await seen(usher);
    const three = [listen(ana.token), listen(ana.token), listen(ana.token)];
    for (const line of three) await connected(line);
    expect(await gone(listen(ana.token))).toEqual([1013, 'too_many_requests']);
    await connected(listen((await seen(usher)).token)); // nobody else is in the way
    three[0]?.cut();
    await until('room', async () => {
      const line = listen(ana.token);
      await connected(line);
      return line.closed === undefined;
    });
  });

  test('subscriptions of one connection', async () => {
    const line = listen((await seen(usher)).token);
    await connected(line);
    const many = Array.from({ length: 21 }, () => line.subscribe(GRANTS));
    await until('a refusal', async () => many.some(({ ended }) => ended));
    expect(many.map(codeOf).filter((code) => code !== undefined)).toEqual(['too_many_requests']);
  });

  test('what a message may be, and what may be said', async () => {
    const { token } = await seen(usher);
    const init = JSON.stringify({
      type: 'connection_init',
      payload: { authorization: `Bearer ${token}` },
    });
    const [large, twice, early, odd, ours] = Array.from({ length: 5 }, () => rawSocket(usher)) as Five;
    large.on('open', () => large.send(init.replace('{', `{"padding":"${'x'.repeat(70_000)}",`)));
    twice.on('open', () => [init, init].forEach((text) => twice.send(text)));
    early.on('open', () =>
      early.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: 'subscription { a }' } })),
    );
    odd.on('open', () => odd.send('{"__proto__":1}'));
    ours.on('open', () => ours.send('{"type":"connection_ack"}'));
    expect(await Promise.all([large, twice, early, odd, ours].map(refused))).toEqual([1009, 4429, 4401, 4400, 4400]);
  });

  test('streams behind one id: it is free when all that came of it is over', async () => {
    const { token } = await seen(usher);
    const socket = rawSocket(usher);
    const say = (message: object): void => socket.send(JSON.stringify(message));
    const payload = { query: 'subscription { grantEvents { sequence } }' };
    socket.on('open', () => say({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } }));
    let letIn = false;
    socket.on('message', () => {
      if (letIn) return;
      letIn = true;
      say({ type: 'subscribe', id: 'one', payload });
      say({ type: 'complete', id: 'one' });
      say({ type: 'subscribe', id: 'one', payload });
    });
    expect(await refused(socket)).toBe(4409);
    await until('nobody follows', async () => usher.app.get(RecordTail).followers === 0);
  });

  test('what a document may do: its one field hangs on no variable', async () => {
    const line = listen((await seen(usher)).token);
    await connected(line);
    for (const selection of [
      '{ grantEvents @skip(if: true) { at } }',
      '{ ... @include(if: false) { grantEvents { at } } }',
    ])
      expect(await over(line.subscribe(selection))).toBe('invalid_input');
    expect(line.closed).toBeUndefined();
  });

  test('who may open one from a page', async () => {
    const foreign = rawSocket(usher, { origin: 'https://elsewhere.example' });
    expect(await refused(foreign)).toBe(403);
    expect((await auditLines(usher)).map(({ code }) => code)).toContain('origin_not_allowed');
    const own = rawSocket(usher, { origin: usher.url });
    await new Promise<void>((resolve) => own.on('open', resolve));
    own.close();
  });

  test('what comes behind a call that is not answered yet, and what the other end leaves open', async () => {
    const { hostname, port } = new URL(usher.url);
    const upgrade = `GET /graphql HTTP/1.1\r\nHost: ${hostname}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: https://elsewhere.example\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
    const sent = (text: string): Promise<void> =>
      new Promise((resolve) => {
        const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true }, () => socket.write(text));
        socket.on('error', () => undefined).on('close', () => resolve());
        socket.on('data', () => undefined);
        // it never ends its own half: it is over when the other end wants to hear no more
        socket.on('end', () => void until('the end', async () => socket.destroyed || !socket.write('x') || undefined));
      });
    await sent(`GET /health/live HTTP/1.1\r\nHost: ${hostname}\r\n\r\n${upgrade}`);
    await sent(upgrade);
    expect((await fetch(`${usher.url}/health/live`)).status).toBe(200);
  });

  test('where one is opened', async () => {
    expect(await refused(rawSocket(usher, {}, '/v1/targets'))).toBe(404);
    expect(await refused(rawSocket(usher, {}, '/nowhere'))).toBe(404);
    const { status } = await fetch(`${usher.url}/health/live`);
    expect(status).toBe(200);
  });
});
