import type pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { until } from '../support/until.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { asAdmin, holdings, nothing } from './holdings.ts';
import { closed, known, logIn, mint, opened, person, setStage, whoAmI, type Person, type Stage } from './stage.ts';

vi.setConfig({ testTimeout: 240_000 });

/** Grants of one person on each target, and sessions: as many as one login may have there. */
const [GRANTS, SESSIONS] = [50, 5];
const TARGETS = ['orders', 'billing'] as const;

let usher: Usher;
let stage: Stage;
let dave: Person;

beforeAll(async () => {
  usher = await startUsher();
  stage = await setStage(usher);
  dave = await known(stage, 'dave');
  await leases(GRANTS);
});
afterAll(async () => {
  if (stage) await leases(10);
  await usher?.close();
});

/** How many leases a login may have on a target, which is the DBA's to say. */
async function leases(most: number): Promise<void> {
  for (const target of TARGETS)
    await asAdmin(stage.standIn, target, (admin) =>
      admin.query(`UPDATE usher.setting SET value = $1 WHERE name = 'max_live_per_login'`, [String(most)]),
    );
}

interface Held {
  grants: string[];
  login: string;
  personId: string;
  sessions: pg.Client[];
}

/** Opens them a few at a time, as a person or a portal would. */
async function hold(who: Person, target: (typeof TARGETS)[number], many: number): Promise<Held> {
  const grants: string[] = [];
  let login = '';
  while (grants.length < many) {
    const some = Array.from({ length: Math.min(10, many - grants.length) }, () => opened(stage, who, { target }));
    for (const grant of await Promise.all(some)) {
      grants.push(grant.id);
      login = grant.login;
    }
  }
  const token = await mint(who, grants[0] ?? '');
  const sessions = await Promise.all(Array.from({ length: SESSIONS }, () => logIn(stage, token)));
  const { body } = await who.get<{ personId: string }>(`/v1/grants/${grants[0] ?? ''}`);
  return { grants, login, personId: body.personId, sessions };
}

const ended = (sessions: readonly pg.Client[]): Promise<unknown> =>
  Promise.all(sessions.map((session) => new Promise((resolve) => session.once('error', resolve))));

test(`the lock of a person ends ${GRANTS * TARGETS.length} grants, and every session`, async () => {
  const who = person(stage, 'many', ['engineers', 'orders-owners']);
  const held = [];
  for (const target of TARGETS) held.push({ target, ...(await hold(who, target, GRANTS)) });
  const dead = ended(held.flatMap(({ sessions }) => sessions));
  const asked = performance.now();
  const seconds = (): string => ((performance.now() - asked) / 1000).toFixed(2);
  const { status } = await dave.post(`/v1/people/${held[0]?.personId ?? ''}/lock`, { reason: 'a laptop was stolen' });
  expect(status).toBe(200);
  const answered = seconds();
  await dead;
  const gone = seconds();
  for (const { target, login } of held)
    await until('nothing is left on the target', async () => {
      const { canLogin, memberships, sessions } = await holdings(stage, target, login);
      return !canLogin && sessions === 0 && memberships.length === 0;
    });
  const shut = seconds();
  for (const { grants } of held) for (const id of grants) await closed(dave, id);
  for (const { target, login } of held) expect(await holdings(stage, target, login)).toEqual(nothing);
  console.log(
    `${GRANTS * TARGETS.length} grants on ${TARGETS.length} targets: lock answered after ${answered} s, all ${SESSIONS * TARGETS.length} sessions dead after ${gone} s, logins shut after ${shut} s, all closed after ${seconds()} s`,
  );
});

test('the lock of a target ends what everybody has there, and nothing elsewhere', async () => {
  const people = Array.from({ length: 10 }, (_, i) => person(stage, `there${i}`, ['engineers']));
  const elsewhere = person(stage, 'elsewhere', ['engineers']);
  const other = await opened(stage, elsewhere, { target: 'orders' });
  const stays = await logIn(stage, await mint(elsewhere, other.id));
  const grants = await Promise.all(people.map((who) => opened(stage, who, { target: 'billing' })));
  const tokens = await Promise.all(people.map((who, i) => mint(who, grants[i]?.id ?? '')));
  const sessions = await Promise.all(tokens.map((token) => logIn(stage, token)));
  const dead = ended(sessions);
  const { id } = stage.targets.billing;
  const asked = performance.now();
  expect((await dave.post(`/v1/targets/${id}/lock`, { reason: 'a dump of it was found' })).status).toBe(200);
  try {
    await dead;
    console.log(
      `${sessions.length} people out of a target ${((performance.now() - asked) / 1000).toFixed(2)} s after its lock`,
    );
    for (const { id: grantId, login } of grants) {
      await closed(dave, grantId);
      expect(await holdings(stage, 'billing', login)).toEqual(nothing);
    }
    for (const token of tokens) await expect(whoAmI(stage, token)).rejects.toThrow();
    expect((await stays.query<{ one: number }>('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  } finally {
    await stays.end();
    await dave.post(`/v1/targets/${id}/unlock`);
  }
});
