import { randomUUID } from 'node:crypto';
import { v7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Watched } from '../../src/connections/look-out.js';
import { SightingRecord } from '../../src/connections/sighting-record.js';
import type { SeenSession } from '../../src/postgres/postgres.contract.js';
import { known, register, someone, type Registered } from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';
import { peopleWithGrants, session, sighting, type Had } from './who-connected.ts';

let usher: Usher;
let target: Registered;
let writer: Watched;
let had: Had[];
let carol: Client;
let fileId: string;
let offset = 0;
/** Ids of events sort by time; what is younger than some seconds is not tied yet. */
const before = Date.now() - 60_000;

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  target = await register(usher, 'orders');
  had = (await peopleWithGrants(usher, target, 8, usher.clock.now())).filter((_, index) => index % 2 === 1);
  carol = await known(usher, 'carol');
  const row = await usher.db.client.target.findUniqueOrThrow({
    where: { id: target.targetId },
    include: { endpoints: true },
  });
  writer = { target: row, endpoint: row.endpoints.find(({ kind }) => kind === 'writer') ?? expect.fail('no writer') };
  await usher.database.owner.query(`INSERT INTO endpoint_look (endpoint_id, target_id) VALUES ($1, $2)`, [
    writer.endpoint.id,
    target.targetId,
  ]);
  fileId = randomUUID();
  await usher.database.owner.query(
    `INSERT INTO server_log_file (id, target_id, endpoint_id, stream, name, first_read_at, last_read_at) VALUES ($1, $2, $3, 'file', 'postgresql.log', now(), now())`,
    [fileId, target.targetId, writer.endpoint.id],
  );
});
afterAll(() => usher?.close());

const record = (): SightingRecord => usher.app.get(SightingRecord, { strict: false });
const look = (sessions: SeenSession[]): Promise<void> =>
  record().store(writer, sighting(usher.clock.now(), sessions), usher.clock.now(), null);
const person = (index: number): Had => had[index] ?? expect.fail('nobody');

/** A line of the log, as the reader keeps it; by RDS's prefix, to the second. */
async function line(kind: string, at: Date, pid: number, login: string | null, details: object = {}): Promise<void> {
  const second = new Date(Math.floor(at.getTime() / 1_000) * 1_000);
  await usher.database.owner.query(
    `INSERT INTO server_log_event (id, target_id, endpoint_id, file_id, "offset", kind, at, to_the_millisecond, pid, address, port, login, database, details)
     VALUES ($1, $2, $3, $4, $5, $6, $7, false, $8, '10.0.0.9', 40000, $9, $10, $11)`,
    [
      v7({ msecs: before + (offset += 100) / 100 }),
      target.targetId,
      writer.endpoint.id,
      fileId,
      offset,
      kind,
      second,
      pid,
      login,
      login && 'orders',
      details,
    ],
  );
}

