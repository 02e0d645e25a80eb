/** Whose a statement in the log is, and who may see it: on rows as the log reader and the observer keep them. */
import { randomUUID } from 'node:crypto';
import { v7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  sessionsOf,
  statementsOfSessions,
  statementsOfTarget,
  type StatementSearch,
} from '../../src/connections/statements.queries.js';
import { StatementClass } from '../../src/connections/statements.contract.js';
import { Prisma } from '../../src/generated/prisma/client.js';
import { DomainError } from '../../src/platform/errors.js';
import { inTime } from '../../src/platform/state/in-time.js';
import { known, newName, register, someone, type Registered } from '../support/people.ts';
import { seen } from '../support/services.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';
import { keepGrants, type Had } from './who-connected.ts';

/** Names of one server's endpoints but for the last three, which are servers of their own. */
const places = { writer: randomUUID(), alias: randomUUID(), reader: randomUUID(), ahead: randomUUID() };
type Place = keyof typeof places;
type Who = 'ann' | 'ben';
const AHEAD_SECONDS = 90;
const NOON = Date.parse('2026-03-01T12:00:00.000Z');
/** A moment, by the clock of whoever tells it. */
const at = (seconds: number): Date => new Date(NOON + Math.round(seconds * 1_000));

interface Statement {
  id: string;
  at: string;
  connectionId: string | null;
  personId: string | null;
  grantId: string | null;
  login: string;
  class: string;
  command: string;
  objectName: string | null;
}
interface Page {
  items: Statement[];
  nextCursor: string | null;
  gaps: { kind: string }[];
  code?: string;
  errors?: { field: string }[];
}

let usher: Usher;
let orders: Registered;
let billing: Registered;
let carol: Client;
const people = {} as Record<Who, { client: Client; had: Had }>;
const files: Record<string, string> = {};
let made = 0;

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  [orders, billing] = [await register(usher, 'orders'), await register(usher, 'billing')];
  carol = await known(usher, 'carol');
  for (const who of ['ann', 'ben'] as const) {
    const { id, client } = await seen(usher);
    const had = { personId: id, login: newName(who), grantId: randomUUID(), opened: at(-3_600), ended: at(86_400) };
    people[who] = { client, had };
  }
  const now = usher.clock.now();
  await keepGrants(
    usher,
    orders,
    Object.values(people).map(({ had }) => had),
    now,
  );
  const { owner } = usher.database;
  for (const [name, id] of Object.entries(places))
    await owner.query(
      'INSERT INTO endpoint_look (endpoint_id, target_id, looked_at, clock_ahead_ms, same_as) VALUES ($1, $2, now(), $3, $4)',
      [id, orders.targetId, name === 'ahead' ? AHEAD_SECONDS * 1_000 : 0, name === 'alias' ? places.writer : null],
    );
  for (const { targetId } of [orders, billing]) {
    files[targetId] = randomUUID();
    await owner.query(
      `INSERT INTO server_log_file (id, target_id, stream, name, first_read_at, last_read_at) VALUES ($1, $2, 'file', 'postgresql.log', now(), now())`,
      [files[targetId], targetId],
    );
  }
});
afterAll(() => usher?.close());

interface Session {
  /** Absent: ann. */
  who?: Who;
  /** By the target's clock. */
  start: number;
  /** By the broker's clock; absent: it is there. */
  end?: number;
  place?: Place;
}

async function session(pid: number, { who = 'ann', start, end, place = 'writer' }: Session): Promise<string> {
  const { personId, login, grantId } = people[who].had;
  const began = new Date(Math.max(0, NOON + start * 1_000));
  const { rows } = await usher.database.owner.query<{ id: string }>(
    `INSERT INTO connection (id, target_id, endpoint_id, pid, backend_start, login, login_kind, person_id, grant_id, started_at, first_seen_at, last_seen_at, ended_at)
     VALUES ($1, $2, $3, $4, $5, $6, 'person', $7, $8, $9, $9, $9, $10) RETURNING id`,
    [
      ...[v7(), orders.targetId, places[place], pid, began, login, personId, grantId],
      ...[
        end === undefined ? began : new Date(Math.min(began.getTime(), at(end).getTime())),
        end === undefined ? null : at(end),
      ],
    ],
  );
  return rows[0]?.id ?? '';
}

