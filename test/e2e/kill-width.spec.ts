import type pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { standIn } from '../support/stand-in.ts';
import { until } from '../support/until.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { startFleet, type Fleet, type Member } from './fleet.ts';
import { holdingsOn, nothing } from './holdings.ts';
import { closed, known, logIn, mint, person, reached, type Person } from './stage.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const TARGETS = 20;
/** On each target; together a hundred of each. */
const [GRANTS, SESSIONS] = [5, 5];

let fleet: Fleet;
let usher: Usher;
let dave: Person;

beforeAll(async () => {
  fleet = await startFleet((await standIn()).aws, TARGETS);
  usher = await startUsher({ env: fleet.trust });
  dave = await known(usher, 'dave');
});
afterAll(async () => {
  await usher?.close();
  await fleet?.close();
});

interface Held {
  member: Member;
  grants: string[];
  sessions: pg.Client[];
}

const created = async (path: string, body: unknown): Promise<string> => {
  const { status, body: answer } = await dave.post<{ id: string }>(path, body);
  if (status !== 201) throw new Error(`${path} was refused: ${JSON.stringify(answer)}`);
  return answer.id;
};

/** Registers the target, opens the grants there, and logs in as often as one login may. */
async function hold(who: Person, member: Member): Promise<Held> {
  const { target, profiles } = member.registration;
  const targetId = await created('/v1/targets', target);
  const profileId = await created(`/v1/targets/${targetId}/profiles`, profiles[0]);
  const ask = { targetId, profileId, durationMinutes: 30, reason: 'to compare what all of them hold' };
  const asked = Array.from({ length: GRANTS }, () => who.post<{ grantId: string }>('/v1/requests', ask));
  const grants = (await Promise.all(asked)).map(({ status, body }) => {
    if (status !== 201) throw new Error(`a request was refused: ${JSON.stringify(body)}`);
    return body.grantId;
  });
  for (const id of grants) await reached(who, id, 'active');
  const token = await mint(who, grants[0] ?? '');
  const sessions = Array.from({ length: SESSIONS }, () => logIn(usher, token, fleet.caPem));
  return { member, grants, sessions: await Promise.all(sessions) };
}

test(`the lock of a person ends ${GRANTS * TARGETS} grants on ${TARGETS} targets, and every session`, async () => {
  const who = person(usher, 'everywhere', ['engineers', 'billing-owners']);
  expect((await who.get('/v1/targets')).status).toBe(200); // known before twenty ask at once
  const held: Held[] = [];
  for (let at = 0; at < TARGETS; at += 4)
    held.push(...(await Promise.all(fleet.members.slice(at, at + 4).map((member) => hold(who, member)))));
  const all = held.flatMap(({ grants }) => grants);
  const { body: one } = await who.get<{ personId: string; login: string }>(`/v1/grants/${all[0] ?? ''}`);
  for (const { member } of held)
    expect(await holdingsOn(member.rds, one.login)).toMatchObject({ canLogin: true, sessions: SESSIONS });

  const dead = held.flatMap(({ sessions }) => sessions.map((each) => new Promise((end) => each.once('error', end))));
  expect([all.length, dead.length]).toEqual([GRANTS * TARGETS, SESSIONS * TARGETS]);
  const since = performance.now();
  const seconds = (): string => ((performance.now() - since) / 1000).toFixed(2);
  expect((await dave.post(`/v1/people/${one.personId}/lock`, { reason: 'a laptop was stolen' })).status).toBe(200);
  const answered = seconds();
  await Promise.all(dead);
  const gone = seconds();
  for (const { member } of held)
    await until('no session is left, and none can be begun', async () => {
      const { canLogin, sessions } = await holdingsOn(member.rds, one.login);
      return !canLogin && sessions === 0;
    });
  const shut = seconds();
  for (const id of all) await closed(dave, id);
  for (const { member } of held) expect(await holdingsOn(member.rds, one.login)).toEqual(nothing);
  console.log(
    `${all.length} grants on ${TARGETS} targets: lock answered after ${answered} s, all ${dead.length} sessions dead after ${gone} s, ` +
      `all logins shut after ${shut} s, all closed after ${seconds()} s`,
  );
});
