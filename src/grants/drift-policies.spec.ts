import { expect, describe, test } from 'vitest';
import { policyDrift, type AttachedGrant, type Policies, type PolicyFound } from './drift-policies.js';
import { nameOf } from './drift-finding.js';

const now = new Date('2026-03-10T10:00:00.000Z');
const at = (seconds: number): Date => new Date(now.getTime() + seconds * 1000);
const arn = 'arn:aws:iam::123456789012:user/ana';
const document = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'rds-db:connect', Resource: ['a'] }] };

const grant = (more: Partial<AttachedGrant> = {}): AttachedGrant => ({
  ...{ id: 'g1', targetId: 't1', login: 'ana', personId: 'p1', state: 'active', endsAt: at(3600), openedAt: at(-600) },
  ...{ closedAt: null, nextAttemptAt: null, groups: ['readers'], method: 'iam', mode: 'attached', principalArn: arn },
  ...{ policyName: 'usher-g1', document },
  ...more,
});
const policy = (more: Partial<PolicyFound> = {}): PolicyFound => ({
  ...{ principalArn: arn, policyName: 'usher-g1', document: JSON.stringify(document) },
  ...more,
});
const look = (more: Partial<Policies>) =>
  policyDrift({ principals: [arn], found: [policy()], grants: [grant()], targetOf: () => 't9', ...more }, at(-1), now);

const other = 'arn:aws:iam::123456789012:user/bob';
const reordered = JSON.stringify(
  { Statement: [{ Resource: ['a'], Action: 'rds-db:connect', Effect: 'Allow' }], Version: '2012-10-17' },
  null,
  4,
);

describe('nothing is found of', () => {
  test.each<[string, Partial<Policies>]>([
    ['a policy that says what the grant gives', {}],
    ['one that says it in another order', { found: [policy({ document: reordered })] }],
    ['a principal that could not be read', { principals: [], found: [] }],
    ['a policy that is not attached yet', { found: [], grants: [grant({ state: 'opening' })] }],
    ['one that is attached already', { grants: [grant({ state: 'opening' })] }],
    ['one that is being taken off', { grants: [grant({ state: 'closing' })], found: [policy({ document: '{}' })] }],
    ['one that was taken off during the look', { grants: [grant({ state: 'closed', closedAt: now })] }],
    ['a policy for a target that nobody registered here', { grants: [], targetOf: () => undefined }],
  ])('%s', (_, given) => expect(look(given)).toEqual([]));
});

describe('is found', () => {
  test.each<[string, Partial<Policies>, string, string]>([
    ['a policy that no grant knows', { grants: [] }, 'policy_orphan', 't9'],
    [
      'one of a grant that is closed',
      { grants: [grant({ state: 'closed', closedAt: at(-60) })] },
      'policy_orphan',
      't9',
    ],
    ['one of a grant for later', { grants: [grant({ state: 'scheduled' })] }, 'policy_orphan', 't9'],
    ['a policy that is gone', { found: [] }, 'policy_missing', 't1'],
    ['one that was edited', { found: [policy({ document: '{"Version":"2012-10-17"}' })] }, 'policy_edited', 't1'],
    ['one that is no JSON', { found: [policy({ document: 'x' })] }, 'policy_edited', 't1'],
  ])('%s', (_, given, kind, targetId) => {
    const findings = look(given);
    expect(findings.map(nameOf)).toEqual([`${kind} ${arn} usher-g1`]);
    const mended =
      kind === 'policy_orphan'
        ? { how: 'detach', principalArn: arn, policyName: 'usher-g1' }
        : { how: 'reconcile', login: 'ana' };
    expect(findings).toMatchObject([{ targetId, repair: mended }]);
  });

  test("a grant's policy on somebody else as well", () => {
    const findings = look({ principals: [arn, other], found: [policy(), policy({ principalArn: other })] });
    expect(findings.map(nameOf)).toEqual([`policy_orphan ${other} usher-g1`]);
  });
});
