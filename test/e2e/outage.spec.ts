import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { GrantJobs } from '../../src/grants/grants.job.js';
import { until } from '../support/until.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { asAdmin } from './holdings.ts';
import {
  agreed,
  closed,
  grantOf,
  logIn,
  mint,
  opened,
  person,
  revoke,
  setStage,
  story,
  type Grant,
  type Person,
  type Stage,
} from './stage.ts';

// Two hundred people are opened for one after the other before anything happens.
vi.setConfig({ testTimeout: 300_000 });

const GRANTS = 200;
const DAY = 86_400_000;

let usher: Usher;
let stage: Stage;

beforeAll(async () => {
  usher = await startUsher();
  stage = await setStage(usher);
});
afterAll(() => usher?.close());

/** Ten at a time: this is what the service is asked, not what it is measured by. */
async function manyOpened(): Promise<{ who: Person; grant: Grant }[]> {
  const people = Array.from({ length: GRANTS }, (_, i) => person(stage, `away${i}`, ['engineers']));
  const all: { who: Person; grant: Grant }[] = [];
  while (people.length > 0)
    all.push(
      ...(await Promise.all(
        people
          .splice(0, 10)
          .map(async (who) => ({ who, grant: await opened(stage, who, { target: 'billing', minutes: 30 }) })),
      )),
    );
  return all;
}

const states = async (logins: readonly string[]): Promise<Record<string, number>> => {
  const { rows } = await usher.database.owner.query<{ state: string; n: number }>(
    'SELECT state, count(*)::int AS n FROM access_grant WHERE login = ANY ($1) GROUP BY 1',
    [logins],
  );
  return Object.fromEntries(rows.map(({ state, n }) => [state, n]));
};

/** What the logins still have on the target, past Usher and past its guard. */
const held = (logins: readonly string[]) =>
  asAdmin(stage.standIn, 'billing', async (admin) => {
    const { rows } = await admin.query<Record<string, number>>(
      `SELECT (SELECT count(*)::int FROM pg_roles WHERE rolname = ANY ($1) AND rolcanlogin) AS logins,
              (SELECT count(*)::int FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member JOIN pg_roles g ON g.oid = m.roleid
                WHERE r.rolname = ANY ($1) AND g.rolname <> 'usher_managed') AS memberships,
              (SELECT count(*)::int FROM usher.lease WHERE login = ANY ($1) AND closed_at IS NULL) AS leases,
              (SELECT count(*)::int FROM pg_stat_activity WHERE usename = ANY ($1)) AS sessions`,
      [logins],
    );
    return rows[0];
  });

/** The tries that are still to come for all that waits. */
const triesAhead = async (): Promise<number> => {
  const { rows } = await usher.database.owner.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM pgboss.job WHERE name = 'reconcile' AND state = 'created'
        AND data ? 'retryAt' AND start_after > now()`,
  );
  return rows[0]?.n ?? 0;
};

test('a grant that begins while its target is away is opened when it is back', async () => {
  const { rds } = stage.standIn.targets.billing;
  const who = person(stage, 'patient', ['engineers']);
  const startsAt = new Date(usher.clock.now().getTime() + 600_000).toISOString();
  const id = await agreed(stage, who, { target: 'billing', minutes: 30, startsAt });
  await rds.stop();
  usher.clock.move(600_000);
  await usher.app.get(GrantJobs).sweepDue(0);
  await until('it was tried', async () => (await grantOf(who, id)).attempts > 0);
  await rds.start();
  expect((await grantOf(who, id, 'active')).state).toBe('active');
  const session = await logIn(stage, await mint(who, id));
  expect((await session.query('SELECT count(*)::int AS rows FROM invoices')).rows).toEqual([{ rows: 300 }]);
  await session.end();
  const faults = (await story(stage, id)).filter(({ action }) => action === 'grant.fault');
  expect(faults.map(({ outcome }) => outcome)).toContain('failed');
});

test('a target that says hello and then fails is tried ever more seldom', async () => {
  const who = person(stage, 'halfway', ['engineers']);
  const grant = await opened(stage, who, { target: 'billing' });
  const rename = (from: string, to: string) =>
    asAdmin(stage.standIn, 'billing', (admin) => admin.query(`ALTER FUNCTION usher.${from}(text[]) RENAME TO ${to}`));
  await rename('inspect', 'inspect_is_away');
  try {
    await revoke(who, grant.id);
    await until('it was tried three times, each as one more', async () => {
      const { rows } = await usher.database.owner.query(
        'SELECT 1 FROM target WHERE dials >= 3 AND down_since IS NOT NULL',
      );
      return rows.length === 1;
    });
    expect(await grantOf(who, grant.id)).toMatchObject({ state: 'closing' });
  } finally {
    await rename('inspect_is_away', 'inspect');
  }
  await closed(who, grant.id);
  await until('it counts as back', async () => {
    const { rows } = await usher.database.owner.query('SELECT 1 FROM target WHERE down_since IS NOT NULL OR dials > 0');
    return rows.length === 0;
  });
});

test('a target that is down for a day while 200 grants end on it is clean within a minute of its return', async () => {
  const all = await manyOpened();
  const logins = all.map(({ grant }) => grant.login);
  expect(await held(logins)).toMatchObject({ logins: GRANTS, leases: GRANTS });
  const { rds } = stage.standIn.targets.billing;
  await rds.stop();
  let returned: number;
  try {
    usher.clock.move(DAY);
    await usher.app.get(GrantJobs).sweepDue(0); // as it does by itself once a minute
    await until('all are being ended', async () => (await states(logins))['closing'] === GRANTS, 60_000);
    // everybody can see that, and why
    const [first] = all;
    if (!first) throw new Error('nobody was opened for');
    const late = await until('it was tried', async () => {
      const { body } = await first.who.get<Grant>(`/v1/grants/${first.grant.id}`);
      return body.attempts > 0 && body;
    });
    expect(late).toMatchObject({
      state: 'closing',
      closedAt: null,
      lastError: expect.stringMatching(/target/) as string,
    });
    // as often as in a day: from now on it is asked as seldom as ever
    await usher.database.owner.query('UPDATE target SET dials = 3000 WHERE down_since IS NOT NULL');
    await until('it was tried again', async () => {
      const { rows } = await usher.database.owner.query(
        `SELECT 1 FROM target WHERE dials > 3000 AND next_dial_at > now() + interval '5 s'`,
      );
      return rows.length === 1;
    });
    expect(await triesAhead()).toBe(1); // for all of them, not for each
  } finally {
    await rds.start();
    returned = performance.now();
  }
  await until('all are closed', async () => (await states(logins))['closed'] === GRANTS, 60_000);
  console.log(
    `${GRANTS} grants were clean ${((performance.now() - returned) / 1_000).toFixed(1)} s after the target came back`,
  );
  expect(await held(logins)).toEqual({ logins: 0, memberships: 0, leases: 0, sessions: 0 });
  const { rows } = await usher.database.owner.query(
    'SELECT down_since, dials, next_dial_at FROM target ORDER BY dials',
  );
  expect(rows).toEqual([
    { down_since: null, dials: 0, next_dial_at: null },
    { down_since: null, dials: 0, next_dial_at: null },
  ]);
});
