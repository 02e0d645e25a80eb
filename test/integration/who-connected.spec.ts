import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Watched } from '../../src/connections/look-out.js';
import { claim, leave } from '../../src/connections/looks.queries.js';
import { SightingRecord } from '../../src/connections/sighting-record.js';
import type { SeenSession } from '../../src/postgres/postgres.contract.js';
import { known, register, someone, type Registered } from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';
import { peopleWithGrants, session, sighting, SERVER, type Had } from './who-connected.ts';

let usher: Usher;
let target: Registered;
let writer: Watched;
let reader: Watched;
let had: Had[];
let carol: Client;
let now: Date;

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  target = await register(usher, 'orders');
  now = usher.clock.now();
  had = await peopleWithGrants(usher, target, 50, now);
  carol = await known(usher, 'carol');
  const row = await usher.db.client.target.findUniqueOrThrow({
    where: { id: target.targetId },
    include: { endpoints: true },
  });
  const at = (kind: string): Watched => ({
    target: row,
    endpoint: row.endpoints.find((one) => one.kind === kind) ?? expect.fail(kind),
  });
  [writer, reader] = [at('writer'), at('reader')];
  await claim(usher.db, randomUUID(), 1); // a row for each endpoint; the lease is over in a second, and nobody waits for it
});
afterAll(() => usher?.close());

/** What a look finds, with a target's clock that is so far ahead. */
const look = (place: Watched, sessions: SeenSession[], { aheadMs = 0, server = SERVER } = {}): Promise<void> => {
  const asked = usher.clock.now();
  const seen = sighting(new Date(asked.getTime() + aheadMs), sessions, server);
  return usher.app.get(SightingRecord, { strict: false }).store(place, seen, asked, null);
};

interface Row {
  id: string;
  pid: number;
  login: string;
  person: string;
  grant: string;
  mint: string | null;
  grade: string;
  flags: string[];
  began: Date;
}
const rows = async (where: string, values: unknown[] = []): Promise<Row[]> =>
  (
    await usher.database.owner.query<Row>(
      `SELECT c.id, c.pid, c.login, c.person_id AS person, c.grant_id AS grant, c.mint_id AS mint, c.grade, c.backend_start AS began,
              ARRAY(SELECT f.kind FROM connection_flag f WHERE f.connection_id = c.id ORDER BY 1) AS flags FROM connection c WHERE ${where}`,
      values,
    )
  ).rows;

describe('ten thousand sessions of fifty people', () => {
  const SESSIONS = 10_000;
  const AT_ONCE = 1_000;
  const MINUTE_MS = 60_000;

  test('have the owner and the grant that they had, with shared addresses, pids used again and equal times', async () => {
    const AHEAD_MS = 90_000;
    const truth = new Map<string, Had>();
    for (let round = 0; round < SESSIONS / AT_ONCE; round += 1) {
      const sessions = Array.from({ length: AT_ONCE }, (_, index): SeenSession => {
        const mine = had[(index * 7 + round) % had.length] ?? expect.fail('nobody');
        // many begin in the very same moment, by the clock of the target
        const began = mine.opened.getTime() + ((index % 5) + 1) * 9 * MINUTE_MS + round * 1_000;
        const seen = session({
          pid: index + 1,
          login: mine.login,
          backendStart: new Date(began + AHEAD_MS),
          clientAddress: `10.0.0.${index % 5}`,
          applicationName: index % 3 === 0 ? `usher:${had[(index + 1) % had.length]?.grantId ?? ''}` : 'psql',
        });
        truth.set(`${seen.pid}/${began + AHEAD_MS}`, mine);
        return seen;
      });
      await look(writer, sessions, { aheadMs: AHEAD_MS });
    }
    const found = await rows(`c.target_id = $1`, [target.targetId]);
    expect(found).toHaveLength(SESSIONS);
    const wrong = found.filter((row) => {
      const mine = truth.get(`${row.pid}/${row.began.getTime()}`);
      return mine?.personId !== row.person || mine.grantId !== row.grant || row.login !== mine.login;
    });
    expect(wrong).toEqual([]);
    expect(found.filter(({ mint }) => mint === null)).toEqual([]);
    expect(new Set(found.map(({ grade }) => grade))).toEqual(new Set(['observed']));
    expect(found.filter(({ flags }) => flags.some((flag) => flag !== 'new_address'))).toEqual([]);
    await look(writer, []);
    expect(await rows(`c.target_id = $1 AND c.ended_at IS NULL`, [target.targetId])).toEqual([]);
  });
});

