import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { holdGuard } from '../support/held.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { asMaster } from './holdings.ts';
import { by, readBothWays, refusedLogin, storedPassword } from './passwords.ts';
import {
  agreed,
  byPassword,
  closed,
  issue,
  known,
  logIn,
  mint,
  opened,
  person,
  revoke,
  setStage,
  story,
  whoAmI,
  type LoginPassword,
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
describe('tokens and passwords of one person', () => {
  test('live side by side, and neither end touches the other', async () => {
    const fay = engineer('fay');
    const [tokens, passwords] = [await opened(stage, fay, by('iam')), await opened(stage, fay, by('password'))];
    expect([tokens.login, passwords.login]).toEqual([fay.name, `${fay.name}_pw`]);
    const [token, password] = [await mint(fay, tokens.id), await issue(fay, passwords.id)];
    const session = await logIn(stage, token);
    expect(await whoAmI(stage, byPassword(password))).toBe(passwords.login);
    await revoke(fay, passwords.id);
    await closed(fay, passwords.id);
    expect((await session.query('SELECT current_user AS who')).rows).toEqual([{ who: tokens.login }]);
    expect(await whoAmI(stage, await mint(fay, tokens.id))).toBe(tokens.login);

    const third = await opened(stage, fay, by('password'));
    const anew = await issue(fay, third.id);
    await revoke(fay, tokens.id);
    await closed(fay, tokens.id);
    await expect(session.query('SELECT 1')).rejects.toThrow();
    expect(await whoAmI(stage, byPassword(anew))).toBe(third.login);
  });

  test('are refused for each other, with what to do instead', async () => {
    const gus = engineer('gus');
    const [tokens, passwords] = [await opened(stage, gus, by('iam')), await opened(stage, gus, by('password'))];
    const wrong = [
      await gus.post(`/v1/grants/${tokens.id}/passwords`, {}),
      await gus.post(`/v1/grants/${passwords.id}/tokens`, {}),
    ];
    expect(wrong.map(({ body }) => body)).toMatchObject([
      { status: 409, code: 'method_not_allowed', advice: expect.stringContaining('/tokens') as string },
      { status: 409, code: 'method_not_allowed', advice: expect.stringContaining('/passwords') as string },
    ]);
    expect((await storedPassword(stage, tokens.login))?.verifier).toBeNull();
  });

  test('two grants by password have one, the newest, until the last of them ends', async () => {
    const hana = engineer('hana');
    const [one, two] = [await opened(stage, hana, by('password')), await opened(stage, hana, by('password'))];
    const first = await issue(hana, one.id);
    expect(first.warnings.join()).toContain(two.id);
    const second = await issue(hana, two.id);
    await expect(whoAmI(stage, byPassword(first))).rejects.toThrow(/password authentication failed/);
    await revoke(hana, two.id);
    await closed(hana, two.id);
    expect(await whoAmI(stage, byPassword(second))).toBe(one.login);
    await revoke(hana, one.id);
    await closed(hana, one.id);
    await expect(whoAmI(stage, byPassword(second))).rejects.toThrow(refusedLogin);
  });
});

describe('a password is issued to nobody', () => {
  const ask = (who: Person, id: string) => who.post(`/v1/grants/${id}/passwords`, {});

  test('but the holder of a grant that is open', async () => {
    const iris = engineer('iris');
    const grant = await opened(stage, iris, by('password', 'billing'));
    for (const other of [person(stage, 'owner', ['billing-owners']), await known(stage, 'dave')])
      expect((await ask(other, grant.id)).body).toMatchObject({ status: 403, code: 'not_your_grant' });
    expect((await ask(engineer('eve'), grant.id)).body).toMatchObject({ status: 404, code: 'grant_not_found' });
    const twin = await engineer('eva').graphql(`mutation { issuePassword(grantId: "${grant.id}") { password } }`);
    expect(twin).toMatchObject({ data: null, errors: [{ extensions: { code: 'grant_not_found' } }] });
    expect((await ask(iris, '0190c1f0-0000-7000-8000-000000000001')).body).toMatchObject({ code: 'grant_not_found' });
    expect((await storedPassword(stage, grant.login, 'billing'))?.verifier).toBeNull();
    const startsAt = new Date(usher.clock.now().getTime() + 10 * MINUTE).toISOString();
    const later = await agreed(stage, iris, by('password', 'billing', { startsAt }));
    expect((await ask(iris, later)).body).toMatchObject({ status: 409, code: 'grant_not_started' });
    await revoke(iris, grant.id);
    await closed(iris, grant.id);
    expect((await ask(iris, grant.id)).body).toMatchObject({ status: 409, code: 'grant_closed' });
  });

  test('a second time by the same key: that makes another, for no answer is kept', async () => {
    const ilse = engineer('ilse');
    const grant = await opened(stage, ilse, by('password', 'billing'));
    const again = (endpoint: string) =>
      ilse.post<LoginPassword>(`/v1/grants/${grant.id}/passwords`, { endpoint }, { 'idempotency-key': 'one-key' });
    const [first, second] = [(await again('instance')).body, (await again('instance')).body];
    expect(second.password).toMatch(/^[A-Za-z0-9]{32}$/);
    expect(second.password).not.toBe(first.password);
    await expect(whoAmI(stage, byPassword(first))).rejects.toThrow(/password authentication failed/);
    expect(await whoAmI(stage, byPassword(second))).toBe(grant.login);
    expect((await again('reader')).body).toMatchObject({ status: 409, code: 'idempotency_mismatch' });
  });

  test('for a proxy, which does not know it; without a word it is for the instance behind', async () => {
    const { rows } = await usher.database.owner.query<{ id: string }>(
      `INSERT INTO endpoint (id, target_id, kind, connect_host, token_host, port)
       VALUES (gen_random_uuid(), $1, 'proxy', 'proxy.example', 'proxy.example', 5432) RETURNING id`,
      [stage.targets.billing.id],
    );
    try {
      const ingo = engineer('ingo');
      const grant = await opened(stage, ingo, by('password', 'billing'));
      const { body } = await ingo.post(`/v1/grants/${grant.id}/passwords`, { endpoint: 'proxy' });
      expect(body).toMatchObject({ status: 422, code: 'method_not_allowed' });
      expect((await storedPassword(stage, grant.login, 'billing'))?.verifier).toBeNull();
      expect(await whoAmI(stage, byPassword(await issue(ingo, grant.id)))).toBe(grant.login);
    } finally {
      await usher.database.owner.query('DELETE FROM endpoint WHERE id = $1', [rows[0]?.id]);
    }
  });

  test('when the target refuses it; that is on record, and the earlier one stays', async () => {
    const jule = engineer('jule');
    const grant = await opened(stage, jule, by('password', 'billing'));
    const answer = await issue(jule, grant.id);
    const pause = (value: 'on' | 'off') =>
      asMaster(stage.standIn, 'billing', 'postgres', (master) =>
        master.query(`UPDATE usher.setting SET value = $1 WHERE name = 'paused'`, [value]),
      );
    await pause('on');
    const refused = await ask(jule, grant.id).finally(() => pause('off'));
    expect(refused.body).toMatchObject({ status: 503, code: 'target_not_ready' });
    const lines = (await story(stage, grant.id)).filter(({ action }) => action === 'password.issue');
    expect(lines.map(({ outcome, details }) => [outcome, details['step']])).toEqual([
      ['success', 'being set'],
      ['success', 'being set'],
      ['failed', 'not set, or not known to be'],
    ]);
    expect(await whoAmI(stage, byPassword(answer))).toBe(grant.login);
  });

  test('once the end of the grant is decided, however far the target is', async () => {
    const kira = engineer('kira');
    const grant = await opened(stage, kira, by('password', 'billing'));
    const held = await holdGuard(stage.standIn.targets.billing.rds.admin());
    await revoke(kira, grant.id);
    expect((await ask(kira, grant.id)).body).toMatchObject({ status: 409, code: 'grant_closed' });
    await held.release();
    await closed(kira, grant.id);
  });
});
