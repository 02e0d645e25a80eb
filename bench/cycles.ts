/** A grant that is opened and closed, again and again: what it costs at the beginning and at the end, and what it leaves. */
import type { Pool } from 'pg';
import type { TargetSession } from '../src/postgres/postgres.contract.ts';

export interface Cycles {
  /** Milliseconds of each opening and closing, in their order. */
  open: number[];
  close: number[];
  /** Of a call that changes nothing, beside each cycle: what the machine itself did meanwhile. */
  control: number[];
  /** Before the first cycle in which no login is new any more, and after the last. */
  before: Footprint;
  after: Footprint;
}

export interface Footprint {
  /** Of every relation of the database that has rights given on it: nothing that Usher does may add to these lists. */
  accessLists: Record<string, string>;
  /** Live rows. */
  memberships: number;
  logins: number;
}

/** @param rdsadmin sees everything, and is not used to open or close */
export async function runCycles(
  guard: TargetSession,
  rdsadmin: Pool,
  { cycles, logins }: { cycles: number; logins: number },
): Promise<Cycles> {
  const open: number[] = [];
  const close: number[] = [];
  const control: number[] = [];
  const one = async (n: number): Promise<void> => {
    const lease = { login: `cycle_${n % logins}`, grantId: `grant-cycle-${n}` };
    const endsAt = new Date(Date.now() + 600_000);
    const more = { person: `person-${n % logins}`, profile: 'read', groups: ['app_read'], connectionLimit: 5 };
    const asked = performance.now();
    await guard.profiles();
    const since = performance.now();
    await guard.open({ ...lease, ...more, endsAt, method: 'iam' });
    const between = performance.now();
    await guard.close({ ...lease, why: 'measured' });
    control.push(since - asked);
    open.push(between - since);
    close.push(performance.now() - between);
  };
  // a login is made once: that costs more, and is not what is repeated
  for (let n = 0; n < logins; n += 1) await one(n);
  open.length = close.length = control.length = 0;
  const before = await footprint(rdsadmin);
  for (let n = logins; n < logins + cycles; n += 1) await one(n);
  return { open, close, control, before, after: await footprint(rdsadmin) };
}

async function footprint(rdsadmin: Pool): Promise<Footprint> {
  const { rows } = await rdsadmin.query<Footprint>(
    `SELECT (SELECT jsonb_object_agg(c.oid::regclass::text, c.relacl::text) FROM pg_class c WHERE c.relacl IS NOT NULL) AS "accessLists",
            (SELECT count(*)::int FROM pg_auth_members) AS memberships, (SELECT count(*)::int FROM pg_authid) AS logins`,
  );
  if (rows[0] === undefined) throw new Error('no row');
  return rows[0];
}

/** The median of the last against that of the first: 1 is flat. At most a thousand of each. */
export function drift(times: readonly number[]): { first: number; last: number; ratio: number } {
  const share = Math.min(1_000, Math.floor(times.length / 2));
  const [first, last] = [median(times.slice(0, share)), median(times.slice(-share))];
  return { first, last, ratio: last / first };
}

const median = (times: readonly number[]): number =>
  times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? NaN;