interface Logged {
  at: number;
  /** Absent: that of the writer; null: the log does not say of which server it is. */
  place?: Place | null;
  who?: Who;
  /** Absent: the text log, in whole seconds. */
  precise?: boolean;
  /** As in csv and json. */
  process?: string;
  target?: Registered;
  class?: string;
  command?: string;
}

/** A line of pgaudit, as the reader keeps it. */
async function statement(pid: number, objectName: string, told: Logged): Promise<string> {
  const { place = 'writer', who = 'ann', precise = false, process, target = orders } = told;
  const details = {
    ...{ auditType: 'SESSION', statementId: 1, substatementId: 1, statementClass: told.class ?? 'DDL' },
    ...{ command: told.command ?? 'DROP TABLE', objectType: 'TABLE', objectName },
  };
  const { rows } = await usher.database.owner.query<{ id: string }>(
    `INSERT INTO server_log_event (id, target_id, endpoint_id, file_id, "offset", kind, at, to_the_millisecond, pid, session_id, login, database, details)
     VALUES ($1, $2, $3, $4, $5, 'statement', $6, $7, $8, $9, $10, 'orders', $11) RETURNING id`,
    [
      ...[v7(), target.targetId, place === null ? null : places[place], files[target.targetId], ++made],
      ...[at(precise ? told.at : Math.floor(told.at)), precise, pid, process ?? null, people[who].had.login, details],
    ],
  );
  return rows[0]?.id ?? '';
}

const ask = async (who: Client, query: string): Promise<Page> => (await who.get<Page>(`/v1/statements?${query}`)).body;
const of = (name: string): string => `object=${encodeURIComponent(name)}`;

/** `%c` of a process that began then. */
const process = (start: number, pid: number): string =>
  `${Math.floor(at(start).getTime() / 1_000).toString(16)}.${pid.toString(16)}`;
const PID = 4_711;

