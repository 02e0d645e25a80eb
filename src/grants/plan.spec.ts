import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { InspectedLogin, TargetBackend } from '../postgres/postgres.contract.js';
import { isOpen, plan, remains, type Change, type GrantToPlan, type Situation } from './plan.js';

const endsAt = new Date('2026-03-10T11:00:00.000Z');
const backend = (pid: number): TargetBackend => ({
  pid,
  login: 'ana',
  database: 'orders',
  clientAddress: '127.0.0.1',
  clientPort: 50_000 + pid,
  tls: true,
  tlsVersion: 'TLSv1.3',
  tlsCipher: 'TLS_AES_256_GCM_SHA384',
  applicationName: 'psql',
  backendStart: endsAt,
  state: 'idle',
});
const wanted = (id: string, more: Partial<GrantToPlan> = {}): GrantToPlan => ({
  id,
  state: 'opening',
  endsAt,
  guardProfile: 'read',
  groups: ['readers'],
  method: 'iam',
  mode: 'session',
  ...more,
});

/** A target with one login, as far as the guard's calls change it. */
interface Model {
  major: number;
  leases: Map<string, GrantToPlan>;
  closed: Set<string>;
  policies: Set<string>;
  backends: TargetBackend[];
}
const model = (more: Partial<Model> = {}): Model => ({
  major: 17,
  leases: new Map(),
  closed: new Set(),
  policies: new Set(),
  backends: [],
  ...more,
});

const rolesOf = (leases: Iterable<GrantToPlan>): string[] => [
  ...new Set([...leases].flatMap(({ groups, method }) => [...groups, ...(method === 'iam' ? ['rds_iam'] : [])])),
];

const inspect = ({ leases, closed, backends }: Model): InspectedLogin | undefined =>
  leases.size + closed.size === 0
    ? undefined
    : {
        login: 'ana',
        exists: true,
        canLogin: leases.size > 0,
        connectionLimit: 5,
        validUntil: null,
        attributes: [],
        retiredAt: null,
        memberships: rolesOf(leases.values()).map((role) => ({
          role,
          grantor: 'usher_owner',
          admin: false,
          inherit: true,
          set: false,
        })),
        members: [],
        leases: [...leases.values()].map((grant) => ({
          grantId: grant.id,
          profile: grant.guardProfile,
          method: grant.method,
          openedAt: grant.endsAt,
          endsAt: grant.endsAt,
        })),
        backends,
        preparedTransactions: 0,
      };

function apply(target: Model, changes: readonly Change[], desired: readonly GrantToPlan[]): void {
  for (const change of changes) {
    const grant = 'grantId' in change ? desired.find(({ id }) => id === change.grantId) : undefined;
    switch (change.kind) {
      case 'close':
        target.leases.delete(change.grantId);
        target.closed.add(change.grantId);
        break;
      case 'detach':
        target.policies.delete(change.grantId);
        break;
      case 'terminate':
        target.backends = [];
        break;
      case 'open':
        if (grant) target.leases.set(grant.id, grant);
        break;
      case 'attach':
        target.policies.add(change.grantId);
        break;
    }
  }
}

const kinds = ['close', 'detach', 'terminate', 'open', 'attach'] as const;
const situationOf = (
  target: Model,
  desired: readonly GrantToPlan[],
  ending: readonly GrantToPlan[] = [],
): Situation => ({
  desired,
  ending,
  actual: inspect(target),
  serverMajor: target.major,
});

const grantOf = fc.record({
  state: fc.constantFrom('opening', 'active'),
  endsAt: fc.constantFrom(endsAt, new Date(endsAt.getTime() + 60_000)),
  groups: fc.subarray(['readers', 'writers', 'reporting'], { minLength: 1 }),
  mode: fc.constantFrom('session', 'attached'),
  role: fc.constantFrom(
    'desired',
    'ending',
    'orphan',
    'ending and unknown',
    'desired and unknown',
    'desired and moved',
  ),
});
/** Any login: with grants that live, end, are unknown to one side, sessions, on an old or a new server. */
const anything = fc
  .record({
    grants: fc.array(grantOf, { maxLength: 6 }),
    backends: fc.nat({ max: 3 }),
    major: fc.constantFrom(14, 15, 16, 17),
  })
  .map(({ grants, backends, major }) => {
    const target = model({ major, backends: Array.from({ length: backends }, (_, pid) => backend(pid + 1)) });
    const desired: GrantToPlan[] = [];
    const ending: GrantToPlan[] = [];
    grants.forEach(({ role, state, ...more }, index) => {
      const grant = wanted(`grant-${index}`, { ...more, state: role.startsWith('ending') ? 'closing' : state });
      if (role.startsWith('desired')) desired.push(grant);
      if (role.startsWith('ending')) ending.push(grant);
      if (role === 'desired and moved') target.leases.set(grant.id, { ...grant, endsAt: new Date(0) });
      else if (!role.endsWith('unknown')) target.leases.set(grant.id, grant);
      if (grant.mode === 'attached' && !role.endsWith('unknown')) target.policies.add(grant.id);
    });
    return { target, desired, ending };
  });

