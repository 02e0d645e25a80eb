import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { holdGuard } from '../support/held.ts';
import { until } from '../support/until.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { holdings, nothing } from './holdings.ts';
import {
  agreed,
  closed,
  grantOf,
  iamUser,
  opened,
  person,
  requestBody,
  revoke,
  setStage,
  story,
  whoAmI,
  type Ask,
  type Login,
  type Person,
  type Stage,
} from './stage.ts';

// Each call of the AWS CLI starts a Python of its own: one to three seconds on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

const run = promisify(execFile);
const attached: Ask = { target: 'orders', mode: 'attached' };

let usher: Usher;
let stage: Stage;

beforeAll(async () => {
  await run('aws', ['--version']).catch((error: unknown) => {
    throw new Error('these tests need the AWS CLI: apt-get install awscli', { cause: error });
  });
  usher = await startUsher();
  stage = await setStage(usher);
});
afterAll(() => usher?.close());

type IamUser = ReturnType<typeof iamUser>;
let made = 0;

/** An engineer with an IAM user of their own. */
function engineer(): { who: Person; iam: IamUser } {
  const iam = iamUser(stage, `attached-${process.pid}-${++made}`);
  return { who: person(stage, 'attached', ['engineers'], { aws_principal: iam.arn }), iam };
}

/** The person's own keys, in the environment; no file of the machine's user is read. */
async function tokenByCli(iam: IamUser, user: string): Promise<Login> {
  const [endpoint] = stage.standIn.targets.orders.endpoints;
  const { host, port } = endpoint ?? { host: '', port: 0 };
  const env = {
    ...{
      PATH: process.env['PATH'] ?? '',
      HOME: '/nonexistent',
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    },
    ...{ AWS_EC2_METADATA_DISABLED: 'true', AWS_REGION: 'eu-west-1', AWS_DEFAULT_REGION: 'eu-west-1' },
    ...{ AWS_ACCESS_KEY_ID: iam.accessKeyId, AWS_SECRET_ACCESS_KEY: iam.secretAccessKey },
  };
  const args = [
    'rds',
    'generate-db-auth-token',
    '--hostname',
    host,
    '--port',
    String(port),
    '--region',
    'eu-west-1',
    '--username',
    user,
  ];
  const { stdout } = await run('aws', args, { env });
  return { token: stdout.trim(), host, port, user, database: 'orders' };
}

describe('attached mode', () => {
  test('a token of the AWS CLI logs in while the grant lives, and not after', async () => {
    const { who, iam } = engineer();
    const grant = await opened(stage, who, attached);
    expect(iam.policies()).toEqual(['usher-connect']);
    const token = await tokenByCli(iam, grant.login);
    expect(await whoAmI(stage, token)).toBe(grant.login);
    await revoke(who, grant.id);
    await closed(who, grant.id);
    expect(iam.policies()).toEqual([]);
    expect(await holdings(stage, 'orders', grant.login)).toEqual(nothing);
    await expect(whoAmI(stage, token)).rejects.toThrow('authentication failed');
    const fenced = (await story(stage, grant.id)).find(({ action }) => action === 'grant.fenced');
    expect(fenced?.details).toMatchObject({ iamPolicyDetached: true });
  });

  test('the policy lets nobody in but the person, and nowhere else', async () => {
    const { who, iam } = engineer();
    const grant = await opened(stage, who, attached);
    const other = person(stage, 'other', ['engineers']);
    const { login } = await opened(stage, other, { target: 'orders' });
    await expect(whoAmI(stage, await tokenByCli(iam, login))).rejects.toThrow('authentication failed');
    const answer = await who.post(`/v1/grants/${grant.id}/tokens`, {});
    expect(answer.body).toMatchObject({ status: 409, code: 'mode_not_supported' });
    expect(answer.body['advice']).toContain(`aws rds generate-db-auth-token --hostname localhost`);
    await revoke(who, grant.id);
    await closed(who, grant.id);
  });

  test('of two overlapping grants the first end leaves the second working', async () => {
    const { who, iam } = engineer();
    const one = await opened(stage, who, attached);
    const two = await opened(stage, who, attached);
    expect(iam.policies()).toEqual(['usher-connect']);
    usher.clock.move(20_000); // by then no document that an opening sent can still arrive
    const token = await tokenByCli(iam, one.login);
    await revoke(who, one.id);
    await closed(who, one.id);
    expect(iam.policies()).toEqual(['usher-connect']);
    expect(await whoAmI(stage, token)).toBe(one.login);
    await revoke(who, two.id);
    await closed(who, two.id);
    expect(iam.policies()).toEqual([]);
    expect(await holdings(stage, 'orders', one.login)).toEqual(nothing);
    await expect(whoAmI(stage, token)).rejects.toThrow('authentication failed');
  });

  test('a policy that was taken off by hand is no obstacle to the end', async () => {
    const { who, iam } = engineer();
    const grant = await opened(stage, who, attached);
    iam.user.inline.clear();
    await revoke(who, grant.id);
    await closed(who, grant.id);
    expect(await holdings(stage, 'orders', grant.login)).toEqual(nothing);
  });
});

