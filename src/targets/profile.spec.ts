import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { GuardProfile } from '../postgres/postgres.contract.js';
import { allowStatement, differences, profileProblems } from './profile.js';

const profile = {
  name: 'reporting-read',
  groups: ['orders_read', 'reports'],
  maxMinutes: 60,
  connectionLimit: 5,
  methods: ['iam'],
  managesPasswords: false,
  createsRoles: false,
};
const allowed: GuardProfile = {
  name: 'reporting-read',
  groups: ['orders_read', 'reports'],
  maxMinutes: 60,
  connectionLimit: 5,
  methods: ['iam', 'password'],
  enabled: true,
  managesPasswords: false,
  createsRoles: false,
};

describe('what differs from the allow-list', () => {
  test.each<[string, GuardProfile | undefined, RegExp[]]>([
    ['nothing', allowed, []],
    ['groups in another order', { ...allowed, groups: ['reports', 'orders_read'] }, []],
    ['the target allows longer', { ...allowed, maxMinutes: 480 }, []],
    ['it is not listed', undefined, [/not on the target's allow-list/]],
    ['it is switched off', { ...allowed, enabled: false }, [/switched off/]],
    ['the target gives fewer groups', { ...allowed, groups: ['orders_read'] }, [/groups there are orders_read/]],
    [
      'the target gives more groups',
      { ...allowed, groups: [...allowed.groups, 'admins'] },
      [/groups there are .*admins/],
    ],
    ['the target allows shorter', { ...allowed, maxMinutes: 59 }, [/59 minutes/]],
    ['another connection limit', { ...allowed, connectionLimit: 6 }, [/limit there is 6/]],
    ['a method that is not allowed', { ...allowed, methods: ['password'] }, [/method iam/]],
    ['the target lets it set passwords', { ...allowed, managesPasswords: true }, [/manages passwords there/]],
    ['the target gives CREATEROLE', { ...allowed, createsRoles: true }, [/gives CREATEROLE there/]],
    [
      'all of it',
      {
        ...{ name: 'x', groups: [], maxMinutes: 1, connectionLimit: 1, methods: [], enabled: false },
        ...{ managesPasswords: true, createsRoles: true },
      },
      [/off/, /groups/, /minutes/, /limit/, /method/, /passwords/, /CREATEROLE/],
    ],
  ])('%s', (_, there, expected) => {
    const found = differences(profile, there);
    expect(found).toHaveLength(expected.length);
    expected.forEach((text, index) => expect(found[index]).toMatch(text));
  });
});

describe('a profile that manages passwords', () => {
  const manager = { ...profile, groups: ['rds_password'], managesPasswords: true, approvalsNeeded: 2, readOnly: false };
  const there: GuardProfile = { ...allowed, groups: ['rds_password'], managesPasswords: true };

  test.each<[string, Partial<typeof manager>, string[]]>([
    ['as it must be', {}, []],
    ['with CREATEROLE', { createsRoles: true }, []],
    ['without approval', { approvalsNeeded: 0 }, ['approvalsNeeded']],
    ['with another group', { groups: ['orders_read'] }, ['groups']],
    ['with one more group', { groups: ['rds_password', 'orders_read'] }, ['groups']],
    ['said to be read-only', { readOnly: true }, ['readOnly']],
    ['that is none, with CREATEROLE', { managesPasswords: false, createsRoles: true }, ['createsRoles']],
    ['that is none, without approval', { managesPasswords: false, approvalsNeeded: 0, readOnly: true }, []],
    [
      'with all of it wrong',
      { approvalsNeeded: 0, groups: [], readOnly: true },
      ['groups', 'approvalsNeeded', 'readOnly'],
    ],
  ])('%s', (_, change, fields) => {
    expect(profileProblems({ ...manager, ...change }).map(({ field }) => field)).toEqual(fields);
  });

  test('must be one on the target too, by an act of its own', () => {
    expect(differences(manager, there)).toEqual([]);
    expect(differences(manager, { ...there, managesPasswords: false })).toEqual(['it may not manage passwords there']);
    expect(differences({ ...manager, createsRoles: true }, there)).toEqual(['it may not give CREATEROLE there']);
    expect(allowStatement({ ...manager, createsRoles: true })).toBe(
      `SELECT usher.allow_password_manager('reporting-read', 60, 5, creates_roles => true, methods => '{iam}');`,
    );
  });
});

describe('the statement for the owner of the target', () => {
  test('allows exactly this profile', () => {
    expect(allowStatement({ ...profile, methods: ['iam', 'password'] })).toBe(
      `SELECT usher.allow('reporting-read', '{orders_read,reports}', 60, 5, '{iam,password}');`,
    );
  });

  test('has every quote doubled, so that no name ends its literal', () => {
    expect(allowStatement({ ...profile, name: `x'); DROP TABLE lease; --` })).toContain(
      `usher.allow('x''); DROP TABLE lease; --', `,
    );
    fc.assert(
      fc.property(fc.string(), (name) => {
        const [literal] =
          /^SELECT usher\.allow\(('(?:[^']|'')*'), /s.exec(allowStatement({ ...profile, name }))?.slice(1) ?? [];
        expect(literal?.slice(1, -1).replaceAll("''", "'")).toBe(name);
      }),
    );
  });
});
