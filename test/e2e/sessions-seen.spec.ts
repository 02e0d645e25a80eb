/** Real sessions on real servers: each that lasts is seen by looking, each at all by the log in any of its formats, and each is its owner's. */
import { tmpdir } from 'node:os';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LogReader } from '../../src/connections/log-reader.service.js';
import { anyMajor } from '../support/majors.ts';
import { until } from '../support/until.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { APPLICATION, ownTrust, startLoggedServer, type Format, type LoggedServer } from './logged-server.ts';
import { known, mint, person, reached, type LoginToken, type Person } from './stage.ts';

const formats: readonly Format[] = anyMajor >= 15 ? ['stderr', 'csv', 'json'] : ['stderr', 'csv'];
const PEOPLE = 3;
const SHORT_EACH = 8;

/** A session as the one who had it knows it. */
interface Truth {
  pid: number;
  login: string;
  personId: string | null;
  /** null: of nobody with a grant. */
  grantId: string | null;
  /** Whether another grant of the same login, with a token of its own, would fit as well. */
  ambiguous: boolean;
  /** It was there from before a look until after it. */
  lasting: boolean;
}
/** A session as Usher keeps it. */
interface Row {
  pid: number;
  login: string;
  person: string | null;
  grant: string | null;
  /** The grant of the token that it is tied to. */
  minted: string | null;
  grade: string;
  observed: boolean;
  method: string | null;
  flags: string[];
  ended: boolean;
}
interface Holder {
  who: Person;
  personId: string;
  grantId: string;
  token: LoginToken;
}
interface Play {
  targetId: string;
  truth: Truth[];
  /** Before the log was read. */
  seen: Row[];
  /** And after. */
  known: Row[];
}

let usher: Usher;
const servers = new Map<Format, LoggedServer>();
const plays = new Map<Format, Play>();

beforeAll(async () => {
  const { authority, env } = await ownTrust();
  usher = await startUsher({ env: { ...env, USHER_SAMPLE_SECONDS: '1', USHER_LOG_DIR: tmpdir() } });
  for (const format of formats) servers.set(format, await startLoggedServer(format, anyMajor, authority));
  await Promise.all(formats.map(async (format) => plays.set(format, await play(format))));
});
afterAll(async () => {
  await usher?.close();
  for (const server of servers.values()) await server.close();
});

const playOf = (format: Format): Play => plays.get(format) ?? expect.fail(`nothing was played on ${format}`);
const serverOf = (format: Format): LoggedServer => servers.get(format) ?? expect.fail(`no server of ${format}`);

async function play(format: Format): Promise<Play> {
  const { targetId, profiles } = await register(format);
  const holders: Holder[] = [];
  for (let i = 0; i < PEOPLE; i += 1)
    holders.push(await hold(person(usher, `seen${i}`, ['engineers']), targetId, profiles['invoices-read']));
  const [first, second] = holders;
  if (!first || !second) return expect.fail('nobody');
  const again = await hold(first.who, targetId, profiles['invoices-check']);
  const own = (holder: Holder): Pick<Truth, 'personId' | 'ambiguous'> => ({
    ...{ personId: holder.personId, ambiguous: holder.personId === first.personId },
  });
  // the name of a session says which of one's own grants it is under, and never one of somebody else
  const lasting = [...holders, again].map((holder) => ({ holder, application: `usher:${holder.grantId}` }));
  const liar = { holder: second, application: `usher:${first.grantId}` };
  const truth: Truth[] = [];
  const stay = [...lasting, liar].map(async ({ holder, application }) => {
    const client = await enter(format, holder.token, application);
    const pid = await pidOf(client);
    truth.push({ ...own(holder), pid, login: holder.token.user, grantId: holder.grantId, lasting: true });
    return client;
  });
  const batch = serverOf(format).application();
  const open = await Promise.all([...stay, batch]);
  const outsider = { pid: await pidOf(await batch), login: APPLICATION, personId: null, grantId: null };
  truth.push({ ...outsider, ambiguous: false, lasting: true });
  await untilLookedAt(targetId, 2); // the first may have been under way when they came
  const seen = await rows(targetId);
  for (const holder of holders) truth.push(...(await comeAndGo(format, holder, own(holder))));
  await Promise.all(open.map((client) => client.end()));
  await readLog(targetId, truth);
  return { targetId, truth, seen, known: await rows(targetId) };
}