describe('a look', () => {
  test('writes nothing for sessions that are still there, and they are last seen with it', async () => {
    const mine = had[1] ?? expect.fail('nobody');
    const [one] = [session({ pid: 70_001, login: mine.login, backendStart: usher.clock.now() })];
    await look(writer, [one ?? expect.fail('none')]);
    const version = async (): Promise<unknown> =>
      (await usher.database.owner.query('SELECT xmin::text, last_seen_at FROM connection WHERE pid = 70001')).rows;
    const before = await version();
    usher.clock.move(5_000);
    await look(writer, [one ?? expect.fail('none')], { aheadMs: -5_000 });
    expect(await version()).toEqual(before);
    const { body } = await carol.get<{ items: { lastSeenAt: string; firstSeenAt: string }[] }>(
      `/v1/connections?login=${mine.login}&open=true`,
    );
    const [shown] = body.items;
    expect(Date.parse(shown?.lastSeenAt ?? '') - Date.parse(shown?.firstSeenAt ?? '')).toBeGreaterThanOrEqual(5_000);
    await look(writer, []);
  });

  test('at a second name of the same server finds nothing new', async () => {
    const mine = had[3] ?? expect.fail('nobody');
    const one = session({ pid: 70_002, login: mine.login, backendStart: usher.clock.now() });
    await look(writer, [one]);
    await look(reader, [one]);
    await look(reader, [one]);
    expect(await rows('c.pid = 70002 AND c.ended_at IS NULL')).toHaveLength(1);
    await look(reader, [one], { server: new Date(SERVER.getTime() + 1) }); // another server by now
    expect(await rows('c.pid = 70002 AND c.ended_at IS NULL')).toHaveLength(2);
    await look(reader, []);
    await look(writer, []);
  });

  test('at the logins by which AWS runs the server keeps nothing', async () => {
    await look(writer, [session({ pid: 70_003, login: 'rdsadmin', backendStart: now, administrator: true })]);
    expect(await rows('c.pid = 70003')).toEqual([]);
  });

  test('of an endpoint that another process has by now is not kept', async () => {
    const mine = had[5] ?? expect.fail('nobody');
    const seen = sighting(usher.clock.now(), [session({ pid: 70_004, login: mine.login, backendStart: now })]);
    await usher.app.get(SightingRecord, { strict: false }).store(writer, seen, usher.clock.now(), randomUUID());
    expect(await rows('c.pid = 70004')).toEqual([]);
  });

  test('finds who stays after the end of the grant, once', async () => {
    const mine = had[7] ?? expect.fail('nobody');
    const one = session({ pid: 70_005, login: mine.login, backendStart: usher.clock.now() });
    const record = usher.app.get(SightingRecord, { strict: false });
    await look(writer, [one]);
    await record.tidy();
    expect(await rows('c.pid = 70005')).toMatchObject([{ flags: [] }]);
    const over = new Date(usher.clock.now().getTime() - 60_000);
    await usher.database.owner.query('UPDATE access_grant SET ends_at = $2 WHERE id = $1', [mine.grantId, over]);
    await look(writer, [one]);
    await record.tidy();
    await record.tidy();
    const [stayed] = await rows('c.pid = 70005');
    expect(stayed).toMatchObject({ flags: ['outlived'], grant: mine.grantId });
    const { body } = await carol.get<{ items: { details: object }[] }>(
      `/v1/audit/events?action=connection.flagged&grant=${mine.grantId}`,
    );
    expect(body.items).toMatchObject([{ details: { connectionId: stayed?.id, flags: ['outlived'] } }]);
    await look(writer, []);
  });
});

