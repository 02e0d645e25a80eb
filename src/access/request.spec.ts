import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { humanOf } from '../identity/standing.js';
import {
  approvals,
  hasVoted,
  keptPlan,
  keptStages,
  period,
  planOf,
  presentRequest,
  requestFacts,
  type RequestRow,
} from './request.js';

const now = new Date('2026-03-10T10:00:00.000Z');
const vote = (
  personId: string,
  verdict: 'approve' | 'deny',
  {
    planRevision = 1,
    removedAt = null,
    locked = false,
    email = null,
    stage = 1,
    voidedAt = null,
    inPlaceOf = null,
  }: Partial<{
    planRevision: number;
    removedAt: Date | null;
    locked: boolean;
    email: string | null;
    stage: number;
    voidedAt: Date | null;
    inPlaceOf: { id: string; email?: string; locked?: boolean; removedAt?: Date } | null;
  }> = {},
): RequestRow['votes'][number] => ({
  id: personId,
  requestId: 'r',
  personId,
  verdict,
  comment: null,
  planRevision,
  stage,
  createdAt: now,
  voidedAt,
  delegationId: inPlaceOf && 'd',
  delegation: inPlaceOf && {
    delegatorId: inPlaceOf.id,
    delegator: { name: inPlaceOf.id.toUpperCase(), email: null, locked: false, removedAt: null, ...inPlaceOf },
  },
  person: { name: personId.toUpperCase(), email, locked, removedAt },
});
const row = (votes: RequestRow['votes']): RequestRow => ({
  id: 'r',
  kind: 'open',
  grantId: 'to-be',
  extendsId: null,
  replacesId: null,
  targetId: 't',
  profileId: 'p',
  personId: 'ana',
  login: 'ana',
  database: 'orders',
  durationMinutes: 30,
  reason: 'why',
  ticket: null,
  breakGlass: false,
  startsAt: null,
  method: 'iam',
  mode: 'session',
  principalArn: null,
  viaServiceId: null,
  state: 'pending',
  approvalsNeeded: 2,
  stages: [],
  approverGroups: [],
  approverPeople: [],
  policies: ['engineers-read'],
  plan: { login: 'ana', endsAt: null },
  planRevision: 1,
  editedAt: null,
  createdAt: now,
  decideBy: now,
  decidedAt: null,
  closeReason: null,
  person: { name: 'Ana', email: 'ana@example.com' },
  votes,
  grant: null,
  extends: null,
  replacedBy: null,
  viaService: null,
  profile: {
    id: 'p',
    targetId: 't',
    name: 'read',
    groups: ['readers'],
    maxMinutes: 60,
    approvalsNeeded: 2,
    readOnly: true,
    sensitivity: 'internal',
    connectionLimit: 5,
    methods: ['iam'],
    managesPasswords: false,
    createsRoles: false,
    approvalStages: [],
    createdAt: now,
    updatedAt: now,
    deletedAt: null,
  },
  target: {
    id: 't',
    name: 'orders',
    kind: 'rds-instance',
    partition: 'aws',
    region: 'eu-west-1',
    accountId: '123456789012',
    resourceId: 'db-ABC',
    engineVersion: '17.1',
    engineMode: 'provisioned',
    environment: 'staging',
    ownerGroup: 'owners',
    databases: ['orders'],
    caIdentifier: 'rds-ca-rsa2048-g1',
    masterUser: null,
    guardDatabase: 'postgres',
    brokerLogin: 'usher_broker',
    brokerSecret: null,
    connectRole: null,
    logSource: 'none',
    logFormat: 'stderr',
    logPlace: null,
    furtherLogs: [],
    tags: {},
    enabled: true,
    createdAt: now,
    updatedAt: now,
    removingAt: null,
    lockedAt: null,
    lockReason: null,
    deletedAt: null,
    lookedAt: null,
    downSince: null,
    dials: 0,
    nextDialAt: null,
  },
});

