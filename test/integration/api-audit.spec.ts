import { v7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, known, open, register, someone, type Registered } from '../support/people.ts';
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
      ['address=127.0.0.1', `address = '127.0.0.1'`, []],
      ['address=127.0.0.0/8', `address LIKE '127.%'`, []],
      ['reason=look%20something', `details->>'reason' = 'to look something up'`, []],
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

  test('by ticket: every line of the requests that have it or were asked with it', async () => {
    const client = engineer();
    const { id } = await ask(client, orders, { ticket: 'OPS-1' });
    await client.patch(`/v1/requests/${id}`, { ticket: 'OPS-2' });
    const { grantId } = await open(usher, client, orders, { ticket: 'OPS-2' });
    await ask(client, orders, { ticket: 'OPS-20' });
    const of = (where: string, value: string): Promise<string[]> => expected(where, [value]);
    expect((await list(carol, 'ticket=OPS-1')).map((line) => line.id)).toEqual(await of('request_id::text = $1', id));
    const both = `request_id::text = $1 OR request_id = (SELECT request_id FROM access_grant WHERE id::text = $2)`;
    expect((await list(carol, 'ticket=OPS-2')).map((line) => line.id)).toEqual(await expected(both, [id, grantId]));
    expect((await list(carol, `ticket=OPS-2&grant=${grantId}`)).length).toBeGreaterThan(1);
    expect(await list(carol, 'ticket=OPS')).toEqual([]);
    expect((await list(bob, 'ticket=OPS-2')).length).toBe((await list(carol, 'ticket=OPS-2')).length); // his target's
    expect(await list(engineer(), 'ticket=OPS-2')).toEqual([]);
  });

  test('by words of the reason, in quotes, without, one or another', async () => {
    const client = engineer();
    const one = await ask(client, orders, { reason: 'Zähler der Wärmepumpe, 2nd attempt' });
    const other = await ask(client, orders, { reason: 'attempt at the Wärmepumpe' });
    const found = async (reason: string): Promise<unknown[]> =>
      (await list(client, `action=request.create&reason=${encodeURIComponent(reason)}`))
        .map((line) => Reflect.get(line, 'requestId'))
        .sort();
    const [first, second] = [one.id, other.id];
    expect(await found('wärmepumpe')).toEqual([first, second].sort());
    expect(await found('"2nd attempt"')).toEqual([first]);
    expect(await found('attempt -zähler')).toEqual([second]);
    expect(await found('zähler or at')).toEqual([first, second].sort());
    expect(await found('kühlschrank')).toEqual([]);
    for (const hostile of [`'; DROP TABLE audit_event; --`, '& | ! ( ) : *', '""', '\\'])
      expect(await found(hostile)).toEqual([]);
  });

  test('by address and network, whatever form the line has it in', async () => {
    const written = ['10.1.2.3', '10.1.2.4', '::ffff:10.1.2.3', '2001:db8::7', 'fe80::1%eth0', 'unknown', '10.1.2'];
    for (const address of written)
      await usher.database.owner.query(
        `INSERT INTO audit_event (id, at, actor_kind, actor_name, action, outcome, details, correlation_id, address)
         VALUES ($1, now(), 'nobody', 'nobody', 'access.refused', 'refused', '{}', 'addresses', $2)`,
        [v7(), address],
      );
    const found = async (address: string): Promise<unknown[]> =>
      (await list(carol, `action=access.refused&address=${encodeURIComponent(address)}`))
        .map((line) => Reflect.get(line, 'address'))
        .reverse();
    expect(await found('10.1.2.3')).toEqual(['10.1.2.3', '::ffff:10.1.2.3']);
    expect(await found('::ffff:10.1.2.3')).toEqual(['10.1.2.3', '::ffff:10.1.2.3']);
    expect(await found('10.1.0.0/16')).toEqual(['10.1.2.3', '10.1.2.4', '::ffff:10.1.2.3']);
    expect(await found('10.1.2.3/31')).toEqual(['10.1.2.3', '::ffff:10.1.2.3']);
    expect(await found('2001:db8::/32')).toEqual(['2001:db8::7']);
    expect(await found('fe80::/10')).toEqual(['fe80::1%eth0']);
    for (const wrong of [
      'ticket=a%00b',
      'reason=%00',
      'reason=',
      `ticket=${'x'.repeat(101)}`,
      `reason=${'x'.repeat(201)}`,
    ])
      expect([wrong, (await carol.get(`/v1/audit/events?${wrong}`)).body['code']]).toEqual([wrong, 'invalid_input']);
    for (const wrong of ['10.1.2', '10.0.0.0/33', '::/129', 'fe80::1%eth0', '10.0.0.0/8/8', 'x', '']) {
      const { status, body } = await carol.get(`/v1/audit/events?address=${encodeURIComponent(wrong)}`);
      expect([wrong, status, body['code']]).toEqual([wrong, 400, 'invalid_input']);
    }
  });

  test('a line that is committed late is on the page of its place, and a walk shows nothing twice', async () => {
    const walker = await usher.database.owner.connect();
    const write = `INSERT INTO audit_event (id, at, actor_kind, actor_name, action, outcome, details, correlation_id)
      VALUES ($1, now(), 'system', 'test', 'test.late', 'success', '{}', 'late')`;
    const ids = Array.from({ length: 4 }, () => v7());
    try {
      await walker.query('BEGIN');
      await walker.query(write, [ids[1]]);
      for (const id of [ids[0], ids[2], ids[3]]) await usher.database.owner.query(write, [id]);
      const first = (await carol.get<Page>('/v1/audit/events?action=test.late&limit=2')).body;
      await walker.query('COMMIT');
      await usher.database.owner.query(write, [v7()]); // newer than where the walk began
      const rest = (await carol.get<Page>(`/v1/audit/events?action=test.late&limit=2&cursor=${first.nextCursor}`)).body;
      expect([...first.items, ...rest.items].map(({ id }) => id)).toEqual([...ids].reverse());
      expect(rest.nextCursor).toBeNull();
    } finally {
      walker.release();
    }
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

  test('counts as far as it is cheap, and what one may see', async () => {
    const [client, grantId] = await opened();
    const counted = async (who: Client, query = ''): Promise<unknown> =>
      (await who.get(`/v1/audit/count?${query}`)).body;
    expect(await counted(carol, `grant=${grantId}`)).toEqual({
      count: (await list(carol, `grant=${grantId}`)).length,
      more: false,
    });
    expect(await counted(client)).toEqual({ count: (await list(client, '')).length, more: false });
    expect(await counted(engineer(), `grant=${grantId}`)).toEqual({ count: 0, more: false });
    const graphql = await carol.graphql(
      `{ auditEventCount(grant: "${grantId}", address: "127.0.0.0/8") { count more } auditEvents(action: "request.create", reason: "look") { items { action } } }`,
    );
    expect(graphql).toMatchObject({
      data: {
        auditEventCount: { more: false },
        auditEvents: { items: expect.arrayContaining([{ action: 'request.create' }]) },
      },
    });
    await usher.database.owner.query(
      `INSERT INTO audit_event (id, at, actor_kind, actor_name, action, outcome, details, correlation_id)
       SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') || '70008' || lpad(to_hex(n), 15, '0'))::uuid,
              now(), 'system', 'test', 'test.counted', 'success', '{}', 'counted' FROM generate_series(1, 10001) n`,
    );
    expect(await counted(carol, 'action=test.counted')).toEqual({ count: 10_000, more: true });
    expect(await counted(carol, 'action=test.counted&outcome=failed')).toEqual({ count: 0, more: false });
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