test('a policy that arrives after its grant was ended is taken off before the grant is called closed', async () => {
  const { who, iam } = engineer();
  const guard = await holdGuard(stage.standIn.targets.orders.rds.admin());
  const id = await agreed(stage, who, attached);
  await revoke(who, id); // while it is being opened: nobody will ever see that opening to its end
  await guard.release();
  const late = await until('it was tried', async () => {
    const grant = await grantOf(who, id);
    return grant.attempts > 0 && grant;
  });
  expect(late).toMatchObject({ state: 'closing', lastError: expect.stringContaining('may still attach it') as string });
  expect(await holdings(stage, 'orders', late.login)).toEqual(nothing);
  // what a process sent that was killed before it had its answer
  const Statement = [{ Effect: 'Allow', Action: 'rds-db:connect', Resource: '*' }];
  stage.standIn.aws.iam.putInline(iam.user, `usher-${id}`, { Version: '2012-10-17', Statement });
  usher.clock.move(20_000);
  await closed(who, id);
  expect(iam.policies()).toEqual([]);
});

test('a grant is not active before its policy is felt, and says when it is looked at again', async () => {
  const { who, iam } = engineer();
  stage.standIn.aws.iam.propagationSeconds = 60;
  try {
    const id = await agreed(stage, who, attached);
    const early = await until('it was tried', async () => {
      const grant = await grantOf(who, id);
      return grant.attempts > 0 && grant;
    });
    expect(iam.policies()).toEqual(['usher-connect']);
    expect(early).toMatchObject({ state: 'opening', lastError: expect.stringContaining('not let it count') as string });
    expect(early).toMatchObject({ retryAfterSeconds: expect.any(Number) as number });
    await expect(whoAmI(stage, await tokenByCli(iam, early.login))).rejects.toThrow('authentication failed');
    stage.standIn.aws.iam.propagationSeconds = 1; // IAM has caught up
    const grant = await grantOf(who, id, 'active');
    expect(grant).toMatchObject({ state: 'active', retryAfterSeconds: null });
    expect(await whoAmI(stage, await tokenByCli(iam, grant.login))).toBe(grant.login);
    await revoke(who, id);
    await closed(who, id);
  } finally {
    stage.standIn.aws.iam.propagationSeconds = 0;
  }
});

test('where Usher may not ask whether a policy is felt, the grant waits for a minute', async () => {
  const { who } = engineer();
  stage.standIn.aws.faults.refuse(1_000, 'AccessDenied', { service: 'iam', action: 'SimulatePrincipalPolicy' });
  try {
    const id = await agreed(stage, who, attached);
    const early = await until('it was tried', async () => {
      const grant = await grantOf(who, id);
      return grant.attempts > 0 && grant;
    });
    expect(early).toMatchObject({
      state: 'opening',
      lastError: expect.stringContaining('SimulatePrincipalPolicy') as string,
    });
    usher.clock.move(61_000);
    expect((await grantOf(who, id, 'active')).state).toBe('active');
    await revoke(who, id);
    await closed(who, id);
  } finally {
    stage.standIn.aws.faults.clear();
  }
});

test('a target that does not answer keeps no policy attached', async () => {
  const { who, iam } = engineer();
  const { id } = await opened(stage, who, attached);
  expect(iam.policies()).toEqual(['usher-connect']);
  const { rds } = stage.standIn.targets.orders;
  await rds.stop();
  try {
    await revoke(who, id);
    await until('the policy is off', () => Promise.resolve(iam.policies().length === 0));
    expect(await grantOf(who, id)).toMatchObject({ state: 'closing', closedAt: null });
  } finally {
    await rds.start();
  }
  await closed(who, id);
  expect(iam.policies()).toEqual([]);
});

