import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PinoLogger } from 'nestjs-pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { PersonActor } from '../../src/platform/actor.js';
import { Database } from '../../src/platform/state/database.js';
import { Notifications } from '../../src/platform/state/notifications.js';
import { DecisionRecord } from '../../src/policy/decision-record.js';
import { fairDecisions, readDecisions } from '../../src/policy/policies.queries.js';
import { DecisionJobs } from '../../src/policy/decisions.job.js';
import { defaultPolicyFile, PolicyEngine } from '../../src/policy/engine.js';
import type { PolicyCheck, PolicySet, PolicyVersion, PolicyVersionText } from '../../src/policy/policies.contract.js';
import { localTime } from '../../src/policy/local-time.js';
import { PolicyInForce } from '../../src/policy/policy-in-force.js';
import { PolicyService } from '../../src/policy/policy.service.js';
import { askFor, known, newName, register, someone, type Registered } from '../support/people.ts';
import { refuses } from '../support/refusal.ts';
import { until } from '../support/until.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

const shipped = readFileSync(defaultPolicyFile, 'utf8');
/** What the tests need of what is shipped: a text costs by its length each time that it is tried. */
const small = PolicyEngine.load()
  .about()
  .filter(({ id }) => /^(no-locked|engineers-read|view-t.*|a.*-(administer|view)-policies|admins-administer)$/.test(id))
  .map(({ text }) => text)
  .join('\n\n');
/** Nobody asks for access in the name of engineers any more; analysts do. */
const analysts = small.replace(
  /@id\("engineers-read"\)[^;]+;/,
  `@id("analysts-read")\npermit (principal in Usher::Group::"analysts", action == Usher::Action::"request", resource)\nwhen { resource.readOnly };`,
);
const without = (id: string, text = small): string => text.replace(new RegExp(`@id\\("${id}"\\)[^;]+;`), '');
const administer = 'action == Usher::Action::"administerPolicies", resource';
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

let usher: Usher;
let orders: Registered;
let dave: Client;
let carol: Client;
beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  orders = await register(usher, 'orders');
  [dave, carol] = [await known(usher, 'dave'), await known(usher, 'carol')];
});
afterAll(() => usher?.close());
afterEach(async () => {
  if ((await rules()).number !== 0) await dave.post('/v1/policies/rollback', { number: 0 });
});

const rules = async (client = dave): Promise<PolicySet> => (await client.get<PolicySet>('/v1/policies')).body;
async function activate(text: string, note = 'because'): Promise<PolicySet> {
  const { number: basedOn } = await rules();
  const { status, body } = await dave.put<PolicySet>('/v1/policies', { text, note, basedOn });
  if (status !== 200) throw new Error(`the policy was refused: ${JSON.stringify(body)}`);
  return body;
}
/** A version that rules, and that nobody tried. */
const writtenPastTheApi = (number: number, text: string) =>
  usher.database.owner.query(
    `WITH written AS (INSERT INTO policy_version (id, number, text, sha256, author_id, note, created_at)
       SELECT gen_random_uuid(), $1, $2, $3, id, 'past the API', now() FROM person WHERE name LIKE 'dave%' RETURNING id, author_id)
     INSERT INTO policy_activation (version_id, activated_by_id, reason, at) SELECT id, author_id, 'activation', now() FROM written`,
    [number, text, sha256(text)],
  );
/** As a process on a machine that has much else to do. */
class Impatient extends PolicyInForce {
  protected override readonly patience = 0;
  /** What it answered when it had waited in vain. */
  readonly meanwhile: [fault: string | undefined, allowed: boolean][] = [];
  protected override waitInVain(): void {
    super.waitInVain();
    this.meanwhile.push([this.fault, this.decide(about('viewTargets')).allowed]);
  }
}
const about = (action: 'viewTrust' | 'viewTargets') =>
  ({ actor: { id: 'ana', groups: [], locked: false }, action, context: { now: usher.clock.now() } }) as const;
const preview = async (client: Client): Promise<boolean> =>
  (await client.post<{ decision: { allowed: boolean } }>('/v1/requests/preview', askFor(orders))).body.decision.allowed;