describe('any login', () => {
  test('is closed before it is detached, cut, opened and attached', () => {
    fc.assert(
      fc.property(anything, ({ target, desired, ending }) => {
        const order = plan(situationOf(target, desired, ending)).map(({ kind }) => kinds.indexOf(kind));
        expect(order).toEqual([...order].sort((a, b) => a - b));
      }),
    );
  });

  test('gets the same plan however its leases and grants are listed', () => {
    fc.assert(
      fc.property(anything, ({ target, desired, ending }) => {
        const situation = situationOf(target, desired, ending);
        expect(plan(situation)).toEqual(plan(situation));
        const turned = situation.actual && {
          ...situation.actual,
          leases: [...situation.actual.leases].reverse(),
          memberships: [...situation.actual.memberships].reverse(),
        };
        expect(plan({ ...situation, actual: turned })).toEqual(plan(situation));
      }),
    );
  });

  test('needs nothing more once the plan was applied', () => {
    fc.assert(
      fc.property(anything, ({ target, desired, ending }) => {
        apply(target, plan(situationOf(target, desired, ending)), desired);
        const active = desired.map((grant) => ({ ...grant, state: 'active' as const }));
        expect(plan(situationOf(target, active))).toEqual([]);
      }),
    );
  });

  test('has exactly what its live grants give afterwards', () => {
    fc.assert(
      fc.property(anything, ({ target, desired, ending }) => {
        apply(target, plan(situationOf(target, desired, ending)), desired);
        const after = inspect(target);
        expect([...target.leases.keys()].sort()).toEqual(desired.map(({ id }) => id).sort());
        for (const grant of desired) expect(isOpen(grant, after)).toBe(true);
        for (const { id } of ending) expect(target.policies.has(id)).toBe(false);
        if (desired.length === 0) expect(remains(after)).toEqual([]);
      }),
    );
  });

  test('keeps its sessions while a grant lives, from PostgreSQL 16 on', () => {
    fc.assert(
      fc.property(anything, ({ target, desired, ending }) => {
        fc.pre(desired.length > 0 && target.major >= 16);
        expect(plan(situationOf(target, desired, ending))).not.toContainEqual({ kind: 'terminate' });
      }),
    );
  });

  test('loses its sessions on any loss up to PostgreSQL 15: a SET ROLE outlives its REVOKE there', () => {
    fc.assert(
      fc.property(anything, ({ target, desired, ending }) => {
        const orphaned = [...target.leases.keys()].some(
          (id) => ![...desired, ...ending].some((grant) => grant.id === id),
        );
        fc.pre(target.major < 16 && (ending.length > 0 || orphaned));
        expect(plan(situationOf(target, desired, ending))).toContainEqual({ kind: 'terminate' });
      }),
    );
  });
});

