import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Observer } from '../../src/connections/observer.service.js';
import { until } from '../support/until.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { asAdmin, holdings, nothing } from './holdings.ts';
import { by, readBothWays, refusedLogin, storedPassword } from './passwords.ts';
import {
  byPassword,
  closed,
  grantOf,
  issue,
  logIn,
  opened,
  person,
  requestBody,
  revoke,
  setStage,
  story,
  whoAmI,
  type Ask,
  type Grant,
  type Person,
  type Stage,
} from './stage.ts';

let usher: Usher;
let stage: Stage;

beforeAll(async () => {
  usher = await startUsher();
  stage = await setStage(usher);
  for (const target of ['orders', 'billing'] as const) await readBothWays(stage, target);
});
afterAll(() => usher?.close());

const MINUTE = 60_000;
const engineer = (name: string): Person => person(stage, name, ['engineers']);
describe('the plan of a password', () => {
  test('shows the login of its own, how the password is set, and that IAM has no part in it', async () => {
    const ana = engineer('ana');
    const { body } = await ana.post<{ plan: Record<string, unknown> }>(
      '/v1/requests/preview',
      requestBody(stage, by('password')),
    );
    expect(body.plan).toMatchObject({ login: `${ana.name}_pw`, policy: null, policyAppliesTo: null });
    const statements = body.plan['statements'] as { call: string; parameters: { name: string; value: string }[] }[];
    expect(statements.map(({ call }) => call)).toEqual(['open', 'set_password', 'close', 'terminate']);
    expect(statements[1]?.parameters.at(-1)?.value).toBe('<verifier of a fresh random password>');
    expect(JSON.stringify(body.plan)).not.toMatch(/rds_iam|SCRAM-SHA-256\$/);
  });

  test.each<[string, Partial<Ask>, string, RegExp]>([
    ['a profile for tokens only', { profile: 'reporting-read' }, 'method_not_allowed', /Use method iam\./],
    ['attached mode', { mode: 'attached' }, 'mode_not_supported', /mode session with method password/],
  ])('is refused for %s', async (_, more, code, advice) => {
    const { body } = await engineer('aron').post('/v1/requests', requestBody(stage, by('password', 'orders', more)));
    expect(body).toMatchObject({ status: 422, code, advice: expect.stringMatching(advice) as string });
  });
});

describe('a password', () => {
  test('lets its person in until the grant ends, and nobody ever after', async () => {
    const bea = engineer('bea');
    const grant = await opened(stage, bea, by('password'));
    expect(grant.login).toBe(`${bea.name}_pw`);
    expect(await holdings(stage, 'orders', grant.login)).toMatchObject({
      memberships: ['orders_read'],
      leases: [grant.id],
    });
    expect((await storedPassword(stage, grant.login))?.verifier).toBeNull();

    const answer = await issue(bea, grant.id);
    expect(answer).toMatchObject({ user: grant.login, database: 'orders', expiresAt: grant.endsAt, warnings: [] });
    expect(answer.password).toMatch(/^[A-Za-z0-9]{32}$/);
    const clients = answer.recipes.map(({ client }) => client);
    expect(clients).toEqual(expect.arrayContaining(['psql', 'pgpass', 'libpq-uri']));
    const kept = await storedPassword(stage, grant.login);
    expect(kept?.verifier).toMatch(/^SCRAM-SHA-256\$4096:/);
    expect(kept?.until.toISOString()).toBe(grant.endsAt);

    const session = await logIn(stage, byPassword(answer));
    const { rows } = await session.query(
      'SELECT current_user AS who, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
    );
    expect(rows).toEqual([{ who: grant.login, ssl: true }]);
    expect((await session.query<{ n: number }>('SELECT count(*)::int AS n FROM shop.orders')).rows).toEqual([
      { n: 600 },
    ]);
    await expect(session.query('DELETE FROM shop.orders')).rejects.toThrow('permission denied');
    const wrong = { ...byPassword(answer), token: answer.password.replace(/.$/, (last) => (last === 'x' ? 'y' : 'x')) };
    await expect(whoAmI(stage, wrong)).rejects.toThrow(/password authentication failed/);

    await revoke(bea, grant.id);
    await closed(bea, grant.id);
    expect(await holdings(stage, 'orders', grant.login)).toEqual(nothing);
    expect((await storedPassword(stage, grant.login))?.verifier).toBeNull();
    await expect(session.query('SELECT 1')).rejects.toThrow();
    await expect(whoAmI(stage, byPassword(answer))).rejects.toThrow(refusedLogin);

    const again = await opened(stage, bea, by('password'));
    expect(again.login).toBe(grant.login);
    await expect(whoAmI(stage, byPassword(answer))).rejects.toThrow(refusedLogin);
    expect(await whoAmI(stage, byPassword(await issue(bea, again.id)))).toBe(grant.login);
    await expect(whoAmI(stage, byPassword(answer))).rejects.toThrow(refusedLogin);
    await revoke(bea, again.id);
    await closed(bea, again.id);
  });

  test('is replaced by asking again: the old one lets nobody in, who is in stays', async () => {
    const cleo = engineer('cleo');
    const grant = await opened(stage, cleo, by('password', 'billing'));
    const first = await issue(cleo, grant.id);
    const session = await logIn(stage, byPassword(first));
    const second = await issue(cleo, grant.id);
    await expect(whoAmI(stage, byPassword(first))).rejects.toThrow(/password authentication failed/);
    expect(await whoAmI(stage, byPassword(second))).toBe(grant.login);
    expect((await session.query('SELECT current_user AS who')).rows).toEqual([{ who: grant.login }]);
    await session.end();
    const lines = (await story(stage, grant.id)).filter(({ action }) => action === 'password.issue');
    expect(lines.map(({ outcome, details }) => [outcome, details['step']])).toEqual([
      ['success', 'being set'],
      ['success', 'being set'],
    ]);
  });

  test('of a reader is the same one, at its own address', async () => {
    const edda = engineer('edda');
    const grant = await opened(stage, edda, by('password'));
    const [writer, reader] = [await issue(edda, grant.id), await issue(edda, grant.id, { endpoint: 'reader' })];
    expect(reader.port).not.toBe(writer.port);
    expect(await whoAmI(stage, byPassword({ ...reader, port: writer.port }))).toBe(grant.login);
    const { body } = await edda.post(`/v1/grants/${grant.id}/passwords`, { endpoint: 'proxy' });
    expect(body).toMatchObject({ status: 400, code: 'invalid_input' });
  });
});