const count = async (): Promise<number> => {
  const { rows } = await usher.database.owner.query<{ n: number }>('SELECT count(*)::int AS n FROM policy_activation');
  return rows[0]?.n ?? 0;
};
const lines = async (action: string) =>
  (
    await usher.database.owner.query<{ actor_name: string; details: Record<string, unknown> }>(
      'SELECT actor_name, details FROM audit_event WHERE action = $1 ORDER BY id DESC',
      [action],
    )
  ).rows;

test('what is shipped rules until somebody writes a policy, and says what it may speak about', async () => {
  const set = await rules(carol);
  expect(set).toMatchObject({ number: 0, source: 'shipped', text: shipped, sha256: sha256(shipped) });
  expect(set.schema).toContain('namespace Usher');
  expect(set.policies.find(({ id }) => id === 'no-locked')).toMatchObject({ effect: 'forbid', advice: /locked/ });
  const raised = { effect: 'permit', approvals: 2, group: 'password-managers', actions: ['request'] };
  expect(set.policies.find(({ id }) => id === 'password-managers-request')).toMatchObject(raised);
});

describe('a change', () => {
  test('rules with the next call, and is on record with what changed and who decided', async () => {
    const [engineer, analyst] = [someone(usher, ['engineers']), someone(usher, ['analysts'])];
    expect([await preview(engineer), await preview(analyst)]).toEqual([true, false]);
    const set = await activate(analysts, 'analysts ask, engineers no more');
    expect(set).toMatchObject({ source: 'database', sha256: sha256(analysts), text: analysts });
    expect(await rules()).toEqual(set);
    expect([await preview(engineer), await preview(analyst)]).toEqual([false, true]);
    expect((await lines('policy.activate'))[0]).toMatchObject({
      details: {
        ...{ number: set.number, from: 0, sha256: sha256(analysts), note: 'analysts ask, engineers no more' },
        ...{ added: ['analysts-read'], removed: expect.arrayContaining(['engineers-read', 'use-own']), changed: [] },
        decidedBy: { policies: ['admins-administer-policies'], sha256: sha256(shipped).slice(0, 12) },
      },
    });
  });

  test('a refusal is on record with who decided it', async () => {
    const text = `${small}\n@id("not-today") @advice("Ask tomorrow.") forbid (principal, action == Usher::Action::"request", resource);`;
    await activate(text);
    const { body } = await someone(usher, ['engineers']).post('/v1/requests', askFor(orders));
    const detail = expect.stringContaining('(not-today)') as string;
    expect(body).toMatchObject({ code: 'policy_denied', detail, advice: 'Ask tomorrow.' });
    const [line] = (await lines('access.refused')).filter(({ details }) => details['asked'] === 'request');
    expect(line?.details).toMatchObject({ decidedBy: { policies: ['not-today'], sha256: sha256(text).slice(0, 12) } });
  });

  test('may tie the change of policy to days of the week and to a fresh sign-in: both come again', async () => {
    const { weekday } = localTime(usher.clock.now(), 'UTC');
    const days = `[${weekday}, ${(weekday % 7) + 1}].contains(context.local.weekday)`;
    const text = `${small.replace(/("administerPolicies", resource\));/, `$1 when { ${days} };`)}
      @id("fresh") @advice("Sign in again.") @max_age("86400") forbid (principal, ${administer})
      unless { context has authAgeSeconds && context.authAgeSeconds <= 86400 };`;
    expect(await activate(text)).toMatchObject({ text });
  });

  test('every process on the database takes it over at once', async () => {
    const other = await startUsher({ database: usher.database, settings: { jobs: false }, work: false });
    const there = await known(other, 'dave');
    try {
      const { sha256: sum } = await activate(analysts);
      // sooner than anybody looks by themselves
      await until('the other takes it over', async () => (await rules(there)).sha256 === sum, 4_000);
      await dave.post('/v1/policies/rollback', { number: 0 });
      await until('the other goes back', async () => (await rules(there)).number === 0, 4_000);
    } finally {
      await other.stop();
    }
  });

  test('one whose notification is lost is taken over some seconds later', async () => {
    const { owner } = usher.database;
    const { number } = await activate(analysts);
    await owner.query('ALTER TABLE policy_activation DISABLE TRIGGER policy_activated');
    await owner.query(
      `INSERT INTO policy_activation (activated_by_id, reason, at) SELECT activated_by_id, 'rollback', now() FROM policy_activation LIMIT 1`,
    );
    await owner.query('ALTER TABLE policy_activation ENABLE TRIGGER policy_activated');
    expect((await rules()).number).toBe(number);
    await until('it is taken over', async () => (await rules()).number === 0, 15_000);
  });

  test('the same key gives the same answer, and one version', async () => {
    const [key, before] = [{ 'idempotency-key': randomUUID() }, await count()];
    const body = { text: analysts, note: 'once', basedOn: 0 };
    const [first, again] = [await dave.put('/v1/policies', body, key), await dave.put('/v1/policies', body, key)];
    expect([first.status, again.status]).toEqual([200, 200]);
    expect(again.body).toEqual(first.body);
    expect(await count()).toBe(before + 1);
  });

  test('by GraphQL, and back', async () => {
    const input = { text: analysts, note: 'by GraphQL', basedOn: 0 };
    const put = 'mutation ($input: ActivatePolicies!) { activatePolicies(input: $input) { source sha256 } }';
    const { data } = await dave.graphql(put, { input });
    expect(data).toEqual({ activatePolicies: { source: 'database', sha256: sha256(analysts) } });
    const back = await dave.graphql('mutation { rollBackPolicies(input: { number: 0 }) { source number } }');
    expect(back.data).toEqual({ rollBackPolicies: { source: 'shipped', number: 0 } });
    const forgotten = await dave.graphql('mutation { rollBackPolicies(input: {}) { source } }');
    expect(forgotten.errors?.[0]?.extensions).toMatchObject({ code: 'invalid_input' });
  });
});

