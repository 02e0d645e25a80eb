import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { conclude, nothingDone } from '../../src/grants/conclusion.js';
import type { GrantRow } from '../../src/grants/grant.js';
import { GrantLedger } from '../../src/grants/ledger.js';
import { Outages } from '../../src/grants/outages.js';
import { GrantSettlement } from '../../src/grants/settlement.js';
import { DomainError } from '../../src/platform/errors.js';
import { until } from '../support/until.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { darkTarget, overAndDone } from './dark-targets.ts';
import { setStage, type Stage } from './stage.ts';

vi.setConfig({ testTimeout: 60_000 });

let usher: Usher;
let stage: Stage;
let dark: string;

beforeAll(async () => {
  usher = await startUsher();
  stage = await setStage(usher);
  dark = await darkTarget(usher, stage, 'ordered', 9, 12);
});
afterAll(async () => {
  await overAndDone(usher, [dark]);
  await usher.close();
});

const silence = new DomainError('unavailable', 'target_unreachable', 'It does not answer.');

/** Of every login, in the order that has nothing to do with that of the rows. */
async function grants(): Promise<GrantRow[]> {
  const logins = Array.from({ length: 12 }, (_, i) => `ordered_${i + 1}`);
  const rows = await usher.app.get(GrantLedger).advance(dark, logins);
  return rows.toSorted((a, b) => (a.id < b.id ? 1 : -1));
}

async function settled(): Promise<() => Promise<void>> {
  const works = (await grants()).map((grant) => ({ login: grant.login, grants: [grant], repair: false }));
  const left = conclude([], [], undefined, ['a session is left'], nothingDone());
  return () => usher.app.get(GrantSettlement).settle(works, new Map(works.map(({ login }) => [login, left])));
}

async function silent(): Promise<() => Promise<void>> {
  const all = await grants();
  return () => usher.app.get(Outages).silent(dark, all, silence, true);
}

const answered = () => Promise.resolve(() => usher.app.get(Outages).answered(dark));

describe('who waits for the first of many grants holds none of the others', () => {
  test.each<[string, () => Promise<() => Promise<void>>]>([
    ['a target that does not answer', silent],
    ['one that answers again', answered],
    ['what a round has reached', settled],
  ])('%s', async (_, prepare) => {
    await usher.database.owner.query('UPDATE target SET down_since = now() WHERE id = $1', [dark]);
    const work = await prepare();
    const other = await usher.database.owner.connect();
    let done: Promise<void> = Promise.resolve();
    try {
      const { rows } = await other.query<{ id: string }>(
        'SELECT id FROM access_grant WHERE target_id = $1 ORDER BY id',
        [dark],
      );
      const [first, ...others] = rows.map(({ id }) => id);
      await other.query('BEGIN');
      await other.query('SELECT 1 FROM access_grant WHERE id = $1 FOR UPDATE', [first]);
      done = work();
      await until('it waits for that row', async () => {
        const waiting = await usher.database.owner.query(
          `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        );
        return waiting.rowCount !== 0;
      });
      // in the circle that this would close, one of the two would be told of a deadlock
      await expect(
        other.query('SELECT 1 FROM access_grant WHERE id = ANY ($1) FOR UPDATE NOWAIT', [others]),
      ).resolves.toMatchObject({ rowCount: 11 });
    } finally {
      await other.query('ROLLBACK');
      other.release();
      await done;
    }
  });
});
