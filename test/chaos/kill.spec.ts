import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { holdings, nothing } from '../e2e/holdings.ts';
import { agreed, closed, grantOf, iamUser, known, logIn, mint, opened, person } from '../e2e/stage.ts';
import { requestBody, revoke, story, whoAmI, type Ask, type Person } from '../e2e/stage.ts';
import { dice } from './dice.ts';
import { openTheatre, type Theatre } from './theatre.ts';

// Every kill is followed by a start of the whole service: some seconds, many on a busy machine. So one kill meets many people,
// each at another point of the way.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 180_000 });

let t: Theatre;
beforeAll(async () => {
  t = await openTheatre();
});
afterEach(() => t?.clear());
afterAll(() => t?.close());

const orders: Ask = { target: 'orders' };
const attached: Ask = { target: 'orders', mode: 'attached' };

const engineer = (name: string): Person => person(t.stage, name, ['engineers']);

function engineerWithIamUser(name: string) {
  const iam = iamUser(t.stage, `${name}-${process.pid}`);
  return { iam, who: person(t.stage, name, ['engineers'], { aws_principal: iam.arn }) };
}

interface Inside {
  who: Person;
  id: string;
  login: string;
  session: pg.Client;
}

/** Somebody with an active grant, logged in. */
async function inside(name: string): Promise<Inside> {
  const who = engineer(name);
  const { id, login } = await opened(t.stage, who, orders);
  return { who, id, login, session: await logIn(t.stage, await mint(who, id)) };
}

async function opening(name: string): Promise<Omit<Inside, 'session'>> {
  const who = engineer(name);
  const id = await agreed(t.stage, who, orders);
  return { who, id, login: (await grantOf(who, id)).login };
}

type Holder = Pick<Inside, 'who' | 'id'>;

/** The grant is open, and what it gives works; then it is ended, and nothing of it is left. */
async function works({ who, id }: Holder): Promise<void> {
  const grant = await t.until(`${who.name} is let in`, async () => {
    const now = await grantOf(who, id, 'active');
    return now.state === 'active' && now;
  });
  expect(grant.lastError).toBeNull();
  expect(await whoAmI(t.stage, await mint(who, id))).toBe(grant.login);
  const roles = { canLogin: true, memberships: ['orders_read', 'rds_iam'], leases: [id] };
  expect(await holdings(t.stage, 'orders', grant.login)).toMatchObject(roles);
  await revoke(who, id);
  await gone({ who, id });
}

/** The grant is over on record, once, and nothing of it is left on the target. */
async function gone({ who, id }: Holder, session?: pg.Client): Promise<void> {
  const { login } = await closed(who, id);
  expect(await holdings(t.stage, 'orders', login)).toEqual(nothing);
  expect((await story(t.stage, id)).filter(({ action }) => action === 'grant.closed')).toHaveLength(1);
  if (session) await expect(session.query('SELECT 1')).rejects.toThrow();
}

test('killed while its calls wait on the target; what the dead asked for is still on its way beside the living', async () => {
  const [leaver, juggler] = [await inside('leaver'), await inside('juggler')];
  const second = await opened(t.stage, juggler.who, orders);
  await t.holdGuard();
  const comer = await opening('comer');
  await revoke(leaver.who, leaver.id);
  await revoke(juggler.who, juggler.id);
  await t.waiting('any', 2); // the third waits for one of their places
  await t.kill();
  await t.start();
  await t.release();
  await gone(leaver, leaver.session);
  await closed(juggler.who, juggler.id);
  expect((await juggler.session.query('SELECT 1')).rowCount).toBe(1); // it lost nothing
  await works({ who: juggler.who, id: second.id });
  await works(comer);
});

test('killed while its opening waits; revoked before what the dead asked for is through', async () => {
  await t.holdGuard();
  const regretful = await opening('regretful');
  await t.waiting('open', 1);
  await t.kill();
  await t.start();
  await revoke(regretful.who, regretful.id);
  await t.release();
  await gone(regretful);
});

test('killed between the deed and its record, what came to its end meanwhile included', async () => {
  const [leaver, sleeper] = [await inside('leaver'), await inside('sleeper')];
  await t.holdGuard();
  const late = await opening('late');
  await t.waiting('open', 1);
  await revoke(leaver.who, leaver.id);
  await t.waiting('any', 2);
  // each of them gets through on the target, and waits for its row after that
  for (const { id } of [late, leaver]) await t.holdRow('access_grant', id);
  await t.releaseGuard();
  await t.waitingForRows(2);
  expect((await holdings(t.stage, 'orders', late.login)).leases).toEqual([late.id]);
  expect(await holdings(t.stage, 'orders', leaver.login)).toEqual(nothing);
  await t.kill();
  await t.release();
  expect((await sleeper.session.query('SELECT 1')).rowCount).toBe(1);
  await t.passTime(sleeper.id); // these two end while nobody is there
  await t.passTime(late.id);
  await t.start();
  await gone(leaver, leaver.session);
  await gone(sleeper, sleeper.session);
  await gone(late);
});

