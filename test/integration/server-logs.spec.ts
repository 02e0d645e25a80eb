/** Logs read into the store: from files, from the RDS API and from CloudWatch, over rotation, restart, crash and loss. */
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventIn } from '../../src/connections/log-store.js';
import { Jobs } from '../../src/platform/jobs/jobs.js';
import { readLog } from '../../src/postgres/log-lines.js';
import { LogReaderJobs } from '../../src/connections/log-reader.job.js';
import { LogReader } from '../../src/connections/log-reader.service.js';
import { known } from '../support/people.ts';
import { anyMajor } from '../support/majors.ts';
import { until } from '../support/until.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';
import { startLoggingServer, type LoggingServer } from './server-log-stage.ts';

interface Row {
  kind: string;
  pid: number;
  login: string | null;
  offset: string;
  file_id: string;
}
interface Log {
  problem: string | null;
  files: { name: string; offset: number; goneAt: string | null }[];
  gaps: { kind: string; to: string | null; recoveredAt: string | null; detail: string }[];
}

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

/** A target of its own with a log. */
async function target(more: Record<string, unknown>): Promise<string> {
  const { registration } = usher.standIn.targets.billing;
  const body = { ...registration.target, name: `logs-${++made}`, resourceId: `db-LOGS${made}`, ...more };
  const created = await dave.post<{ id: string }>('/v1/targets', body);
  expect(created.status, JSON.stringify(created.body)).toBe(201);
  return created.body.id;
}
const look = (id: string): Promise<void> => usher.app.get(LogReader, { strict: false }).read(id, 60_000);
const rows = async (id: string): Promise<Row[]> => {
  const { rows: found } = await usher.database.owner.query<Row>(
    'SELECT kind, pid, login, "offset", file_id FROM server_log_event WHERE target_id = $1 ORDER BY at, file_id, "offset"',
    [id],
  );
  return found;
};
const log = async (id: string): Promise<Log> => (await dave.get<Log>(`/v1/targets/${id}/server-log`)).body;
const logins = async (id: string): Promise<(string | null)[]> => (await rows(id)).map(({ login }) => login);

/** Who logged in where, the first first. */
const byEndpoint = async (id: string): Promise<unknown[]> => {
  const text = `SELECT v.login, e.kind FROM server_log_event v JOIN endpoint e ON e.id = v.endpoint_id WHERE v.target_id = $1 ORDER BY v.at`;
  return (await usher.database.owner.query(text, [id])).rows;
};

let second = 0;
/** A line of the text log, each a second after the one before. */
function line(login: string, pid = 100 + second): string {
  const at = new Date(Date.UTC(2026, 2, 1, 10, 0, second++)).toISOString().slice(0, 19).replace('T', ' ');
  return `${at} UTC:10.0.0.9(5000):${login}@app:[${pid}]:LOG:  connection authorized: user=${login} database=app application_name=psql SSL enabled (protocol=TLSv1.3, cipher=X, bits=256)\n`;
}
function directory(): string {
  const path = join(base, `log${++made}`);
  mkdirSync(path);
  return path;
}

