import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { GrantJobs } from '../../src/grants/grants.job.js';
import { DUE_TARGETS } from '../../src/grants/grants.queries.js';
import { until } from '../support/until.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { darkTarget, overAndDone, startHole } from './dark-targets.ts';
import { asAdmin, holdings, nothing } from './holdings.ts';
import { closed, grantOf, logIn, mint, opened, person, revoke, setStage, story, type Stage } from './stage.ts';

vi.setConfig({ testTimeout: 180_000 });

let usher: Usher;
let stage: Stage;

beforeAll(async () => {
  usher = await startUsher();
  stage = await setStage(usher);
});
afterAll(() => usher?.close());

describe('targets that swallow every packet', () => {
  test('hold up nobody else: beside forty of them a revoke is done before the last of them is given up', async () => {
    const hole = await startHole();
    const dark: string[] = [];
    try {
      const many = await darkTarget(usher, stage, 'dark', hole.port, 200);
      dark.push(many);
      for (let i = 0; i < 40; i += 1) dark.push(await darkTarget(usher, stage, `dark${i}`, hole.port, 5));
      const nora = person(stage, 'nora', ['engineers']);
      const grant = await opened(stage, nora, { target: 'billing' });
      const session = await logIn(stage, await mint(nora, grant.id));
      await usher.app.get(GrantJobs).sweepDue(0);
      await until('all of them are being waited for', () => Promise.resolve(hole.taken() > 40));
      const asked = performance.now();
      await revoke(nora, grant.id);
      await closed(nora, grant.id);
      console.log(
        `closed ${Math.round(performance.now() - asked)} ms after the revoke, beside 41 targets that do not answer`,
      );
      const given = await usher.database.owner.query('SELECT 1 FROM target WHERE down_since IS NOT NULL');
      expect(given.rowCount).toBeLessThan(41);
      await expect(session.query('SELECT 1')).rejects.toThrow();
      expect(await holdings(stage, 'billing', grant.login)).toEqual(nothing);

      // and they are given up together: two hundred closings are not two hundred waits
      const lateOnes = async (): Promise<{ n: number; told: number }> => {
        const { rows } = await usher.database.owner.query<{ n: number; told: number }>(
          `SELECT count(*)::int AS n, count(*) FILTER (WHERE last_error LIKE '%target%' AND next_attempt_at > now())::int AS told
             FROM access_grant WHERE target_id = $1 AND state = 'closing'`,
          [many],
        );
        return rows[0] ?? { n: 0, told: 0 };
      };
      const before = hole.taken();
      await until('everybody can see why', async () => (await lateOnes()).told === 200, 60_000);
      expect(hole.taken() - before).toBeLessThan(200);
    } finally {
      await overAndDone(usher, dark);
      await hole.close();
    }
  });
});

describe('many leases that end in the same moment', () => {
  test('are swept by the target itself, and each is then looked at and closed', async () => {
    const people = Array.from({ length: 30 }, (_, i) => person(stage, `tide${i}`, ['engineers']));
    const grants = await Promise.all(people.map((who) => opened(stage, who, { target: 'billing', minutes: 30 })));
    const sessions = await Promise.all(
      people.map(async (who, i) => logIn(stage, await mint(who, grants[i]?.id ?? ''))),
    );
    // the moment comes: by our clock, and by that of the target
    const ids = grants.map(({ id }) => id);
    await asAdmin(stage.standIn, 'billing', (admin) =>
      admin.query('UPDATE usher.lease SET ends_at = clock_timestamp() WHERE grant_id = ANY ($1)', [ids]),
    );
    const now = usher.clock.now();
    await usher.database.owner.query('UPDATE access_grant SET ends_at = $2 WHERE id = ANY ($1)', [ids, now]);
    await usher.app.get(GrantJobs).sweepDue(0);
    for (const [i, who] of people.entries()) await closed(who, ids[i] ?? '');
    for (const session of sessions) await expect(session.query('SELECT 1')).rejects.toThrow();
    for (const { login } of grants) expect(await holdings(stage, 'billing', login)).toEqual(nothing);
    const swept = await asAdmin(stage.standIn, 'billing', async (admin) => {
      const { rows } = await admin.query<{ why: string; n: number }>(
        'SELECT closed_why AS why, count(*)::int AS n FROM usher.lease WHERE grant_id = ANY ($1) GROUP BY 1',
        [ids],
      );
      return rows;
    });
    expect(swept).toEqual([{ why: 'swept', n: 30 }]);
    const lines = await story(stage, ids[0] ?? '');
    expect(lines.slice(-4).map(({ action }) => action)).toEqual([
      'grant.closing',
      'grant.fenced',
      'grant.sessionsEnded',
      'grant.closed',
    ]);
    expect(lines.at(-2)?.details).toEqual({ sessions: 1 });
  });

  test('one whose end fails hinders no other of its round', async () => {
    const people = Array.from({ length: 6 }, (_, i) => person(stage, `row${i}`, ['engineers']));
    const all = await Promise.all(
      people.map(async (who) => ({ who, grant: await opened(stage, who, { target: 'billing' }) })),
    );
    const [stuck, ...others] = all;
    if (!stuck) throw new Error('nobody was opened for');
    // a membership that usher may not take back: of a role that only a superuser can give
    await asAdmin(stage.standIn, 'billing', (admin) =>
      admin.query(`CREATE ROLE by_hand NOLOGIN SUPERUSER; GRANT by_hand TO "${stuck.grant.login}"`),
    );
    try {
      await Promise.all(all.map(({ who, grant }) => revoke(who, grant.id)));
      for (const { who, grant } of others) await closed(who, grant.id);
      const late = await until('it was tried', async () => {
        const grant = await grantOf(stuck.who, stuck.grant.id);
        return grant.attempts > 0 && grant;
      });
      expect(late).toMatchObject({ state: 'closing', lastError: expect.stringContaining('by_hand') as string });
    } finally {
      await asAdmin(stage.standIn, 'billing', (admin) => admin.query('DROP ROLE by_hand'));
    }
    await closed(stuck.who, stuck.grant.id);
    expect(await holdings(stage, 'billing', stuck.grant.login)).toEqual(nothing);
  });
});

