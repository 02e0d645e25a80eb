import { describe, expect, test } from 'vitest';
import { drift, runCycles } from '../../bench/cycles.ts';
import { majors } from '../support/majors.ts';
import { guardStage } from './guard-stage.ts';

describe.each(majors)('opening and closing over and over on PostgreSQL %i', (major) => {
  const stage = guardStage(major);

  // `npm run bench -- cycles` does it 20,000 times
  test('leaves nothing on any access list and no membership', async () => {
    const { open, close, control, before, after } = await runCycles(stage.guard, stage.target.rdsadmin, {
      cycles: 300,
      logins: 5,
    });
    expect(after).toEqual(before);
    const { rows } = await stage.target.rdsadmin.query(
      `SELECT count(*) FILTER (WHERE closed_at IS NULL)::int AS live, count(*)::int AS all FROM usher.lease`,
    );
    expect(rows).toEqual([{ live: 0, all: 305 }]);
    const named = await stage.target.rdsadmin.query(
      `SELECT 1 FROM pg_shdepend WHERE deptype = 'a' AND refobjid IN (SELECT role FROM usher.login)`,
    );
    expect(named.rows).toEqual([]);
    for (const [name, times] of Object.entries({ open, close, control }))
      console.log(`PostgreSQL ${major}, ${name}: ratio of the last to the first ${drift(times).ratio.toFixed(2)}`);
  });
});