describe('a statement is tied to the session that ran it, and to none where that is not sure', () => {
  const twice = [{ start: 0.4 }, { start: 20.5 }];
  const ended = [{ start: 0.4, end: 10 }, { start: 20.5 }];
  const others: Session[] = [{ start: 0.4 }, { start: 20.5, who: 'ben' }];
  const servers: Session[] = [{ start: 0.4 }, { start: 1.4, place: 'reader' }];
  test.each<[string, Session[], Logged, number | null]>([
    ['while it is there', [{ start: 0.4 }], { at: 7 }, 0],
    ['in the second in which it began', [{ start: 0.4 }], { at: 0.9 }, 0],
    ['in the second before it began', [{ start: 0.4 }], { at: -0.1 }, null],
    ['to the millisecond, when it began', [{ start: 0.4 }], { at: 0.4, precise: true }, 0],
    ['to the millisecond, before it began', [{ start: 0.4 }], { at: 0.39, precise: true }, null],
    ['just after it was seen to have ended', [{ start: 0.4, end: 10 }], { at: 14 }, 0],
    ['when it had ended', [{ start: 0.4, end: 10 }], { at: 16 }, null],
    [
      'by the clock of a target that is ahead',
      [{ start: 90, end: 10, place: 'ahead' }],
      { at: 104, place: 'ahead' },
      0,
    ],
    ['by that clock when it had ended', [{ start: 90, end: 10, place: 'ahead' }], { at: 106, place: 'ahead' }, null],
    ['of somebody else', [{ start: 0.4 }], { at: 7, who: 'ben' }, null],
    ['a pid used again: of the first', ended, { at: 7 }, 0],
    ['a pid used again: between them', ended, { at: 17 }, null],
    ['a pid used again: when the second began', ended, { at: 20.5 }, 1],
    ['a pid used again: of the second', ended, { at: 30 }, 1],
    ['an end that nobody saw: of the first', twice, { at: 19 }, 0],
    ['an end that nobody saw: in the second in which the next began', twice, { at: 20.9 }, null],
    ['an end that nobody saw: to the millisecond, before', twice, { at: 20.4, precise: true }, 0],
    ['an end that nobody saw: to the millisecond, after', twice, { at: 20.6, precise: true }, 1],
    ['an end that nobody saw: of the next', twice, { at: 21 }, 1],
    ['a start of which the text log alone tells, in its second', [{ start: 0.4 }, { start: 20 }], { at: 20 }, null],
    ['a start of which the text log alone tells, behind it', [{ start: 0.4 }, { start: 20 }], { at: 21 }, 1],
    ['a pid that is another login’s by now', others, { at: 30 }, null],
    ['a pid that is another login’s: theirs', others, { at: 30, who: 'ben' }, 1],
    ['a pid that is another login’s: in the second of the change', others, { at: 20.1 }, 0],
    ['a session id: of the first', twice, { at: 30, process: process(0, PID) }, null],
    ['a session id: of the next, in the second of its start', twice, { at: 20, process: process(20, PID) }, 1],
    ['a session id: a second off', twice, { at: 20, process: process(21, PID) }, 1],
    ['a session id: of a session that nobody knows', twice, { at: 15, process: process(12, PID) }, null],
    ['a session id: of another process', twice, { at: 15, process: process(0, PID + 1) }, null],
    ['a session id: none at all', twice, { at: 15, process: 'x' }, null],
    ['on one of two servers: the one', servers, { at: 7 }, 0],
    ['on one of two servers: the other', servers, { at: 7, place: 'reader' }, 1],
    ['on one of two servers: not said which', servers, { at: 7, place: null }, null],
    ['on a server that nobody named', [{ start: 0.4 }], { at: 7, place: null }, 0],
    ['on another server', [{ start: 0.4, place: 'reader' }], { at: 7 }, null],
    ['on a server with two names', [{ start: 0.4 }], { at: 7, place: 'alias' }, 0],
    ['a session that stands under both', [{ start: 0.4 }, { start: 0.4, place: 'alias' }], { at: 7 }, 0],
    ['a start that may not be seen', [{ start: -NOON / 1_000 }], { at: 7 }, null],
  ])('%s', async (name, sessions, told, expected) => {
    const pid = PID;
    await usher.database.owner.query('DELETE FROM connection');
    const ids: string[] = [];
    for (const one of sessions) ids.push(await session(pid, one));
    const id = await statement(pid, name, told);
    const owner = expected === null ? undefined : sessions[expected];
    const had = owner && people[owner.who ?? 'ann'].had;
    const [shown, ...more] = (await ask(carol, `target=${orders.targetId}&${of(name)}`)).items;
    expect(more).toEqual([]);
    expect(shown).toMatchObject({
      ...{ id, connectionId: expected === null ? null : ids[expected] },
      ...{ personId: had?.personId ?? null, grantId: had?.grantId ?? null },
    });
    for (const [index, connection] of ids.entries()) {
      const { items } = await ask(carol, `connection=${connection}&${of(name)}`);
      const itself = index === expected || sessions[index]?.place === 'alias'; // by its other name
      expect(items).toEqual(itself ? [shown] : []);
    }
  });

  test('not of another target, whatever else is the same', async () => {
    await usher.database.owner.query('DELETE FROM connection');
    await session(PID, { start: 0.4 });
    await statement(PID, 'elsewhere', { at: 7, target: billing, place: null });
    const { items } = await ask(carol, `target=${billing.targetId}`);
    expect(items).toMatchObject([{ connectionId: null, personId: null, login: people.ann.had.login }]);
  });
});

