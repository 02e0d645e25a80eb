import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { Faults } from '../../local/aws/faults.ts';
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
  revoke,
  setStage,
  type Ask,
  type Person,
  type Stage,
} from './stage.ts';

vi.setConfig({ testTimeout: 120_000 });

const attached: Ask = { target: 'orders', mode: 'attached' };

let usher: Usher;
let stage: Stage;
let made = 0;

beforeAll(async () => {
  usher = await startUsher();
  stage = await setStage(usher);
});
afterEach(() => stage.standIn.aws.faults.clear());
afterAll(() => usher?.close());

/** An engineer with an IAM user of their own. */
function engineer(): { who: Person; iam: ReturnType<typeof iamUser> } {
  const iam = iamUser(stage, `bad-day-${process.pid}-${++made}`);
  return { who: person(stage, 'attached', ['engineers'], { aws_principal: iam.arn }), iam };
}

const tried = (who: Person, id: string) =>
  until('it was tried', async () => {
    const grant = await grantOf(who, id);
    return grant.attempts > 0 && grant;
  });

type Strike = (faults: Faults, action: string) => void;
/** What goes wrong while a policy is written or deleted, and what the grant says of it. */
const passing: readonly [string, Strike, RegExp][] = [
  ['a 503', (faults, action) => faults.fail(1_000, { service: 'iam', action }), /Unavailable/],
  // last: the SDK's adaptive rate stays low for a while
  ['throttling', (faults, action) => faults.throttle(1_000, { service: 'iam', action }), /\(Throttling\)/],
];
const lasting: readonly [string, Strike, RegExp][] = [
  ['a refusal', (faults, action) => faults.refuse(1_000, 'AccessDenied', { service: 'iam', action }), /AccessDenied/],
  [
    'expired keys',
    (faults, action) => faults.refuse(1_000, 'ExpiredToken', { service: 'iam', action }),
    /ExpiredToken/,
  ],
];

test.each(lasting)('%s while the policy is written ends the opening, with nothing left', async (_, strike, says) => {
  const { who, iam } = engineer();
  strike(stage.standIn.aws.faults, 'PutUserPolicy');
  const id = await agreed(stage, who, attached);
  const failed = await grantOf(who, id, 'failed');
  expect(failed).toMatchObject({ state: 'failed', openedAt: null });
  expect(JSON.stringify(failed)).toMatch(says);
  expect(iam.policies()).toEqual([]);
  expect(await holdings(stage, 'orders', failed.login)).toEqual(nothing);
});

test.each([...lasting, ...passing])('%s while the policy is deleted loses no end', async (_, strike, says) => {
  const { who, iam } = engineer();
  const { faults } = stage.standIn.aws;
  const { id, login } = await opened(stage, who, attached);
  strike(faults, 'DeleteUserPolicy');
  await revoke(who, id);
  const late = await tried(who, id);
  expect(late).toMatchObject({ state: 'closing', lastError: expect.stringMatching(says) as string });
  expect(await holdings(stage, 'orders', login)).toEqual(nothing);
  expect(iam.policies()).toEqual(['usher-connect']);
  faults.clear();
  await closed(who, id);
  expect(iam.policies()).toEqual([]);
});

test.each(passing)(
  '%s while the policy is written is waited out, and the grant is not active before',
  async (_, strike, says) => {
    const { who, iam } = engineer();
    const { faults } = stage.standIn.aws;
    strike(faults, 'PutUserPolicy');
    const id = await agreed(stage, who, attached);
    const early = await tried(who, id);
    expect(early).toMatchObject({ state: 'opening', lastError: expect.stringMatching(says) as string });
    expect(iam.policies()).toEqual([]);
    faults.clear();
    expect(await grantOf(who, id, 'active')).toMatchObject({ state: 'active', lastError: null });
    expect(iam.policies()).toEqual(['usher-connect']);
    await revoke(who, id);
    await closed(who, id);
  },
);

test('a 503 after IAM did what it was asked is no end of anything', async () => {
  const { who, iam } = engineer();
  const { faults } = stage.standIn.aws;
  faults.fail(1_000, { service: 'iam', action: 'DeleteUserPolicy' }, 'after');
  const { id } = await opened(stage, who, attached);
  await revoke(who, id);
  await closed(who, id); // asked again, IAM says that there is no such policy
  expect(iam.policies()).toEqual([]);
});

test('a simulator that fails makes no grant active', async () => {
  const { who, iam } = engineer();
  stage.standIn.aws.faults.fail(1_000, { service: 'iam', action: 'SimulatePrincipalPolicy' });
  const id = await agreed(stage, who, attached);
  const early = await tried(who, id);
  expect(early).toMatchObject({
    state: 'opening',
    lastError: expect.stringContaining('SimulatePrincipalPolicy') as string,
  });
  expect(iam.policies()).toEqual(['usher-connect']);
  stage.standIn.aws.faults.clear();
  expect((await grantOf(who, id, 'active')).state).toBe('active');
  await revoke(who, id);
  await closed(who, id);
  expect(iam.policies()).toEqual([]);
});