test('IAM that fails keeps no login from being shut, and the policy comes off when it answers', async () => {
  const { who, iam } = engineer();
  const grant = await opened(stage, who, attached);
  stage.standIn.aws.faults.refuse(1_000, 'ServiceUnavailable', { service: 'iam' });
  try {
    await revoke(who, grant.id);
    const held = await until('it was tried', async () => {
      const now = await grantOf(who, grant.id);
      return now.attempts > 0 && now;
    });
    expect(held).toMatchObject({
      state: 'closing',
      lastError: expect.stringContaining('may still be attached') as string,
    });
    expect(await holdings(stage, 'orders', grant.login)).toEqual(nothing);
    expect(iam.policies()).toEqual(['usher-connect']);
  } finally {
    stage.standIn.aws.faults.clear();
  }
  await closed(who, grant.id);
  expect(iam.policies()).toEqual([]);
});

/** Everything that a refused request could have left behind. */
async function written(iam?: IamUser): Promise<unknown> {
  const counts = ['request', 'access_grant', 'login_name'].map(
    (table) => `(SELECT count(*)::int FROM ${table}) AS ${table}`,
  );
  const { rows } = await usher.database.owner.query<Record<string, number>>(`SELECT ${counts.join(', ')}`);
  return { ...rows[0], policies: iam?.policies() };
}

/** Leaves no room on the user, neither inline nor for another attachment. */
function fill({ user }: IamUser): number {
  const Resource = Array.from({ length: 47 }, (_, i) => `arn:aws:s3:::some-bucket-of-theirs-${i}`);
  const theirs = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 's3:GetObject', Resource }] };
  const { iam } = stage.standIn.aws;
  iam.putInline(user, 'theirs', theirs);
  while (user.attached.size < 10) iam.attach(user, iam.createPolicy(`theirs-${process.pid}-${++made}`, theirs).arn);
  return JSON.stringify(theirs).length;
}

describe('what cannot be attached is refused before anything is written', () => {
  test('a policy beyond the quota of the user', async () => {
    const { who, iam } = engineer();
    const size = fill(iam);
    const before = await written(iam);
    const { status, body } = await who.post('/v1/requests', requestBody(stage, attached));
    expect([status, body['code']]).toEqual([422, 'quota']);
    expect(body['detail']).toContain(`may have 2048 characters, of which those of others use ${size}`);
    expect(body['advice']).toContain('session mode');
    const preview = await who.post('/v1/requests/preview', requestBody(stage, attached));
    expect([preview.status, preview.body['code']]).toEqual([422, 'quota']);
    expect(await written(iam)).toEqual(before);
  });

  test.each([
    [
      'a role of IAM Identity Center',
      'arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Engineer_0123456789abcdef',
      'mode_not_supported',
    ],
    [
      'a service-linked role',
      'arn:aws:iam::123456789012:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS',
      'mode_not_supported',
    ],
    ['a user of another account', 'arn:aws:iam::999999999999:user/people/attached', 'account_not_registered'],
    ['an assumed role', 'arn:aws:sts::123456789012:assumed-role/Engineer/erin', 'invalid_input'],
  ])('%s', async (_what, arn, code) => {
    const who = person(stage, 'reserved', ['engineers'], { aws_principal: arn });
    await who.get('/v1/requests'); // the person is known from here on
    const before = await written();
    const { body } = await who.post('/v1/requests', requestBody(stage, attached));
    expect(body).toMatchObject({ code });
    expect(await written()).toEqual(before);
  });

  test('nobody, when the provider names no principal', async () => {
    const who = person(stage, 'bare', ['engineers']);
    const { status, body } = await who.post('/v1/requests', requestBody(stage, attached));
    expect([status, body['code']]).toEqual([422, 'mode_not_supported']);
  });

  test('a quota that was used up after the request ends as failed, with nothing left', async () => {
    const { who, iam } = engineer();
    const startsAt = new Date(usher.clock.now().getTime() + 10 * 60_000).toISOString();
    const id = await agreed(stage, who, { ...attached, startsAt });
    fill(iam);
    usher.clock.move(10 * 60_000);
    const { login } = await grantOf(who, id);
    await usher.reconciler.reconcile({ targetId: stage.targets.orders.id, login });
    const grant = await grantOf(who, id, 'failed');
    expect(grant.state).toBe('failed');
    expect(grant.lastError).toContain('No room is left');
    expect(iam.policies()).toEqual(['theirs']);
    expect(await holdings(stage, 'orders', login)).toEqual(nothing);
  });
});
