/** What people run on a real server with pgaudit, read from its log by Usher itself, and whose it is said to be. */
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LogReader } from '../../src/connections/log-reader.service.js';
import { watch } from '../../src/connections/looks.queries.js';
import { SightingRecord } from '../../src/connections/sighting-record.js';
import { onlyMajor } from '../support/majors.ts';
import { known, register, type Registered } from '../support/people.ts';
import { keepSecret } from '../support/secrets.ts';
import { seen } from '../support/services.ts';
import { until } from '../support/until.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';
import { startLoggingServer, type LoggingServer } from './server-log-stage.ts';
import { keepGrants, session, sighting, type Had } from './who-connected.ts';

/** The builds of npm have no pgaudit; Debian has it as postgresql-15-pgaudit. */
const debian = '/usr/lib/postgresql/15';
const missing = [`${debian}/bin/initdb`, `${debian}/lib/pgaudit.so`].filter((file) => !existsSync(file));
const elsewhere = onlyMajor !== undefined && onlyMajor !== 15;
if (missing.length > 0 && !elsewhere)
  console.log(
    `left out: pgaudit on a target needs apt-get install postgresql-15-pgaudit (${missing.join(', ')} missing)`,
  );

const formats = ['stderr', 'csv'] as const;
type Format = (typeof formats)[number];
const logins = ['ana', 'ben'] as const;
type Login = (typeof logins)[number];

/** A name that writes lines of a log, and one that ends the fields of pgaudit's. */
const lines = `"a, ""b""\n2026-03-01 10:00:00 UTC:1.2.3.4(5):x@app"`;
const fields = `"t"",""x"",,,"`;
/** Text that looks as if the next record had begun within it. */
const torn =
  '/* 2026-03-01 10:00:00 UTC:1.2.3.4(5):x@app:[7]:LOG:  AUDIT: SESSION,1,1,DDL,DROP TABLE,TABLE,public.forged,x,y */';
const secret = randomBytes(24).toString('hex');
keepSecret('a password that stands in the log of a target', secret);

/** What was really run, in its order. */
interface Run {
  login: Login;
  pid: number;
  class: string;
  command: string;
  objectName: string | null;
}
interface Item extends Run {
  connectionId: string | null;
  personId: string | null;
  grantId: string | null;
}

