import { v7 } from 'uuid';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readVerifierKey } from '../../src/audit/checkpoint.js';
import { Verification } from '../../src/audit/verification.js';
import { Sealer } from '../../src/audit/sealer.js';
import { auditLines, known, open, register, someone, type Registered } from '../support/people.ts';
import { buildCli, runCli } from '../support/cli.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

let usher: Usher;
let orders: Registered;
let carol: Client;
let bob: Client;
let alice: Client;
let grantId: string;

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  orders = await register(usher, 'orders');
  [carol, bob] = [await known(usher, 'carol'), await known(usher, 'bob')];
  alice = someone(usher, ['engineers']);
  ({ grantId } = await open(usher, alice, orders, { reason: '=1+1, "quoted"' }));
  await seal();
});
afterAll(() => usher?.close());

async function seal(): Promise<void> {
  while ((await usher.app.get(Sealer, { strict: false }).seal()) > 0);
}

interface Exported {
  sequence: number;
  id: string;
  action: string;
  details: Record<string, unknown>;
}
const path = '/v1/audit/export';
const text = async (client: Client, query = ''): Promise<string> =>
  (await client.get<{ text: string }>(`${path}?${query}`)).body.text;
const exported = async (client: Client, query = ''): Promise<Exported[]> =>
  (await text(client, query))
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Exported);
const sealed = async (where = 'true', values: unknown[] = []): Promise<string[]> =>
  (
    await usher.database.owner.query<{ id: string }>(
      `SELECT e.id FROM audit_seal s JOIN audit_event e ON e.id = s.event_id WHERE ${where} ORDER BY s.seq`,
      values,
    )
  ).rows.map(({ id }) => id);
const ids = (lines: readonly Exported[]): string[] => lines.map(({ id }) => id);

test('an auditor gets all that is sealed, in its order, as a file', async () => {
  const { headers, status } = await carol.get(path);
  const lines = await exported(carol);
  expect(status).toBe(200);
  expect(headers.get('content-type')).toBe('application/x-ndjson');
  expect(headers.get('usher-audit-last')).toBe(String(lines.length));
  expect(headers.get('content-disposition')).toBe(`attachment; filename="audit-0-${lines.length}.ndjson"`);
  expect(ids(lines)).toEqual(await sealed());
  expect(lines.map(({ sequence }) => sequence)).toEqual(lines.map((_, index) => index + 1));
  const { body: page } = await carol.get<{ items: Record<string, unknown>[] }>(`/v1/audit/events?grant=${grantId}`);
  for (const item of page.items) {
    const line = lines.find(({ id }) => id === item['id']);
    expect(line && { ...item, sequence: line.sequence }).toEqual(line);
  }
});

test('everybody gets what the record shows them, filtered as there', async () => {
  expect(ids(await exported(alice)).length).toBeGreaterThan(0);
  for (const [client, query] of [
    [alice, ''],
    [bob, ''],
    [bob, `target=${orders.targetId}`],
    [carol, `grant=${grantId}`],
    [carol, 'outcome=success&action=grant.create'],
    [carol, 'address=127.0.0.0/8&reason=quoted'],
    [someone(usher, ['engineers']), ''],
  ] as const) {
    const { body } = await client.get<{ items: Exported[] }>(`/v1/audit/events?limit=200&${query}`);
    const shown = new Set(ids(body.items));
    const order = (await sealed()).filter((id) => shown.has(id));
    expect([query, ids(await exported(client, query))]).toEqual([query, order]);
  }
});

test('one that was cut off goes on behind its last line, also in the middle of what is filtered', async () => {
  for (const query of ['', `target=${orders.targetId}&`]) {
    const whole = await exported(carol, query);
    const cut = whole[Math.floor(whole.length / 2)]?.sequence ?? 0;
    const rest = await exported(carol, `${query}after=${cut}`);
    expect(rest).toEqual(whole.filter(({ sequence }) => sequence > cut));
    expect([rest.length > 0, rest.length < whole.length]).toEqual([true, true]);
  }
});

test('who goes on from the last sequence misses no line that was committed late', async () => {
  const insert = `INSERT INTO audit_event (id, at, actor_kind, actor_name, action, outcome, details, correlation_id)
    VALUES ($1, now(), 'system', 'test', 'test.late', 'success', '{}', 'late')`;
  const [late, early] = [v7(), v7()];
  const slow = await usher.database.owner.connect();
  try {
    await slow.query('BEGIN');
    await slow.query(insert, [late]);
    await usher.database.owner.query(insert, [early]);
    await seal();
    const first = await exported(carol, 'action=test.late');
    expect(ids(first)).toEqual([early]);
    await slow.query('COMMIT');
    await seal();
    expect(ids(await exported(carol, `action=test.late&after=${first[0]?.sequence}`))).toEqual([late]);
  } finally {
    slow.release();
  }
});