describe('processes that look', () => {
  test('share the endpoints, and take over what one that is gone had', async () => {
    await register(usher, 'billing');
    await usher.database.owner.query('UPDATE endpoint_look SET held_by = NULL, held_until = NULL');
    await usher.database.owner.query('DELETE FROM watcher');
    const [a, b] = [randomUUID(), randomUUID()];
    const LEASE_MS = 600_000;
    const alone = await claim(usher.db, a, LEASE_MS);
    expect(alone).toHaveLength(3);
    expect(await claim(usher.db, b, LEASE_MS)).toEqual([]); // a gives up what is beyond its share when it next asks
    const [kept, taken] = [await claim(usher.db, a, LEASE_MS), await claim(usher.db, b, LEASE_MS)];
    expect([kept.length, taken.length]).toEqual([2, 1]);
    expect(new Set([...kept, ...taken])).toEqual(new Set(alone));
    await usher.database.owner.query(
      `UPDATE endpoint_look SET held_until = now() - interval '1 s' WHERE held_by = $1`,
      [a],
    );
    await usher.database.owner.query(`UPDATE watcher SET seen_at = now() - interval '1 h' WHERE id = $1`, [a]);
    expect(new Set(await claim(usher.db, b, LEASE_MS))).toEqual(new Set(alone));
    await leave(usher.db, b);
    expect(new Set(await claim(usher.db, a, LEASE_MS))).toEqual(new Set(alone));
    await leave(usher.db, a);
  });

  test('keep all of theirs, and wait for none, while looks are being written', async () => {
    const LEASE_MS = 600_000;
    const me = randomUUID();
    const mine = await claim(usher.db, me, LEASE_MS);
    expect(mine).toHaveLength(3);
    const writing = await usher.database.owner.connect();
    try {
      await writing.query('BEGIN');
      await writing.query('UPDATE endpoint_look SET looked_at = now() WHERE endpoint_id = $1', [mine[0]]);
      expect(new Set(await claim(usher.db, me, LEASE_MS))).toEqual(new Set(mine));
    } finally {
      await writing.query('ROLLBACK');
      writing.release();
    }
    await leave(usher.db, me);
  });
});

