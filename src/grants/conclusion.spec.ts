import { describe, expect, test } from 'vitest';
import { DomainError } from '../platform/errors.js';
import { TargetFault, type InspectedLogin } from '../postgres/postgres.contract.js';
import { conclude, isOfTheTarget, nothingDone } from './conclusion.js';
import type { GrantToPlan } from './plan.js';

const endsAt = new Date('2026-03-10T11:00:00.000Z');
const grant = (id: string, more: Partial<GrantToPlan> = {}): GrantToPlan => ({
  ...{ id, state: 'active', endsAt, opened: true, guardProfile: 'read', groups: ['readers'], createsRoles: false },
  ...{ method: 'iam', mode: 'session' },
  ...more,
});
const membership = (role: string) => ({ role, grantor: 'usher_owner', admin: false, inherit: true, set: false });

/** A login with these leases, and what they give. */
const holding = (leases: readonly GrantToPlan[], more: Partial<InspectedLogin> = {}): InspectedLogin => ({
  ...{ login: 'ana', exists: true, canLogin: leases.length > 0, connectionLimit: 5, validUntil: null, attributes: [] },
  ...{ retiredAt: null, members: [], backends: [], preparedTransactions: 0 },
  ...{ person: 'person-of-ana', ownedObjects: 0, directGrants: 0 },
  memberships: [...new Set(leases.flatMap(({ groups }) => [...groups, 'rds_iam']))].map(membership),
  leases: leases.map(({ id, guardProfile, groups, method, endsAt: end }) => ({
    ...{ grantId: id, profile: guardProfile, groups: [...groups], connectionLimit: 5, method },
    ...{ openedAt: endsAt, endsAt: end },
  })),
  ...more,
});

const refusal = (
  reason: string | undefined,
  fault = '42501',
  code: 'target_refused' | 'plan_changed' = 'target_refused',
) =>
  new DomainError(code === 'plan_changed' ? 'conflict' : 'unavailable', code, 'refused', undefined, {
    cause: new TargetFault(fault, reason),
  });
const refused = (id: string, reason: string) => ({ ...nothingDone(), refused: new Map([[id, refusal(reason)]]) });

describe('after the second look', () => {
  test('a grant that lives as it should is open', () => {
    const one = grant('g1');
    const found = conclude([one], [], holding([one]), [], nothingDone());
    expect([[...found.opened], [...found.closed], [...found.withdrawn], found.left]).toEqual([['g1'], [], [], []]);
  });

  test('a login with nothing left is over, and with anything left it is not', () => {
    const ended = grant('g1', { state: 'closing' });
    expect([...conclude([], [ended], holding([]), [], nothingDone()).closed]).toEqual(['g1']);
    for (const left of [
      holding([ended]),
      holding([], { canLogin: true }),
      holding([], { memberships: [membership('readers')] }),
    ])
      expect([...conclude([], [ended], left, [], nothingDone()).closed]).toEqual([]);
    expect([...conclude([], [ended], holding([]), ['the reader has 1 live sessions'], nothingDone()).closed]).toEqual(
      [],
    );
  });

  test('a login of which a step failed is not over, however clean it looks', () => {
    const ended = grant('g1', { state: 'closing', opened: false });
    const found = conclude([], [ended], undefined, [], { ...nothingDone(), failed: refusal(undefined, '53100') });
    expect([[...found.closed], found.left]).toEqual([[], ['refused']]);
  });

  test('a policy in IAM keeps its own grant from being over, and no other', () => {
    const ended = [grant('g1', { state: 'closing' }), grant('g2', { state: 'closing' })];
    const found = conclude([], ended, holding([]), [], {
      ...nothingDone(),
      attached: new Map([['g1', { why: 'it is still attached' }]]),
    });
    expect([[...found.closed], found.left]).toEqual([['g2'], ['the IAM policy: it is still attached']]);
    expect(found.leftForMs).toBe(Infinity);
    const why = 'an opening may still attach it';
    const soon = {
      ...nothingDone(),
      attached: new Map([
        ['g1', { why, forMs: 900 }],
        ['g2', { why, forMs: 400 }],
      ]),
    };
    expect(conclude([], ended, holding([]), [], soon).leftForMs).toBe(400);
  });

  test('an end that others outlive is over when its own lease and groups are gone', () => {
    const [ended, lives] = [grant('g1', { state: 'closing', groups: ['writers'] }), grant('g2')];
    expect([...conclude([lives], [ended], holding([lives]), [], nothingDone()).closed]).toEqual(['g1']);
    const kept = holding([lives], { memberships: ['readers', 'writers', 'rds_iam'].map(membership) });
    expect(conclude([lives], [ended], kept, [], nothingDone()).left).toEqual([
      'it is still a member of writers (granted by usher_owner)',
    ]);
  });
});