describe('who sees what', () => {
  let sessions: Record<Who, string>;
  beforeAll(async () => {
    await usher.database.owner.query('DELETE FROM connection');
    sessions = { ann: await session(1, { start: 1_000 }), ben: await session(2, { who: 'ben', start: 1_000 }) };
    await statement(1, 'seen.ann', { at: 1_001 });
    await statement(2, 'seen.ben', { at: 1_002, who: 'ben' });
    await statement(3, 'seen.nobody', { at: 1_003 });
  });
  const from = `from=${at(1_000).toISOString()}&to=${at(1_100).toISOString()}`;
  const names = async (who: Client, query: string): Promise<(string | null)[]> =>
    (await ask(who, `${query}&${from}`)).items.map(({ objectName }) => objectName);

  test('auditors all, and owners all of their targets', async () => {
    const all = ['seen.nobody', 'seen.ben', 'seen.ann'];
    expect(await names(carol, `target=${orders.targetId}`)).toEqual(all);
    expect(await names(await known(usher, 'bob'), `target=${orders.targetId}`)).toEqual(all);
    expect(await names(await known(usher, 'bob'), `target=${orders.targetId.toUpperCase()}`)).toEqual(all);
    expect(await names(carol, `person=${people.ann.had.personId}`)).toEqual(['seen.ann']);
    expect(await names(carol, `grant=${people.ben.had.grantId}`)).toEqual(['seen.ben']);
  });

  test('people what they ran themselves, and of no session nothing', async () => {
    const { ann, ben } = people;
    for (const query of [`target=${orders.targetId}`, `person=${ann.had.personId}`, `grant=${ann.had.grantId}`])
      expect(await names(ann.client, query)).toEqual(['seen.ann']);
    expect(await names(ann.client, `connection=${sessions.ann}`)).toEqual(['seen.ann']);
    for (const query of [
      `person=${ben.had.personId}`,
      `grant=${ben.had.grantId}`,
      `connection=${sessions.ben}`,
      `connection=${v7()}`,
    ])
      expect(await ask(ann.client, query)).toEqual({ items: [], nextCursor: null, gaps: [] });
    expect(await names(ann.client, `person=${ben.had.personId}&target=${orders.targetId}`)).toEqual([]);
  });

  test('neither strangers nor owners of other targets anything', async () => {
    for (const who of [someone(usher, []), someone(usher, ['engineers']), someone(usher, ['billing-owners'])])
      for (const query of [
        `target=${orders.targetId}`,
        `person=${people.ann.had.personId}`,
        `connection=${sessions.ann}`,
      ])
        expect(await ask(who, query)).toEqual({ items: [], nextCursor: null, gaps: [] });
  });

  test('both APIs tell the same', async () => {
    const fields =
      'items { id at connectionId personId personName grantId login class command objectName statementId } nextCursor';
    const { data } = await people.ann.client.graphql<{ statements: Page }>(
      `query($target: String) { statements(target: $target, class: DDL, command: "drop table", object: "seen.ann") { ${fields} } }`,
      { target: orders.targetId },
    );
    const rest = await ask(
      people.ann.client,
      `target=${orders.targetId}&class=DDL&command=drop%20table&${of('seen.ann')}`,
    );
    expect(rest.items).toMatchObject([{ connectionId: sessions.ann, command: 'DROP TABLE' }]);
    expect(rest.items).toMatchObject(data?.statements.items ?? []);
  });

  test('pages begin behind the one before, whatever is read meanwhile', async () => {
    await statement(1, 'seen.again', { at: 1_001, class: 'READ', command: 'SELECT' });
    const walk = async (query: string): Promise<(string | null)[]> => {
      const found: (string | null)[] = [];
      for (let cursor: string | null = ''; cursor !== null;) {
        const page: Page = await ask(carol, `${query}&${from}&limit=1${cursor && `&cursor=${cursor}`}`);
        found.push(...page.items.map(({ objectName }) => objectName));
        cursor = page.nextCursor;
        if (found.length === 1) await statement(1, 'seen.later', { at: 1_050 });
      }
      return found;
    };
    expect(await walk(`target=${orders.targetId}`)).toEqual(['seen.nobody', 'seen.ben', 'seen.again', 'seen.ann']);
    expect(await walk(`person=${people.ann.had.personId}`)).toEqual(['seen.later', 'seen.again', 'seen.ann']);
    expect(await names(carol, `connection=${sessions.ann}&class=READ`)).toEqual(['seen.again']);
    expect(await names(carol, `connection=${sessions.ann}&command=SELECT`)).toEqual(['seen.again']);
  });

  test('a gap of the log is one of the answer', async () => {
    await usher.database.owner.query(
      `INSERT INTO observation_gap (id, target_id, kind, from_at, to_at, detail) VALUES ($1, $2, 'log_lost', now() - interval '1 h', now(), 'rotated away')`,
      [randomUUID(), orders.targetId],
    );
    for (const query of [
      `target=${orders.targetId}`,
      `connection=${sessions.ben}`,
      `person=${people.ben.had.personId}`,
    ])
      expect((await ask(carol, query)).gaps).toContainEqual(expect.objectContaining({ kind: 'log_lost' }));
  });
});