describe('nothing is changed by', () => {
  let before: number;
  const put = (text: string, more: object = {}) =>
    refuses(usher, () => dave.put('/v1/policies', { text, note: 'why', basedOn: 0, ...more }), ...expected);
  let expected: [status: number, code: string];
  afterEach(async () => {
    expect(await count()).toBe(before);
    expect((await rules()).number).toBe(0);
  });

  test('a text that is not valid, and the answer says where', async () => {
    [before, expected] = [await count(), [422, 'policy_invalid']];
    const { body } = await put(
      `${small}\n@id("x") permit (principal is Usher::Person, action, resource) when { principal.lockt };`,
    );
    expect(body['detail']).toMatch(/line \d+, column \d+: policy "x": .*lockt/);
    expect(body['fields']).toEqual([{ field: 'text', message: expect.stringMatching(/policy "x"/) }]);
  });

  test('a hostile text', async () => {
    [before, expected] = [await count(), [422, 'policy_invalid']];
    await put(`@id("x") permit (principal, action, resource) when { ${'('.repeat(10_000)}true${')'.repeat(10_000)} };`);
  });

  test.each([
    [
      'it forbids the change',
      `${small}\n@id("frozen") @advice("No.") forbid (principal, ${administer});`,
      /\(frozen\)/,
    ],
    ['nothing permits it', without('admins-administer-policies'), /could not change policy/],
    [
      'it is for another group',
      small.replace(/("admins-administer-policies"\)\s+permit \(principal in Usher::Group::")admins/, '$1roots'),
      /could not/,
    ],
    [
      'it permits one person',
      `${without('admins-administer-policies')}\n@id("me") permit (principal, ${administer}) when { !principal.locked };`,
      /not come from a group/,
    ],
    [
      'it ends by itself',
      small.replace(/("administerPolicies", resource\));/, '$1 when { context.now < datetime("2030-01-01") };'),
      /end by itself/,
    ],
  ])('a text that locks everybody out: %s', async (_, text, why) => {
    [before, expected] = [await count(), [409, 'policy_locks_out']];
    expect((await put(text)).body['detail']).toMatch(why);
  });

  test('a change of what no longer rules', async () => {
    [before, expected] = [await count(), [409, 'concurrent_change']];
    await put(analysts, { basedOn: 99 });
  });

  test.each([
    ['no base', { basedOn: undefined }],
    ['no note', { note: ' ' }],
    ['no text', { text: '' }],
    ['a text of another type', { text: 7 }],
    ['a longer text', { text: '/'.repeat(50_000) }],
  ])('%s', async (_, more) => {
    [before, expected] = [await count(), [400, 'invalid_input']];
    await put(shipped, more);
  });

  test('a body that is too large', async () => {
    before = await count();
    expect((await dave.put('/v1/policies', { text: '/'.repeat(70_000) })).status).toBe(413);
  });

  test.each([{}, { number: -1 }, { number: null }, { number: '1' }, { number: 1.5 }])(
    'a rollback to %j',
    async (body) => {
      before = await count();
      await refuses(usher, () => dave.post('/v1/policies/rollback', body), 400, 'invalid_input');
    },
  );

  test('a version that never was', async () => {
    before = await count();
    await refuses(usher, () => dave.post('/v1/policies/rollback', { number: 4711 }), 404, 'policy_version_not_found');
    for (const number of ['4711', '0', '-1', 'one', '99999999999'])
      await refuses(usher, () => dave.get(`/v1/policies/versions/${number}`), 404, 'policy_version_not_found');
  });
});

test('of two changes at the same moment one wins', async () => {
  const before = await count();
  const both = await Promise.all(
    ['one', 'two'].map((note) => dave.put('/v1/policies', { text: analysts, note, basedOn: 0 })),
  );
  expect(both.map(({ status }) => status).sort()).toEqual([200, 409]);
  expect(await count()).toBe(before + 1);
});

test('versions are kept with author, note, difference and history, and ruled again by a rollback', async () => {
  const first = await activate(analysts, 'first');
  const second = await activate(without('view-trust', analysts), 'second');
  await dave.post('/v1/policies/rollback', { number: first.number });
  expect(await rules()).toMatchObject({ number: first.number, text: analysts, source: 'database' });
  const rolledBack = { details: { number: first.number, from: second.number, added: ['view-trust'], removed: [] } };
  expect((await lines('policy.rollback'))[0]).toMatchObject(rolledBack);
  const { body: page } = await carol.get<{ items: PolicyVersion[]; nextCursor: string }>(
    '/v1/policies/versions?limit=1',
  );
  expect(page.items).toMatchObject([{ number: second.number, note: 'second', active: false }]);
  const { body: next } = await carol.get<{ items: PolicyVersion[] }>(`/v1/policies/versions?cursor=${page.nextCursor}`);
  expect(next.items[0]).toMatchObject({ number: first.number, active: true, author: expect.stringContaining('dave') });
  expect(next.items[0]?.activations.map(({ reason }) => reason)).toEqual(['rollback', 'activation']);
  const { body: text } = await carol.get<PolicyVersionText>(`/v1/policies/versions/${second.number}`);
  expect(text.diff).toContain('-permit (principal, action == Usher::Action::"viewTrust", resource);');
  expect(text.diff).not.toContain('analysts');
});

test('validate says what is wrong, and where', async () => {
  const text = '@id("a") permit (principal is Usher::Person, action, resource) when { principal.x };';
  const { body } = await dave.post<PolicyCheck>('/v1/policies/validate', { text });
  expect(body).toMatchObject({ valid: false, problems: [{ policy: 'a', line: 1, column: 71 }], policies: [] });
  const { body: good } = await dave.post<PolicyCheck>('/v1/policies/validate', { text: shipped });
  expect(good).toEqual({ valid: true, problems: [], policies: (await rules()).policies });
});

describe('a dry run', () => {
  test('names what would change, and changes nothing', async () => {
    const [engineer, analyst] = [newName('engineer'), newName('analyst')];
    const people = [someone(usher, ['engineers'], {}, engineer), someone(usher, ['analysts'], {}, analyst)];
    for (const one of people) await preview(one);
    const simulate = async (text: string) => {
      const { body } = await dave.post<{ changes: { actor: string; action: string }[] }>('/v1/policies/simulate', {
        text,
        last: 10_000,
      });
      return {
        ...body,
        changes: body.changes.filter(
          ({ actor, action }) => action === 'request' && [engineer, analyst].some((name) => actor.startsWith(name)),
        ),
      };
    };
    await usher.app.get(DecisionRecord, { strict: false }).flush();
    const found = await simulate(analysts);
    expect(found.changes.slice(0, 2)).toMatchObject([
      {
        actor: `${analyst}@example.com`,
        ...{ subjectType: 'Profile', subjectId: orders.profiles['reporting-read'], faults: [] },
        ...{ before: { allowed: false, policies: [] }, after: { allowed: true, policies: ['analysts-read'] } },
      },
      {
        actor: `${engineer}@example.com`,
        ...{ before: { allowed: true, policies: ['engineers-read'] }, after: { allowed: false, policies: [] } },
      },
    ]);
    expect(found).toMatchObject({ newlyAllowed: expect.any(Number), newlyRefused: expect.any(Number) });
    expect((await simulate(shipped)).changes).toEqual([]);
    const raised = shipped.replace('@id("engineers-read")', '@id("engineers-read") @approvals("3")');
    expect((await simulate(raised)).changes[0]).toMatchObject({ before: { approvals: 0 }, after: { approvals: 3 } });
    expect((await rules()).number).toBe(0);
    expect(await preview(people[1] as Client)).toBe(false);
  });

  test.each([{ last: 0 }, { last: 10_001 }, { last: 1.5 }])('over %j decisions is refused', async (more) => {
    await refuses(usher, () => dave.post('/v1/policies/simulate', { text: shipped, ...more }), 400, 'invalid_input');
  });

  test('of a text that is not valid says so', async () => {
    await refuses(usher, () => dave.post('/v1/policies/simulate', { text: 'permit' }), 422, 'policy_invalid');
  });
});

describe('decisions that are kept for dry runs', () => {
  const people = Array.from({ length: 12 }, () => randomUUID());
  const keep = (record: DecisionRecord, id: string): void => {
    const actor = { id, name: 'somebody', groups: [], locked: false } as unknown as PersonActor;
    const question = { actor, action: 'viewTargets', context: { now: usher.clock.now() } } as const;
    record.add(actor, question, { allowed: true, policies: [], advice: [], approvals: 0, errors: [] }, 'x');
  };

  test('hold up no call, and are dropped and counted where they cannot be written', async () => {
    const record = usher.app.get(DecisionRecord, { strict: false });
    const policy = usher.app.get(PolicyService, { strict: false });
    const before = policy.dropped;
    const client = await usher.database.owner.connect();
    try {
      await client.query('BEGIN; LOCK TABLE policy_decision IN ACCESS EXCLUSIVE MODE');
      expect((await dave.get('/v1/targets')).status).toBe(200);
      for (let n = 0; n < 6_000; n += 1) keep(record, people[n % people.length] ?? '');
      const full = policy.dropped - before;
      expect(full).toBeGreaterThanOrEqual(500);
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
    await record.flush();
    expect(policy.dropped - before).toBeLessThan(1_100);
  });

  test('leave room for others while they wait, however much one asks', async () => {
    const record = usher.app.get(DecisionRecord, { strict: false });
    const policy = usher.app.get(PolicyService, { strict: false });
    await record.flush();
    const client = await usher.database.owner.connect();
    const before = policy.dropped;
    try {
      await client.query('BEGIN; LOCK TABLE policy_decision IN ACCESS EXCLUSIVE MODE');
      const [much, little] = [randomUUID(), randomUUID()];
      for (let n = 0; n < 5_000; n += 1) keep(record, much);
      const refused = policy.dropped - before;
      expect(refused).toBeGreaterThanOrEqual(4_000);
      keep(record, little);
      expect(policy.dropped - before).toBe(refused);
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
    await record.flush();
  });

  test('are the newest of everybody in turns, and no more', async () => {
    const record = usher.app.get(DecisionRecord, { strict: false });
    const { pool } = usher.app.get(Database);
    await record.flush();
    await usher.database.owner.query('DELETE FROM policy_decision');
    const [much, some, few] = [randomUUID(), randomUUID(), randomUUID()];
    for (const [id, times] of [
      [few, 2],
      [some, 3],
      [much, 50],
    ] as const)
      for (let n = 0; n < times; n += 1) keep(record, id);
    await record.flush();
    const shares = async (ids: readonly string[]) => {
      const kept = await readDecisions(pool, ids);
      expect(kept.map(({ id }) => BigInt(id))).toEqual(
        [...kept.map(({ id }) => BigInt(id))].sort((a, b) => (a < b ? 1 : -1)),
      );
      return [much, some, few].map((id) => kept.filter(({ actor_id }) => actor_id === id).length);
    };
    expect(await shares(await fairDecisions(pool, 8))).toEqual([3, 3, 2]);
    await usher.app.get(DecisionJobs, { strict: false }).forget(11);
    expect(await shares(await fairDecisions(pool, 100))).toEqual([6, 3, 2]);
  });
});

describe('where a file rules', () => {
  test('nothing is changed by the API, and everything can be looked at', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'usher-policy-'));
    const file = join(directory, 'company.cedar');
    await writeFile(file, analysts);
    await activate(without('view-trust'), 'not heeded there');
    const other = await startUsher({
      database: usher.database,
      settings: { jobs: false, policyFile: file },
      work: false,
    });
    try {
      const there = await known(other, 'dave');
      expect(await rules(there)).toMatchObject({ source: 'file', number: null, text: analysts });
      expect(await preview(someone(other, ['analysts']))).toBe(true);
      const input = { text: shipped, note: 'why', basedOn: 0 };
      await refuses(other, () => there.put('/v1/policies', input), 409, 'policy_from_file');
      await refuses(other, () => there.post('/v1/policies/rollback', { number: 0 }), 409, 'policy_from_file');
      expect((await there.post('/v1/policies/validate', { text: shipped })).body).toMatchObject({ valid: true });
      expect((await there.get<{ items: PolicyVersion[] }>('/v1/policies/versions')).body.items[0]).toMatchObject({
        active: false,
      });
    } finally {
      await other.stop();
      await rm(directory, { recursive: true });
    }
  });
});

