import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { SignerService } from '../../src/aws/signer.service.ts';
import { SigningCredentials } from '../../src/aws/secret.ts';
import { standIn, wrongCa } from '../support/stand-in.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { asAdmin } from './holdings.ts';
import { by, readBothWays } from './passwords.ts';
import {
  agreed,
  closed,
  grantOf,
  iamUser,
  issue,
  known,
  logIn,
  mint,
  opened,
  person,
  revoke,
  setStage,
  type Grant,
  type LoginToken,
  type Person,
  type Stage,
} from './stage.ts';

vi.setConfig({ testTimeout: 60_000 });

interface Diagnosis {
  verdict: { name: string; state: string; finding: string; cure: string } | null;
  hops: { name: string; state: string; finding: string; cure: string | null }[];
}

let usher: Usher;
let stage: Stage;
let home: string;
let who: Person;
let grant: Grant;
let good: LoginToken;
/** All that the doctor was told that nobody may ever see again, and all that it answered. */
const secrets: string[] = [];
const answers: string[] = [];

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'usher-diagnosis-'));
  await writeFile(join(home, 'wrong.pem'), wrongCa);
  usher = await startUsher();
  stage = await setStage(usher);
  who = person(stage, 'patient', ['engineers']);
  grant = await opened(stage, who, { target: 'orders' });
  good = await mint(who, grant.id);
  secrets.push(good.token);
});
afterAll(async () => {
  await usher?.close();
  await rm(home, { recursive: true, force: true });
});
afterEach(() => vi.useRealTimers());

/** The real client's words; empty when it succeeded. The token goes in by the environment. */
function psql(login: Partial<LoginToken> = {}, more = '', sql = 'SELECT 1'): Promise<string> {
  const { host, port, user, database, token } = { ...good, ...login };
  const info = `host=${host} port=${port} user=${user} dbname=${database} sslmode=verify-full sslrootcert=${stage.standIn.caFile} ${more}`;
  const env = { PATH: process.env['PATH'] ?? '', HOME: home, LC_ALL: 'C', PGPASSWORD: token };
  return new Promise((resolve) =>
    execFile('psql', ['-X', '-At', '-d', info, '-c', sql], { env }, (error, _out, stderr) =>
      resolve(error ? stderr : ''),
    ),
  );
}

async function ask(body: Record<string, unknown> = {}, id = grant.id, asker: Person = who): Promise<Diagnosis> {
  const answer = await asker.post<Diagnosis>(`/v1/grants/${id}/diagnose`, body, {
    'idempotency-key': crypto.randomUUID(),
  });
  answers.push(JSON.stringify(answer.body));
  expect(answer.body).toMatchObject({ hops: expect.any(Array) as unknown[] });
  return answer.body;
}
const verdict = async (...of: Parameters<typeof ask>): Promise<Diagnosis['verdict']> => (await ask(...of)).verdict;
const named = (name: string, finding: RegExp): object => ({
  name,
  state: 'fault',
  finding: expect.stringMatching(finding) as string,
  cure: expect.stringMatching(/\S/) as string,
});
/** psql is refused with that token, and the doctor is given both. */
async function refusedWith(token: string, words = /PAM authentication failed/): Promise<Diagnosis['verdict']> {
  secrets.push(token);
  const error = await psql({ token });
  expect(error).toMatch(words);
  return verdict({ error, token });
}
const admin = (sql: string): Promise<unknown> => asAdmin(stage.standIn, 'orders', (one) => one.query(sql));
/** A fault that lasts for one look. */
async function during<T>(make: string, undo: string, look: () => Promise<T>): Promise<T> {
  await admin(make);
  return look().finally(() => admin(undo));
}
const state = (sql: string): Promise<unknown> => usher.database.owner.query(sql);

