/** What logs of servers said is let go when it is old enough: bit by bit, on record, nothing that is needed, and never read back. */
import { randomUUID } from 'node:crypto';
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { v7 } from 'uuid';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { LogExpiry } from '../../src/connections/log-expiry.service.js';
import { LogReader } from '../../src/connections/log-reader.service.js';
import { prepareServerLogs } from '../../src/platform/state/retention.js';
import { known } from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

const DAY_MS = 86_400_000;
const KEPT_DAYS = 100;

let usher: Usher;
let dave: Client;
let base: string;
let made = 0;

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'usher-logs-'));
  usher = await startUsher({ work: false, env: { USHER_LOG_DIR: tmpdir() } });
  dave = await known(usher, 'dave');
});
afterAll(async () => {
  await usher?.close();
  rmSync(base, { recursive: true, force: true });
});
afterEach(() => keep(0));

const owner = <Row extends object>(sql: string, values: unknown[] = []): Promise<Row[]> =>
  usher.database.owner.query<Row>(sql, values).then(({ rows }) => rows);
const keep = (days: number): Promise<void> => prepareServerLogs(usher.database.url, days);
const turn = (): Promise<void> => usher.app.get(LogExpiry, { strict: false }).turn();
const look = (id: string): Promise<void> => usher.app.get(LogReader, { strict: false }).read(id, 60_000);
const ago = (days: number, ms = 0): Date => new Date(Date.now() - days * DAY_MS + ms);

async function target(path: string): Promise<string> {
  const { registration } = usher.standIn.targets.billing;
  const more = { name: `kept-${++made}`, resourceId: `db-KEPT${made}`, logSource: 'file', logPlace: path };
  const { status, body } = await dave.post<{ id: string }>('/v1/targets', { ...registration.target, ...more });
  expect(status, JSON.stringify(body)).toBe(201);
  return body.id;
}
function directory(): string {
  const path = join(base, `log${++made}`);
  mkdirSync(path);
  return path;
}
function line(login: string, at: Date): string {
  const second = at.toISOString().slice(0, 19).replace('T', ' ');
  return `${second} UTC:10.0.0.9(5000):${login}@app:[${100 + made++}]:LOG:  connection authorized: user=${login} database=app application_name=psql SSL enabled (protocol=TLSv1.3, cipher=X, bits=256)\n`;
}
const logins = async (id: string): Promise<(string | null)[]> =>
  (
    await owner<{ login: string | null }>('SELECT login FROM server_log_event WHERE target_id = $1 ORDER BY at, id', [
      id,
    ])
  ).map(({ login }) => login);
/** As if all that was read had been tied to its sessions, up to this event. */
const tied = async (id: string, upTo?: string): Promise<void> => {
  await owner(
    `INSERT INTO connection_log_cursor (target_id, event_id) SELECT $1, coalesce($2, max(id::text))::uuid FROM server_log_event WHERE target_id = $1
       ON CONFLICT (target_id) DO UPDATE SET event_id = excluded.event_id`,
    [id, upTo ?? null],
  );
};
const onRecord = (id: string): Promise<{ details: object }[]> =>
  owner(`SELECT actor_name, details FROM audit_event WHERE action = 'log.expire' AND target_id = $1 ORDER BY id`, [id]);

/** Events written as the reader does, of a file that is not there. */
async function events(
  id: string,
  count: number,
  at: Date,
  kind = 'received',
  ids = Array.from({ length: count }, () => v7()),
) {
  const fileId = randomUUID();
  await owner(
    `INSERT INTO server_log_file (id, target_id, stream, name, first_read_at, last_read_at, gone_at) VALUES ($1, $2, 'file', $3, now(), now(), now())`,
    [fileId, id, fileId],
  );
  await owner(
    `INSERT INTO server_log_event (id, target_id, file_id, "offset", kind, at, to_the_millisecond, pid, login, database, details)
     SELECT e.id, $1, $2, n, $5, $4, true, 1, 'ana', 'app', '{}' FROM unnest($3::uuid[]) WITH ORDINALITY AS e (id, n)`,
    [id, fileId, ids, at, kind],
  );
  return ids;
}