describe('what is unclear is refused', () => {
  test.each([
    ['nobody and nothing named', 'class=DDL', 'target'],
    ['to before from', 'target={id}&from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z', 'to'],
    ['a class that there is not', 'target={id}&class=NICE', 'class'],
    ['an id that is none', 'connection=x', 'connection'],
    ['a time that is none', 'target={id}&from=yesterday', 'from'],
    ['a name that PostgreSQL cannot have', 'target={id}&object=%00', 'object'],
    ['an endless name', `target={id}&object=${'x'.repeat(10_001)}`, 'object'],
  ])('%s', async (_, query, field) => {
    const answer = await ask(carol, query.replace('{id}', orders.targetId));
    expect(answer).toMatchObject({ status: 400, code: 'invalid_input' });
    expect(JSON.stringify(answer)).toContain(`"${field}"`);
  });
  test('what takes too long to find', async () => {
    const { client } = usher.db;
    const advice = 'Ask for less.';
    // each in its time, and together not
    const often = inTime(usher.db, { mostMs: 300, advice }, async (read) => {
      for (;;) await read(Prisma.sql`SELECT pg_sleep(0.1)::text`);
    });
    await expect(often).rejects.toMatchObject({ kind: 'invalid', code: 'invalid_input', advice });
    const long = inTime(usher.db, { mostMs: 50, advice }, (read) => read(Prisma.sql`SELECT pg_sleep(600)::text`));
    await expect(long).rejects.toMatchObject({ kind: 'invalid', code: 'invalid_input', advice });
    const wrong = inTime(usher.db, { mostMs: 10_000, advice }, (read) => read(Prisma.sql`SELECT 1 / 0`));
    await expect(wrong).rejects.not.toBeInstanceOf(DomainError);
    // nothing of it stays with the session
    expect(await client.$queryRaw`SHOW statement_timeout`).toEqual([{ statement_timeout: '0' }]);

    const session = await usher.database.owner.connect();
    try {
      await session.query('BEGIN; LOCK TABLE server_log_event');
      expect(await ask(carol, `target=${orders.targetId}`)).toMatchObject({
        ...{ status: 400, code: 'invalid_input', advice: expect.stringContaining('from and to') },
      });
    } finally {
      await session.query('ROLLBACK');
      session.release();
    }
  });
  test('a cursor of somebody else', async () => {
    expect(await ask(carol, `target=${orders.targetId}&cursor=x`)).toMatchObject({
      status: 400,
      code: 'invalid_cursor',
    });
  });
});

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Actual Loops'?: number;
  Alias?: string;
  Plans?: Plan[];
}
const flat = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(flat)];