/** Signed with alice's own keys, which may nothing at all. */
async function signed(
  more: { host?: string; port?: number; region?: string; user?: string } = {},
  at?: Date,
): Promise<string> {
  const { accessKeyId, secretAccessKey } = stage.standIn.people.alice.awsKeys;
  const { host, port, user } = good;
  if (at) vi.useFakeTimers({ toFake: ['Date'], now: at });
  const signer = new SignerService({} as never);
  const credentials = new SigningCredentials({ accessKeyId, secretAccessKey });
  const { token } = await signer.mintToken({ host, port, user, region: 'eu-west-1', credentials, ...more });
  vi.useRealTimers();
  return token;
}

test('nothing is wrong: every hop is fine, and no verdict', async () => {
  expect(await psql()).toBe('');
  const { verdict: none, hops } = await ask({ token: good.token, host: good.host, port: good.port, user: good.user });
  expect(none).toBeNull();
  expect(hops.map(({ name, state: how }) => `${name} ${how}`)).toEqual([
    ...['grant ok', 'client ok', 'network ok', 'tls ok', 'resource ok', 'iam ok', 'guard ok', 'role ok', 'method ok'],
    ...['limit ok', 'database ok', 'token ok', 'clock ok'],
  ]);
});

describe('a fault of the grant', () => {
  test('it was revoked', async () => {
    const other = person(stage, 'ended', ['engineers']);
    const { id } = await opened(stage, other, { target: 'orders' });
    const token = await mint(other, id);
    await revoke(other, id);
    await closed(other, id);
    const error = await psql(token);
    expect(error).not.toBe('');
    expect(await verdict({ error }, id, other)).toMatchObject(named('grant', /closed \(revoked\)/));
  });

  test('it has not begun', async () => {
    const startsAt = new Date(Date.now() + 3_600_000).toISOString();
    const id = await agreed(stage, who, { target: 'billing', startsAt });
    expect(await verdict({}, id)).toMatchObject(named('grant', /begins at/));
  });

  test('the guard is paused while it opens', async () => {
    const other = person(stage, 'waiting', ['engineers']);
    // the plan is made before the pause, which would refuse it
    const id = await agreed(stage, other, { target: 'orders', startsAt: new Date(Date.now() + 4_000).toISOString() });
    await during(
      `UPDATE usher.setting SET value = 'on' WHERE name = 'paused'`,
      `UPDATE usher.setting SET value = 'off' WHERE name = 'paused'`,
      async () => {
        const stuck = async (): Promise<void> =>
          expect(await grantOf(other, id)).toMatchObject({ state: 'opening', lastError: expect.any(String) as string });
        await vi.waitFor(stuck, { timeout: 30_000, interval: 100 });
        expect(await verdict({}, id, other)).toMatchObject(named('guard', /paused/));
      },
    );
  });
});

