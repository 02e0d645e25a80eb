import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defaultPolicyFile } from '../../src/policy/engine.js';
import { askFor, known, newName, register, someone, type Registered } from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

interface Option {
  targetId: string;
  profileId: string;
  profileName: string;
  allowed: boolean;
  approvalsNeeded: number;
  advice: string[];
}
interface Options {
  items: Option[];
  nextCursor: string | null;
  decidedAt: string;
}

let usher: Usher;
let orders: Registered;
let billing: Registered;
let dave: Client;
beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  orders = await register(usher, 'orders');
  billing = await register(usher, 'billing');
  dave = await known(usher, 'dave');
});
afterAll(() => usher?.close());

const optionsOf = async (client: Client, query = ''): Promise<Options> =>
  (await client.get<Options>(`/v1/access-options?limit=200${query}`)).body;
const readOf = async (client: Client): Promise<Option | undefined> => {
  const { items } = await optionsOf(client);
  return items.find(({ profileId }) => profileId === orders.profiles['reporting-read']);
};

describe('what one may ask for', () => {
  test('is what a preview would say', async () => {
    const engineer = someone(usher, ['engineers']);
    const { items, nextCursor } = await optionsOf(engineer);
    expect(nextCursor).toBeNull();
    expect(items.map(({ profileName, allowed, approvalsNeeded }) => [profileName, allowed, approvalsNeeded])).toEqual([
      ['invoices-read', true, 0],
      ['orders-write', false, 0],
      ['reporting-read', true, 1],
    ]);
    for (const { targetId, profileId, allowed, approvalsNeeded } of items) {
      const body = { targetId, profileId, durationMinutes: 60, reason: 'to compare', ticket: 'T-1' };
      const { decision } = (
        await engineer.post<{ decision: { allowed: boolean; approvalsNeeded: number } }>('/v1/requests/preview', body)
      ).body;
      expect(decision.allowed).toBe(allowed);
      if (allowed) expect(decision.approvalsNeeded).toBe(approvalsNeeded);
    }
    expect((await optionsOf(someone(usher, []))).items.every(({ allowed }) => !allowed)).toBe(true);
    expect((await optionsOf(someone(usher, ['orders-owners']))).items.filter(({ allowed }) => allowed)).toHaveLength(2);
  });

  test('comes by pages, by target and by answer', async () => {
    const engineer = someone(usher, ['engineers']);
    const all = (await optionsOf(engineer)).items.map(({ profileId }) => profileId);
    const pages: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const path: string = `/v1/access-options?limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`;
      const { body } = await engineer.get<Options>(path);
      pages.push(...body.items.map(({ profileId }) => profileId));
      cursor = body.nextCursor;
    }
    expect(pages).toEqual(all);
    expect((await optionsOf(engineer, `&target=${billing.targetId}`)).items).toHaveLength(1);
    expect((await optionsOf(engineer, '&allowed=false')).items.map(({ profileName }) => profileName)).toEqual([
      'orders-write',
    ]);
    for (const query of ['&allowed=maybe', '&target=x', '&cursor=x'])
      expect((await engineer.get(`/v1/access-options?${query}`)).status).toBe(400);
    const asked = await engineer.graphql<{ accessOptions: Options }>(
      '{ accessOptions(allowed: true) { items { profileId } } }',
    );
    expect(asked.data?.accessOptions.items).toHaveLength(2);
  });
});

describe('what it takes to have it', () => {
  const name = newName();
  const signedIn = (secondsAgo: number | undefined): Client => {
    const time = Math.floor(usher.clock.now().getTime() / 1_000) - (secondsAgo ?? 0);
    return someone(usher, ['engineers'], { auth_time: secondsAgo === undefined ? undefined : time }, name);
  };
  const tagged = (tags: object): Promise<unknown> =>
    usher.database.owner.query('UPDATE target SET tags = $1 WHERE id = $2', [tags, orders.targetId]);

  test('is another sign-in where the target asks for a recent one: it may be asked for, and the advice says how', async () => {
    expect(await readOf(signedIn(901))).toMatchObject({ allowed: true, advice: [] });
    await tagged({ 'usher:step-up': 'yes' });
    try {
      for (const stale of [signedIn(901), signedIn(undefined)])
        expect(await readOf(stale)).toMatchObject({
          ...{ allowed: true, approvalsNeeded: 1, advice: [expect.stringContaining('last 15 minutes')] },
        });
      expect(await readOf(signedIn(60))).toMatchObject({ allowed: true, advice: [] }); // kept apart from the stale one's
      const stranger = someone(usher, ['marketing'], { auth_time: 0 });
      expect(await readOf(stranger)).toMatchObject({ allowed: false });
    } finally {
      await tagged({});
    }
  });

  test('is the yes of everybody in every stage, where they are more than the profile asks for', async () => {
    const profile = `/v1/targets/${orders.targetId}/profiles/${orders.profiles['reporting-read']}`;
    const stage = (of: string, needed: number) => ({ name: of, needed, groups: [`${of}-approvers`] });
    for (const [approvalsNeeded, approvalStages, expected] of [
      [1, [stage('data', 2), stage('security', 1)], 3],
      [4, [stage('data', 2), stage('security', 1)], 4],
      [1, [], 1],
    ] as const) {
      expect((await dave.patch(profile, { approvalsNeeded, approvalStages })).status).toBe(200);
      const engineer = someone(usher, ['engineers']);
      expect(await readOf(engineer)).toMatchObject({ allowed: true, approvalsNeeded: expected });
      const body = askFor(orders);
      expect((await engineer.post('/v1/requests/preview', body)).body).toMatchObject({
        decision: { allowed: true, approvalsNeeded: expected },
      });
    }
  });
});

