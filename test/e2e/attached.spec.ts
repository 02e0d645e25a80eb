import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
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
    expect(iam.policies()).toEqual([`usher-${grant.id}`]);
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
    expect(iam.policies().sort()).toEqual([`usher-${one.id}`, `usher-${two.id}`].sort());
    const token = await tokenByCli(iam, one.login);
    await revoke(who, one.id);
    await closed(who, one.id);
    expect(iam.policies()).toEqual([`usher-${two.id}`]);
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

/** Everything that a refused request could have left behind. */
async function written(iam?: IamUser): Promise<unknown> {
  const counts = ['request', 'access_grant', 'login_name'].map(
    (table) => `(SELECT count(*)::int FROM ${table}) AS ${table}`,
  );
  const { rows } = await usher.database.owner.query<Record<string, number>>(`SELECT ${counts.join(', ')}`);
  return { ...rows[0], policies: iam?.policies() };
}

describe('what cannot be attached is refused before anything is written', () => {
  test('a policy beyond the quota of the user', async () => {
    const { who, iam } = engineer();
    const Resource = Array.from({ length: 45 }, (_, i) => `arn:aws:s3:::some-bucket-of-theirs-${i}`);
    const theirs = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 's3:GetObject', Resource }] };
    stage.standIn.aws.iam.putInline(iam.user, 'theirs', theirs);
    const size = JSON.stringify(theirs).length;
    expect(size).toBeGreaterThan(1_850);
    const before = await written(iam);
    const { status, body } = await who.post('/v1/requests', requestBody(stage, attached));
    expect([status, body['code']]).toEqual([422, 'policy_too_large']);
    expect(body['detail']).toContain(`${2048 - size} of 2048 left`);
    expect(body['advice']).toContain('session mode');
    const preview = await who.post('/v1/requests/preview', requestBody(stage, attached));
    expect([preview.status, preview.body['code']]).toEqual([422, 'policy_too_large']);
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
    ['a user of another account', 'arn:aws:iam::999999999999:user/people/attached', 'aws_denied'],
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
    const Resource = Array.from({ length: 45 }, (_, i) => `arn:aws:s3:::some-bucket-of-theirs-${i}`);
    stage.standIn.aws.iam.putInline(iam.user, 'theirs', {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 's3:GetObject', Resource }],
    });
    usher.clock.move(10 * 60_000);
    const { login } = await grantOf(who, id);
    await usher.reconciler.reconcile({ targetId: stage.targets.orders.id, login });
    const grant = await grantOf(who, id, 'failed');
    expect(grant.state).toBe('failed');
    expect(grant.lastError).toContain('The policy needs');
    expect(iam.policies()).toEqual(['theirs']);
    expect(await holdings(stage, 'orders', login)).toEqual(nothing);
  });
});