describe('a fault of the login role', () => {
  test('it was shut', async () => {
    const found = await during(`ALTER ROLE "${grant.login}" NOLOGIN`, `ALTER ROLE "${grant.login}" LOGIN`, async () => {
      const error = await psql();
      expect(error).toContain('not permitted to log in');
      return verdict({ error, token: good.token });
    });
    expect(found).toMatchObject(named('role', /NOLOGIN/));
  });

  test('its lease was closed on the target', async () => {
    const other = person(stage, 'lease', ['engineers']);
    const { id, login } = await opened(stage, other, { target: 'orders' });
    const token = await mint(other, id);
    await admin(`SELECT usher.close('${login}', '${id}', 'by hand')`);
    const error = await psql(token);
    expect(error).not.toBe('');
    expect(await verdict({ error }, id, other)).toMatchObject(named('role', /no open lease/));
  });

  test('a group was taken from it', async () => {
    const other = person(stage, 'group', ['engineers']);
    const { id, login } = await opened(stage, other, { target: 'orders' });
    const token = await mint(other, id);
    await admin(`SET ROLE usher_owner; REVOKE orders_read FROM "${login}"`);
    const error = await psql(token, '', 'SELECT count(*) FROM shop.orders');
    expect(error).toContain('permission denied');
    expect(await verdict({ error }, id, other)).toMatchObject(named('role', /no member of orders_read/));
  });

  test('rds_iam was taken from it', async () => {
    const other = person(stage, 'iam', ['engineers']);
    const { id, login } = await opened(stage, other, { target: 'orders' });
    const token = await mint(other, id);
    await admin(`SET ROLE usher_owner; REVOKE rds_iam FROM "${login}"`);
    const error = await psql(token);
    expect(error).toContain('password authentication failed');
    expect(await verdict({ error }, id, other)).toMatchObject(named('method', /no member of rds_iam/));
  });

  test('a login by password was given rds_iam', async () => {
    const other = person(stage, 'mixed', ['engineers']);
    await readBothWays(stage, 'orders');
    const { id, login } = await opened(stage, other, by('password'));
    const { password, ...way } = await issue(other, id);
    secrets.push(password);
    await admin(`GRANT rds_iam TO "${login}"`);
    const error = await psql({ ...way, token: password });
    expect(error).toContain('authentication failed');
    expect(await verdict({ error: `${error} ${password}` }, id, other)).toMatchObject(named('method', /> rds_iam/));
    await admin(`REVOKE rds_iam FROM "${login}"`);
  });

  test('all its sessions are open', async () => {
    const sessions = await Promise.all(Array.from({ length: 5 }, () => logIn(stage, good)));
    try {
      const error = await psql();
      expect(error).toContain('too many connections for role');
      expect(await verdict({ error })).toMatchObject(named('limit', /5 sessions open/));
    } finally {
      await Promise.all(sessions.map((session) => session.end()));
    }
    expect(await verdict({ error: 'FATAL: too many connections for role "x"' })).toMatchObject(
      named('limit', /All sessions/),
    );
  });
});

describe('a fault of the token', () => {
  test('cut at 255 characters', async () =>
    expect(await refusedWith(good.token.slice(0, 255))).toMatchObject(named('token', /255 characters.*pgAdmin/)));
  test('its last characters missing', async () =>
    expect(await refusedWith(good.token.slice(0, -2))).toMatchObject(named('token', /is cut/)));
  test('encoded twice', async () =>
    expect(await refusedWith(encodeURIComponent(good.token))).toMatchObject(named('token', /encoded once more/)));
  test('decoded', async () =>
    expect(await refusedWith(decodeURIComponent(good.token))).toMatchObject(named('token', /decoded/)));
  test('with a scheme', async () =>
    expect(await refusedWith(`https://${good.token}`)).toMatchObject(named('token', /https/)));
  test('wrapped', async () =>
    expect(await refusedWith(`${good.token.slice(0, 76)}\n${good.token.slice(76)}`)).toMatchObject(
      named('token', /line breaks/),
    ));
  test('of another user', async () => {
    const other = person(stage, 'other', ['engineers']);
    const theirs = await mint(other, (await opened(stage, other, { target: 'orders' })).id);
    expect(await refusedWith(theirs.token)).toMatchObject(named('token', /another user/));
  });
  test('of the same user in capitals', async () =>
    expect(await refusedWith(await signed({ user: good.user.toUpperCase() }))).toMatchObject(
      named('token', /by case/),
    ));
  test('for an alias', async () =>
    expect(await refusedWith(await signed({ host: 'orders.internal.example.com' }))).toMatchObject(
      named('token', /alias/),
    ));
  test('for an address', async () =>
    expect(await refusedWith(await signed({ host: '127.0.0.1' }))).toMatchObject(named('token', /for an address/)));
  test('for the port of a tunnel', async () =>
    expect(await refusedWith(await signed({ port: 15_432 }))).toMatchObject(named('token', /port 15432/)));
  test('of another region', async () =>
    expect(await refusedWith(await signed({ region: 'us-east-1' }))).toMatchObject(named('token', /region us-east-1/)));
  test('over', async () =>
    expect(await refusedWith(await signed({}, new Date(Date.now() - 20 * 60_000)))).toMatchObject(
      named('token', /over since 5/),
    ));
  test('of a clock that is ahead', async () =>
    expect(await refusedWith(await signed({}, new Date(Date.now() + 20 * 60_000)))).toMatchObject(
      named('clock', /20 minutes ahead/),
    ));
  test('signed with keys that the grant gives nothing', async () =>
    expect(await refusedWith(await signed())).toMatchObject(named('token', /other keys/)));
  test('without the session token of its keys', async () =>
    expect(await refusedWith(good.token.replace(/&X-Amz-Security-Token=[^&]*/, ''))).toMatchObject(
      named('token', /session token is not/),
    ));
  test('something else altogether', async () =>
    expect(await refusedWith('Correct-horse-battery-staple')).toMatchObject(named('token', /no token of RDS/)));
});