describe('a file that is still there', () => {
  test('is read on from where it was read to: what was let go does not come back', async () => {
    const path = directory();
    const file = join(path, 'postgresql.log.1');
    const id = await target(path);
    writeFileSync(file, line('old', ago(KEPT_DAYS + 20)) + line('young', ago(20)));
    await look(id);
    await look(id);
    await tied(id);
    await keep(KEPT_DAYS);
    await turn();
    expect(await logins(id)).toEqual(['young']);
    appendFileSync(file, line('new', ago(1)));
    for (let more = 0; more < 3; more += 1) await look(id);
    expect(await logins(id)).toEqual(['young', 'new']);
  });

  test('and is read anew, for its target read another meanwhile, brings back nothing that is too old', async () => {
    const [path, other] = [directory(), directory()];
    writeFileSync(join(path, 'postgresql.log.1'), line('old', ago(KEPT_DAYS + 20)) + line('young', ago(20)));
    const id = await target(path);
    await look(id);
    await look(id);
    await tied(id);
    await keep(KEPT_DAYS);
    await turn();
    for (const logPlace of [other, path]) {
      expect((await dave.patch(`/v1/targets/${id}`, { logPlace })).status).toBe(200);
      await look(id);
      await look(id);
    }
    expect(new Set(await logins(id))).toEqual(new Set(['young']));
  });
});

describe('what is too old when it is read at last', () => {
  interface Gap {
    kind: string;
    from: string;
    to: string | null;
    recoveredAt: string | null;
    detail: string;
  }
  const gaps = async (id: string): Promise<Gap[]> =>
    (await dave.get<{ gaps: Gap[] }>(`/v1/targets/${id}/server-log`)).body.gaps;
  const toTheSecond = (at: Date): string => `${at.toISOString().slice(0, 19)}.000Z`;

  test('after an outage is a gap of its own, once for a file, and not recovered', async () => {
    const path = directory();
    const away = `${path}-away`;
    const file = join(path, 'postgresql.log.1');
    const id = await target(path);
    await keep(KEPT_DAYS);
    writeFileSync(file, line('first', ago(20)));
    await look(id);
    renameSync(path, away);
    await look(id);
    expect(await gaps(id)).toMatchObject([{ kind: 'log_unreadable', to: null }]);
    renameSync(away, path);
    const [oldest, older, old] = [ago(KEPT_DAYS + 20), ago(KEPT_DAYS + 10), ago(KEPT_DAYS + 1)];
    appendFileSync(file, line('oldest', older) + line('oldest', oldest) + line('young', ago(19)));
    for (let more = 0; more < 3; more += 1) await look(id);
    appendFileSync(file, line('old', old) + line('young', ago(18)));
    for (let more = 0; more < 3; more += 1) await look(id);
    expect(await logins(id)).toEqual(['first', 'young', 'young']);
    const found = await gaps(id);
    expect(found.map(({ kind }) => kind).sort()).toEqual(['log_lost', 'log_unreadable']);
    expect(found.find(({ kind }) => kind === 'log_lost')).toMatchObject({
      ...{ from: toTheSecond(oldest), to: toTheSecond(old), recoveredAt: null },
      detail: expect.stringContaining('left out'),
    });
  });

  test('is none where all is kept for ever, and what is there already is not left out', async () => {
    const path = directory();
    const id = await target(path);
    writeFileSync(join(path, 'postgresql.log.1'), line('old', ago(KEPT_DAYS + 20)) + line('young', ago(20)));
    for (let more = 0; more < 3; more += 1) await look(id);
    expect(await logins(id)).toEqual(['old', 'young']);
    expect(await gaps(id)).toEqual([]);
  });
});

