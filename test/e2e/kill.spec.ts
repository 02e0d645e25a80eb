import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { startUsher, type Client, type Usher } from '../support/usher.ts';
import { asAdmin } from './holdings.ts';
import { agreed, closed, grantOf, known, logIn, mint, person, setStage, type Person, type Stage } from './stage.ts';

vi.setConfig({ testTimeout: 240_000 });

/** Targets that one person has grants on at the same time, and grants on each. */
const [TARGETS, EACH] = [20, 5];

let usher: Usher;
let stage: Stage;
let dave: Person;

beforeAll(async () => {
  usher = await startUsher();
  stage = await setStage(usher);
  dave = await known(stage, 'dave');
});
afterAll(() => usher?.close());

/**
 * As many registered targets as are wanted over the one database there is: each a row of its own, by its own address. The
 * resource id is the same: a token is signed for it.
 */
async function manyTargets(): Promise<string[]> {
  const { owner } = usher.database;
  const { billing } = stage.targets;
  await owner.query('DROP INDEX target_live_resource');
  const ids: string[] = [];
  for (let n = 1; n < TARGETS; n++) {
    const id = randomUUID();
    ids.push(id);
    for (const [table, of, change] of [
      ['target', 'id', { id, name: `billing-${n}` }],
      ['endpoint', 'target_id', { id: randomUUID(), target_id: id }],
      ['profile', 'target_id', { id: randomUUID(), target_id: id }],
    ] as const)
      await owner.query(
        `INSERT INTO ${table} SELECT (jsonb_populate_record(t, $2)).* FROM ${table} t WHERE ${of} = $1 LIMIT 1`,
        [billing.id, change],
      );
  }
  return [billing.id, ...ids];
}
