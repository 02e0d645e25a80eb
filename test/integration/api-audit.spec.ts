import { v7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { known, open, register, someone, type Registered } from '../support/people.ts';
import { startUsher, type Answer, type Client, type Usher } from '../support/usher.ts';

interface Line {
  id: string;
  at: string;
  action: string;
  actorId: string | null;
  subjectId: string | null;
  targetId: string | null;
  grantId: string | null;
  outcome: string;
}
interface Page {
  items: Line[];
  nextCursor: string | null;
}

let usher: Usher;
let orders: Registered;
let billing: Registered;
let carol: Client;
let bob: Client;
let dave: Client;

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  orders = await register(usher, 'orders');
  billing = await register(usher, 'billing');
  [carol, bob, dave] = [await known(usher, 'carol'), await known(usher, 'bob'), await known(usher, 'dave')];
});
afterAll(() => usher?.close());

const engineer = (): Client => someone(usher, ['engineers']);
async function opened(): Promise<[Client, string]> {
  const client = engineer();
  return [client, (await open(usher, client, orders)).grantId];
}

const list = async (client: Client, query: string): Promise<Line[]> =>
  (await client.get<Page>(`/v1/audit/events?limit=200&${query}`)).body.items;
/** What the table itself holds, newest first. */
async function expected(where: string, values: unknown[] = []): Promise<string[]> {
  const { rows } = await usher.database.owner.query<{ id: string }>(
    `SELECT id FROM audit_event WHERE ${where} ORDER BY id DESC LIMIT 200`,
    values,
  );
  return rows.map(({ id }) => id);
}

describe('searching', () => {
  test('by person, target, grant, request, action, outcome and time, one and together', async () => {
    const [, grantId] = await opened();
    const [{ requestId, subjectId }] = (await list(carol, `grant=${grantId}`)) as [Line & { requestId: string }];
    await bob.post(`/v1/grants/${grantId}/tokens`, {}); // refused
    const lines = await list(carol, '');
    const [to, from] = [lines[3]?.at ?? '', lines[9]?.at ?? ''];
    const table: [query: string, where: string, values: unknown[]][] = [
      [`person=${subjectId}`, 'subject_id::text = $1 OR actor_id::text = $1', [subjectId]],
      [`target=${billing.targetId}`, 'target_id::text = $1', [billing.targetId]],
      [`grant=${grantId}`, 'grant_id::text = $1', [grantId]],
      [`request=${requestId}`, 'request_id::text = $1', [requestId]],
      ['action=grant.create', `action = 'grant.create'`, []],
      ['outcome=refused', `outcome = 'refused'`, []],
      [`from=${from}`, 'at >= $1', [from]],
      [`to=${to}`, 'at < $1', [to]],
      [`from=${from}&to=${to}`, 'at >= $1 AND at < $2', [from, to]],
      [
        `grant=${grantId}&outcome=refused&action=access.refused`,
        `grant_id::text = $1 AND outcome = 'refused'`,
        [grantId],
      ],
    ];
    for (const [query, where, values] of table) {
      const found = await list(carol, query);
      expect([query, found.map(({ id }) => id)]).toEqual([query, await expected(where, values)]);
      expect([query, found.length > 0]).toEqual([query, true]);
    }
    expect(await list(carol, 'action=no.such')).toEqual([]);
  });

  test('page by page over more than 120 lines, while more are written', async () => {
    for (let i = 0; i < 125; i += 1)
      await usher.database.owner.query(
        `INSERT INTO audit_event (id, at, actor_kind, actor_name, action, outcome, details, correlation_id)
         VALUES ($1, now(), 'system', 'test', 'connection.seen', 'success', '{}', 'pages')`,
        [v7()],
      );
    const all = (
      await usher.database.owner.query<{ id: string }>('SELECT id FROM audit_event ORDER BY id DESC')
    ).rows.map(({ id }) => id);
    const got: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: Answer<Page> = await carol.get<Page>(`/v1/audit/events?limit=7${cursor && `&cursor=${cursor}`}`);
      got.push(...page.body.items.map(({ id }) => id));
      cursor = page.body.nextCursor;
      if (got.length % 35 === 0)
        await bob
          .post(`/v1/requests/${all[0]}/approve`, {})
          .then(() => dave.patch(`/v1/targets/${orders.targetId}`, { engineVersion: '17.10' }));
    }
    expect(got).toEqual(all);
    expect(all.length).toBeGreaterThan(120);
  });
});

test('one sees what is about or by oneself, an owner what is of his targets, an auditor all', async () => {
  const [client, grantId] = await opened();
  const [{ subjectId: personId }] = (await list(carol, `grant=${grantId}`)) as [Line];
  expect((await list(client, '')).map(({ id }) => id)).toEqual(
    await expected('subject_id::text = $1 OR actor_id::text = $1', [personId]),
  );
  const bobId = (await list(bob, 'action=request.approve'))[0]?.actorId;
  const ofBob = `subject_id::text = $1 OR actor_id::text = $1 OR target_id IN (SELECT id FROM target WHERE owner_group = 'orders-owners')`;
  expect((await list(bob, '')).map(({ id }) => id)).toEqual(await expected(ofBob, [bobId]));
  expect((await list(carol, '')).map(({ id }) => id)).toEqual(await expected('true'));
  expect(await list(client, `target=${billing.targetId}`)).toEqual([]);
  expect(await list(bob, `target=${billing.targetId}`)).toEqual([]);
  expect((await list(client, `person=${bobId}`)).every(({ subjectId }) => subjectId === personId)).toBe(true);
  expect(await list(engineer(), '')).toEqual([]);
});

describe('the record cannot be changed', () => {
  const attempts = [
    `UPDATE audit_event SET action = 'nothing'`,
    'DELETE FROM audit_event',
    'TRUNCATE audit_event',
    'TRUNCATE audit_event CASCADE',
  ];
  test.each(attempts)('the owner of the database cannot %s', async (sql) => {
    const before = await expected('true');
    await expect(usher.database.owner.query(sql)).rejects.toMatchObject({
      code: '42501',
      message: expect.stringContaining('append only'),
    });
    expect(await expected('true')).toEqual(before);
  });

  test.each([
    ...attempts,
    'DROP TABLE audit_event',
    'ALTER TABLE audit_event DISABLE TRIGGER ALL',
    'DROP TRIGGER audit_event_append_only ON audit_event',
    'CREATE RULE r AS ON INSERT TO audit_event DO INSTEAD NOTHING',
    `SET session_replication_role = 'replica'`,
  ])('the service cannot %s', async (sql) => {
    await expect(usher.db.pool.query(sql)).rejects.toMatchObject({
      code: '42501',
      message: expect.not.stringContaining('append only'),
    });
  });

  test('the service has the rights to add and to read, and no other', async () => {
    const rights = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'];
    const { rows } = await usher.db.pool.query<{ right: string }>(
      `SELECT r AS right FROM unnest($1::text[]) r WHERE has_table_privilege('audit_event', r) OR (r <> ALL ('{DELETE,TRUNCATE,TRIGGER}') AND has_any_column_privilege('audit_event', r)) ORDER BY r`,
      [rights],
    );
    expect(rows.map(({ right }) => right)).toEqual(['INSERT', 'SELECT']);
  });
});