test('killed between the deed and its record, and between the call and its intent', async () => {
  const undecided = await inside('undecided');
  const bob = await known(t.stage, 'bob');
  const asker = engineer('asker');
  const asked = await asker.post<{ id: string }>('/v1/requests', requestBody(t.stage, orders));
  const approve = () => bob.post<{ grantId: string }>(`/v1/requests/${asked.body.id}/approve`, {});
  await t.holdGuard();
  const comer = await opening('comer');
  await t.waiting('open', 1);
  for (const { id } of [comer, undecided]) await t.holdRow('access_grant', id);
  await t.holdRow('request', asked.body.id);
  const cutOff = [revoke(undecided.who, undecided.id), approve()].map((call) =>
    call.then(
      () => 'answered',
      () => 'cut off',
    ),
  );
  await t.releaseGuard();
  await t.waitingForRows(3);
  expect((await holdings(t.stage, 'orders', comer.login)).leases).toEqual([comer.id]);
  await t.kill();
  expect(await Promise.all(cutOff)).toEqual(['cut off', 'cut off']);
  await t.release();
  await t.start();
  await works(comer);
  await works(undecided);
  expect((await asker.get(`/v1/requests/${asked.body.id}`)).body).toMatchObject({ state: 'pending', grantId: null });
  await works({ who: asker, id: (await approve()).body.grantId });
});

test('killed when the door is closed and the session still there', async () => {
  const leaver = await inside('leaver');
  await t.holdGuard();
  await revoke(leaver.who, leaver.id);
  await t.waiting('close', 1);
  await t.passGuardOn();
  await t.waiting('terminate', 1);
  await t.kill();
  await t.endBrokerSessions(); // the call of the dead may not do the work of the living
  expect(await holdings(t.stage, 'orders', leaver.login)).toEqual({ ...nothing, sessions: 1 });
  expect((await leaver.session.query('SELECT 1')).rowCount).toBe(1);
  await t.release();
  await t.start();
  await gone(leaver, leaver.session);
});

test('killed while a policy is on its way to IAM, and while another is being taken off', async () => {
  const [comer, leaver] = [engineerWithIamUser('comer'), engineerWithIamUser('leaver')];
  const own = await opened(t.stage, leaver.who, attached);
  await t.holdGuard();
  const id = await agreed(t.stage, comer.who, attached);
  await t.waiting('open', 1);
  t.slowIam(1_500, 'PutUserPolicy');
  await t.release();
  await t.iamHas('PutUserPolicy');
  await revoke(leaver.who, own.id);
  await t.iamHas('DeleteUserPolicy');
  await t.kill();
  await t.until('the policy arrives all the same', async () => comer.iam.policies().length === 1);
  t.slowIam(0);
  await t.start();
  await closed(leaver.who, own.id);
  expect(leaver.iam.policies()).toEqual([]);
  expect(await holdings(t.stage, 'orders', own.login)).toEqual(nothing);
  expect((await grantOf(comer.who, id, 'active')).state).toBe('active');
  expect(comer.iam.policies()).toEqual(['usher-connect']);
  await revoke(comer.who, id);
  await gone({ who: comer.who, id });
  expect(comer.iam.policies()).toEqual([]);
});

test('killed at any moment', async () => {
  const seed = Number(process.env['USHER_TEST_SEED'] ?? Date.now() % 100_000);
  console.log(`USHER_TEST_SEED=${seed}`);
  const random = dice(seed);
  const bob = await known(t.stage, 'bob');
  const asked = async (who: Person) =>
    (await who.post<{ id: string }>('/v1/requests', requestBody(t.stage, orders))).body.id;
  for (let round = 0; round < 3; round++) {
    const [comers, leavers] = [
      [engineer('comer'), engineer('comer')],
      [await inside('leaver'), await inside('leaver')],
    ];
    const requests = await Promise.all(comers.map(asked));
    const approve = (id: string) => bob.post(`/v1/requests/${id}/approve`, {}).catch(() => undefined);
    const leave = ({ who, id }: Inside) => revoke(who, id).catch(() => undefined); // refused where the first was heard
    const calls = [...requests.map(approve), ...leavers.map(leave)];
    await pause(random() * 300);
    await t.kill();
    await Promise.all(calls);
    await t.start();
    await Promise.all([...requests.map(approve), ...leavers.map(leave)]);
    for (const leaver of leavers) await gone(leaver, leaver.session);
    for (const [i, who] of comers.entries()) {
      const { body } = await who.get<{ grantId: string }>(`/v1/requests/${requests[i] ?? ''}`);
      await works({ who, id: body.grantId });
    }
  }
});

test('after all that nothing is unfinished, and nothing is open that no grant asks for', async () => {
  expect(await t.unfinished()).toEqual([]);
  expect(await t.strays()).toEqual([]);
});
