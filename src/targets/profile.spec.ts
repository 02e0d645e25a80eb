import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { GuardProfile } from '../postgres/postgres.contract.js';
import { allowStatement, differences } from './profile.js';

const profile = {
  name: 'reporting-read',
  groups: ['orders_read', 'reports'],
  maxMinutes: 60,
  connectionLimit: 5,
  methods: ['iam'],
};
const allowed: GuardProfile = {
  name: 'reporting-read',
  groups: ['orders_read', 'reports'],
  maxMinutes: 60,
  connectionLimit: 5,
  methods: ['iam', 'password'],
  enabled: true,
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
    [
      'all of it',
      { name: 'x', groups: [], maxMinutes: 1, connectionLimit: 1, methods: [], enabled: false },
      [/off/, /groups/, /minutes/, /limit/, /method/],
    ],
  ])('%s', (_, there, expected) => {
    const found = differences(profile, there);
    expect(found).toHaveLength(expected.length);
    expected.forEach((text, index) => expect(found[index]).toMatch(text));
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
