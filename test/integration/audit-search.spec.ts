import fc from 'fast-check';
import { v7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AuditOutcome, type AuditFilter } from '../../src/audit/audit.contract.js';
import { count, page } from '../../src/audit/audit.queries.js';
import { waysTo, type AuditScope } from '../../src/audit/search.js';
import { freshDatabase, type TestDatabase } from '../support/state.ts';

/** Lines of the record that is searched: enough that reading all of them costs more than any index. */
const LINES = 30_000;
const all: AuditScope = { all: true, personId: null, targetIds: [] };
/** Ids of people, services, targets, grants and requests: the nth of a kind. */
const idOf = (kind: number, n: number): string => `0000000${kind}-0000-7000-8000-${n.toString(16).padStart(12, '0')}`;
const sqlId = (kind: number, n: string): string =>
  `('0000000${kind}-0000-7000-8000-' || lpad(to_hex(${n}), 12, '0'))::uuid`;

let database: TestDatabase;
beforeAll(async () => {
  database = await freshDatabase();
  // a service acts for its own in every eleventh line; each filter below means some 30 to 150 of all lines
  await database.owner.query(
    `INSERT INTO audit_event (id, at, actor_kind, actor_id, actor_name, via_service_id, via_name, subject_id, action, outcome, target_id, request_id,
            grant_id, details, address, correlation_id)
     SELECT (lpad(to_hex((extract(epoch FROM t.at) * 1000)::bigint), 12, '0') || '70008' || lpad(to_hex(n), 15, '0'))::uuid, t.at, 'person',
            CASE WHEN n % 11 = 0 THEN ${sqlId(2, '(n % 500)')} ELSE ${sqlId(1, '(n % 500)')} END, 'x',
            CASE WHEN n % 7 = 0 THEN ${sqlId(2, '(n % 500)')} END, CASE WHEN n % 7 = 0 THEN 'portal' END,
            CASE WHEN n % 3 > 0 THEN ${sqlId(1, '(n * 7 % 500)')} END, 'act' || chr(97 + n % 20) || '.done' || chr(97 + n / 20 % 20),
            CASE WHEN n % 997 = 0 THEN 'failed' ELSE 'success' END::"Outcome", ${sqlId(3, '(n % 300)')}, ${sqlId(4, '(n % 400)')}, ${sqlId(5, '(n % 400)')},
            CASE WHEN n % 10 = 0 THEN jsonb_build_object('reason', 'word' || n % 700 || ' is why', 'ticket', 'T-' || n % 900) ELSE '{}' END,
            '10.' || n % 4 || '.' || n % 50 || '.' || n % 200, 'x'
       FROM generate_series(1, ${LINES}) n, LATERAL (SELECT now() - interval '1 minute' * (${LINES} - n) AS at) t`,
  );
  await database.owner.query('ANALYZE');
});
afterAll(() => database?.drop());

const ago = (minutes: number): Date => new Date(Date.now() - minutes * 60_000);
/** Each filter by itself, and what an index must be asked for it. */
const filters: [filter: AuditFilter, conditions: RegExp[]][] = [
  [{ person: idOf(1, 4) }, [/subject_id = /, /actor_id = /]],
  [{ service: idOf(2, 77) }, [/via_service_id = /, /actor_id = /]],
  [{ target: idOf(3, 4) }, [/target_id = /]],
  [{ grant: idOf(5, 4) }, [/grant_id = /]],
  [{ request: idOf(4, 4) }, [/request_id = /]],
  [{ ticket: 'T-70' }, [/request_id = /, /->> 'ticket'::text\) = /]],
  [{ action: 'acta.doneb' }, [/action = /]],
  [{ outcome: AuditOutcome.failed }, [/outcome = /]],
  [{ address: '10.2.2.2' }, [/audit_network\(address\) = /]],
  [{ address: '10.2.2.0/24' }, [/audit_network\(address\) >= /]],
  [{ reason: 'word70' }, [/to_tsvector/]],
  [{ from: ago(30) }, [/id >= /]],
  [{ to: ago(LINES - 30) }, [/id < /]],
];

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Cond'?: string;
  'Actual Rows'?: number;
  'Rows Removed by Filter'?: number;
  Plans?: Plan[];
}
const flat = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(flat)];

describe('an index is behind each filter', () => {
  test.each(filters)('%j', async (filter, conditions) => {
    for (const { text, values } of [page(waysTo(filter, all), undefined, 51), count(waysTo(filter, all), 10_001)]) {
      const { rows } = await database.owner.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
        `EXPLAIN (FORMAT JSON) ${text}`,
        values,
      );
      const nodes = flat(rows[0]?.['QUERY PLAN'][0].Plan as Plan);
      const read = nodes.filter((node) => node['Relation Name'] === 'audit_event_before');
      expect(read.filter((node) => node['Node Type'] === 'Seq Scan')).toEqual([]);
      const asked = nodes.map((node) => node['Index Cond'] ?? '').join('\n');
      for (const condition of conditions) expect(asked).toMatch(condition);
    }
  });
});