interface PlanNode {
  'Node Type': string;
  'Relation Name'?: string;
  'Actual Rows'?: number;
  'Actual Loops'?: number;
  'Rows Removed by Filter'?: number;
  Plans?: PlanNode[];
}
const nodes = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(nodes)];

test('due work is found among fifty thousand grants by looking at what is due', async () => {
  const { owner } = usher.database;
  const { billing } = stage.targets;
  const client = await owner.connect();
  try {
    await client.query('BEGIN');
    await client.query(`SET LOCAL session_replication_role = replica`); // rows alone, without their neighbours
    const insert = (state: string, many: number, more: Record<string, string>): Promise<unknown> => {
      const columns = Object.entries({
        starts_at: `now() - interval '1 h'`,
        ends_at: `now() + interval '1 h'`,
        ...more,
      });
      return client.query(
        `INSERT INTO access_grant (id, request_id, target_id, profile_id, person_id, login, database, guard_profile, groups, connection_limit, method, mode, state, created_at, opened_at, ${columns.map(([name]) => name).join(', ')})
         SELECT gen_random_uuid(), gen_random_uuid(), $1, $2, $1, 'many_' || i, 'billing', 'p', '{}', 5, 'iam', 'session', '${state}', now(), now(), ${columns.map(([, value]) => value).join(', ')}
           FROM generate_series(1, ${many}) AS i`,
        [billing.id, Object.values(billing.profiles)[0]],
      );
    };
    await insert('closed', 40_000, { ends_at: `now() - interval '1 min'`, closed_at: 'now()' });
    await insert('active', 5_000, {});
    // waiting for a target that is down, each with its next try ahead
    const waits = {
      ends_at: `now() - interval '1 min'`,
      closing_since: 'now()',
      next_attempt_at: `now() + interval '1 min'`,
    };
    await insert('closing', 5_000, waits);
    await insert('active', 7, { ends_at: `now() - interval '1 s'` });
    await insert('active', 7, { next_attempt_at: `now() - interval '1 s'` });
    await insert('closing', 7, { closing_since: 'now()' });
    await client.query('ANALYZE access_grant');
    const { rows } = await client.query<{ 'QUERY PLAN': { Plan: PlanNode }[] }>(
      `EXPLAIN (ANALYZE, FORMAT JSON) ${DUE_TARGETS}`,
      [new Date(), new Date()],
    );
    const all = rows.flatMap((row) => row['QUERY PLAN']).flatMap(({ Plan }) => nodes(Plan));
    expect(all.filter((node) => node['Node Type'] === 'Seq Scan')).toEqual([]);
    const looked = all
      .filter((node) => node['Node Type'].includes('Scan'))
      .reduce((sum, node) => sum + (node['Actual Rows'] ?? 0) + (node['Rows Removed by Filter'] ?? 0), 0);
    expect(looked).toBeLessThan(100);
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
});
