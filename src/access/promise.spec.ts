import { describe, expect, test } from 'vitest';
import { DomainError } from '../platform/errors.js';
import { planCalls } from '../postgres/postgres.contract.js';
import { Sensitivity } from '../targets/targets.contract.js';
import { extendedEnd, isAsShown, promised, refuseOutgrown, refuseRevision } from './promise.js';
import { keptPlan, type RequestRow } from './request.js';

const now = new Date('2026-03-10T10:00:00.000Z');
const profile = {
  ...{ id: 'p', targetId: 't', name: 'read', groups: ['readers', 'writers'], maxMinutes: 60, approvalsNeeded: 1 },
  ...{
    readOnly: true,
    sensitivity: Sensitivity.internal,
    connectionLimit: 5,
    methods: ['iam' as const],
    managesPasswords: false,
    createsRoles: false,
  },
  ...{ approvalStages: [], createdAt: now, updatedAt: now, deletedAt: null },
};
const begun = new Date(now.getTime() - 30 * 60_000);
const grant = { groups: ['readers'], connectionLimit: 3, createsRoles: false, startsAt: begun, endsAt: now };

/** What promise.ts looks at, with the plan that was true when it was asked for. */
function request(extending = false): RequestRow {
  const [grantId, extendsId] = extending ? [null, 'grant-to-extend'] : ['grant-to-be', null];
  const own = { kind: extending ? 'extend' : 'open', grantId, extendsId, extends: extending ? grant : null };
  const row = {
    ...own,
    login: 'ana',
    personId: 'person',
    method: 'iam',
    durationMinutes: 30,
    profile,
    planRevision: 3,
    editedAt: null,
  };
  const endsAt = extendedEnd(row);
  const shown = promised(row);
  const statements = planCalls({
    ...{ login: 'ana', person: 'person', method: 'iam', serverMajor: 17, endsAt },
    profile: shown,
    grantId: grantId ?? extendsId,
  });
  const { groups, connectionLimit, createsRoles } = shown;
  const more = { policy: {}, policyAppliesTo: 'a session' };
  const plan = keptPlan({
    ...{ login: 'ana', statements, groups, connectionLimit, createsRoles, endsAt, serverMajor: 17 },
    ...{ sensitivity: profile.sensitivity, ...more },
  });
  // as the store gives it back: no order of keys is kept there
  return { ...row, plan: JSON.parse(JSON.stringify(sorted(plan))) } as unknown as RequestRow;
}

const sorted = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(sorted)
    : typeof value === 'object' && value !== null
      ? Object.fromEntries(
          Object.entries(value)
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([name, inner]) => [name, sorted(inner)]),
        )
      : value;

const codeOf = (call: () => void): string => {
  try {
    call();
    return 'fine';
  } catch (error) {
    return error instanceof DomainError ? error.code : String(error);
  }
};

describe('a plan is as it was shown', () => {
  test.each<[string, boolean, boolean, (row: RequestRow) => object]>([
    ['and nothing happened', false, true, () => ({})],
    [
      'with the groups in another order',
      false,
      true,
      () => ({ profile: { ...profile, groups: ['writers', 'readers'] } }),
    ],
    ['with what no plan shows', false, true, () => ({ profile: { ...profile, approvalsNeeded: 3, maxMinutes: 30 } })],
    ['not with another group', false, false, () => ({ profile: { ...profile, groups: ['readers'] } })],
    ['not with more connections', false, false, () => ({ profile: { ...profile, connectionLimit: 6 } })],
    [
      'not when it shows what is more sensitive',
      false,
      false,
      () => ({ profile: { ...profile, sensitivity: Sensitivity.restricted } }),
    ],
    [
      'not an extension of that either',
      true,
      false,
      () => ({ profile: { ...profile, sensitivity: Sensitivity.restricted } }),
    ],
    [
      'as ever when it is from before profiles were classified',
      false,
      true,
      (row) => ({ plan: { ...(row.plan as object), sensitivity: undefined } }),
    ],
    ['not with CREATEROLE', false, false, () => ({ profile: { ...profile, createsRoles: true } })],
    [
      'not when it is from before plans told the server',
      false,
      false,
      () => ({ plan: { login: 'ana', statements: [] } }),
    ],
    ['an extension', true, true, () => ({})],
    [
      'an extension of what the profile is no more',
      true,
      true,
      () => ({ profile: { ...profile, groups: ['others'] } }),
    ],
    ['not when the end was moved', true, false, () => ({ extends: { ...grant, endsAt: new Date(now.getTime() - 1) } })],
  ])('%s', (_, extending, expected, change) => {
    const row = request(extending);
    expect(isAsShown({ ...row, ...change(row) })).toBe(expected);
  });
});

test('an extension adds to the present end, and access has none yet', () => {
  expect(extendedEnd({ extends: grant, durationMinutes: 30 })).toEqual(new Date(now.getTime() + 30 * 60_000));
  expect(extendedEnd({ extends: null, durationMinutes: 30 })).toBeNull();
});

test('a grant keeps what was agreed for it', () => {
  expect(promised({ profile, extends: grant })).toMatchObject({
    name: 'read',
    groups: ['readers'],
    connectionLimit: 3,
    createsRoles: false,
  });
  expect(promised({ profile: { ...profile, createsRoles: true }, extends: grant }).createsRoles).toBe(false);
  expect(promised({ profile, extends: null })).toBe(profile);
});

test.each<[string, object, extending: boolean, code: string]>([
  ['what fits', {}, false, 'fine'],
  ['just as long', { maxMinutes: 30 }, false, 'fine'],
  ['longer than the profile gives by now', { maxMinutes: 29 }, false, 'invalid_duration'],
  ['an extension to what the profile gives as a whole', { maxMinutes: 60 }, true, 'fine'],
  ['an extension to a minute more', { maxMinutes: 59 }, true, 'invalid_duration'],
  ['a method that is gone', { methods: [] }, false, 'method_not_allowed'],
  ['a profile that is gone', { deletedAt: now }, false, 'profile_not_found'],
])('agreeing to %s', (_, change, extending, code) => {
  const row = request(extending);
  expect(codeOf(() => refuseOutgrown({ ...row, profile: { ...profile, ...change } }))).toBe(code);
});

test.each<[number | undefined, string]>([
  [undefined, 'fine'],
  [3, 'fine'],
  [2, 'plan_changed'],
  [4, 'plan_changed'],
])('a yes to revision %s of 3', (revision, code) => {
  expect(codeOf(() => refuseRevision(request(), revision))).toBe(code);
});

test('a yes to what its requester changed says to which of it', () => {
  const edited = { ...request(), editedAt: now };
  expect(codeOf(() => refuseRevision(edited, undefined))).toBe('plan_changed');
  expect(codeOf(() => refuseRevision(edited, 3))).toBe('fine');
});
