import { setTimeout as pause } from 'node:timers/promises';
import { Died } from './life.ts';
import type { World } from './world.ts';

/** More passes than any play has work: what needs more is going in circles. */
const PASSES = 60;
/** What is put off by no more than this is waited for: somebody else was at work on it. */
const SOON_MS = 1_000;

interface Job {
  id: string;
  name: string;
  data: object;
}

/**
 * Works all jobs that are due by the world's clock until none is left. Retries on targets that are up are brought forward:
 * as if their time had come.
 * @throws Died when the life ends meanwhile; Error when a job fails in another way, or the work does not come to an end
 */
export async function work(world: World): Promise<void> {
  for (let pass = 0; ; pass++) {
    await bringForward(world);
    const jobs = await due(world);
    if (jobs.length === 0 && !(await soon(world))) return;
    if (pass === PASSES) throw new Error(`there is no end of work: ${await whatFor(world, jobs)}`);
    if (jobs.length === 0) await pause(SOON_MS / 10);
    else await hand(world, jobs);
  }
}

async function hand({ life, database }: World, jobs: readonly Job[]): Promise<void> {
  for (const [name, all] of Map.groupBy(jobs, (job) => job.name)) {
    const handler = life.handlers.get(name);
    if (!handler) throw new Error(`nobody works the queue ${name}`);
    await handler(all.map(({ data }) => data));
    const ids = all.map(({ id }) => id);
    await database.owner.query('DELETE FROM pgboss.job WHERE id = ANY ($1)', [ids]);
  }
  await life.idle();
  if (life.dead) throw new Died();
}

const mine = `name = ANY ($1) AND state = 'created' AND start_after <= $2`;

async function due({ clock, database, life }: World): Promise<Job[]> {
  const { rows } = await database.owner.query<Job>(
    `UPDATE pgboss.job SET state = 'active', started_on = clock_timestamp()
      WHERE ${mine} AND (NOT data ? 'retryAt' OR start_after <= clock_timestamp()) RETURNING id, name, data`,
    [[...life.handlers.keys()], clock.now()],
  );
  return rows;
}

async function soon({ clock, database, life }: World): Promise<boolean> {
  const until = new Date(clock.now().getTime() + SOON_MS);
  const sql = `SELECT 1 FROM pgboss.job WHERE ${mine} AND NOT data ? 'retryAt' LIMIT 1`;
  return (await database.owner.query(sql, [[...life.handlers.keys()], until])).rowCount === 1;
}

/** Retries go by the clock of the job engine, which nobody can move: so their moments are. One that was overtaken stays so. */
async function bringForward({ targets, database, life }: World): Promise<void> {
  const up = targets.filter(({ gate }) => gate.open).map(({ id }) => id);
  life.forgetFailures();
  await database.owner.query(
    `WITH moment AS (SELECT date_trunc('milliseconds', clock_timestamp()) AS at),
     ask AS (
       UPDATE pgboss.job j SET start_after = at,
              data = j.data || jsonb_build_object('retryAt', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
         FROM moment
        WHERE j.name = 'reconcile' AND j.state = 'created' AND j.data ? 'retryAt' AND j.data->>'targetId' = ANY ($1)
          AND CASE WHEN j.data ? 'login'
              THEN EXISTS (SELECT 1 FROM access_grant g WHERE g.target_id::text = j.data->>'targetId' AND g.login = j.data->>'login'
                                 AND g.next_attempt_at = (j.data->>'retryAt')::timestamptz)
              ELSE EXISTS (SELECT 1 FROM target t WHERE t.id::text = j.data->>'targetId'
                                 AND t.next_dial_at = (j.data->>'retryAt')::timestamptz) END),
     dial AS (UPDATE target SET next_dial_at = at FROM moment WHERE id::text = ANY ($1) AND next_dial_at IS NOT NULL)
     UPDATE access_grant SET next_attempt_at = at FROM moment
      WHERE target_id::text = ANY ($1) AND next_attempt_at > at`,
    [up],
  );
}

async function whatFor({ database }: World, jobs: readonly Job[]): Promise<string> {
  const sql = `SELECT id, state, attempts, last_error FROM access_grant WHERE state IN ('opening', 'closing')`;
  return JSON.stringify({ jobs, grants: (await database.owner.query(sql)).rows });
}
