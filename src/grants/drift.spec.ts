import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { InspectedLogin, InspectedMembership, Survey, TargetBackend } from '../postgres/postgres.contract.js';
import { drift, type Store } from './drift.js';
import { nameOf, standing, type Finding, type GrantToCompare } from './drift-finding.js';

const now = new Date('2026-03-10T10:00:00.000Z');
const at = (seconds: number): Date => new Date(now.getTime() + seconds * 1000);
const since = at(-1);
const endsAt = at(3600);

const grant = (more: Partial<GrantToCompare> = {}): GrantToCompare => ({
  ...{ id: 'grant-1', login: 'ana', personId: 'person-of-ana', state: 'active', endsAt },
  ...{
    openedAt: at(-600),
    closedAt: null,
    nextAttemptAt: null,
    groups: ['readers'],
    method: 'iam',
    mode: 'session',
    principalArn: null,
  },
  ...more,
});
const membership = (role: string, more: Partial<InspectedMembership> = {}): InspectedMembership => ({
  ...{ role, grantor: 'usher_owner', admin: false, inherit: true, set: false },
  ...more,
});
const lease = (more: object = {}) => ({
  ...{ grantId: 'grant-1', profile: 'read', groups: ['readers'], connectionLimit: 5, method: 'iam' as const },
  ...{ openedAt: at(-600), endsAt },
  ...more,
});
const backend: TargetBackend = {
  ...{ pid: 7, login: 'ana', database: 'orders', clientAddress: '10.0.0.9', clientPort: 50_000, tls: true },
  ...{ tlsVersion: 'TLSv1.3', tlsCipher: null, applicationName: 'psql', backendStart: at(-60), state: 'idle' },
};

/** As the guard makes it for `grant()`. */
const open = (more: Partial<InspectedLogin> = {}): InspectedLogin => ({
  ...{ login: 'ana', exists: true, canLogin: true, connectionLimit: 5, validUntil: endsAt, attributes: [] },
  ...{ retiredAt: null, memberships: [membership('rds_iam'), membership('readers')], members: [], leases: [lease()] },
  ...{ backends: [backend], preparedTransactions: 0, person: 'person-of-ana', ownedObjects: 0, directGrants: 0 },
  ...more,
});
/** As the guard leaves it. */
const closed = (more: Partial<InspectedLogin> = {}): InspectedLogin =>
  open({ canLogin: false, memberships: [], leases: [], backends: [], ...more });

interface Case {
  login?: InspectedLogin | null;
  grants?: GrantToCompare[];
  survey?: Partial<Survey>;
  store?: Partial<Store>;
}
const look = ({ login = open(), grants = [grant()], survey, store }: Case): Finding[] =>
  drift(
    { logins: login ? [login] : [], foreign: [], iamGroups: [], ...survey },
    { grants, people: new Map([['ana', 'person-of-ana']]), creatingRoles: new Set(['passwords']), ...store },
    since,
    now,
  );

const clean: Record<string, Case> = {
  'a live grant as it should be': {},
  'a closed login as it should be': { login: closed(), grants: [] },
  'an empty target': { login: null, grants: [] },
  'a login that was dropped, and nobody misses': { login: closed({ exists: false }), grants: [] },
  'a grant for later': { login: null, grants: [grant({ state: 'scheduled', openedAt: null })] },
  'a grant that is being opened': { login: null, grants: [grant({ state: 'opening', openedAt: null })] },
  'a lease whose opening is not on record yet': { grants: [grant({ state: 'opening', openedAt: null })] },
  'a grant that is being closed': { login: closed(), grants: [grant({ state: 'closing' })] },
  'a lease whose closing is under way': { grants: [grant({ state: 'closing' })] },
  'a grant that was opened during the look': { login: null, grants: [grant({ openedAt: now })] },
  'a lease that was closed during the look': { grants: [grant({ state: 'closed', closedAt: now })] },
  'an end that is on its way to the target': {
    login: open({ leases: [lease({ endsAt: at(60) })], validUntil: at(60) }),
    grants: [grant({ nextAttemptAt: now })],
  },
  'a lease that the target swept by its own clock': { login: closed(), grants: [grant({ endsAt: at(4) })] },
  'a grant that is over and waits for its closing': { login: closed(), grants: [grant({ endsAt: at(-60) })] },
  'two leases': {
    login: open({
      memberships: [membership('rds_iam'), membership('readers'), membership('writers')],
      leases: [lease(), lease({ grantId: 'grant-2', groups: ['writers'], endsAt: at(7200), connectionLimit: 9 })],
      connectionLimit: 9,
      validUntil: at(7200),
    }),
    grants: [grant(), grant({ id: 'grant-2', groups: ['writers'], endsAt: at(7200) })],
  },
  'a login for passwords': {
    login: open({ memberships: [membership('readers')], leases: [lease({ method: 'password' })] }),
    grants: [grant({ method: 'password' })],
  },
  'CREATEROLE of a profile that gives it': {
    login: open({ attributes: ['createrole'], leases: [lease({ profile: 'passwords' })] }),
  },
  'a connection limit that the DBA lowered': { login: open({ connectionLimit: 2 }) },
  'another last grantor up to PostgreSQL 15, where the guard can take it back all the same': {
    login: open({
      memberships: ['rds_iam', 'readers'].map((role) => membership(role, { grantor: 'dba', inherit: null, set: null })),
    }),
  },
  'a login of a guard that did not write down persons': { login: open({ person: null }) },
  'objects of the person’s own making': { login: closed({ ownedObjects: 3 }), grants: [] },
};