describe('a fault of the client', () => {
  test('the CA of somebody else', async () => {
    const error = await psql({}, `sslrootcert=${join(home, 'wrong.pem')}`);
    expect(error).toContain('certificate verify failed');
    expect(await verdict({ error })).toMatchObject(named('tls', /not trust/));
  });
  test('a name that the certificate does not carry', async () => {
    const error = await psql({ host: '127.0.0.1' });
    expect(error).toContain('127.0.0.1');
    expect(await verdict({ error, host: '127.0.0.1' })).toMatchObject(named('tls', /another name/));
  });
  test('no TLS', async () => {
    const error = await psql({}, 'sslmode=disable');
    expect(error).toContain('no encryption');
    expect(await verdict({ error })).toMatchObject(named('tls', /without TLS/));
  });
  test('the user in capitals', async () => {
    const user = good.user.toUpperCase();
    const error = await psql({ user });
    expect(error).not.toBe('');
    expect(await verdict({ error, user })).toMatchObject(named('client', /in just these letters/));
  });
  test('a database that is not there', async () => {
    const error = await psql({ database: 'nowhere' });
    expect(error).toContain('does not exist');
    expect(await verdict({ error, token: good.token })).toMatchObject(named('database', /no database of that name/));
  });
  test('a right that the profile does not give', async () => {
    const error = await psql({}, '', 'DELETE FROM shop.orders');
    expect(error).toContain('permission denied');
    expect(await verdict({ error, token: good.token })).toMatchObject(named('rights', /does not give this right/));
  });
  test('a name that nobody resolves', async () => {
    const error = await psql({ host: 'orders.invalid' });
    expect(error).toContain('could not translate host name');
    expect(await verdict({ error })).toMatchObject(named('network', /resolve/));
  });
});