/** One session after the other, each over before the next: most fall between two looks. */
async function comeAndGo(format: Format, { token, grantId }: Holder, own: Pick<Truth, 'personId' | 'ambiguous'>) {
  const truth: Truth[] = [];
  for (let i = 0; i < SHORT_EACH; i += 1) {
    // of two grants with a token each nothing but the name tells which it is
    const named = own.ambiguous || i % 2 === 0;
    const client = await enter(format, token, named ? `usher:${grantId}` : 'psql');
    truth.push({ ...own, pid: await pidOf(client), login: token.user, grantId, lasting: false });
    await client.end();
  }
  return truth;
}

async function register(format: Format): Promise<{ targetId: string; profiles: Record<string, string> }> {
  const dave = await known(usher, 'dave');
  const { registration } = serverOf(format);
  const { status, body } = await dave.post<{ id: string }>('/v1/targets', registration.target);
  expect(status, JSON.stringify(body)).toBe(201);
  const profiles: Record<string, string> = {};
  for (const profile of registration.profiles) {
    const made = await dave.post<{ id: string }>(`/v1/targets/${body.id}/profiles`, profile);
    expect(made.status, JSON.stringify(made.body)).toBe(201);
    profiles[profile.name] = made.body.id;
  }
  return { targetId: body.id, profiles };
}

/** A grant with a token. */
async function hold(who: Person, targetId: string, profileId: string | undefined): Promise<Holder> {
  const ask = { targetId, profileId, durationMinutes: 30, reason: 'to look something up' };
  const { status, body } = await who.post<{ grantId: string; personId: string }>('/v1/requests', ask);
  expect(status, JSON.stringify(body)).toBe(201);
  await reached(who, body.grantId, 'active');
  return { who, personId: body.personId, grantId: body.grantId, token: await mint(who, body.grantId) };
}

async function enter(format: Format, login: LoginToken, application: string): Promise<pg.Client> {
  const { token: password, host, port, user, database } = login;
  const ssl = { ca: serverOf(format).rds.caPem };
  const client = new pg.Client({ host, port, user, database, password, application_name: application, ssl });
  await client.connect();
  return client;
}