describe('files', () => {
  test('what is read is read once, whenever and however often; a last line waits until it is complete', async () => {
    const path = directory();
    const file = join(path, 'postgresql.log.2026-03-01-10');
    const id = await target({ logSource: 'file', logPlace: path });
    const [ana, ben] = [line('ana'), line('ben')];
    writeFileSync(file, ana + ben.slice(0, 60));
    await look(id);
    await look(id);
    expect(await logins(id)).toEqual([]); // whether what follows ana's is of hers is not yet to be seen
    appendFileSync(file, ben.slice(60));
    await Promise.all([look(id), look(id)]);
    await look(id);
    await look(id);
    expect(await logins(id)).toEqual(['ana', 'ben']);
    expect((await log(id)).gaps).toEqual([]);
    const where = { targetId: id };
    const kept = await usher.db.client.serverLogEvent.findMany({ where, orderBy: { offset: 'asc' } });
    const { events } = readLog(readFileSync(file), { offset: 0, within: null }, { format: 'stderr', state: 'quiet' });
    expect(kept.map(eventIn)).toEqual(events);
  });

  test('rotation by a new name and by renaming loses nothing and repeats nothing', async () => {
    const path = directory();
    const id = await target({ logSource: 'file', logPlace: join(path, 'postgresql.log') });
    writeFileSync(join(path, 'postgresql.log'), line('one'));
    await look(id);
    appendFileSync(join(path, 'postgresql.log'), line('two'));
    renameSync(join(path, 'postgresql.log'), join(path, 'postgresql.log.1'));
    writeFileSync(join(path, 'postgresql.log'), line('three'));
    await look(id);
    await look(id);
    expect(await logins(id)).toEqual(['one', 'two', 'three']);
    rmSync(join(path, 'postgresql.log.1'));
    await look(id);
    expect((await log(id)).gaps).toEqual([]);
  });

  test('a file that is gone, or written anew, before it was read to its end is a gap', async () => {
    const path = directory();
    const [first, next] = [join(path, 'postgresql.log.1'), join(path, 'postgresql.log.2')];
    const id = await target({ logSource: 'file', logPlace: path });
    const changes = {
      early: () => {
        writeFileSync(first, line('early'));
      },
      late: () => {
        rmSync(first);
        writeFileSync(next, line('late'));
      },
      anew: () => {
        writeFileSync(next, line('anew'));
      },
    };
    for (const change of Object.values(changes)) {
      change();
      await look(id);
      await look(id);
    }
    expect(await logins(id)).toEqual(['early', 'late', 'anew']);
    const { gaps } = await log(id);
    expect(gaps.map(({ kind }) => kind).sort()).toEqual(['log_lost', 'log_rewritten']);
    expect(gaps.every(({ to, recoveredAt }) => to !== null && recoveredAt === null)).toBe(true);
  });

  test('outside of the directory of the settings nothing is read, not even by a link', async () => {
    const path = join(directory(), 'link');
    symlinkSync('/etc', path);
    for (const logPlace of [path, '/etc', '/nowhere/at/all']) {
      const id = await target({ logSource: 'file', logPlace });
      await look(id);
      const { problem, files, gaps } = await log(id);
      expect(problem).toContain('USHER_LOG_DIR');
      expect(files).toEqual([]);
      expect(gaps).toMatchObject([{ kind: 'log_unreadable', to: null }]);
    }
  });

  test('what could not be read is read when it can be, and the gap is recovered', async () => {
    const path = join(base, `later${++made}`);
    const id = await target({ logSource: 'file', logPlace: path });
    await look(id);
    await look(id);
    mkdirSync(path);
    writeFileSync(join(path, 'postgresql.log.1'), line('ana'));
    await look(id);
    await look(id);
    expect(await logins(id)).toEqual(['ana']);
    const { problem, gaps } = await log(id);
    expect([problem, gaps.length, gaps[0]?.recoveredAt !== null]).toEqual([null, 1, true]);
  });

  test('another source begins anew, and leaves no gap behind', async () => {
    const [before, after] = [directory(), directory()];
    writeFileSync(join(before, 'postgresql.log.1'), line('ana'));
    writeFileSync(join(after, 'postgresql.log.1'), line('ben'));
    const id = await target({ logSource: 'file', logPlace: before });
    await look(id);
    await look(id);
    expect((await dave.patch(`/v1/targets/${id}`, { logPlace: after })).status).toBe(200);
    await look(id);
    await look(id);
    expect([await logins(id), (await log(id)).gaps]).toEqual([['ana', 'ben'], []]);
  });

  test('each server of a target has its own, and its lines are those of its endpoint', async () => {
    const [own, readers, other] = [directory(), directory(), directory()];
    const { endpoints, ...cluster } = usher.standIn.targets.orders.registration.target;
    const reader = endpoints.find(({ kind }) => kind === 'reader') ?? expect.fail('no reader');
    const further = (place: string) => [{ connectHost: reader.connectHost, port: reader.port, place }];
    const id = await target({
      ...{ ...cluster, endpoints, name: `logs-${++made}`, resourceId: `cluster-LOGS${made}` },
      ...{ logSource: 'file', logPlace: own, furtherLogs: further(readers) },
    });
    // the names are the same, and the directories begin alike
    writeFileSync(join(own, 'postgresql.log.1'), line('ana'));
    writeFileSync(join(readers, 'postgresql.log.1'), line('ben'));
    await look(id);
    await look(id);
    const told = [
      { login: 'ana', kind: 'writer' },
      { login: 'ben', kind: 'reader' },
    ];
    expect(await byEndpoint(id)).toEqual(told);
    const path = `/v1/targets/${id}`;
    const refused = await dave.patch(path, { furtherLogs: [{ ...further(other)[0], port: 1 }] });
    expect(refused).toMatchObject({ status: 400, body: { code: 'invalid_input' } });
    expect((await dave.get(path)).body).toMatchObject({ furtherLogs: further(readers) });
    writeFileSync(join(other, 'postgresql.log.1'), line('cleo'));
    expect((await dave.patch(path, { furtherLogs: further(other) })).status).toBe(200);
    await look(id);
    await look(id);
    expect(await byEndpoint(id)).toEqual([...told, { login: 'cleo', kind: 'reader' }]);
    expect((await log(id)).gaps).toEqual([]); // what is no longer asked for is not lost
    const { data } = await dave.graphql(`{ target(id: "${id}") { furtherLogs { connectHost port place } } }`);
    expect(data).toEqual({ target: { furtherLogs: further(other) } });
    expect((await dave.patch(path, { logSource: 'none' })).body).toMatchObject({ logPlace: null, furtherLogs: [] });
  });

  test('a long log is read in many pieces, in the middle of which the service may die', async () => {
    const path = directory();
    const id = await target({ logSource: 'file', logPlace: path });
    const many = Array.from({ length: 9_000 }, (_, at) => line('ana', at + 1)).join('');
    writeFileSync(join(path, 'postgresql.log.1'), many);
    await usher.database.owner.query(`CREATE FUNCTION pg_temp_fail() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF NEW."offset" > 1200000 THEN RAISE 'down'; END IF; RETURN NEW; END $$`);
    await usher.database.owner.query(
      'CREATE TRIGGER down BEFORE UPDATE ON server_log_file FOR EACH ROW EXECUTE FUNCTION pg_temp_fail()',
    );
    await expect(look(id)).rejects.toThrow();
    const before = (await rows(id)).length;
    expect(before).toBeGreaterThan(1_000);
    await usher.database.owner.query('DROP TRIGGER down ON server_log_file; DROP FUNCTION pg_temp_fail()');
    await look(id);
    await look(id);
    const after = await rows(id);
    expect([after.length, new Set(after.map(({ offset }) => offset)).size]).toEqual([9_000, 9_000]);
  });

  test('what is on record is neither changed nor deleted', async () => {
    for (const sql of [
      'UPDATE server_log_event SET pid = 1',
      'DELETE FROM server_log_event',
      'TRUNCATE server_log_event',
    ])
      await expect(usher.database.owner.query(sql)).rejects.toThrow(/append only/);
    await expect(usher.database.owner.query('UPDATE server_log_file SET "offset" = 0')).rejects.toThrow(/forwards/);
  });
});