describe('what the target takes away from a grant that lives', () => {
  const one = grant('g1');
  test.each<[string, boolean, InspectedLogin | undefined, ReturnType<typeof nothingDone>]>([
    ['its lease was closed there, and can never be opened again', true, holding([]), refused('g1', 'grant_closed')],
    ['its profile is off the list, and its lease gone', true, holding([]), refused('g1', 'profile')],
    ['its role was dropped, and may not be made again', true, undefined, refused('g1', 'retired')],
    [
      'its lease gives not even the right to log in',
      true,
      holding([one], { canLogin: false }),
      { ...nothingDone(), remade: true },
    ],
    ['somebody shut it between the two looks', false, holding([one], { canLogin: false }), nothingDone()],
    ['more time is refused, and the lease lives', false, holding([one]), refused('g1', 'ends_at')],
    ['the target is paused', false, holding([]), refused('g1', 'paused')],
    ['a group is off the list', false, holding([one], { memberships: [membership('rds_iam')] }), nothingDone()],
    [
      'a repair failed, so what is there says nothing',
      false,
      holding([one], { canLogin: false }),
      { ...nothingDone(), remade: true, failed: refusal('role_locked', '55P03') },
    ],
  ])('%s: ended here too? %s', (_, expected, after, done) => {
    expect(conclude([one], [], after, [], done).withdrawn.has('g1')).toBe(expected);
  });

  test('one that is only being opened is not withdrawn: it could not be opened', () => {
    const opening = grant('g1', { state: 'opening', opened: false });
    const found = conclude([opening], [], undefined, [], refused('g1', 'profile'));
    expect([found.withdrawn.size, [...found.hopeless.keys()]]).toEqual([0, ['g1']]);
  });
});

describe('a failure is of the whole target', () => {
  const unreachable = new DomainError('unavailable', 'target_unreachable', 'gone', undefined, {
    cause: new TargetFault('ECONNREFUSED'),
  });
  test.each<[string, boolean, DomainError]>([
    ['that cannot be reached', true, unreachable],
    ['where a lock is not given', true, refusal(undefined, '55P03')],
    ['that does not finish in time', true, refusal(undefined, '57014')],
    ['without a connection left', true, refusal(undefined, '53300')],
    ['whose lock table is full', true, refusal(undefined, '53200')],
    ['whose disk is full', true, refusal(undefined, '53100')],
    ['that is being stopped', true, refusal(undefined, '57P03')],
    ['that refuses the broker', true, refusal(undefined, '28000')],
    ['where the row of one role is locked', false, refusal('role_locked', '55P03')],
    ['that refuses one plan', false, refusal('plan', '55000', 'plan_changed')],
    ['that is paused: closing goes on', false, refusal('paused', '55000')],
    ['that lacks a right on one group', false, refusal(undefined, '42501')],
    ['where two changes met', false, refusal(undefined, 'XX000')],
  ])('%s: %s', (_, expected, error) => expect(isOfTheTarget(error)).toBe(expected));
});
