/** Opening and closing by the guard, beside the statements that it makes of them, sent by hand over one connection of the DBA. */
import type pg from 'pg';
import type { TargetSession } from '../src/postgres/postgres.contract.ts';

/** Milliseconds of each, in their order. */
export interface Times {
  open: number[];
  close: number[];
}
export interface Calls {
  hand: Times;
  guard: Times;
}

const LIMIT = 5;
const quoted = (name: string): string => `"${name}"`;

/** One after the other, in turns, each side with logins of its own that exist already. */
export async function compareCalls(
  guard: TargetSession,
  dba: pg.Client,
  { pairs, logins, since16 }: { pairs: number; logins: number; since16: boolean },
): Promise<Calls> {
  const found: Calls = { hand: { open: [], close: [] }, guard: { open: [], close: [] } };
  for (let i = 0; i < logins; i += 1) {
    await dba.query(`CREATE ROLE ${quoted(`hand_${i}`)} NOLOGIN`);
    await byGuard(guard, `guard_${i}`, `grant-made-${i}`);
  }
  for (let i = 0; i < pairs; i += 1) {
    const sides = {
      hand: () => byHand(dba, `hand_${i % logins}`, since16),
      guard: () => byGuard(guard, `guard_${i % logins}`, `grant-pair-${i}`),
    };
    // turned round each time: what the machine does beside us should meet both
    for (const side of i % 2 === 0 ? (['hand', 'guard'] as const) : (['guard', 'hand'] as const)) {
      const { open, close } = await sides[side]();
      found[side].open.push(open);
      found[side].close.push(close);
    }
  }
  return found;
}

interface Pair {
  open: number;
  close: number;
}

/** As the plan shows them to approvers: one statement after the other, what belongs together in one transaction. */
async function byHand(dba: pg.Client, name: string, since16: boolean): Promise<Pair> {
  const login = quoted(name);
  const options = since16 ? ' WITH INHERIT TRUE, SET FALSE' : '';
  const until = new Date(Date.now() + 600_000).toISOString();
  const open = await timed(async () => {
    for (const sql of [
      'BEGIN',
      `GRANT app_read TO ${login}${options}`,
      `GRANT rds_iam TO ${login}${options}`,
      `ALTER ROLE ${login} LOGIN CONNECTION LIMIT ${LIMIT} VALID UNTIL '${until}' PASSWORD NULL`,
      'COMMIT',
    ])
      await dba.query(sql);
  });
  const close = await timed(async () => {
    for (const sql of [
      'BEGIN',
      `ALTER ROLE ${login} NOLOGIN PASSWORD NULL`,
      `REVOKE app_read FROM ${login}`,
      `REVOKE rds_iam FROM ${login}`,
      'COMMIT',
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${name}'`,
    ])
      await dba.query(sql);
  });
  return { open, close };
}

async function byGuard(guard: TargetSession, login: string, grantId: string): Promise<Pair> {
  const endsAt = new Date(Date.now() + 600_000);
  const plan = { profile: 'read', groups: ['app_read'], connectionLimit: LIMIT, method: 'iam' } as const;
  const open = await timed(() => guard.open({ login, person: `person-of-${login}`, grantId, endsAt, ...plan }));
  const close = await timed(async () => {
    await guard.close({ login, grantId, why: 'measured' });
    await guard.terminate([login]);
  });
  return { open, close };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const since = performance.now();
  await work();
  return performance.now() - since;
}