describe('questions', () => {
  const list = async (who: Client, query: string) =>
    (
      await who.get<{
        items: { login: string; grantId: string }[];
        gaps: { kind: string; targetId: string; to: string | null }[];
        code?: string;
      }>(`/v1/connections?${query}`)
    ).body;
  const path = (when: Date): string => encodeURIComponent(when.toISOString());

  test('who was there at a moment, and within a time', async () => {
    const [past, mine] = [had[8] ?? expect.fail('nobody'), had[9] ?? expect.fail('nobody')];
    await look(writer, [session({ pid: 70_010, login: mine.login, backendStart: usher.clock.now() })]);
    const moment = usher.clock.now();
    await look(writer, []);
    const then = await list(carol, `target=${target.targetId}&login=${mine.login}&at=${path(moment)}`);
    expect(then.items).toMatchObject([{ grantId: mine.grantId }]);
    const within = await list(
      carol,
      `person=${mine.personId}&from=${path(past.opened)}&to=${path(past.ended)}&limit=200`,
    );
    expect(new Set(within.items.map(({ grantId }) => grantId))).toEqual(new Set([past.grantId]));
    expect(
      (await list(carol, `grant=${past.grantId}&limit=200`)).items.every(({ grantId }) => grantId === past.grantId),
    ).toBe(true);
  });

  test('say when nobody looked', async () => {
    usher.clock.move(60_000);
    const { gaps } = await list(carol, `target=${target.targetId}`);
    const open = gaps.filter(({ to }) => to === null);
    expect(open).toHaveLength(2);
    expect(open).toMatchObject([{ targetId: target.targetId, kind: 'sample_missed' }, { kind: 'sample_missed' }]);
    const stranger = someone(usher, ['engineers']);
    expect(await list(stranger, `target=${target.targetId}`)).toMatchObject({ items: [], gaps: [] });
    usher.clock.move(-60_000);
  });

  test.each([
    ['at with from', 'at=2026-03-01T00:00:00Z&from=2026-03-01T00:00:00Z'],
    ['a login with a zero byte', 'login=a%00b'],
    ['to before from', 'from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z'],
    ['a flag that there is not', 'flag=nice'],
    ['a time that is none', 'at=yesterday'],
  ])('are refused when unclear: %s', async (_, query) => {
    expect(await list(carol, query)).toMatchObject({ status: 400, code: 'invalid_input' });
  });

  test('who has no TLS, and who would be shut out', async () => {
    const bare = { administrator: false, managed: false, iam: false };
    const began = usher.clock.now();
    await look(writer, [
      session({
        ...bare,
        pid: 70_020,
        login: 'batch',
        backendStart: began,
        tls: false,
        tlsVersion: null,
        applicationName: 'cron',
      }),
      session({
        ...bare,
        pid: 70_021,
        login: 'legacy',
        backendStart: began,
        tlsVersion: 'TLSv1.1',
        applicationName: 'old',
      }),
      session({
        ...bare,
        pid: 70_022,
        login: 'hidden',
        backendStart: began,
        tls: null,
        tlsVersion: null,
        applicationName: 'x',
      }),
    ]);
    const tls = async (query: string) =>
      (
        await carol.get<{ clients: { login: string }[]; leftOut: number }>(
          `/v1/connections/tls?target=${target.targetId}${query}`,
        )
      ).body;
    const found = await tls('');
    expect(found.clients.toSorted((a, b) => a.login.localeCompare(b.login))).toMatchObject([
      { login: 'batch', applicationName: 'cron', withoutTls: 1, oldTls: 0, forceSslBreaks: true, caRotation: 'no_tls' },
      {
        login: 'legacy',
        withoutTls: 0,
        oldTls: 1,
        forceSslBreaks: false,
        caRotation: 'unknown',
        lastWithoutTlsAt: null,
      },
    ]);
    expect((await tls('&concern=force_ssl')).clients.map(({ login }) => login)).toEqual(['batch']);
    expect((await tls('&concern=ca_rotation&days=1')).clients.map(({ login }) => login)).toContain('legacy');
    const around = await list(carol, `around=true&target=${target.targetId}&open=true`);
    expect(around.items.map(({ login }) => login).toSorted()).toEqual(['batch', 'hidden', 'legacy']);
    const { data } = await carol.graphql<{ tlsReport: unknown }>(
      `{ tlsReport(target: "${target.targetId}", concern: force_ssl) { clients { login } } }`,
    );
    expect(data?.tlsReport).toEqual({ clients: [{ login: 'batch' }] });
    await look(writer, []);
  });

  test('which grants and profiles were used last, and which never', async () => {
    interface Use {
      grantId: string;
      profileId: string;
      sessions: number;
      lastUsedAt: string | null;
    }
    const use = async (who: Client, query: string) =>
      (await who.get<{ items: Use[] }>(`/v1/connections/${query}`)).body.items;
    const mine = had[9] ?? expect.fail('nobody');
    const of = await use(carol, `grant-use?person=${mine.personId}`);
    expect(of).toHaveLength(2);
    expect(of.every(({ sessions, lastUsedAt }) => sessions > 0 && lastUsedAt !== null)).toBe(true);
    expect(await use(carol, `grant-use?person=${mine.personId}&unused=true`)).toEqual([]);
    const profiles = await use(carol, `profile-use?target=${target.targetId}`);
    const read = profiles.find(({ profileId }) => profileId === target.profiles['reporting-read']);
    expect(read).toMatchObject({ grants: 100 });
    expect(profiles.find(({ profileId }) => profileId === target.profiles['orders-write'])).toMatchObject({
      ...{ grants: 0, sessions: 0, lastUsedAt: null },
    });
    const stranger = someone(usher, ['engineers']);
    expect([await use(stranger, 'grant-use'), await use(stranger, 'profile-use')]).toEqual([[], []]);
  });
});

describe('what the database refuses', () => {
  test.each([
    ['a flag changed', `UPDATE connection_flag SET kind = 'no_tls'`],
    ['a flag taken back', 'DELETE FROM connection_flag'],
    ['an owner changed', 'UPDATE connection SET person_id = NULL WHERE person_id IS NOT NULL'],
    ['a grant taken away', 'UPDATE connection SET grant_id = NULL, mint_id = NULL WHERE grant_id IS NOT NULL'],
    ['a session of nobody with a grant', `UPDATE connection SET login_kind = 'unknown' WHERE grant_id IS NOT NULL`],
    ['a session brought back', 'UPDATE connection SET ended_at = NULL WHERE ended_at IS NOT NULL'],
  ])('%s', async (_, sql) => {
    await expect(usher.database.owner.query(sql)).rejects.toThrow();
  });
});