test('a log is due when it was never read, and again when its time has come', async () => {
  const jobs = usher.app.get(LogReaderJobs, { strict: false });
  await usher.app.get(Jobs, { strict: false }).start();
  const due = async (): Promise<string[]> => {
    await usher.database.owner.query(`DELETE FROM pgboss.job WHERE name = 'read-logs'`);
    await jobs.tick();
    const sql = `SELECT data->>'targetId' AS id FROM pgboss.job WHERE name = 'read-logs'`;
    return (await usher.database.owner.query<{ id: string }>(sql)).rows.map(({ id }) => id);
  };
  const [logged, silent] = [await target({ logSource: 'file', logPlace: directory() }), await target({})];
  const first = await due();
  expect([first.includes(logged), first.includes(silent)]).toEqual([true, false]);
  await look(logged);
  expect(await due()).not.toContain(logged);
  usher.clock.move(61_000);
  const { owner } = usher.database;
  await owner.query('REVOKE INSERT ON ALL TABLES IN SCHEMA pgboss FROM usher_app');
  await expect(jobs.tick()).rejects.toThrow(); // as one that dies before it has enqueued
  await owner.query('GRANT INSERT ON ALL TABLES IN SCHEMA pgboss TO usher_app');
  expect(await due()).toContain(logged);
});