describe('a fault around it', () => {
  test('the target is down', async () => {
    const { rds } = stage.standIn.targets.orders;
    await rds.stop();
    try {
      const error = await psql();
      expect(error).toContain('refused');
      expect(await verdict({ error, token: good.token })).toMatchObject(named('network', /ECONNREFUSED/));
    } finally {
      await rds.start();
    }
  });
  test('the connect role is not there', async () => {
    await state(`UPDATE target SET connect_role = 'no-such-role' WHERE id = '${stage.targets.orders.id}'`);
    const found = await ask().finally(() =>
      state(`UPDATE target SET connect_role = NULL WHERE id = '${stage.targets.orders.id}'`),
    );
    expect(found.verdict).toMatchObject(named('iam', /sts:AssumeRole/));
  });
  test('the resource id is that of a member', async () => {
    const { id } = stage.targets.orders;
    const { resourceId } = stage.standIn.targets.orders;
    await state(`UPDATE target SET resource_id = 'db-ORDERSMEMBER1' WHERE id = '${id}'`);
    const found = await ask().finally(() =>
      state(`UPDATE target SET resource_id = '${resourceId}' WHERE id = '${id}'`),
    );
    expect(found.verdict).toMatchObject(named('resource', /starts with cluster-/));
  });
  test('the database of the grant may not be entered', async () => {
    const found = await during(
      'REVOKE CONNECT ON DATABASE orders FROM PUBLIC',
      'GRANT CONNECT ON DATABASE orders TO PUBLIC',
      async () => {
        const error = await psql();
        expect(error).toContain('permission denied for database');
        return verdict({ error });
      },
    );
    expect(found).toMatchObject(named('database', /may not connect/));
  });
  test('the policy was taken off by hand', async () => {
    const iam = iamUser(stage, `diagnosis-${process.pid}`);
    const other = person(stage, 'attached', ['engineers'], { aws_principal: iam.arn });
    const { id } = await opened(stage, other, { target: 'orders', mode: 'attached' });
    expect(await verdict({}, id, other)).toBeNull();
    iam.user.inline.clear();
    expect(await verdict({}, id, other)).toMatchObject(named('iam', /No policy of Usher's/));
  });
});

describe('who may ask', () => {
  test('an owner and an administrator may, without the token', async () => {
    for (const name of ['bob', 'dave'] as const) {
      const one = await known(stage, name);
      expect(await verdict({}, grant.id, one)).toBeNull();
      const refused = await one.post(`/v1/grants/${grant.id}/diagnose`, { token: good.token });
      answers.push(JSON.stringify(refused.body));
      expect(refused.body).toMatchObject({ status: 403, code: 'not_your_grant' });
    }
  });
  test('an auditor sees the grant and may not', async () => {
    const refused = await (await known(stage, 'carol')).post(`/v1/grants/${grant.id}/diagnose`, {});
    expect(refused.body).toMatchObject({ status: 403, code: 'policy_denied' });
  });
  test('a stranger does not learn that it is there', async () => {
    const refused = await person(stage, 'stranger', ['engineers']).post(`/v1/grants/${grant.id}/diagnose`, {});
    expect(refused.body).toMatchObject({ status: 404, code: 'grant_not_found' });
  });
});

test('what cannot be used is refused without repeating it', async () => {
  for (const body of [
    { token: [good.token] },
    { token: good.token, more: 1 },
    { token: good.token.repeat(40) },
    { error: 'e'.repeat(4_097) },
    { token: good.token, port: good.token },
  ]) {
    const refused = await who.post(`/v1/grants/${grant.id}/diagnose`, body);
    expect(refused.status).toBe(400);
    answers.push(JSON.stringify(refused.body));
  }
});

test('GraphQL answers the same, and repeats nothing either', async () => {
  const document = `mutation ($id: ID!, $input: DiagnoseGrant) { diagnoseGrant(grantId: $id, input: $input) { verdict { name } hops { name state } } }`;
  const cut = await who.graphql<{ diagnoseGrant: Diagnosis }>(document, {
    id: grant.id,
    input: { token: good.token.slice(0, 255) },
  });
  expect(cut.data?.diagnoseGrant.verdict).toEqual({ name: 'token' });
  const refused = await who.graphql(document, { id: grant.id, input: { token: good.token, more: 1 } });
  expect(refused.errors).toHaveLength(1);
  answers.push(JSON.stringify(cut), JSON.stringify(refused));
});

test('nothing of a token or a password is in any answer, or anywhere in the state', async () => {
  const { rows } = await usher.database.owner.query<{ at: string }>(
    `SELECT format('%I', table_name) AS at FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`,
  );
  const kept: string[] = [];
  for (const { at } of rows) {
    const { rows: lines } = await usher.database.owner.query<{ line: string }>(`SELECT t::text AS line FROM ${at} t`);
    kept.push(...lines.map(({ line }) => line));
  }
  expect(kept.filter((line) => line.includes('grant.diagnose')).length).toBeGreaterThan(20);
  const signatures = secrets.flatMap((secret) => /X-Amz-Signature=([0-9a-f]{16,})/.exec(secret)?.[1] ?? []);
  const sought = [...secrets, ...signatures, ...secrets.map((secret) => secret.slice(-24)), 'X-Amz-Security-Token='];
  const everything = [...answers, ...kept].join('\n');
  expect(signatures.length).toBeGreaterThan(5);
  expect(sought.filter((secret) => everything.includes(secret))).toEqual([]);
  // no digest of what was asked either
  const { rows: keys } = await usher.database.owner.query(`SELECT key FROM idempotent_answer`);
  expect(keys).toEqual([]);
});

test('the stand-in is whole again', async () => {
  await standIn();
  expect(await psql()).toBe('');
});
