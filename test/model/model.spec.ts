import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { plays, script } from './play.ts';
import type { Tally } from './cast.ts';
import { Stage } from './stage.ts';
import { createWorld, startServers, type Servers } from './world.ts';

const runs = Number(process.env['USHER_MODEL_RUNS'] ?? 1_000);
const seed = Number(process.env['USHER_TEST_SEED'] ?? Date.now() % 1_000_000);
const path = process.env['USHER_TEST_PATH'];
/** Worlds beside each other on the same servers: while one waits for PostgreSQL another thinks. A replay is alone. */
const LANES = path === undefined ? 3 : 1;

vi.setConfig({ testTimeout: 1_800_000, hookTimeout: 180_000 });

const directory = mkdtempSync(join(tmpdir(), 'usher-model-'));
let servers: Servers;
beforeAll(async () => {
  servers = await startServers(directory);
});
afterAll(async () => {
  await servers?.close();
  rmSync(directory, { recursive: true, force: true });
});

const everything = [
  ...['ask', 'approve', 'revoke', 'shorten', 'extend', 'cut off', 'bring back', 'ask (target_unreachable)'],
  ...['crash (before)', 'crash (after)', 'crash (late)', 'seen scheduled', 'seen active', 'seen closed'],
];

/** One lane's share of the runs. Answers with what to say of a failure. */
async function lane(own: number, share: number, tally: Tally): Promise<string | undefined> {
  const world = await createWorld(servers);
  try {
    const property = fc.asyncProperty(plays, (play) => Stage.run(world, play, tally));
    const found = await fc.check(property, { seed: own, numRuns: share, ...(path !== undefined && { path }) });
    if (!found.failed) return undefined;
    const [play = []] = found.counterexample ?? [];
    const replay = `USHER_TEST_SEED=${own} USHER_TEST_PATH=${found.counterexamplePath ?? ''} npm test -- test/model`;
    const why = found.errorInstance instanceof Error ? found.errorInstance.message : String(found.errorInstance);
    return `${why}\n\nafter ${found.numRuns} runs, shrunk ${found.numShrinks} times to\n\n${script(play)}\n\nagain: ${replay}`;
  } finally {
    await world.close();
  }
}

test(`access exists if and only if the model says so: ${runs} plays`, async () => {
  console.log(`USHER_TEST_SEED=${seed}`);
  const tally: Tally = {};
  const share = path === undefined ? Math.ceil(runs / LANES) : 1;
  const lanes = await Promise.all(Array.from({ length: LANES }, (_, i) => lane(seed + i, share, tally)));
  console.log(
    `${share * LANES} plays: ${Object.entries(tally)
      .sort()
      .map(([what, n]) => `${what} ${n}`)
      .join(', ')}`,
  );
  expect(lanes.filter(Boolean).join('\n\n')).toBe('');
  // a proof about things that never happened would be none
  if (runs >= 200) expect(Object.keys(tally)).toEqual(expect.arrayContaining(everything));
});
