import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { InspectedLease, InspectedLogin, TargetBackend } from '../postgres/postgres.contract.js';
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
  opened: more.state === 'active',
  guardProfile: 'read',
  groups: ['readers'],
  createsRoles: false,
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
          groups: [...grant.groups],
          connectionLimit: 5,
          method: grant.method,
          openedAt: grant.endsAt,
          endsAt: grant.endsAt,
        })),
        backends,
        preparedTransactions: 0,
        person: 'person-of-ana',
        ownedObjects: 0,
        directGrants: 0,
      };

function apply(target: Model, changes: readonly Change[], desired: readonly GrantToPlan[]): void {
  for (const change of changes) {
    const grant = 'grantId' in change ? desired.find(({ id }) => id === change.grantId) : undefined;
    switch (change.kind) {
      case 'close':
        target.leases.delete(change.grantId);
        target.closed.add(change.grantId);
        break;
      case 'repair':
        break; // the model has no life of its own: what its leases say is what it is
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

const kinds = ['close', 'repair', 'detach', 'terminate', 'open', 'attach'] as const;
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
  opened: fc.boolean(),
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
    grants.forEach(({ role, state, opened, ...more }, index) => {
      const at = role.startsWith('ending') ? 'closing' : state;
      const grant = wanted(`grant-${index}`, { ...more, state: at, opened: opened || at === 'active' });
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

  test('one that was open once and whose lease is gone is not closed again: its id is used up there', () => {
    const grant = wanted('g1', { state: 'closing', opened: true });
    expect(plan(situationOf(model({ closed: new Set(['g1']) }), [], [grant]))).toEqual([{ kind: 'terminate' }]);
  });

  test('its lease is closed even where the role was dropped: the next role of that name would have it', () => {
    const grant = wanted('g1', { state: 'closing', opened: true });
    const situation = situationOf(model({ leases: new Map([['g1', grant]]) }), [], [grant]);
    const actual = situation.actual && { ...situation.actual, exists: false };
    expect(plan({ ...situation, actual })).toEqual([{ kind: 'close', grantId: 'g1' }, { kind: 'terminate' }]);
  });

  test.each([-60_000, 60_000])(
    'an end that was moved by %d ms is told to the target by opening again',
    (milliseconds) => {
      const grant = wanted('g1', { state: 'active' });
      const moved = { ...grant, endsAt: new Date(endsAt.getTime() + milliseconds) };
      const leases = new Map([['g1', grant]]);
      expect(plan(situationOf(model({ leases, backends: [backend(7)] }), [moved]))).toEqual([
        { kind: 'open', grantId: 'g1' },
      ]);
    },
  );

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

describe('a login that is not what its leases say is repaired', () => {
  const grant = wanted('g1', { state: 'active', groups: ['readers', 'reporting'] });
  const repaired = [{ kind: 'repair' }];
  const found = (of: GrantToPlan, change: (actual: InspectedLogin) => Partial<InspectedLogin>): Situation => {
    const situation = situationOf(model({ leases: new Map([[of.id, of]]) }), [of]);
    if (!situation.actual) throw new Error('the model has no login');
    return { ...situation, actual: { ...situation.actual, ...change(situation.actual) } };
  };
  const without =
    (role: string) =>
    ({ memberships }: InspectedLogin): Partial<InspectedLogin> => ({
      memberships: memberships.filter((membership) => membership.role !== role),
    });

  test.each<[string, Situation]>([
    ['a group was lost', found(grant, without('reporting'))],
    ['rds_iam was lost', found(grant, without('rds_iam'))],
    ['the right to log in was lost', found(grant, () => ({ canLogin: false }))],
    ['CREATEROLE appeared', found(grant, () => ({ attributes: ['createrole'] }))],
    ['CREATEDB appeared', found({ ...grant, createsRoles: true }, () => ({ attributes: ['createrole', 'createdb'] }))],
  ])('%s', (_, situation) => expect(plan(situation)).toEqual(repaired));

  test('CREATEROLE of a profile that gives it is as it should be', () => {
    expect(plan(found({ ...grant, createsRoles: true }, () => ({ attributes: ['createrole'] })))).toEqual([]);
  });

  test('at the opening the promise is whole or it is asked for again', () => {
    expect(plan(found({ ...grant, state: 'opening' }, without('reporting')))).toEqual([
      { kind: 'open', grantId: 'g1' },
    ]);
  });

  test('a group that the target took off its list later leaves the grant active, with less', () => {
    const { actual } = found(grant, without('reporting'));
    expect(isOpen(grant, actual)).toBe(true);
    expect(isOpen({ ...grant, state: 'opening' }, actual)).toBe(false);
  });

  test('what a grant left behind that is ended and closed is taken away', () => {
    const ended = wanted('g1', { state: 'closing', opened: true });
    const situation = { ...found(ended, () => ({ leases: [] })), desired: [], ending: [ended] };
    expect(plan(situation)).toEqual([{ kind: 'repair' }, { kind: 'terminate' }]);
    const clean = { ...situation.actual, canLogin: false, memberships: [] } as InspectedLogin;
    expect(plan({ ...situation, actual: clean })).toEqual([{ kind: 'terminate' }]);
  });

  test('being the maker of a role, by the hand of a server from 16 on, is nothing to take away', () => {
    const made = { role: 'theirs', grantor: 'rdsadmin', admin: true, inherit: false, set: false };
    const ended = wanted('g1', { state: 'closing', opened: true });
    const actual = found(ended, () => ({ leases: [], canLogin: false, memberships: [made] })).actual;
    expect(plan({ desired: [], ending: [ended], actual, serverMajor: 17 })).toEqual([{ kind: 'terminate' }]);
    expect(remains(actual)).toEqual([]);
    const inherited = actual && { ...actual, memberships: [{ ...made, inherit: true }] };
    expect(remains(inherited)).toEqual(['it is still a member of theirs (granted by rdsadmin)']);
  });
});

describe('a look for drift asks for a repair', () => {
  const grant = wanted('g1', { state: 'active', mode: 'attached' });
  const held = (major: number, ...more: string[]): Situation => {
    const situation = situationOf(model({ major, leases: new Map([['g1', grant]]), backends: [backend(7)] }), [grant]);
    const [membership] = situation.actual?.memberships ?? [];
    if (!situation.actual || !membership) throw new Error('the model has no login');
    const memberships = [...situation.actual.memberships, ...more.map((role) => ({ ...membership, role }))];
    return { ...situation, actual: { ...situation.actual, memberships }, repair: true };
  };

  test('everything is said again, also what looks right, and nobody is cut', () => {
    expect(plan(held(15))).toEqual([{ kind: 'repair' }, { kind: 'attach', grantId: 'g1' }]);
  });

  test('up to PostgreSQL 15 what is taken back may live on in a session', () => {
    const cut = [{ kind: 'repair' }, { kind: 'terminate' }, { kind: 'attach', grantId: 'g1' }];
    expect(plan(held(15, 'writers'))).toEqual(cut);
    expect(plan(held(16, 'writers'))).toEqual([cut[0], cut[2]]);
    expect(plan({ ...held(15, 'writers'), repair: false })).toEqual([]);
  });

  test('a login that no grant leads to is cleared', () => {
    const left = situationOf(model({ leases: new Map([['x', wanted('x')]]), backends: [backend(7)] }), []);
    expect(plan({ ...left, repair: true })).toEqual([
      { kind: 'close', grantId: 'x' },
      { kind: 'repair' },
      { kind: 'terminate' },
    ]);
  });

  test('there is nothing to repair of a role that is gone', () => {
    expect(plan({ desired: [], ending: [], actual: undefined, serverMajor: 17, repair: true })).toEqual([]);
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
    person: 'person-of-ana',
    ownedObjects: 0,
    directGrants: 0,
  });
  const lease: InspectedLease = {
    ...{ grantId: 'g1', profile: 'read', groups: ['readers'], connectionLimit: 5, method: 'iam' },
    ...{ openedAt: endsAt, endsAt },
  };
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