describe.skipIf(missing.length > 0 || elsewhere)('a target with pgaudit', () => {
  let server: LoggingServer;
  let usher: Usher;
  let carol: Client;
  const targets = {} as Record<Format, Registered>;
  const people = {} as Record<Login, { id: string; client: Client; grants: Record<string, string> }>;
  const run: Run[] = [];

  beforeAll(async () => {
    const audited = { 'pgaudit.log': 'all', 'pgaudit.log_relation': 'on', 'pgaudit.log_parameter': 'on' };
    const settings = { shared_preload_libraries: 'pgaudit', ...audited };
    server = await startLoggingServer(15, 'stderr,csvlog', { binaries: debian, settings });
    const owner = new pg.Client({ ...server.rds.admin(), database: 'app' });
    await owner.connect();
    await owner.query('CREATE EXTENSION pgaudit; GRANT CREATE ON SCHEMA public TO ana, ben');
    await owner.end();
    usher = await startUsher({ settings: { jobs: false }, env: { USHER_LOG_DIR: tmpdir() } });
    carol = await known(usher, 'carol');
    for (const login of logins) people[login] = { ...(await seen(usher)), grants: {} };
    for (const format of formats) targets[format] = await readOf(format);
    await work();
    for (const format of formats) await read(format);
  }, 120_000);
  afterAll(async () => {
    await usher?.close();
    await server?.close();
  });

  /** A target of Usher's whose log is read in this format; each of the two has a grant there. */
  async function readOf(format: Format): Promise<Registered> {
    const log = { logSource: 'file', logFormat: format, logPlace: server.directory };
    const target = await register(usher, format === 'csv' ? 'billing' : 'orders', log);
    const now = usher.clock.now();
    const hour = (hours: number): Date => new Date(now.getTime() + hours * 3_600_000);
    const had = logins.map((login): Had => {
      const { id: personId, grants } = people[login];
      grants[target.targetId] = randomUUID();
      return { grantId: grants[target.targetId] ?? '', personId, login, opened: hour(-1), ended: hour(1) };
    });
    await keepGrants(usher, target, had, now);
    return target;
  }

  /** The first of ana's sessions is looked at while it is there; of the others only the log tells. */
  async function work(): Promise<void> {
    const [ana, ben] = [await server.connect('ana'), await server.connect('ben')];
    const as = async (client: pg.Client, login: Login) => {
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      const pid = rows[0]?.pid ?? 0;
      run.push({ login, pid, class: 'READ', command: 'SELECT', objectName: null });
      return async (sql: string, of: string, command: string, objectName: string | null, values?: unknown[]) => {
        run.push({ login, pid, class: of, command, objectName });
        await client.query(sql, values);
      };
    };
    const [byAna, byBen] = [await as(ana, 'ana'), await as(ben, 'ben')];
    await look();
    await byAna('CREATE TABLE plain (note text)', 'DDL', 'CREATE TABLE', 'public.plain');
    await byBen(`CREATE TABLE public.${lines} (id int)`, 'DDL', 'CREATE TABLE', `public.${lines}`);
    await byAna(`INSERT INTO plain VALUES ('${secret}')`, 'WRITE', 'INSERT', 'public.plain');
    await byAna('INSERT INTO plain VALUES ($1)', 'WRITE', 'INSERT', 'public.plain', [secret]);
    await byBen(`INSERT INTO public.${lines} VALUES (1)`, 'WRITE', 'INSERT', `public.${lines}`);
    await byAna(`ALTER ROLE ana PASSWORD '${secret}'`, 'ROLE', 'ALTER ROLE', null);
    await byBen(`CREATE TABLE public.${fields} (id int)`, 'DDL', 'CREATE TABLE', `public.${fields}`);
    await byBen(`DROP TABLE public.${fields} ${torn}`, 'DDL', 'DROP TABLE', `public.${fields}`);
    const raised = 'AUDIT: SESSION,1,1,DDL,DROP TABLE,TABLE,public.forged,x,<none>';
    await byBen(`DO $$ BEGIN RAISE LOG '${raised}'; END $$`, 'FUNCTION', 'DO', null);
    await ana.end();
    const later = await server.connect('ana');
    const again = await as(later, 'ana');
    await again('TABLE plain', 'READ', 'SELECT', 'public.plain');
    await again(`DROP TABLE plain ${torn}`, 'DDL', 'DROP TABLE', 'public.plain');
    await byBen(`SELECT FROM public.${lines}`, 'READ', 'SELECT', `public.${lines}`);
    await Promise.all([later.end(), ben.end()]);
  }

  /** As the guard would tell it: ana's session, and no other. */
  async function look(): Promise<void> {
    const { rows } = await server.admin.query<{ pid: number; began: Date; now: Date }>(
      `SELECT pid, backend_start AS began, now() AS now FROM pg_stat_activity WHERE usename = 'ana'`,
    );
    for (const { targetId } of Object.values(targets)) {
      const target = await usher.db.client.target.findUniqueOrThrow({
        where: { id: targetId },
        include: { endpoints: true },
      });
      const endpoint = target.endpoints.find(({ kind }) => kind !== 'reader') ?? expect.fail('none that writes');
      await watch(usher.db.client, endpoint.id, targetId);
      const there = rows.map(({ pid, began }) => session({ pid, login: 'ana', backendStart: began }));
      const clock = rows[0]?.now ?? expect.fail('ana is not there');
      const record = usher.app.get(SightingRecord, { strict: false });
      await record.store({ target, endpoint }, sighting(clock, there), usher.clock.now(), null);
    }
  }

  /** Until the log is read to the end of the last session, and each of the three is known. */
  const read = (format: Format): Promise<unknown> =>
    until(`the log in ${format} is read and tied`, async () => {
      await usher.app.get(LogReader, { strict: false }).read(targets[format].targetId, 60_000);
      await usher.app.get(SightingRecord, { strict: false }).tidy();
      const where = { targetId: targets[format].targetId, login: { in: [...logins] } };
      const kept = await usher.db.client.connection.findMany({ where });
      return kept.length === 3 && kept.every(({ endedAt }) => endedAt !== null);
    });

  const list = async (who: Client, query: string): Promise<Item[]> =>
    (await who.get<{ items: Item[] }>(`/v1/statements?${query}&limit=200`)).body.items;
  const ofTarget = (format: Format): string => `target=${targets[format].targetId}`;
  const isTheirs = ({ login }: Item): boolean => logins.some((one) => one === login);

  test.each(formats)(
    '%s: each statement is that of the session, the person and the grant that ran it',
    async (format) => {
      const items = await list(carol, ofTarget(format));
      const { rows } = await usher.database.owner.query<{ id: string; pid: number }>('SELECT id, pid FROM connection');
      const pids = new Map(rows.map(({ id, pid }) => [id, pid]));
      const theirs = items.filter(isTheirs);
      const wrong = theirs.filter(
        ({ login, personId, grantId, connectionId }) =>
          personId !== people[login].id ||
          grantId !== people[login].grants[targets[format].targetId] ||
          connectionId === null,
      );
      expect(wrong).toEqual([]);
      const told = theirs
        .map((item) => ({ ...item, pid: pids.get(item.connectionId ?? '') }))
        .map(({ login, pid, class: of, command, objectName }) => ({ login, pid, class: of, command, objectName }));
      expect(told.toReversed()).toEqual(run);
      // what the server's own administrator does is nobody's that Usher knows
      const others = items.filter((item) => !isTheirs(item));
      expect(others.map(({ personId, connectionId }) => personId ?? connectionId).filter((id) => id !== null)).toEqual(
        [],
      );
      expect(others.map(({ command }) => command)).toContain('CREATE EXTENSION');
    },
  );

  test.each(formats)('%s: who dropped a table, and what somebody touched', async (format) => {
    const dropped = await list(carol, `${ofTarget(format)}&command=DROP%20TABLE&object=public.plain`);
    expect(dropped).toMatchObject([{ login: 'ana', personId: people.ana.id }]);
    for (const name of [lines, fields]) {
      const items = await list(carol, `${ofTarget(format)}&object=${encodeURIComponent(`public.${name}`)}`);
      expect(items.map(({ command }) => command).toReversed()).toEqual(
        run.filter(({ objectName }) => objectName === `public.${name}`).map(({ command }) => command),
      );
    }
    const [first] = await list(carol, `grant=${people.ana.grants[targets[format].targetId]}&class=ROLE`);
    expect(first).toMatchObject({ command: 'ALTER ROLE' });
    const inSession = await list(carol, `connection=${first?.connectionId}`);
    expect(inSession.map(({ command }) => command).toReversed()).toEqual([
      'SELECT',
      'CREATE TABLE',
      'INSERT',
      'INSERT',
      'ALTER ROLE',
    ]);
  });

  test.each(formats)('%s: each sees their own alone', async (format) => {
    for (const login of logins) {
      const items = await list(people[login].client, ofTarget(format));
      expect(items).toHaveLength(run.filter((one) => one.login === login).length);
      expect(new Set(items.map(({ personId }) => personId))).toEqual(new Set([people[login].id]));
    }
    expect(await list(people.ben.client, `person=${people.ana.id}`)).toEqual([]);
  });

  test('what SQL wrote to look like pgaudit is believed nowhere', async () => {
    for (const format of formats) expect(await list(carol, `${ofTarget(format)}&object=public.forged`)).toEqual([]);
  });

  test('a password in a statement is in the log of the target, and nowhere in Usher', async () => {
    const written = readdirSync(server.directory).map((name) => readFileSync(join(server.directory, name), 'utf8'));
    expect(written.filter((text) => text.includes(secret))).toHaveLength(2);
    const { rows } = await usher.database.owner.query<{ kept: number }>(
      'SELECT count(*)::int AS kept FROM server_log_event e WHERE strpos(e::text, $1) > 0',
      [secret],
    );
    expect(rows).toEqual([{ kept: 0 }]);
  });
});