/** What is found, by kind and subject, and whether a reconcile mends it. */
const found: Record<string, [Case, ...[name: string, mended: boolean][]]> = {
  'a lease that no grant here knows': [{ grants: [] }, ['orphan_lease ana grant-1', true], session()],
  'a lease of a grant that is closed here': [
    { login: open({ backends: [] }), grants: [grant({ state: 'closed', closedAt: at(-60) })] },
    ['orphan_lease ana grant-1', true],
  ],
  'a lease of a grant that never opened': [
    { login: open({ backends: [] }), grants: [grant({ state: 'failed', closedAt: at(-60) })] },
    ['orphan_lease ana grant-1', true],
  ],
  'a lease of a grant for later': [
    { login: open({ backends: [] }), grants: [grant({ state: 'scheduled', openedAt: null })] },
    ['orphan_lease ana grant-1', true],
  ],
  "a lease under somebody else's grant": [
    { grants: [grant({ login: 'bob' })], login: open({ backends: [] }) },
    ['missing_lease bob grant-1', true],
    ['orphan_lease ana grant-1', true],
  ],
  'a second lease beside a live one': [
    { login: open({ leases: [lease(), lease({ grantId: 'grant-9' })] }) },
    ['orphan_lease ana grant-9', true],
  ],
  'a lease of a role that was dropped': [
    { login: closed({ exists: false, leases: [lease()] }), grants: [] },
    ['orphan_lease ana grant-1', true],
  ],
  'a login right without lease or grant': [
    { login: closed({ canLogin: true }), grants: [] },
    ['orphan_login ana', true],
  ],
  'a session without a grant': [{ login: closed({ backends: [backend] }), grants: [] }, session()],
  'a session of a role that was dropped': [
    { login: closed({ exists: false, backends: [{ ...backend, backendStart: null }] }), grants: [] },
    ['unknown_session ana 7', true],
  ],
  'a login that the target does not know': [{ login: null }, ['missing_lease ana grant-1', true]],
  'a lease that is gone': [{ login: closed() }, ['missing_lease ana grant-1', true]],
  'one lease of two': [
    { grants: [grant(), grant({ id: 'grant-2', groups: [] })] },
    ['missing_lease ana grant-2', true],
  ],
  'a lease to another end': [
    { login: open({ leases: [lease({ endsAt: at(60) })], validUntil: at(60) }) },
    ['lease_end ana grant-1', true],
  ],
  'a login that was dropped': [
    { login: closed({ exists: false, leases: [lease()] }), grants: [grant(), grant({ id: 'grant-2' })] },
    ['login_gone ana', true],
  ],
  'a login right that was taken': [{ login: open({ canLogin: false }) }, ['lost_login ana', true]],
  'a membership that was taken': [
    { login: open({ memberships: [membership('rds_iam')] }) },
    ['lost_membership ana readers', true],
  ],
  'rds_iam that was taken': [
    { login: open({ memberships: [membership('readers')] }) },
    ['lost_membership ana rds_iam', true],
  ],
  'a membership that no lease gives': [withMembership(membership('writers')), ['extra_membership ana writers', true]],
  'a membership of a closed login': [
    { login: closed({ memberships: [membership('readers')] }), grants: [] },
    ['extra_membership ana readers', true],
  ],
  'rds_iam on a login for passwords': [
    { login: open({ leases: [lease({ method: 'password' })] }), grants: [grant({ method: 'password' })] },
    ['extra_membership ana rds_iam', true],
  ],
  'a membership that may be handed on': [
    { login: open({ memberships: [membership('rds_iam'), membership('readers', { admin: true })] }) },
    ['extra_membership ana readers ADMIN', false],
  ],
  'an extra membership up to PostgreSQL 15': [
    withMembership(membership('writers', { grantor: 'dba', inherit: null, set: null })),
    ['extra_membership ana writers', true],
  ],
  'an extra membership by another grantor from 16 on': [
    withMembership(membership('writers', { grantor: 'dba' })),
    ['foreign_grantor ana writers dba', false],
  ],
  'the same membership by another grantor from 16 on': [
    withMembership(membership('readers', { grantor: 'dba' })),
    ['foreign_grantor ana readers dba', false],
  ],
  'an attribute': [{ login: open({ attributes: ['createdb'] }) }, ['attribute ana createdb', false]],
  'CREATEROLE of a profile that does not give it': [
    { login: open({ attributes: ['createrole'] }) },
    ['attribute ana createrole', true],
  ],
  'CREATEROLE that outlived its lease': [
    { login: closed({ attributes: ['createrole'] }), grants: [] },
    ['attribute ana createrole', true],
  ],
  'no connection limit': [{ login: open({ connectionLimit: -1 }) }, ['attribute ana connection limit', true]],
  'a higher connection limit': [{ login: open({ connectionLimit: 6 }) }, ['attribute ana connection limit', true]],
  'VALID UNTIL that was moved': [{ login: open({ validUntil: at(9_999) }) }, ['valid_until ana', true]],
  'VALID UNTIL that was taken off': [{ login: open({ validUntil: null }) }, ['valid_until ana', true]],
  'a member': [{ login: open({ members: ['bob'] }) }, ['member ana bob', true]],
  'another person': [{ login: open({ person: 'person-of-bob' }) }, ['wrong_person ana', false]],
  'a login that the store does not know': [
    { login: closed(), grants: [], store: { people: new Map() } },
    ['wrong_person ana', false],
  ],
  'rights of the login itself': [{ login: closed({ directGrants: 2 }), grants: [] }, ['direct_grant ana', false]],
  'a role with our marker': [{ survey: { foreign: ['intruder'] } }, ['foreign_marker intruder', false]],
  'rds_iam on a group': [{ survey: { iamGroups: ['developers'] } }, ['iam_group developers', false]],
};

