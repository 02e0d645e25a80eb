import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { wrongCa } from '../support/stand-in.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { needPsql, newHome, running, type Finished, type Home } from './psql-recipe.ts';
import { known, mint, opened, person, setStage, type LoginToken, type Stage } from './stage.ts';

const WHO = running('select current_user, ssl, version from pg_stat_ssl where pid = pg_backend_pid()');

let usher: Usher;
let stage: Stage;
let home: Home;
let recipe: string;
let answer: LoginToken;
let colleague: string;

beforeAll(async () => {
  await needPsql();
  home = await newHome();
  usher = await startUsher();
  stage = await setStage(usher);
  const alice = await known(stage, 'alice');
  const grant = await opened(stage, alice, { target: 'orders' });
  answer = await mint(alice, grant.id);
  recipe = answer.recipes.find(({ client }) => client === 'psql')?.text ?? '';
  const other = person(stage, 'colleague', ['engineers']);
  colleague = (await opened(stage, other, { target: 'orders' })).login;
});
afterAll(async () => {
  await usher?.close();
  await home?.remove();
});

/** The recipe with one thing changed; a change that changes nothing is a mistake of the test. */
async function refused(from: string, to: string): Promise<Finished> {
  const changed = recipe.replace(from, to);
  expect(changed).not.toBe(recipe);
  const finished = await home.start(changed, WHO);
  expect(finished).toMatchObject({ code: 2, stdout: '' });
  return finished;
}

describe('the psql recipe, as it is in the answer', () => {
  test('logs in as the person over TLS 1.3', async () => {
    expect(await home.start(recipe, WHO)).toMatchObject({ code: 0, stderr: '', stdout: 'alice|t|TLSv1.3' });
  });

  test('reads what the profile gives, and writes nothing', async () => {
    expect(await home.start(recipe, running('select count(*) from shop.orders'))).toMatchObject({
      code: 0,
      stdout: '600',
    });
    const written = await home.start(recipe, running('delete from shop.orders'));
    expect(written).toMatchObject({ code: 1, stdout: '' });
    expect(written.stderr).toContain('permission denied');
  });

  test('is refused with the CA of somebody else', async () => {
    const url = stage.standIn.caUrl;
    const foreign = stage.standIn.aws.bundles.addBundle(`foreign/${url.split('/').at(-1) ?? ''}`, wrongCa);
    expect((await refused(url, foreign)).stderr).toContain('certificate verify failed');
  });

  test('is refused at a host name that the certificate does not carry', async () => {
    expect((await refused('host=localhost', 'host=127.0.0.1')).stderr).toMatch(/does not match host name|127\.0\.0\.1/);
  });

  test('is refused with an altered token', async () => {
    const last = answer.token.at(-1) === '0' ? '1' : '0';
    const altered = `${answer.token.slice(0, -1)}${last}`;
    expect((await refused(answer.token, altered)).stderr).toContain('PAM authentication failed for user "alice"');
  });

  test('is refused under the name of somebody who may log in', async () => {
    expect((await refused('user=alice', `user=${colleague}`)).stderr).toContain(
      `PAM authentication failed for user "${colleague}"`,
    );
  });

  test('is refused without TLS', async () => {
    expect((await refused('sslmode=verify-full', 'sslmode=disable')).stderr).toMatch(
      /pg_hba\.conf rejects connection.*no encryption/,
    );
  });
});