const pidOf = async (client: pg.Client): Promise<number> =>
  (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid ?? 0;

async function untilLookedAt(targetId: string, times: number): Promise<void> {
  const last = async (): Promise<Date | null | undefined> =>
    (await usher.db.client.endpointLook.findFirst({ where: { targetId } }))?.lookedAt;
  for (let i = 0; i < times; i += 1) {
    const before = (await last())?.getTime();
    await until('another look', async () => ((await last())?.getTime() ?? before) !== before);
  }
}

/** Reads until all that was done is in it, and waits for the sampler to tie it. */
async function readLog(targetId: string, truth: readonly Truth[]): Promise<void> {
  const reader = usher.app.get(LogReader, { strict: false });
  const pids = truth.map(({ pid }) => pid);
  await until('the log has the end of each session', async () => {
    await reader.read(targetId, 60_000);
    const where = { targetId, kind: 'disconnected', pid: { in: pids } };
    return (await usher.db.client.serverLogEvent.count({ where })) === pids.length;
  });
  await until('each session is tied', async () => {
    const where = { targetId, pid: { in: pids }, loggedAt: { not: null }, endedAt: { not: null } };
    return (await usher.db.client.connection.count({ where })) >= pids.length;
  });
}

async function rows(targetId: string): Promise<Row[]> {
  const { rows: found } = await usher.database.owner.query<Row>(
    `SELECT c.pid, c.login, c.person_id AS person, c.grant_id AS grant, m.grant_id AS minted, c.grade, c.observed, c.auth_method AS method,
            c.ended_at IS NOT NULL AS ended, ARRAY(SELECT f.kind FROM connection_flag f WHERE f.connection_id = c.id ORDER BY 1) AS flags
       FROM connection c LEFT JOIN audit_event m ON m.id = c.mint_id AND m.action = 'token.mint' WHERE c.target_id = $1 ORDER BY c.pid`,
    [targetId],
  );
  return found;
}

/** What is to be known of a session by looking, and by the log as well. */
const expected = ({ pid, login, personId, grantId, ambiguous }: Truth, grade: string): Partial<Row> => ({
  ...{ pid, login, person: personId, grant: grantId, minted: grantId, grade: ambiguous ? 'inferred' : grade },
  flags: personId === null ? ['unknown_login'] : [],
});
const byPid = (a: { pid: number }, b: { pid: number }): number => a.pid - b.pid;

describe.each(formats)('with a log in %s', (format) => {
  test('each session that was there for a look was seen by it, and is its owner’s', () => {
    const { truth, seen } = playOf(format);
    const lasting = truth.filter((one) => one.lasting).sort(byPid);
    expect(lasting).toHaveLength(PEOPLE + 3);
    expect(seen.filter(({ login }) => login !== 'rdsmaster')).toMatchObject(
      lasting.map((one) => ({ ...expected(one, 'observed'), observed: true, method: null, ended: false })),
    );
  });

  test('each session at all is known by the log, once, and is its owner’s', () => {
    const { truth, known: found } = playOf(format);
    const all = truth.toSorted(byPid);
    expect(all).toHaveLength(PEOPLE * SHORT_EACH + PEOPLE + 3);
    expect(new Set(all.map(({ pid }) => pid)).size).toBe(all.length);
    const methodOf = (one: Truth): string => (one.personId === null ? 'scram-sha-256' : 'cert');
    expect(found.filter(({ login }) => login !== 'rdsmaster')).toMatchObject(
      all.map((one) => ({ ...expected(one, 'logged'), method: methodOf(one), ended: true })),
    );
  });

  test('a session that no look found is told by the log alone', () => {
    const { truth, known: found } = playOf(format);
    const lasting = new Set(truth.filter((one) => one.lasting).map(({ pid }) => pid));
    expect(found.filter(({ pid, observed }) => lasting.has(pid) && !observed)).toEqual([]);
    expect(found.some(({ pid, observed }) => !lasting.has(pid) && !observed)).toBe(true);
  });

  test('what the master did before is nobody’s, and nothing of AWS or of Usher itself is there', () => {
    const { truth, known: found } = playOf(format);
    const pids = new Set(truth.map(({ pid }) => pid));
    const others = found.filter(({ pid }) => !pids.has(pid));
    expect(others.length).toBeGreaterThan(0);
    for (const other of others)
      expect(other).toMatchObject({ login: 'rdsmaster', person: null, grant: null, minted: null });
  });
});

test('the API tells the same of each person', async () => {
  const carol = await known(usher, 'carol');
  for (const format of formats) {
    const { targetId, truth } = playOf(format);
    const people = new Set(truth.flatMap(({ personId }) => personId ?? []));
    for (const personId of people) {
      const path = `/v1/connections?target=${targetId}&person=${personId}&limit=200`;
      const { body } = await carol.get<{ items: { grantId: string; endedAt: string | null }[] }>(path);
      const own = truth.filter((one) => one.personId === personId);
      expect(body.items.map(({ grantId }) => grantId).sort()).toEqual(own.map(({ grantId }) => grantId).sort());
    }
  }
});