async function letIn(at: Date, pid: number, login: string, method = 'pam'): Promise<void> {
  await line('received', at, pid, null);
  await line('authenticated', at, pid, login, { identity: login, method, hbaFile: 'pg_hba.conf', hbaLine: 13 });
  const tls = { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', certain: true };
  await line('authorized', new Date(at.getTime() + 20), pid, login, { applicationName: 'psql', tls });
}

interface Shown {
  id: string;
  grade: string;
  authMethod: string | null;
  flags: string[];
  grantId: string | null;
  mintId: string | null;
  startedAt: string;
  lastSeenAt: string;
  endedAt: string | null;
  tls: boolean | null;
}
const shown = async (login: string): Promise<Shown[]> =>
  (await carol.get<{ items: Shown[] }>(`/v1/connections?login=${login}`)).body.items;

describe('the log of the server', () => {
  test('adds to a session that was seen how it was let in', async () => {
    const [mine, began] = [person(0), usher.clock.now()];
    await look([session({ pid: 11, login: mine.login, backendStart: began })]);
    await letIn(began, 11, mine.login);
    await record().tidy();
    expect(await shown(mine.login)).toMatchObject([
      { grade: 'logged', authMethod: 'pam', flags: [], grantId: mine.grantId },
    ]);
  });

  test('tells of a password where a token was due', async () => {
    const [mine, began] = [person(1), usher.clock.now()];
    await look([session({ pid: 12, login: mine.login, backendStart: began })]);
    await letIn(began, 12, mine.login, 'scram-sha-256');
    await record().tidy();
    await record().tidy();
    const [one, ...more] = await shown(mine.login);
    expect(more).toEqual([]);
    expect(one).toMatchObject({ grade: 'logged', authMethod: 'scram-sha-256', flags: ['password_for_token'] });
    const path = `/v1/audit/events?action=connection.flagged&grant=${mine.grantId}`;
    const { body } = await carol.get<{ items: { details: object }[] }>(path);
    expect(body.items).toMatchObject([{ details: { connectionId: one?.id, flags: ['password_for_token'] } }]);
  });

  test('tells of a session that came and went between two looks', async () => {
    const mine = person(2);
    const began = new Date(usher.clock.now().getTime() - 30_000);
    await look([]);
    await letIn(began, 13, mine.login);
    await line('disconnected', new Date(began.getTime() + 3_000), 13, mine.login, { durationMs: 3_000 });
    await record().tidy();
    const [one, ...more] = await shown(mine.login);
    expect(more).toEqual([]);
    expect(one).toMatchObject({ grade: 'logged', authMethod: 'pam', flags: [], grantId: mine.grantId, tls: true });
    expect(one?.mintId).not.toBeNull();
    expect(Date.parse(one?.endedAt ?? '') - Date.parse(one?.startedAt ?? '')).toBeLessThanOrEqual(4_000);
    await look([]);
    expect(await shown(mine.login)).toEqual([one]);
  });

  test('and a look at the same session are one', async () => {
    const [mine, began] = [person(3), usher.clock.now()];
    await letIn(began, 14, mine.login);
    await record().tidy();
    expect(await shown(mine.login)).toMatchObject([{ grade: 'logged', endedAt: null }]);
    const seen = session({ pid: 14, login: mine.login, backendStart: new Date(began.getTime() + 7) });
    await look([seen]);
    expect(await shown(mine.login)).toMatchObject([{ grade: 'logged', endedAt: null }]);
    await look([]);
    expect(await shown(mine.login)).toMatchObject([{ endedAt: expect.any(String) as string }]);
  });
});

describe('failed logins', () => {
  interface Failed {
    login: string;
    personId: string | null;
    cause: string;
    advice: string;
  }
  const failures = async (who: Client, query = ''): Promise<Failed[]> =>
    (await who.get<{ items: Failed[] }>(`/v1/connections/failures?target=${target.targetId}${query}`)).body.items;

  test('have a likely cause, newest first', async () => {
    const [mine, now] = [person(0), usher.clock.now()];
    const failure = { failure: 'authentication', sqlstate: null };
    await line('failed', new Date(mine.opened.getTime() - 120_000), 21, mine.login, failure); // its last grant was over, the next not open
    await line('failed', now, 22, 'intruder', failure);
    await line('failed', now, 23, mine.login, { failure: 'rejected', sqlstate: null });
    await line('failed', now, 24, mine.login, failure);
    const found = await failures(carol);
    expect(found.map(({ login, cause }) => [login, cause])).toEqual([
      [mine.login, 'token_refused'],
      [mine.login, 'no_tls'],
      ['intruder', 'unknown_login'],
      [mine.login, 'grant_over'],
    ]);
    expect(found[0]).toMatchObject({ personId: mine.personId, advice: expect.stringContaining('diagnose') as string });
    expect((await failures(carol, `&person=${mine.personId}`)).map(({ login }) => login)).not.toContain('intruder');
    const { data } = await carol.graphql<{ failedLogins: object }>(
      `{ failedLogins(target: "${target.targetId}", login: "intruder") { items { cause } } }`,
    );
    expect(data?.failedLogins).toEqual({ items: [{ cause: 'unknown_login' }] });
  });

  test('are shown to nobody whose they are not', async () => {
    expect(await failures(someone(usher, ['engineers']))).toEqual([]);
  });
});

test('a gap of the log is one of the answer, until it was read after all', async () => {
  const gaps = async (): Promise<string[]> => {
    const { body } = await carol.get<{ gaps: { kind: string }[] }>(`/v1/connections?target=${target.targetId}`);
    return body.gaps.map(({ kind }) => kind);
  };
  await usher.database.owner.query(
    `INSERT INTO observation_gap (id, target_id, kind, from_at, to_at, detail) VALUES ($1, $2, 'log_lost', now() - interval '1 h', now(), 'rotated away')`,
    [randomUUID(), target.targetId],
  );
  expect(await gaps()).toContain('log_lost');
  await usher.database.owner.query('UPDATE observation_gap SET recovered_at = now()');
  expect(await gaps()).not.toContain('log_lost');
});

test('a time without looks is on record as a gap of the endpoint', async () => {
  await look([]);
  usher.clock.move(120_000);
  await look([]);
  const { body } = await carol.get<{ gaps: object[] }>(`/v1/connections?target=${target.targetId}`);
  expect(body.gaps).toContainEqual(
    expect.objectContaining({ kind: 'sample_missed', endpointId: writer.endpoint.id, detail: 'behind' }),
  );
  usher.clock.move(-120_000);
});