describe('what is old', () => {
  test('goes in bounded parts, and is on record once for a turn, whatever it took', async () => {
    const id = await target(directory());
    await events(id, 7_000, ago(KEPT_DAYS + 1));
    await events(id, 3, ago(KEPT_DAYS - 1));
    await tied(id);
    await turn();
    expect(await logins(id)).toHaveLength(7_003); // for ever, when nothing is said
    await keep(KEPT_DAYS);
    const [first] = await owner<{ gone: string }>('SELECT server_log_drop_expired() AS gone');
    expect(first).toEqual({ gone: '5000' }); // by a process that ended before it told
    await turn();
    await turn();
    expect(await logins(id)).toHaveLength(3);
    expect(await onRecord(id)).toMatchObject([
      { actor_name: 'expire-logs', details: { events: 7_000, inAll: 7_000, newestAt: expect.stringContaining('T') } },
    ]);
    await events(id, 2, ago(KEPT_DAYS + 1));
    await tied(id);
    await turn();
    expect((await onRecord(id)).slice(1)).toMatchObject([{ details: { events: 2, inAll: 7_002 } }]);
    const { body } = await (await known(usher, 'carol')).get<{ text: string }>('/metrics');
    const [, deleted] = /^usher_server_log_deleted (\d+)$/m.exec(body.text) ?? [];
    expect(Number(deleted)).toBeGreaterThanOrEqual(7_002);
    expect(body.text).toMatch(/^usher_server_log_oldest_days \d/m);
  });

  test('stays while it is not tied to its session, and with it what was said shortly before', async () => {
    const id = await target(directory());
    const edge = ago(KEPT_DAYS, -30_000);
    await events(id, 1, ago(KEPT_DAYS + 1));
    const [received = ''] = await events(id, 1, edge);
    await events(id, 1, new Date(edge.getTime() + 20_000), 'authorized');
    await tied(id, received);
    await keep(KEPT_DAYS);
    await turn();
    expect(await logins(id)).toHaveLength(2);
    await tied(id);
    await turn();
    expect(await logins(id)).toEqual([]);
  });

  test('stays while very much waits to be tied, and goes with a target that is gone', async () => {
    const id = await target(directory());
    const [first = ''] = await events(id, 1, ago(KEPT_DAYS + 1));
    await events(id, 10_001, ago(1));
    await tied(id, first);
    await keep(KEPT_DAYS);
    await turn();
    expect(await logins(id)).toHaveLength(10_002);
    await owner('UPDATE target SET deleted_at = now() WHERE id = $1', [id]);
    await turn();
    expect(await logins(id)).toHaveLength(10_001);
  });
});

describe('nobody lets go of it by other ways', () => {
  test.each([
    'DELETE FROM server_log_event',
    'DELETE FROM server_log_retention',
    'UPDATE server_log_retention SET days = 1',
    'INSERT INTO server_log_retention (days) VALUES (1)',
    'UPDATE server_log_expiry SET events = 1',
    'ALTER FUNCTION server_log_drop_expired() SET search_path = pg_temp',
  ])('the service: %s', async (sql) => {
    await keep(KEPT_DAYS);
    await expect(usher.db.pool.query(sql)).rejects.toMatchObject({ code: '42501' });
  });

  test('the owner, before its time', async () => {
    const id = await target(directory());
    await events(id, 1, ago(KEPT_DAYS - 1));
    await keep(KEPT_DAYS);
    await expect(owner('DELETE FROM server_log_event WHERE target_id = $1', [id])).rejects.toThrow(/append only/);
    await expect(owner('TRUNCATE server_log_event')).rejects.toThrow(/append only/);
    expect(await logins(id)).toHaveLength(1);
  });

  test('a retention of no days, or of more than ten years', async () => {
    for (const days of [-1, 3651]) await expect(keep(days)).rejects.toMatchObject({ code: '23514' });
  });
});
