/** What a page of the record costs by person, target and grant, beside the same lines by a statement written for them alone. */
import type * as queries from '../src/audit/audit.queries.ts';
import type * as search from '../src/audit/search.ts';
import type * as database from '../src/platform/state/database.ts';
import { idOf, OF_A_GRANT, openRecord, PEOPLE, TARGETS } from './audit-record.ts';
import { path } from './processes.ts';

const { readLines, countLines } = (await import(path('dist/audit/audit.queries.js'))) as typeof queries;
const { waysTo } = (await import(path('dist/audit/search.js'))) as typeof search;
const { Database } = (await import(path('dist/platform/state/database.js'))) as typeof database;

/** One more than a page shows, as the service reads it. */
const TAKE = 51;
const all = { all: true, personId: null, targetIds: [] };

/** By hand, each the walk through one index; by person two of them. */
const floors = {
  person: `SELECT DISTINCT ON (id) * FROM ((SELECT * FROM audit_event WHERE subject_id = $1 ORDER BY id DESC LIMIT $2) UNION ALL
             (SELECT * FROM audit_event WHERE actor_id = $1 ORDER BY id DESC LIMIT $2)) e
           ORDER BY id DESC LIMIT $2`,
  target: 'SELECT * FROM audit_event WHERE target_id = $1 ORDER BY id DESC LIMIT $2',
  grant: 'SELECT * FROM audit_event WHERE grant_id = $1 ORDER BY id DESC LIMIT $2',
} as const;
type By = keyof typeof floors;

const at = (times: readonly number[], share: number): number =>
  times.toSorted((a, b) => a - b)[Math.floor((times.length - 1) * share)] ?? NaN;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** @param pages of each kind and round, each beside its floor */
export async function measureSearch(events: number, pages: number, rounds: number): Promise<void> {
  const record = await openRecord(events, { sealed: false });
  const db = new Database({ url: record.url, poolSize: 4 });
  try {
    const many = { person: PEOPLE, target: TARGETS, grant: Math.max(1, Math.floor(events / OF_A_GRANT) - 100) };
    for (let round = 0; round < rounds; round += 1)
      for (const by of ['person', 'target', 'grant'] as const) await measurePages(db, by, many[by], pages);
    const counting = await timed(() => countLines(db.pool, waysTo({ outcome: 'success' as never }, all), 10_001));
    console.log(`search   counted up to 10,000 in ${counting.toFixed(1)} ms`);
  } finally {
    await db.onApplicationShutdown();
    await record.close();
  }
}

const kinds = { person: 1, target: 2, grant: 4 } as const;

async function measurePages(db: InstanceType<typeof Database>, by: By, many: number, pages: number): Promise<void> {
  const found: Record<'search' | 'floor', number[]> = { search: [], floor: [] };
  for (let turn = -50; turn < pages; turn += 1) {
    const id = idOf(kinds[by], (turn * 7919 + 50 * 7919) % many);
    const read = () => readLines(db.pool, waysTo({ [by]: id }, all), undefined, TAKE);
    const byHand = () => db.pool.query(floors[by], [id, TAKE]);
    // in turns, and each as often first: whoever comes second finds what the first has read
    const sides = turn % 2 === 0 ? (['search', 'floor'] as const) : (['floor', 'search'] as const);
    for (const side of sides) {
      const time = await timed(side === 'search' ? read : byHand);
      if (turn >= 0) found[side].push(time);
    }
  }
  const [p50, floor50] = [at(found.search, 0.5), at(found.floor, 0.5)];
  const [p99, floor99] = [at(found.search, 0.99), at(found.floor, 0.99)];
  console.log(
    `search   by ${by.padEnd(7)} p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms; by hand ${floor50.toFixed(2)} and ${floor99.toFixed(2)} ms: ratio ${(p50 / floor50).toFixed(2)} and ${(p99 / floor99).toFixed(2)}`,
  );
}