describe('an index is behind each question, however long the log is', () => {
  const LINES = 40_000;
  beforeAll(async () => {
    const { owner } = usher.database;
    const { login, personId, grantId } = people.ann.had;
    // each tenth is a definition or the like; of 2,000 sessions one in fifty is hers, each of a pid that is used twice: more than are looked through at once
    await owner.query(
      `INSERT INTO server_log_event (id, target_id, file_id, "offset", kind, at, to_the_millisecond, pid, login, database, details)
       SELECT gen_random_uuid(), $1, $2, 1000000 + n, CASE WHEN n % 4 = 0 THEN 'authorized' ELSE 'statement' END, $3::timestamptz + n * interval '1 s', false, 10000 + n % 1000, $4, 'orders',
              jsonb_build_object('auditType', 'SESSION', 'statementId', 1, 'substatementId', 1, 'statementClass', CASE WHEN n % 10 = 1 THEN 'DDL' ELSE 'READ' END,
                'command', 'SELECT', 'objectType', 'TABLE', 'objectName', 'public.t' || n % 700)
         FROM generate_series(1, ${LINES}) n`,
      [orders.targetId, files[orders.targetId], at(100_000), login],
    );
    await owner.query(
      `INSERT INTO connection (id, target_id, endpoint_id, pid, backend_start, login, login_kind, person_id, grant_id, started_at, first_seen_at, last_seen_at)
       SELECT gen_random_uuid(), $1, $2, 10000 + n % 1000, t.at, $3, CASE WHEN n % 50 = 7 THEN 'person' ELSE 'unknown' END, CASE WHEN n % 50 = 7 THEN $4::uuid END,
              CASE WHEN n % 50 = 7 THEN $5::uuid END, t.at, t.at, t.at
         FROM generate_series(1, 2000) n, LATERAL (SELECT $6::timestamptz + n * interval '20 s' AS at) t`,
      [orders.targetId, places.writer, login, personId, grantId, at(100_000)],
    );
    await owner.query('ANALYZE server_log_event; ANALYZE connection');
  });

  const none = { command: undefined, from: null, to: null };
  const explained = async ({ text, values }: { text: string; values: unknown[] }): Promise<Plan[]> => {
    const { rows } = await usher.database.owner.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
      `EXPLAIN (FORMAT JSON) ${text}`,
      values,
    );
    return flat(rows[0]?.['QUERY PLAN'][0].Plan as Plan);
  };
  const scanned = (nodes: readonly Plan[]): (string | undefined)[] =>
    nodes.filter((node) => node['Node Type'] === 'Seq Scan').map((node) => node['Relation Name']);

  test.each<[string, string, Partial<StatementSearch>]>([
    ['all of a target', 'server_log_event_target_id_at_idx', {}],
    ['an object', 'server_log_event_object', { object: 'public.t7' }],
    ['a class', 'server_log_event_class', { class: StatementClass.DDL }],
  ])('%s', async (_, index, search) => {
    for (const before of [undefined, v7()]) {
      const asked = { ...none, target: orders.targetId, ...search };
      const nodes = await explained(statementsOfTarget(asked, { before, take: 51 }));
      expect(scanned(nodes)).toEqual([]);
      expect(nodes.map((node) => node['Index Name'])).toContain(index);
    }
  });

  test('some sessions, of whatever person or grant', async () => {
    const { rows } = await usher.database.owner.query<{ id: string }>('SELECT id FROM connection LIMIT 20');
    const ids = rows.map(({ id }) => id);
    for (const before of [undefined, v7()]) {
      const nodes = await explained(statementsOfSessions(ids, none, { before, take: 51 }));
      expect(scanned(nodes)).not.toContain('server_log_event');
      expect(nodes.map((node) => node['Index Name'])).toContain('server_log_event_target_id_pid_at_idx');
    }
  });

  test('of sessions that ended before the time asked for nobody looks who had their pid next', async () => {
    const { personId } = people.ann.had;
    const from = at(100_000 + 30_000);
    const session = await usher.database.owner.connect();
    /** For how many sessions it is looked up. */
    const looked = async (search: Partial<StatementSearch>): Promise<number> => {
      const everything = { all: true, targetIds: [], personId: null };
      const { text, values } = sessionsOf(everything, { ...none, person: personId, ...search }, undefined);
      const { rows } = await session.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
        `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`,
        values,
      );
      const nexts = flat(rows[0]?.['QUERY PLAN'][0].Plan as Plan).filter(({ Alias }) => Alias === 'n');
      return Math.max(...nexts.map((node) => node['Actual Loops'] ?? 0));
    };
    try {
      await session.query('BEGIN');
      await session.query(
        `UPDATE connection SET ended_at = started_at + interval '20 s', last_seen_at = started_at + interval '20 s' WHERE person_id = $1 AND started_at >= $2`,
        [personId, at(100_000)],
      );
      const { rows } = await session.query<{ all: number; after: number }>(
        `SELECT count(*)::int AS all, count(*) FILTER (WHERE ended_at IS NULL OR ended_at >= $2::timestamptz - interval '5 s')::int AS after
           FROM connection WHERE person_id = $1`,
        [personId, from],
      );
      const { all = 0, after = 0 } = rows[0] ?? {};
      expect(after).toBeLessThan(all - 10);
      expect([await looked({}), await looked({ from })]).toEqual([all, after]);
    } finally {
      await session.query('ROLLBACK');
      session.release();
    }
  });

  test('of many sessions the first page is the newest, and one after the other they are all', async () => {
    const { personId } = people.ann.had;
    const { rows } = await usher.database.owner.query<{ id: string; at: Date }>(
      `SELECT e.id, e.at FROM server_log_event e WHERE e.kind = 'statement' AND e.at >= $1 AND EXISTS (
         SELECT 1 FROM connection c WHERE c.person_id = $2 AND c.pid = e.pid AND c.backend_start <= e.at AND NOT EXISTS (
           SELECT 1 FROM connection n WHERE n.pid = c.pid AND n.backend_start > c.backend_start AND n.backend_start <= e.at))
        ORDER BY e.at DESC, e.id DESC`,
      [at(100_000), personId],
    );
    // whole seconds: what happened in the very second in which a pid changed hands is nobody's
    const sure = new Set(rows.map(({ id }) => id));
    const found: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const from = `from=${at(100_000).toISOString()}&limit=100`;
      const page: Page = await ask(carol, `person=${personId}&${from}${cursor && `&cursor=${cursor}`}`);
      found.push(...page.items.map(({ id }) => id));
      cursor = page.nextCursor;
    }
    expect(found.filter((id) => !sure.has(id))).toEqual([]);
    expect(found).toEqual(rows.map(({ id }) => id).filter((id) => found.includes(id)));
    expect(sure.size).toBeGreaterThan(200);
    expect(found.length).toBeGreaterThan(sure.size - 40);
  });
});
