import { describe, expect, test } from 'vitest';
import { ClaimError, personFromClaims } from './claims.js';

const base = { iss: 'https://idp.example', sub: '42' };

describe('the person in the claims', () => {
  test('everything there is', () => {
    const claims = {
      ...base,
      email: 'ana@example.com',
      preferred_username: 'ana',
      groups: ['engineers', 'dba', 'engineers'],
      auth_time: 1_700_000_000,
      acr: 'urn:mfa',
      amr: ['pwd', 'otp'],
    };
    expect(personFromClaims(claims)).toEqual({
      issuer: 'https://idp.example',
      subject: '42',
      name: 'ana@example.com',
      email: 'ana@example.com',
      preferredUsername: 'ana',
      groups: ['engineers', 'dba'],
      authenticatedAt: new Date(1_700_000_000_000),
      acr: 'urn:mfa',
      amr: ['pwd', 'otp'],
    });
  });

  test('nothing but a subject', () => {
    expect(personFromClaims({ ...base, email: null, groups: null })).toEqual({
      issuer: 'https://idp.example',
      subject: '42',
      name: '42',
      groups: [],
    });
  });

  test('an e-mail that the provider did not verify names nobody', () => {
    const person = personFromClaims({
      ...base,
      email: 'boss@example.com',
      email_verified: false,
      preferred_username: 'ana',
    });
    expect(person).toMatchObject({ name: 'ana' });
    expect(person).not.toHaveProperty('email');
  });

  test.each<[string, Record<string, unknown>, string[]]>([
    ['realm_access.roles', { realm_access: { roles: ['a'] } }, ['a']],
    ['https://example.com/groups', { 'https://example.com/groups': ['b'] }, ['b']],
    ['groups', { groups: ' Database admins ' }, ['Database admins']], // one group, never the group `admins`
    ['groups', { groups: '' }, []],
    ['realm_access.roles', { realm_access: 'roles' }, []],
    ['constructor.name', {}, []],
    ['a.b', { a: ['b'] }, []],
  ])('groups at %s of %o', (path, claims, groups) => {
    expect(personFromClaims({ ...base, ...claims }, { groupsClaim: path }).groups).toEqual(groups);
  });

  test.each<[string, Record<string, unknown>]>([
    ['no sub', { sub: undefined }],
    ['an empty sub', { sub: '' }],
    ['a blank sub', { sub: '  ' }],
    ['a long sub', { sub: 'x'.repeat(256) }],
    ['a sub with a line break', { sub: 'a\nb' }],
    ['a sub with NUL', { sub: 'a\0' }],
    ['a numeric sub', { sub: 42 }],
    ['a direction override in the name', { preferred_username: 'ana\u202egnp' }],
    ['half a character', { email: 'a\ud800' }],
    ['a long e-mail', { email: `${'x'.repeat(255)}@example.com` }],
    ['an e-mail that is an object', { email: {} }],
    ['groups that are an object', { groups: { a: true } }],
    ['groups that are a number', { groups: 7 }],
    ['a group that is a number', { groups: ['a', 7] }],
    ['an empty group', { groups: [''] }],
    ['a group with a tab', { groups: ['a\tb'] }],
    ['a long group', { groups: ['x'.repeat(257)] }],
    ['too many groups', { groups: Array.from({ length: 1_001 }, (_, index) => `g${index}`) }],
    ['groups left out', { _claim_names: { groups: 'src1' } }],
    ['groups left out with a mere mark', { hasgroups: true }],
    ['an ID token', { nonce: 'n' }],
    ['an ID token of the hybrid flow', { s_hash: 'h' }],
    ['a logout token', { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }],
    ['an ID token of Keycloak', { typ: 'ID' }],
    ['a refresh token of Keycloak', { typ: 'Refresh' }],
    ['an auth_time that is text', { auth_time: 'now' }],
    ['a negative auth_time', { auth_time: -1 }],
    ['an auth_time beyond time', { auth_time: 1e300 }],
    ['amr that is a number', { amr: 1 }],
  ])('refuses %s', (_, claims) => {
    expect(() => personFromClaims({ ...base, ...claims })).toThrow(ClaimError);
  });

  test('a prefix stands before each group, also before one that spells it', () => {
    const names = { groupsPrefix: 'partner:' };
    expect(personFromClaims({ ...base, groups: ['admins', 'partner:admins'] }, names).groups).toEqual([
      'partner:admins',
      'partner:partner:admins',
    ]);
  });

  test('an IAM principal is believed only under the name that was configured', () => {
    const claims = { ...base, aws_principal: 'arn:aws:iam::123456789012:user/ana' };
    expect(personFromClaims(claims)).not.toHaveProperty('awsPrincipal');
    expect(personFromClaims(claims, { awsPrincipalClaim: 'aws_principal' }).awsPrincipal).toBe(claims.aws_principal);
  });

  test('the refusal does not repeat the value', () => {
    expect(() => personFromClaims({ ...base, email: 'secret\n' })).toThrow(/^has a email that is not printable$/);
  });
});