describe('a real server', () => {
  let server: LoggingServer;
  beforeAll(async () => {
    server = await startLoggingServer(anyMajor, 'stderr,csvlog');
    const { rds } = usher.standIn.aws;
    rds.addInstance({
      ...{ identifier: 'logged', resourceId: 'db-REALLOG', engineVersion: '17.4', logDirectory: server.directory },
      endpoint: { address: 'localhost', port: server.rds.endpoints[0]?.port ?? 0 },
    });
  });
  afterAll(async () => {
    usher.standIn.aws.rds.remove('db-REALLOG');
    await server?.close();
  });

  test('files, the RDS API and CloudWatch tell the same, over rotation and a restart', async () => {
    const places = {
      file: await target({ logSource: 'file', logFormat: 'csv', logPlace: server.directory }),
      rds: await target({ logSource: 'rds', logFormat: 'csv', resourceId: 'db-REALLOG' }),
    };
    const pids = [(await server.session('ana')).pid];
    await look(places.file);
    await look(places.rds);
    await server.admin.query('SELECT pg_rotate_logfile()');
    pids.push((await server.session('ben')).pid);
    await server.admin.end();
    await server.rds.stop();
    await server.rds.start();
    pids.push((await server.session('ana')).pid);
    for (const id of Object.values(places))
      await until('the last session is over', async () => {
        await look(id);
        return (await rows(id)).some(({ kind, pid }) => kind === 'disconnected' && pid === pids.at(-1));
      });
    const told = async (id: string) =>
      (await rows(id))
        .filter(({ login, pid }) => pids.includes(pid) && login !== null)
        .map(({ kind, pid, login, offset }) => ({ kind, pid, login, offset }));
    const seen = await told(places.file);
    expect(seen).toHaveLength(9);
    expect(await told(places.rds)).toEqual(seen);
    for (const id of Object.values(places)) expect((await log(id)).gaps).toEqual([]);
  });
});

describe('AWS', () => {
  const group = '/aws/rds/instance/watched/postgresql';
  test('streams of CloudWatch are read once each, also where many lines share a millisecond', async () => {
    const { aws } = usher.standIn;
    aws.rds.addInstance({ identifier: 'watched', resourceId: 'db-WATCHED', engineVersion: '17.4' });
    const id = await target({ logSource: 'cloudwatch', logPlace: group, resourceId: 'db-WATCHED' });
    const send = (...names: string[]) => {
      aws.logs.put(
        group,
        'watched',
        names.map((name) => ({ timestamp: 1_772_359_200_000, message: line(name).trimEnd() })),
      );
    };
    send('ana', 'ben');
    await look(id);
    await look(id);
    send('cleo');
    await look(id);
    await look(id);
    await look(id);
    expect(await logins(id)).toEqual(['ana', 'ben', 'cleo']);
    aws.rds.remove('db-WATCHED');
  });

  test('a read replica has a log of its own, in RDS and in CloudWatch', async () => {
    const { aws, targets } = usher.standIn;
    const replica = { connectHost: 'replica.example.com', port: 5432 };
    const resourceOf = (instance: string): string => `db-${instance.toUpperCase()}`;
    const groupOf = (instance: string): string => `/aws/rds/instance/${instance}/postgresql`;
    const logs = { one: line('ana'), two: line('ben') };
    for (const [identifier, text] of Object.entries(logs)) {
      const logDirectory = directory();
      writeFileSync(join(logDirectory, 'postgresql.log.2026-03-01-10'), text);
      aws.rds.addInstance({ identifier, resourceId: resourceOf(identifier), engineVersion: '17.4', logDirectory });
      aws.logs.put(groupOf(identifier), identifier, [{ timestamp: 1_772_359_200_000, message: text.trimEnd() }]);
    }
    const endpoints = [...targets.billing.registration.target.endpoints, { kind: 'reader', ...replica }];
    const further = (place: string) => ({
      resourceId: resourceOf('one'),
      endpoints,
      furtherLogs: [{ ...replica, place }],
    });
    const id = await target({ ...further('two'), logSource: 'rds' });
    const told = [
      { login: 'ana', kind: 'instance' },
      { login: 'ben', kind: 'reader' },
    ];
    await look(id);
    await look(id);
    expect(await byEndpoint(id)).toEqual(told);
    const next = {
      logSource: 'cloudwatch',
      logPlace: groupOf('one'),
      furtherLogs: further(groupOf('two')).furtherLogs,
    };
    expect((await dave.patch(`/v1/targets/${id}`, next)).status).toBe(200);
    await look(id);
    await look(id);
    expect(await byEndpoint(id)).toEqual([told[0], told[0], told[1], told[1]]);
    expect((await log(id)).gaps).toEqual([]);
    for (const identifier of Object.keys(logs)) aws.rds.remove(resourceOf(identifier));
  });

  test('where AWS refuses, the problem says what is missing, and nothing is lost', async () => {
    const { aws } = usher.standIn;
    const path = directory();
    writeFileSync(join(path, 'postgresql.log.2026-03-01-10'), line('ana'));
    const seed = { identifier: 'closed', resourceId: 'db-CLOSED', engineVersion: '17.4', logDirectory: path };
    aws.rds.addInstance(seed);
    const id = await target({ logSource: 'rds', resourceId: 'db-CLOSED' });
    aws.faults.refuse(1, 'AccessDenied', { service: 'rds', action: 'DownloadDBLogFilePortion' });
    await look(id);
    expect((await log(id)).problem).toContain('rds:DownloadDBLogFilePortion');
    aws.faults.throttle(2, { service: 'rds', action: 'DownloadDBLogFilePortion' });
    await look(id);
    await look(id);
    expect(await logins(id)).toEqual(['ana']);
    expect((await log(id)).gaps).toMatchObject([{ kind: 'log_unreadable' }]);
    aws.rds.remove('db-CLOSED');
  });

  test('more than RDS gives at a time is asked for again with fewer lines', async () => {
    const { aws } = usher.standIn;
    const path = directory();
    const long = `2026-03-01 10:00:00 UTC:10.0.0.9(1):ana@app:[1]:LOG:  statement: SELECT '${'x'.repeat(2_000)}'\n`;
    writeFileSync(join(path, 'postgresql.log.1'), long.repeat(400) + line('ana') + long.repeat(400) + line('ben'));
    aws.rds.addInstance({ identifier: 'wide', resourceId: 'db-WIDE', engineVersion: '17.4', logDirectory: path });
    const id = await target({ logSource: 'rds', resourceId: 'db-WIDE' });
    await look(id);
    await look(id);
    expect(await logins(id)).toEqual(['ana', 'ben']);
    aws.rds.remove('db-WIDE');
  });
});