test('a version that cannot be loaded denies everything, says so, and is left by one line of SQL', async () => {
  const { owner } = usher.database;
  const text = without('view-trust').replace('principal.locked', 'principal.lockt');
  await writtenPastTheApi(900, text);
  const anonymous = usher.withToken(undefined);
  const ready = () => anonymous.get('/health/ready');
  const down = await until('it is not ready', async () => {
    const answer = await ready();
    return answer.status === 503 && answer;
  });
  expect(down.body).toMatchObject({ code: 'policy_not_loaded' });
  expect(JSON.stringify(down.body)).not.toContain('lockt');
  for (const path of ['/v1/policies', '/v1/targets', '/v1/requests', '/v1/audit/events'])
    expect((await dave.get(path)).body).toMatchObject({ status: 503, code: 'policy_not_loaded' });
  await owner.query(
    `INSERT INTO policy_activation (activated_by_id, reason, at) SELECT id, 'rollback', now() FROM person WHERE name LIKE 'dave%'`,
  );
  await until('it is ready again', async () => (await ready()).status === 200);
  expect((await rules()).source).toBe('shipped');
});

test('what ruled before does not stand in for a text whose trial takes long', async () => {
  const busy = new Impatient(
    { policyFile: undefined },
    usher.app.get(Database),
    usher.app.get(Notifications, { strict: false }),
    await usher.app.resolve(PinoLogger),
  );
  const allowed = () => (['viewTrust', 'viewTargets'] as const).map((action) => busy.decide(about(action)).allowed);
  await busy.refresh();
  expect([busy.fault, ...allowed()]).toEqual([undefined, true, true]);
  const { owner } = usher.database;
  await owner.query('ALTER TABLE policy_activation DISABLE TRIGGER policy_activated');
  await writtenPastTheApi(800, `${without('view-trust')}// slow`);
  await owner.query('ALTER TABLE policy_activation ENABLE TRIGGER policy_activated');
  await busy.refresh(); // the same trial from beginning to end
  expect(busy.meanwhile).toEqual([[expect.stringContaining('still being tried'), false]]);
  expect([busy.fault, busy.active?.version?.number, ...allowed()]).toEqual([undefined, 800, false, true]);
  busy.onModuleDestroy();
});