describe('approvals', () => {
  test.each<[string, RequestRow['votes'], number]>([
    ['none', [], 0],
    ['one', [vote('bob', 'approve')], 1],
    ['two people', [vote('bob', 'approve'), vote('cid', 'approve')], 2],
    ['one person twice counts once', [vote('bob', 'approve'), vote('bob', 'approve')], 1],
    ['the requester does not count', [vote('ana', 'approve')], 0],
    ['the requester beside another', [vote('ana', 'approve'), vote('bob', 'approve')], 1],
    ['a no is no yes', [vote('bob', 'deny')], 0],
    ['a yes to an earlier plan', [vote('bob', 'approve', { planRevision: 0 })], 0],
    ['a yes to both plans', [vote('bob', 'approve', { planRevision: 0 }), vote('bob', 'approve')], 1],
    [
      'one human by two names, in whatever case',
      [vote('bob', 'approve', { email: 'Bob@example.com' }), vote('bob2', 'approve', { email: 'bob@EXAMPLE.com' })],
      1,
    ],
    ['another name of the requester', [vote('ana2', 'approve', { email: 'ANA@example.com' })], 0],
    ['somebody who was locked since', [vote('bob', 'approve', { locked: true })], 0],
    ['a yes that is void', [vote('bob', 'approve', { voidedAt: now })], 0],
    [
      'a yes that is void, and one that was given since',
      [vote('bob', 'approve', { voidedAt: now }), vote('bob', 'approve')],
      1,
    ],
    ['in the place of somebody', [vote('bob', 'approve', { inPlaceOf: { id: 'cid' } })], 1],
    [
      'in the place of somebody who voted, too',
      [vote('bob', 'approve', { inPlaceOf: { id: 'cid' } }), vote('cid', 'approve')],
      1,
    ],
    ['in two places', ['cid', 'eve'].map((id) => vote('bob', 'approve', { inPlaceOf: { id } })), 1],
    ['in the place of the requester', [vote('bob', 'approve', { inPlaceOf: { id: 'ana' } })], 0],
    [
      'in the place of another name of the requester',
      [vote('bob', 'approve', { inPlaceOf: { id: 'ana2', email: 'ANA@example.com' } })],
      0,
    ],
    ['in the place of who was locked since', [vote('bob', 'approve', { inPlaceOf: { id: 'cid', locked: true } })], 0],
    [
      'in the place of who was removed since',
      [vote('bob', 'approve', { inPlaceOf: { id: 'cid', removedAt: now } })],
      0,
    ],
    ['somebody who was removed since', [vote('bob', 'approve', { removedAt: now })], 0],
  ])('%s', (_, votes, expected) => expect(approvals(row(votes))).toBe(expected));

  test('policy learns who agreed, and who did not is left out', () => {
    const facts = requestFacts(row([vote('bob', 'approve'), vote('cid', 'deny')]));
    expect(facts).toMatchObject({
      requesterId: 'ana',
      approverIds: ['bob'],
      profile: { id: 'p', target: { ownerGroup: 'owners' } },
    });
  });

  test('the answer names the grant only once there is one', () => {
    expect(presentRequest(row([])).grantId).toBeNull();
    expect(presentRequest({ ...row([vote('bob', 'approve')]), grant: { id: 'g', state: 'opening' } })).toMatchObject({
      grantId: 'g',
      personName: 'Ana',
      votes: [
        {
          ...{ personId: 'bob', personName: 'BOB', forPersonId: null, forPersonName: null },
          ...{ verdict: 'approve', comment: null, planRevision: 1, stage: 1, at: now, voidedAt: null },
        },
      ],
    });
  });

  test('an extension leads to its grant once it is agreed to', () => {
    const extension = { ...row([]), kind: 'extend' as const, grantId: null, extendsId: 'g' };
    expect(presentRequest(extension)).toMatchObject({ kind: 'extend', extendsId: 'g', grantId: null });
    expect(presentRequest({ ...extension, state: 'approved' }).grantId).toBe('g');
  });

  test('who voted for an earlier plan may vote for the present one', () => {
    expect(hasVoted(row([vote('bob', 'approve')]), 'bob')).toBe(true);
    expect(hasVoted(row([vote('bob', 'approve', { planRevision: 0 })]), 'bob')).toBe(false);
  });

  test('a vote in the place of somebody is of both, and policy learns both', () => {
    const voted = row([vote('bob', 'approve', { inPlaceOf: { id: 'cid', email: 'Cid@example.com' } })]);
    expect(['bob', 'cid@example.com', 'cid', 'eve'].map((human) => hasVoted(voted, human))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(requestFacts(voted).approverIds).toEqual(['cid', 'bob']);
    expect(presentRequest(voted).votes).toMatchObject([{ personId: 'bob', forPersonId: 'cid', forPersonName: 'CID' }]);
    expect(hasVoted(row([vote('bob', 'approve', { voidedAt: now })]), 'bob')).toBe(false);
  });

  test('who voted by one name does not by another', () => {
    const voted = row([vote('bob', 'deny', { email: 'Bob@example.com' })]);
    expect(hasVoted(voted, humanOf({ id: 'bob2', email: ' bob@example.com' }))).toBe(true);
    expect(hasVoted(voted, humanOf({ id: 'bob2', email: null }))).toBe(false);
    expect([humanOf({ id: 'x', email: '' }), humanOf({ id: 'y', email: ' ' })]).toEqual(['x', 'y']);
  });

  test('the stages, as far as they are', () => {
    const stages = [
      { name: 'security', needed: 1, groups: ['security'], people: [] },
      { name: 'owners', needed: 1, groups: ['owners'], people: ['bob'] },
    ];
    const kept = keptStages(stages);
    expect(kept).toMatchObject({ approverGroups: ['security', 'owners'], approverPeople: ['bob'] });
    const staged = { ...row([vote('sue', 'approve')]), ...kept };
    expect(presentRequest(staged).stages).toEqual([
      { ...stages[0], agreed: 1, open: false },
      { ...stages[1], agreed: 0, open: true },
    ]);
    expect(presentRequest({ ...staged, state: 'denied' }).stages.some(({ open }) => open)).toBe(false);
    expect(presentRequest({ ...row([]), approvalsNeeded: 0 }).stages).toEqual([]);
    expect(requestFacts(staged)).toMatchObject({ stageGroups: ['security', 'owners'], stagePeople: ['bob'] });
  });

  test('the instant in a plan survives the store', () => {
    const plan = { ...planOf(row([])), endsAt: now };
    const kept = JSON.parse(JSON.stringify(keptPlan(plan))) as RequestRow['plan'];
    expect(planOf({ plan: kept })).toEqual(plan);
    expect(planOf(row([])).endsAt).toBeNull();
  });
});

describe('period', () => {
  const after = (minutes: number): Date => new Date(now.getTime() + minutes * 60_000);
  test.each<[string, Date | null, Date]>([
    ['at once', null, now],
    ['from a time that passed while approvals were awaited', after(-10), now],
    ['from this very moment', now, now],
    ['from later', after(90), after(90)],
  ])('%s', (_, startsAt, expected) => {
    const found = period({ startsAt, durationMinutes: 30 }, now);
    expect(found).toEqual({ startsAt: expected, endsAt: new Date(expected.getTime() + 30 * 60_000) });
  });

  test('is as long as was asked for and never begins in the past', () => {
    const lead = fc.option(fc.integer({ min: -100_000, max: 100_000 }));
    fc.assert(
      fc.property(lead, fc.integer({ min: 1, max: 44_640 }), (minutes, durationMinutes) => {
        const { startsAt, endsAt } = period(
          { startsAt: minutes === null ? null : after(minutes), durationMinutes },
          now,
        );
        return startsAt >= now && endsAt.getTime() - startsAt.getTime() === durationMinutes * 60_000;
      }),
    );
  });
});