test('a page of who acts for themselves alone reads no more than it shows', async () => {
  const session = await database.owner.connect();
  try {
    await session.query('BEGIN');
    await session.query(
      `INSERT INTO audit_event (id, at, actor_kind, actor_id, actor_name, subject_id, action, outcome, details, correlation_id)
       SELECT gen_random_uuid(), now(), 'person', $1, 'x', $1, 'token.mint', 'success', '{}', 'x' FROM generate_series(1, 2000)`,
      [idOf(1, 900)],
    );
    await session.query('ANALYZE audit_event');
    const { text, values } = page(waysTo({ person: idOf(1, 900) }, all), undefined, 51);
    const { rows } = await session.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
      `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`,
      values,
    );
    const read = flat(rows[0]?.['QUERY PLAN'][0].Plan as Plan)
      .filter((node) => 'Relation Name' in node)
      .map((node) => (node['Actual Rows'] ?? 0) + (node['Rows Removed by Filter'] ?? 0));
    expect(read.reduce((sum, lines) => sum + lines, 0)).toBeLessThan(2 * 51 + 20); // by each way, and a look at each month
  } finally {
    await session.query('ROLLBACK');
    session.release();
  }
});

test('any filters together, seen by anybody, are the lines for which all of them hold, newest first and once', async () => {
  const { rows } = await database.owner.query<Record<string, unknown> & { id: string; at: Date }>(
    `SELECT id, at, actor_id, subject_id, via_service_id, target_id, request_id, grant_id, action, outcome, details->>'ticket' AS ticket,
            details->>'reason' AS reason, address FROM audit_event ORDER BY id DESC`,
  );
  const requestsOf = (ticket: string): Set<unknown> =>
    new Set(rows.filter((row) => row['ticket'] === ticket).map((row) => row['request_id']));
  const holds = (row: (typeof rows)[number], filter: AuditFilter, scope: AuditScope, asked: Set<unknown>): boolean =>
    (filter.person === undefined || row['subject_id'] === filter.person || row['actor_id'] === filter.person) &&
    (filter.service === undefined || row['via_service_id'] === filter.service || row['actor_id'] === filter.service) &&
    (filter.target === undefined || row['target_id'] === filter.target) &&
    (filter.request === undefined || row['request_id'] === filter.request) &&
    (filter.ticket === undefined || asked.has(row['request_id'])) &&
    (filter.outcome === undefined || row['outcome'] === filter.outcome) &&
    (filter.reason === undefined || String(row['reason']).split(' ').includes(filter.reason)) &&
    (filter.from === undefined || row.at >= filter.from) &&
    (filter.to === undefined || row.at < filter.to) &&
    (scope.all ||
      (scope.personId !== null && [row['subject_id'], row['actor_id']].includes(scope.personId)) ||
      scope.targetIds.includes(String(row['target_id'])));
  const numbered = (kind: number, below: number) => fc.nat({ max: below - 1 }).map((n) => idOf(kind, n));
  const sometimes = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 1 });
  const filter = fc.record({
    person: sometimes(numbered(1, 6)),
    service: sometimes(numbered(2, 6)),
    target: sometimes(numbered(3, 6)),
    request: sometimes(numbered(4, 6)),
    ticket: sometimes(fc.nat({ max: 60 }).map((n) => `T-${n * 10}`)),
    outcome: sometimes(fc.constantFrom('success', 'failed')),
    reason: sometimes(fc.nat({ max: 7 }).map((n) => `word${n * 10}`)),
    from: sometimes(fc.integer({ min: 10, max: LINES }).map(ago)),
    to: sometimes(fc.integer({ min: 10, max: LINES }).map(ago)),
  });
  const scope = fc.oneof(
    fc.constant(all),
    fc.record({
      all: fc.constant(false),
      personId: fc.option(numbered(1, 6)),
      targetIds: fc.uniqueArray(numbered(3, 20), { maxLength: 10 }),
    }),
  );
  await fc.assert(
    fc.asyncProperty(filter, scope, fc.integer({ min: 1, max: 300 }), async (given, who, limit) => {
      const wanted = given as AuditFilter;
      const asked = wanted.ticket === undefined ? new Set() : requestsOf(wanted.ticket);
      const expected = rows.filter((row) => holds(row, wanted, who, asked)).map(({ id }) => id);
      const ways = waysTo(wanted, who);
      if (ways.length === 0) {
        expect(expected).toEqual([]);
        return;
      }
      const { text, values } = page(ways, undefined, limit);
      const found = (await database.owner.query<{ id: string }>(text, values)).rows.map(({ id }) => id);
      expect(found).toEqual(expected.slice(0, limit));
      const counted = count(ways, limit);
      const [number] = (await database.owner.query<{ lines: number }>(counted.text, counted.values)).rows;
      expect(number?.lines).toBe(Math.min(expected.length, limit));
    }),
    { numRuns: 60 },
  );
});

test('lines of ids in no month that was made are kept and found', async () => {
  const id = v7({ msecs: Date.now() + 400 * 86_400_000 });
  await database.owner.query(
    `INSERT INTO audit_event (id, at, actor_kind, actor_name, action, outcome, details, correlation_id)
     VALUES ($1, now(), 'system', 'test', 'test.future', 'success', '{}', 'future')`,
    [id],
  );
  const { text, values } = page(waysTo({ action: 'test.future' }, all), undefined, 2);
  expect((await database.owner.query(text, values)).rows).toMatchObject([{ id }]);
});
