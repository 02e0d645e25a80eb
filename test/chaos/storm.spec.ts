import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { gatherStorm, type Storm } from './storm.ts';

// A handful in the ordinary run keeps this honest; npm run test:chaos -- --runs 50 is what a merge waits for.
const runs = Number(process.env['USHER_CHAOS_RUNS'] ?? 3);
const seed = Number(process.env['USHER_TEST_SEED'] ?? Date.now() % 1_000_000);

vi.setConfig({ testTimeout: 24 * 3_600_000, hookTimeout: 180_000 });

const everything = [
  'kill',
  'outage',
  'login',
  'stay active',
  'longer active',
  'regret closed',
  'visit closed',
  'hurry closed',
];

let storm: Storm;
beforeAll(async () => {
  // one test that goes on for an hour: a worker whose vitest was interrupted would not notice before its end
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  storm = await gatherStorm();
});
afterAll(() => storm?.close());

test(`whatever dies, and whenever: access ends, and lives only as agreed (${runs} runs)`, async () => {
  const bad: number[] = [];
  for (let i = 0; i < runs; i++) {
    const began = Date.now();
    const violations = await storm.blow(seed + i);
    const took = ((Date.now() - began) / 1000).toFixed(1);
    console.log(`run ${i + 1}/${runs} seed ${seed + i}: ${violations.length === 0 ? 'clean' : 'VIOLATED'} (${took} s)`);
    if (violations.length === 0) continue;
    bad.push(seed + i);
    console.log(`  ${violations.join('\n  ')}\n  again: npm run test:chaos -- --runs 1 --seed ${seed + i}`);
    console.log(`  the service said last:\n${storm.log()}`);
    await storm.clear();
  }
  const happened = Object.entries(storm.tally)
    .sort()
    .map(([what, n]) => `${what} ${n}`);
  console.log(`${happened.join(', ')}\n${runs} runs, ${bad.length} violations, seed ${seed}`);
  expect(bad).toEqual([]);
  // a proof about things that never happened would be none
  if (runs >= 20) expect(Object.keys(storm.tally)).toEqual(expect.arrayContaining(everything));
});