describe('the setting', () => {
  test.each([
    [{ logSource: 'file' }, 'logPlace'],
    [{ logSource: 'file', logPlace: 'relative/path' }, 'logPlace'],
    [{ logSource: 'file', logPlace: '/var/log/../../etc' }, 'logPlace'],
    [{ logSource: 'cloudwatch', logPlace: 'a group' }, 'logPlace'],
    [{ logSource: 'rds', logPlace: '/var/log' }, 'logPlace'],
    [{ logSource: 'none', logPlace: '/var/log' }, 'logPlace'],
    [{ logSource: 'syslog' }, 'logSource'],
    [{ logSource: 'rds', logFormat: 'xml' }, 'logFormat'],
  ])('%j is refused by field, and nothing is changed', async (input, field) => {
    const id = await target({});
    const { status, body } = await dave.patch(`/v1/targets/${id}`, input);
    expect([status, JSON.stringify(body).includes(`"${field}"`)]).toEqual([400, true]);
    expect((await dave.get(`/v1/targets/${id}`)).body).toMatchObject({ logSource: 'none', logPlace: null });
  });

  test('both APIs set and show it, on record, and another source takes the place away', async () => {
    const id = await target({ logSource: 'cloudwatch', logPlace: '/aws/rds/instance/x/postgresql' });
    const update =
      'mutation($id: ID!) { updateTarget(id: $id, input: { logSource: rds, logFormat: csv }) { logSource logFormat logPlace } }';
    const { data } = await dave.graphql(update, { id });
    expect(data).toEqual({ updateTarget: { logSource: 'rds', logFormat: 'csv', logPlace: null } });
    const { data: shown } = await dave.graphql(
      'query($id: ID!) { serverLog(targetId: $id) { source format problem } }',
      { id },
    );
    expect(shown).toEqual({ serverLog: { source: 'rds', format: 'csv', problem: null } });
    const { rows: lines } = await usher.database.owner.query<{ details: object }>(
      `SELECT details FROM audit_event WHERE target_id = $1 AND action = 'target.update'`,
      [id],
    );
    expect(lines).toMatchObject([{ details: { changed: { logSource: { from: 'cloudwatch', to: 'rds' } } } }]);
  });

  test('who may not administer targets may neither set it nor see it', async () => {
    const id = await target({});
    const alice = await known(usher, 'alice');
    expect((await alice.patch(`/v1/targets/${id}`, { logSource: 'rds' })).status).toBe(403);
    expect((await alice.get(`/v1/targets/${id}/server-log`)).status).toBe(403);
  });
});