describe('an answer that is kept', () => {
  test('is the same while nothing changes, and is decided again after a minute', async () => {
    const engineer = someone(usher, ['engineers']);
    const { decidedAt } = await optionsOf(engineer);
    expect((await optionsOf(engineer)).decidedAt).toBe(decidedAt);
    usher.clock.move(61_000);
    expect((await optionsOf(engineer)).decidedAt).not.toBe(decidedAt);
  });

  test('is not outlived by a change of groups', async () => {
    const name = newName();
    expect(await readOf(someone(usher, ['engineers'], {}, name))).toMatchObject({ allowed: true });
    expect(await readOf(someone(usher, [], {}, name))).toMatchObject({ allowed: false });
    expect(await readOf(someone(usher, ['engineers'], {}, name))).toMatchObject({ allowed: true });
  });

  test('is not outlived by a lock of the person', async () => {
    const engineer = someone(usher, ['engineers']);
    await readOf(engineer);
    const { rows } = await usher.database.owner.query<{ id: string }>('SELECT id FROM person ORDER BY id DESC LIMIT 1');
    const id = rows[0]?.id ?? '';
    await dave.post(`/v1/people/${id}/lock`, { reason: 'stolen' });
    expect((await engineer.get('/v1/access-options')).body).toMatchObject({ status: 403, code: 'policy_denied' });
    await dave.post(`/v1/people/${id}/unlock`);
    expect(await readOf(engineer)).toMatchObject({ allowed: true });
  });

  test('is not outlived by a change of a target, of its lock, or of a profile', async () => {
    const engineer = someone(usher, ['engineers']);
    const target = `/v1/targets/${orders.targetId}`;
    const profile = `${target}/profiles/${orders.profiles['reporting-read']}`;
    expect(await readOf(engineer)).toMatchObject({ allowed: true, approvalsNeeded: 1 });
    await dave.patch(target, { enabled: false });
    expect(await readOf(engineer)).toMatchObject({ allowed: false, advice: [expect.stringContaining('disabled')] });
    await dave.patch(target, { enabled: true });
    expect(await readOf(engineer)).toMatchObject({ allowed: true });
    await dave.post(`${target}/lock`, { reason: 'it leaks' });
    expect(await readOf(engineer)).toMatchObject({ allowed: false });
    await dave.post(`${target}/unlock`);
    expect(await readOf(engineer)).toMatchObject({ allowed: true });
    await dave.patch(profile, { approvalsNeeded: 2 });
    expect(await readOf(engineer)).toMatchObject({ allowed: true, approvalsNeeded: 2 });
    await dave.patch(profile, { approvalsNeeded: 1 });
    expect(await readOf(engineer)).toMatchObject({ allowed: true, approvalsNeeded: 1 });
  });

  test('is not outlived by two targets that swap their owners', async () => {
    const owner = someone(usher, ['orders-owners']);
    const allowed = async (): Promise<string[]> =>
      (await optionsOf(owner, '&allowed=true')).items.map(({ profileName }) => profileName).sort();
    const swap = async (ofOrders: string, ofBilling: string): Promise<void> => {
      await dave.patch(`/v1/targets/${orders.targetId}`, { ownerGroup: ofOrders });
      await dave.patch(`/v1/targets/${billing.targetId}`, { ownerGroup: ofBilling });
    };
    expect(await allowed()).toEqual(['orders-write', 'reporting-read']);
    await swap('billing-owners', 'orders-owners');
    expect(await allowed()).toEqual(['invoices-read']);
    await swap('orders-owners', 'billing-owners');
    expect(await allowed()).toEqual(['orders-write', 'reporting-read']);
  });

  test('is not outlived by a change of how a profile is classified', async () => {
    const engineer = someone(usher, ['engineers']);
    const profile = `/v1/targets/${billing.targetId}/profiles/${billing.profiles['invoices-read']}`;
    const needed = async (): Promise<number | undefined> =>
      (await optionsOf(engineer)).items.find(({ profileName }) => profileName === 'invoices-read')?.approvalsNeeded;
    expect(await needed()).toBe(0);
    await dave.patch(profile, { sensitivity: 'restricted' });
    expect(await needed()).toBe(1);
    await dave.patch(profile, { sensitivity: 'confidential' });
    expect(await needed()).toBe(0);
  });

  test('is not outlived by a change of policy', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'usher-policy-'));
    const policyFile = join(folder, 'narrow.cedar');
    await writeFile(policyFile, '@id("see") permit (principal, action == Usher::Action::"viewTargets", resource);');
    const token = usher.standIn.oidc.signWith(
      usher.standIn.oidc.claimsOf('alice', { expiresIn: 3_600, claims: { groups: ['engineers'] } }),
    );
    const other = await startUsher({ database: usher.database, settings: { jobs: false, policyFile } });
    try {
      expect(await readOf(usher.withToken(token))).toMatchObject({ allowed: true });
      expect(await readOf(other.withToken(token))).toMatchObject({ allowed: false });
    } finally {
      await other.stop();
      await rm(folder, { recursive: true });
    }
  });
});