describe('examples', () => {
  test('a first grant is opened, and nothing is cut', () => {
    expect(plan(situationOf(model(), [wanted('g1')]))).toEqual([{ kind: 'open', grantId: 'g1' }]);
  });

  test('in attached mode the policy comes last, and again after a crash between the two', () => {
    const grant = wanted('g1', { mode: 'attached' });
    expect(plan(situationOf(model(), [grant]))).toEqual([
      { kind: 'open', grantId: 'g1' },
      { kind: 'attach', grantId: 'g1' },
    ]);
    expect(plan(situationOf(model({ leases: new Map([['g1', grant]]) }), [grant]))).toEqual([
      { kind: 'attach', grantId: 'g1' },
    ]);
  });

  test('the last grant that ends takes policy and sessions with it', () => {
    const grant = wanted('g1', { mode: 'attached', state: 'closing' });
    expect(plan(situationOf(model({ leases: new Map([['g1', grant]]), backends: [backend(7)] }), [], [grant]))).toEqual(
      [{ kind: 'close', grantId: 'g1' }, { kind: 'detach', grantId: 'g1' }, { kind: 'terminate' }],
    );
  });

  test('of two overlapping grants the first that ends leaves the other and its sessions alone', () => {
    const [one, two] = [wanted('g1', { state: 'closing' }), wanted('g2', { state: 'active' })];
    const leases = new Map([one, two].map((grant) => [grant.id, grant]));
    expect(plan(situationOf(model({ leases, backends: [backend(7)] }), [two], [one]))).toEqual([
      { kind: 'close', grantId: 'g1' },
    ]);
  });

  test('a lease that no grant asks for is closed', () => {
    expect(plan(situationOf(model({ leases: new Map([['x', wanted('x')]]) }), []))).toEqual([
      { kind: 'close', grantId: 'x' },
      { kind: 'terminate' },
    ]);
  });

  test('an ending grant that the target does not know is closed there all the same: its opening may still be under way', () => {
    expect(plan(situationOf(model(), [], [wanted('g1', { state: 'closing' })]))).toContainEqual({
      kind: 'close',
      grantId: 'g1',
    });
  });

  test('sessions of a login without any grant are cut', () => {
    expect(plan(situationOf(model({ closed: new Set(['g0']), backends: [backend(7)] }), []))).toEqual([
      { kind: 'terminate' },
    ]);
  });

  test('a clean login without grants is left alone', () => {
    expect(plan(situationOf(model(), []))).toEqual([]);
    expect(plan(situationOf(model({ closed: new Set(['g0']) }), []))).toEqual([]);
  });
});

describe('is it open?', () => {
  const grant = wanted('g1', { groups: ['readers', 'reporting'] });
  const open = (): InspectedLogin => {
    const found = inspect(model({ leases: new Map([['g1', grant]]) }));
    if (!found) throw new Error('the model has no login');
    return found;
  };
  const without = (role: string) => open().memberships.filter((membership) => membership.role !== role);

  test('with lease, login right and all groups', () => expect(isOpen(grant, open())).toBe(true));
  test.each<[string, () => InspectedLogin | undefined]>([
    ['without a role', () => undefined],
    ['when the role was dropped', () => ({ ...open(), exists: false })],
    ['with NOLOGIN', () => ({ ...open(), canLogin: false })],
    ['without its lease', () => ({ ...open(), leases: [] })],
    [
      'with a lease to another end',
      () => ({ ...open(), leases: open().leases.map((lease) => ({ ...lease, endsAt: new Date(0) })) }),
    ],
    ['without one of its groups', () => ({ ...open(), memberships: without('reporting') })],
    ['without rds_iam', () => ({ ...open(), memberships: without('rds_iam') })],
  ])('not %s', (_, actual) => expect(isOpen(grant, actual())).toBe(false));
  test('a password login needs no rds_iam', () => {
    expect(isOpen({ ...grant, method: 'password' }, { ...open(), memberships: without('rds_iam') })).toBe(true);
  });
});

describe('what remains', () => {
  const clean = (): InspectedLogin => ({
    login: 'ana',
    exists: true,
    canLogin: false,
    connectionLimit: 5,
    validUntil: null,
    attributes: [],
    retiredAt: null,
    memberships: [],
    members: [],
    leases: [],
    backends: [],
    preparedTransactions: 0,
  });
  const lease = { grantId: 'g1', profile: 'read', method: 'iam', openedAt: endsAt, endsAt } as const;
  const membership = { role: 'readers', grantor: 'dba', admin: false, inherit: true, set: true };

  test.each<[string, InspectedLogin | undefined, RegExp[]]>([
    ['no role', undefined, []],
    ['a role that was dropped', { ...clean(), exists: false, canLogin: true }, []],
    ['a clean role', clean(), []],
    ['a right to log in', { ...clean(), canLogin: true }, [/log in/]],
    ['a live lease', { ...clean(), leases: [lease] }, [/1 leases/]],
    [
      'a membership by somebody else',
      { ...clean(), memberships: [membership] },
      [/member of readers \(granted by dba\)/],
    ],
    ['a session', { ...clean(), backends: [backend(7)] }, [/1 sessions/]],
    [
      'all of it',
      { ...clean(), canLogin: true, leases: [lease], memberships: [membership], backends: [backend(7)] },
      [/log in/, /leases/, /member/, /sessions/],
    ],
  ])('%s', (_, actual, expected) => {
    const found = remains(actual);
    expect(found).toHaveLength(expected.length);
    expected.forEach((text, index) => expect(found[index]).toMatch(text));
  });
});
