import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DomainError } from '../platform/errors.js';
import { endsAsPassword, loginBy, loginName, nameBehind, withSuffix, type Named } from './login-name.js';
import { roleSessionName } from './role-session-name.js';

const shape = /^[a-z_][a-z0-9_]{0,62}$/;

function codeOf(make: () => string): string {
  try {
    return make();
  } catch (error) {
    if (error instanceof DomainError && error.advice) return error.code;
    throw error;
  }
}

describe('login name', () => {
  test.each<[Named, string]>([
    [{ subject: 's', preferredUsername: 'alice' }, 'alice'],
    [{ subject: 's', preferredUsername: 'Alice.Smith@Example.com', email: 'other@example.com' }, 'alice_smith'],
    [{ subject: 's', email: 'José-María+db@example.com' }, 'jose_maria_db'],
    [{ subject: 's', preferredUsername: '李雷', email: 'li.lei@example.com' }, 'li_lei'],
    [{ subject: 'auth0|5f7c8ec7', preferredUsername: '@@' }, 'auth0_5f7c8ec7'],
    [{ subject: '00u1abc' }, '_00u1abc'],
    [{ subject: 's', preferredUsername: '__bob__--x' }, 'bob_x'],
    [{ subject: 's', preferredUsername: 'ﬁona' }, 'fiona'],
    [{ subject: 's', preferredUsername: 'bob"; drop role postgres; --' }, 'bob_drop_role_postgres'],
    [{ subject: 'x'.repeat(53) }, 'x'.repeat(53)],
  ])('%o → %s', (person, name) => {
    expect(loginName(person)).toBe(name);
  });

  test.each(
    ['pg_monitor', 'PG-read', 'rdsadmin', 'rds_superuser', 'usher', 'Usher.Broker', 'aws', 'postgres', 'master'].concat(
      ['admin', 'public', 'none', 'user', 'current_user', 'session-user', 'all', 'replication', 'root', 'DbOwner'],
    ),
  )('%s is reserved', (preferredUsername) => {
    expect(codeOf(() => loginName({ subject: 's', preferredUsername }, 'dbOwner'))).toBe('reserved_login_name');
  });

  test.each([{ subject: '李雷' }, { subject: 'x'.repeat(54) }, { subject: 's', preferredUsername: 'é'.repeat(54) }])(
    'no name out of %o',
    (person) => {
      expect(codeOf(() => loginName(person))).toBe('invalid_login_name');
    },
  );

  const text = fc.oneof(
    fc.string({ maxLength: 80 }),
    fc.string({ unit: 'binary', maxLength: 80 }),
    fc.stringMatching(/^(pg_|rds|usher|[0-9])?[a-zA-Z0-9_.@-]{0,70}$/),
  );
  const people = fc.record({ subject: text, email: text, preferredUsername: text }, { requiredKeys: ['subject'] });

  test('is always valid and never reserved, or refused; and the same every time', () => {
    fc.assert(
      fc.property(people, text, (person, masterUser) => {
        const name = codeOf(() => loginName(person, masterUser));
        expect(codeOf(() => loginName({ ...person }, masterUser))).toBe(name);
        if (name === 'reserved_login_name' || name === 'invalid_login_name') return;
        expect(name).toMatch(shape);
        expect(name).not.toMatch(/^(pg_|rds|usher|aws|postgres$|master$|admin$|public$)/);
        expect(name).not.toBe(masterUser.toLowerCase());
      }),
      { numRuns: 500 },
    );
  });

  test('with a suffix still fits, and two people who share a name get different ones', () => {
    fc.assert(
      fc.property(people, fc.webUrl(), text, text, (person, issuer, one, other) => {
        fc.pre(one !== other);
        const name = codeOf(() => loginName(person));
        const suffixed = withSuffix(name, issuer, one);
        expect(suffixed).toMatch(shape);
        expect(suffixed.startsWith(`${name}_`)).toBe(true);
        expect(suffixed).toBe(withSuffix(name, issuer, one));
        expect(suffixed).not.toBe(withSuffix(name, issuer, other));
        expect(suffixed).not.toBe(withSuffix(name, `${issuer}x`, one));
      }),
    );
  });

  test('of one person by token is never that of another by password', () => {
    const claimed = (person: Named, issuer: string): string => {
      const name = loginName(person);
      return endsAsPassword(name) ? withSuffix(name, issuer, person.subject) : name;
    };
    // two who share a stem, so that they would meet if they could
    const ending = fc.constantFrom('', '_pw', '-PW', '.pw_pw', '_p');
    fc.assert(
      fc.property(text, ending, ending, fc.webUrl(), (stem, one, other, issuer) => {
        const named = (end: string) =>
          codeOf(() => claimed({ subject: stem, preferredUsername: `${stem}${end}` }, issuer));
        const [mine, theirs] = [named(one), named(other)];
        fc.pre(![mine, theirs].some((name) => /^(reserved|invalid)_login_name$/.test(name)));
        expect(loginBy('password', mine)).toMatch(shape);
        expect(loginBy('password', mine)).not.toBe(theirs);
        for (const method of ['iam', 'password'] as const) expect(nameBehind(loginBy(method, mine))).toBe(mine);
      }),
      { numRuns: 500 },
    );
  });

  test('by password', () => {
    expect([loginBy('iam', 'jane'), loginBy('password', 'jane')]).toEqual(['jane', 'jane_pw']);
    expect(['jane', 'jane_pw', 'jane_pwd'].map(nameBehind)).toEqual(['jane', 'jane', 'jane_pwd']);
    expect(endsAsPassword(loginName({ subject: 's', preferredUsername: 'jane.pw' }))).toBe(true);
    expect(loginBy('password', 'x'.repeat(60))).toHaveLength(63);
    expect(codeOf(() => loginBy('password', 'x'.repeat(61)))).toBe('invalid_login_name');
  });

  test('issuer and subject do not run into each other', () => {
    expect(withSuffix('a', 'https://x', 'y')).not.toBe(withSuffix('a', 'https://', 'xy'));
    expect(withSuffix('bob', 'https://idp.example', '42')).toMatch(/^bob_[0-9a-f]{6}$/);
    expect(codeOf(() => withSuffix('x'.repeat(54), 'i', 's'))).toBe('invalid_login_name');
  });

  test('role session names are what AWS takes, stable, and tell people apart', () => {
    fc.assert(
      fc.property(text, text, text, (issuer, subject, name) => {
        const session = roleSessionName({ issuer, subject, name });
        expect(session).toMatch(/^[A-Za-z0-9_+=,.@-]{2,64}$/);
        expect(session).toBe(roleSessionName({ issuer, subject, name }));
        expect(session).not.toBe(roleSessionName({ issuer, subject: `${subject}x`, name }));
      }),
    );
    const alice = { issuer: 'https://idp.example', subject: '1', name: 'alice@example.com' };
    expect(roleSessionName(alice)).toMatch(/^alice@example\.com-[0-9a-f]{12}$/);
  });
});
