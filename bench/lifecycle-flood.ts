/** The whole way of a grant through the service; and many that end in the same second, each with somebody logged in. */
import { setTimeout as pause } from 'node:timers/promises';
import { inParallel, type LifeStage } from './lifecycle-stage.ts';

export interface Way {
  /** Milliseconds from the call that asks to the answer that it is active, and from the revoke to closed. */
  open: number[];
  close: number[];
}

/** One after the other: what a person waits for. */
export async function measureWay(stage: LifeStage, pairs: number): Promise<Way> {
  const way: Way = { open: [], close: [] };
  const who = stage.person('walker');
  for (let i = 0; i < pairs; i += 1) {
    const asked = performance.now();
    const held = await stage.ask(who);
    await stage.reached(held, 'active');
    const ended = performance.now();
    await stage.revoke(held);
    await stage.reached(held, 'closed');
    way.open.push(ended - asked);
    way.close.push(performance.now() - ended);
  }
  return way;
}

export interface Flood {
  grants: number;
  /** Grants a second, from the first request to the last that is active. */
  opened: number;
  /** Seconds after the common end: until half, and until the last of the sessions is dead, and until all is written down. */
  half: number;
  last: number;
  closed: number;
}

/** So long before the end everything stands still: the last lease was moved before. */
const CALM_MS = 20_000;

export async function measureFlood(stage: LifeStage, grants: number, tell: (what: string) => void): Promise<Flood> {
  const people = Array.from({ length: grants }, (_, i) => stage.person(`tide_${i}`));
  const since = performance.now();
  const held = await inParallel(people, 24, (token) => stage.ask(token));
  await inParallel(held, 24, (one) => stage.reached(one, 'active'));
  const opened = (grants / (performance.now() - since)) * 1_000;
  tell(`${grants} grants are open`);
  const sessions = await inParallel(held, 16, (one) => stage.logIn(one));
  tell(`${sessions.length} sessions are open`);
  // shortening a thousand takes its time; the end that they are given must lie behind it
  const end = new Date(Date.now() + CALM_MS + grants * 90);
  await inParallel(held, 16, (one) => stage.shorten(one, end));
  const moved = `SELECT count(*)::int AS n FROM usher.lease WHERE closed_at IS NULL AND ends_at = '${end.toISOString()}'`;
  while ((await stage.onTarget<{ n: number }>(moved))[0]?.n !== grants) {
    if (Date.now() > end.getTime()) throw new Error('the leases were not moved in time');
    await pause(200);
  }
  tell(`all end at ${end.toISOString()}`);
  const deaths: number[] = [];
  const dead = sessions.map(async (session) => {
    // not once() of node:events: the error that a session dies of would end the wait
    await new Promise((resolve) => session.once('end', resolve));
    deaths.push((Date.now() - end.getTime()) / 1_000);
  });
  await Promise.all(dead);
  const early = deaths.filter((at) => at < 0).length;
  if (early > 0) throw new Error(`${early} sessions died before their end`);
  const closed = await allClosed(stage, grants, end);
  const left = await stage.onTarget<{ n: number }>(
    `SELECT (SELECT count(*) FROM usher.lease WHERE closed_at IS NULL)::int + (SELECT count(*) FROM pg_roles WHERE rolcanlogin AND rolname LIKE 'tide%')::int AS n`,
  );
  if (left[0]?.n !== 0) throw new Error(`${left[0]?.n} leases or logins are left`);
  const sorted = deaths.toSorted((a, b) => a - b);
  return { grants, opened, half: sorted[Math.floor(grants / 2)] ?? NaN, last: sorted.at(-1) ?? NaN, closed };
}

async function allClosed(stage: LifeStage, grants: number, end: Date): Promise<number> {
  for (;;) {
    const { rows } = await stage.state.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM access_grant WHERE ends_at = $1 AND state = 'closed'`,
      [end],
    );
    if (rows[0]?.n === grants) return (Date.now() - end.getTime()) / 1_000;
    await pause(100);
  }
}