test('a session by password leads to its person and grant', async () => {
  const lena = engineer('lena');
  const grant = (await opened(stage, lena, by('password', 'billing'))) as Grant & { personId: string };
  const session = await logIn(stage, byPassword(await issue(lena, grant.id)));
  await usher.app.get(Observer, { strict: false }).sampleAll();
  const { body } = await lena.get<{ items: unknown[] }>(`/v1/connections?open=true&grant=${grant.id}`);
  expect(body.items).toMatchObject([{ login: grant.login, personId: grant.personId, grantId: grant.id, tls: true }]);
  await session.end();
});

describe('on the target', () => {
  /** As much as a DBA can make the server write down. */
  const logging = (settings: readonly string[]): Promise<void> =>
    asAdmin(stage.standIn, 'billing', async (admin) => {
      for (const setting of settings) await admin.query(`ALTER SYSTEM ${setting}`);
      await admin.query('SELECT pg_reload_conf()');
    });
  const loud = ['log_statement', 'log_duration', 'log_connections'];

  test('the password is in no log and no view, though every statement is logged', async () => {
    const { rds } = stage.standIn.targets.billing;
    await logging(loud.map((name) => `SET ${name} = '${name === 'log_statement' ? 'all' : 'on'}'`));
    try {
      const mia = engineer('mia');
      const grant = await opened(stage, mia, by('password', 'billing'));
      const passwords = [(await issue(mia, grant.id)).password];
      const answer = await issue(mia, grant.id);
      passwords.push(answer.password);
      const session = await logIn(stage, byPassword(answer));
      const { rows } = await asAdmin(stage.standIn, 'billing', (admin) =>
        admin.query<{ row: string }>('SELECT to_jsonb(a)::text AS row FROM pg_stat_activity a'),
      );
      await session.end();
      const last = `SELECT 'all before this was ${grant.login}'`;
      await asAdmin(stage.standIn, 'billing', (admin) => admin.query(last));
      const log = await until('the log is written', async () => {
        const written = await rds.log();
        return written.includes(last) && written;
      });
      expect(log).toMatch(new RegExp(`usher\\.set_password\\(.*\\n.*${grant.login}`)); // it is the log, and it is loud
      for (const password of passwords) expect(`${log} ${JSON.stringify(rows)}`).not.toContain(password);
    } finally {
      await logging(loud.map((name) => `RESET ${name}`));
    }
  });
});

// the last: the clock is moved
test('ends with the grant, sessions included', async () => {
  const dina = engineer('dina');
  const grant = await opened(stage, dina, by('password', 'billing', { minutes: 30 }));
  const answer = await issue(dina, grant.id);
  const session = await logIn(stage, byPassword(answer));
  usher.clock.move(30 * MINUTE);
  const { body } = await dina.post(`/v1/grants/${grant.id}/passwords`, {});
  expect(body).toMatchObject({ status: 409, code: 'grant_closed' });
  await usher.reconciler.reconcile({ targetId: stage.targets.billing.id, login: grant.login });
  expect(await grantOf(dina, grant.id)).toMatchObject({ state: 'closed', closeReason: 'expired' });
  await expect(session.query('SELECT 1')).rejects.toThrow();
  await expect(whoAmI(stage, byPassword(answer))).rejects.toThrow(refusedLogin);
  expect(await holdings(stage, 'billing', grant.login)).toEqual(nothing);
});