/** Rows alone: nobody connects there. */
async function fiveHundredTargets(): Promise<void> {
  await usher.database.owner.query(
    `WITH t AS (
       INSERT INTO target (id, name, kind, partition, region, account_id, resource_id, engine_version, environment, owner_group, databases, ca_identifier, guard_database, broker_login, tags, created_at, updated_at)
       SELECT gen_random_uuid(), 'many-' || i, 'rds-instance', 'aws', 'eu-west-1', '123456789012', 'db-MANY' || i, '17', 'staging', 'owners-' || i % 20, '{app}', 'rds-ca-rsa2048-g1', 'postgres', 'usher_broker', jsonb_build_object('Name', 'many-' || i), now(), now()
         FROM generate_series(1, 500) AS i RETURNING id)
     INSERT INTO profile (id, target_id, name, groups, max_minutes, approvals_needed, read_only, connection_limit, methods, created_at, updated_at)
     SELECT gen_random_uuid(), t.id, 'p' || k, '{readers}', 480, k, k < 3, 5, '{iam}', now(), now() FROM t, generate_series(1, 3) AS k`,
  );
}

/** First and further calls, in milliseconds, and how many others were answered while the first was made. */
async function measured(at: Usher): Promise<{ items: Option[]; meanwhile: number; told: string }> {
  const claims = { sub: newName(), groups: ['engineers', ...Array.from({ length: 30 }, () => `g-${randomUUID()}`)] };
  const token = at.standIn.oidc.signWith(at.standIn.oidc.claimsOf('alice', { expiresIn: 90 * 86_400, claims }));
  const engineer = at.withToken(token);
  await engineer.get('/v1/targets?limit=1'); // the person is known
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  for (let i = 0; i < 100; i++) await at.withToken(undefined).get('/health/live');
  delay.disable();
  const floor = Math.round(delay.max / 1e6); // what the machine's other work makes of a loop that has nothing to do
  delay.reset();
  let [meanwhile, busy] = [0, true];
  const others = async (): Promise<void> => {
    for (; busy; meanwhile++) await at.withToken(undefined).get('/health/live');
  };
  const all = others();
  delay.enable();
  const asked = performance.now();
  const { body } = await engineer.get<Options>('/v1/access-options?limit=200&allowed=true');
  const cold = performance.now() - asked;
  delay.disable();
  busy = false;
  await all;
  const warm: number[] = [];
  for (let i = 0; i < 20; i++) {
    const from = performance.now();
    expect((await engineer.get<Options>('/v1/access-options?limit=200&allowed=true')).body).toEqual(body);
    warm.push(performance.now() - from);
  }
  const median = warm.sort((a, b) => a - b)[10] ?? 0;
  const pause = Math.round(delay.max / 1e6);
  const told = `cold ${Math.round(cold)} ms, longest pause of the event loop ${pause} ms (${floor} ms without it), from memory ${median.toFixed(1)} ms`;
  return { items: body.items, meanwhile, told };
}

test('of five hundred targets with three profiles each is told in turns with everybody else, and then from memory', async () => {
  await fiveHundredTargets();
  const folder = await mkdtemp(join(tmpdir(), 'usher-policy-'));
  const policyFile = join(folder, 'apart.cedar');
  const one = `@id("one") permit (principal, action == Usher::Action::"request", resource in Usher::Target::"${orders.targetId}");`;
  // whichever tag that is: each target is then a question of its own
  const some = `@id("some") permit (principal, action == Usher::Action::"request", resource) when { resource.target.hasTag(context.method) };`;
  await writeFile(policyFile, [await readFile(defaultPolicyFile, 'utf8'), one, some].join('\n'));
  const other = await startUsher({ database: usher.database, settings: { jobs: false, policyFile } });
  try {
    const [alike, apart] = [await measured(usher), await measured(other)];
    console.log(`1,500 profiles, ${alike.told}`);
    console.log(`1,500 profiles, each by itself for a policy that works out the key of a tag, ${apart.told}`);
    expect(alike.items).toHaveLength(200);
    expect(apart.items).toEqual(alike.items);
    expect(apart.meanwhile).toBeGreaterThan(5);
  } finally {
    await other.stop();
    await rm(folder, { recursive: true });
  }
});