test('as CSV and as OCSF: the same lines', async () => {
  const lines = await exported(carol, `grant=${grantId}`);
  const csv = await carol.get<{ text: string }>(`${path}?format=csv&grant=${grantId}`);
  expect(csv.headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present');
  const [head, ...rows] = csv.body.text.split('\r\n').slice(0, -1);
  expect(head).toMatch(/^sequence,id,at,action,outcome/);
  expect(rows.map((row) => row.split(',').slice(0, 2))).toEqual(
    lines.map(({ sequence, id }) => [String(sequence), id]),
  );
  const ocsf = (await text(carol, `format=ocsf&grant=${grantId}`))
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, Record<string, unknown>>);
  expect(ocsf.map(({ metadata }) => [metadata?.['sequence'], metadata?.['uid']])).toEqual(
    lines.map(({ sequence, id }) => [sequence, id]),
  );
  expect(ocsf.map(({ class_uid }) => class_uid)).toContain(3003);
});

test('an operator has the same without a token, on record too', async () => {
  await buildCli();
  const env = { DATABASE_URL: usher.database.url };
  const { code, out, err } = await runCli(['audit', 'export', '--format', 'csv', '--grant', grantId], env);
  const { body } = await carol.get<{ text: string }>(`${path}?format=csv&grant=${grantId}`);
  expect([code, out]).toEqual([0, body.text]);
  expect(err).toMatch(/^read up to sequence \d+\n$/);
  const lines = (await auditLines(usher)).filter(({ actor_name }) => actor_name === 'audit export');
  expect(lines).toMatchObject([{ action: 'audit.export', details: { format: 'csv', filter: { grant: grantId } } }]);
  for (const [args, says] of [
    [['--grant', grantId], /Filters go with --format/],
    [['--format', 'xml'], /--format: format must be one of/],
    [['--format', 'csv', '--after', '1000000'], /no line with the sequence 1000000 yet/],
    [['--format', 'csv', '--person', 'me'], /--person: person must be a UUID/],
    [['--everything', 'yes'], /It takes --key/],
  ] as const) {
    const refused = await runCli(['audit', 'export', ...args], env);
    expect([refused.code, refused.out]).toEqual([2, '']);
    expect(refused.err).toMatch(says);
  }
}, 120_000);

test('as it is proved: all of it, for those who may see all of it', async () => {
  const [whole, { body: key }] = [
    await text(carol, 'format=sealed'),
    await carol.get<{ verifierKey: string }>('/v1/audit/key'),
  ];
  const verification = new Verification([readVerifierKey(key.verifierKey)], []);
  for (const line of whole.split('\n').slice(0, -1)) verification.read(line);
  const { proved, bad } = verification.verdict();
  expect([bad, proved]).toEqual([undefined, (await exported(carol)).length]);
  const entries = whole.split('\n').filter((line) => line.startsWith('{"actor"'));
  expect((await text(carol, 'format=sealed&after=2')).startsWith(`${entries[2]}\n`)).toBe(true);
  const refused = async (client: Client, query: string): Promise<unknown> =>
    (await client.get(`${path}?format=sealed${query}`)).body['code'];
  expect(await refused(alice, '')).toBe('policy_denied');
  expect(await refused(bob, '')).toBe('policy_denied');
  expect(await refused(carol, `&grant=${grantId}`)).toBe('invalid_input');
});

test('each export is on record before its first line leaves', async () => {
  const { headers } = await bob.get(`${path}?format=csv&action=token.mint&after=1`);
  const [line] = await auditLines(usher, headers.get('x-correlation-id') ?? '');
  expect(line).toMatchObject({
    action: 'audit.export',
    outcome: 'success',
    actor_name: 'bob@example.com',
    details: {
      format: 'csv',
      filter: { action: 'token.mint' },
      after: 1,
      last: Number(headers.get('usher-audit-last')),
    },
  });
});

test.each([
  ['after=1000000', 'invalid_cursor'],
  ['after=-1', 'invalid_input'],
  ['after=x', 'invalid_input'],
  ['format=xml', 'invalid_input'],
  ['person=me', 'invalid_input'],
  ['cursor=x', 'invalid_input'],
])('%s is %s, and nothing is exported', async (query, code) => {
  const before = (await auditLines(usher)).filter(({ action }) => action === 'audit.export').length;
  const { status, body } = await carol.get(`${path}?${query}`);
  expect([status, body['code']]).toEqual([400, code]);
  expect((await auditLines(usher)).filter(({ action }) => action === 'audit.export')).toHaveLength(before);
});

test('many lines come part by part, and who leaves in between disturbs nobody', async () => {
  await usher.database.owner.query(
    `INSERT INTO audit_event (id, at, actor_kind, actor_name, action, outcome, details, correlation_id)
     SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') || '70008' || lpad(to_hex(n), 15, '0'))::uuid,
            now(), 'system', 'test', 'test.many', 'success', jsonb_build_object('n', n), 'many' FROM generate_series(1, 12345) n`,
  );
  await seal();
  const token = await usher.standIn.oidc.tokenFor('carol');
  const leave = new AbortController();
  const response = await fetch(`${usher.url}${path}`, {
    headers: { authorization: `Bearer ${token}` },
    signal: leave.signal,
  });
  await response.body?.getReader().read();
  leave.abort();
  const many = await exported(carol, 'action=test.many');
  expect(many.map(({ details }) => details['n'])).toEqual(Array.from({ length: 12_345 }, (_, index) => index + 1));
});