function session(): [string, boolean] {
  return [`unknown_session ana 7 ${at(-60).toISOString()}`, true];
}
function withMembership(more: InspectedMembership): Case {
  return { login: open({ memberships: [...open().memberships, more] }) };
}

describe('nothing is found of', () => {
  test.each(Object.entries(clean))('%s', (_, given) => expect(look(given)).toEqual([]));
});

describe('is found', () => {
  test.each(Object.entries(found))('%s', (_, [given, ...names]) => {
    const findings = look(given);
    expect(findings.map((finding) => [nameOf(finding), finding.repair !== null])).toEqual(names);
    for (const { message, remedy, login, repair, subject } of findings) {
      expect(message).toMatch(/\.$/);
      expect(remedy).toMatch(/\.$/);
      expect(message).toContain(login ?? subject);
      if (repair !== null) expect(repair).toEqual({ how: 'reconcile', login });
    }
  });
});

describe('an administrator is told', () => {
  const [told] = look(found['the same membership by another grantor from 16 on']?.[0] ?? {});
  test('who alone can take a membership back', () => {
    expect(told?.message).toContain('stays when the lease ends');
    expect(told?.remedy).toContain('REVOKE readers FROM ana, as that role');
  });
  test('names as they are quoted', () => {
    const [{ remedy } = { remedy: '' }] = look({ survey: { foreign: ['Some "Role"'] } });
    expect(remedy).toContain('FROM "Some ""Role"""');
  });
});

describe('whatever is there', () => {
  const cases = Object.values(found).map(([given]) => given);
  const login = fc.constantFrom(...cases.flatMap((given) => given.login ?? [open()]), closed());
  const anything = fc.record({
    logins: fc.array(login, { maxLength: 4 }).map((all) => all.map((one, n) => ({ ...one, login: `login${n}` }))),
    grants: fc
      .array(fc.constantFrom(...cases.flatMap((given) => given.grants ?? [grant()])), { maxLength: 4 })
      .map((all) => all.map((one, n) => ({ ...one, login: `login${n % 3}`, id: `grant-${n}` }))),
  });

  test('each finding has one name, and the order of rows means nothing', () => {
    fc.assert(
      fc.property(anything, ({ logins, grants }) => {
        const [survey, store] = [
          { foreign: ['x', 'y'], iamGroups: ['z'] },
          { people: new Map<string, string>(), creatingRoles: new Set<string>() },
        ];
        const findings = drift({ ...survey, logins }, { ...store, grants }, since, now);
        expect(new Set(findings.map(nameOf)).size).toBe(findings.length);
        const turned = drift(
          { foreign: ['y', 'x'], iamGroups: ['z'], logins: [...logins].reverse() },
          { ...store, grants: [...grants].reverse() },
          since,
          now,
        );
        expect(turned).toEqual(findings);
      }),
    );
  });
});

describe('where a grant stands', () => {
  test.each<[string, Partial<GrantToCompare>, string]>([
    ['active', {}, 'live'],
    ['active since the look began', { openedAt: since }, 'moving'],
    ['active without the moment of its opening', { openedAt: null }, 'moving'],
    ['active and over', { endsAt: now }, 'moving'],
    ['opening', { state: 'opening' }, 'moving'],
    ['closing', { state: 'closing' }, 'moving'],
    ['closed long ago', { state: 'closed', closedAt: at(-60) }, 'none'],
    ['closed while it was looked at', { state: 'closed', closedAt: at(-0.5) }, 'moving'],
    ['failed long ago', { state: 'failed', closedAt: at(-60) }, 'none'],
    ['scheduled', { state: 'scheduled' }, 'none'],
  ])('%s', (_, more, expected) => expect(standing(grant(more), since, now)).toBe(expected));
});
