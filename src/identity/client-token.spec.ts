import { describe, expect, test } from 'vitest';
import { ClaimError } from './claims.js';
import { clientIn } from './client-token.js';

const own = { sub: 'ci', client_id: 'ci' };
const person = { sub: 'ann', client_id: 'portal', auth_time: 1_700_000_000, email: 'ann@example.com' };

describe('whom a token stands for', () => {
  test.each<[string, Record<string, unknown>, string[] | undefined, string | undefined]>([
    ['a person, where no client is told', person, undefined, undefined],
    ['a person, where clients are told', person, ['subject', 'gty=client-credentials', 'clientHost'], undefined],
    ['a client that is its own subject', own, ['subject'], 'ci'],
    ['by azp', { sub: 'ci', azp: 'ci' }, ['subject'], 'ci'],
    [
      'by a claim and its value',
      { sub: 'ci@clients', azp: 'ci', gty: 'client-credentials' },
      ['gty=client-credentials'],
      'ci',
    ],
    ['by a value with an equals sign', { sub: 'x', azp: 'ci', kind: 'a=b' }, ['kind=a=b'], 'ci'],
    ['by a claim that is there', { sub: 'x', azp: 'ci', clientHost: '10.0.0.1' }, ['clientHost'], 'ci'],
    ['a person with another value', { sub: 'x', azp: 'ci', gty: 'password' }, ['gty=client-credentials'], undefined],
    ['a person of Entra ID', { sub: '4f1c', oid: '4f1c', azp: 'portal', scp: 'access' }, ['subject'], undefined],
    ['a client of Okta', { sub: 'ci', cid: 'ci' }, ['subject'], 'ci'],
    ['a person, where the claim is null', { sub: 'x', azp: 'ci', clientHost: null }, ['clientHost'], undefined],
    ['a person, where the claim is everybody’s', { sub: 'x', azp: 'ci' }, ['toString'], undefined],
  ])('%s', (_, claims, marks, client) => expect(clientIn(claims, marks)).toBe(client));

  test.each<[string, Record<string, unknown>, string[] | undefined]>([
    ['its own subject, where no client is told', own, undefined],
    ['its own subject, told otherwise', own, ['gty=client-credentials']],
    ['its own subject, as Okta has it', { sub: 'ci', cid: 'ci' }, undefined],
    ['its own subject, as Auth0 has it', { sub: 'ci@clients', azp: 'ci' }, undefined],
    ['of Auth0', { sub: 'x', azp: 'ci', gty: 'client-credentials' }, undefined],
    ['of Keycloak', { sub: '4f1c', azp: 'ci', clientHost: '10.0.0.1' }, ['subject']],
    ['of Entra ID', { sub: '4f1c', oid: '4f1c', azp: 'ci' }, undefined],
    ['of Entra ID, as an option', { sub: 'x', azp: 'ci', idtyp: 'app' }, undefined],
    ['whose person signed in', { ...own, auth_time: 1_700_000_000 }, ['subject']],
    ['of two clients', { ...own, azp: 'other' }, ['subject']],
    ['of no client', { sub: 'x', gty: 'client-credentials' }, ['gty=client-credentials']],
    ['of a client without a name', { sub: 'x', azp: ' ', gty: 'client-credentials' }, ['gty=client-credentials']],
  ])('refused: %s', (_, claims, marks) => expect(() => clientIn(claims, marks)).toThrow(ClaimError));
});
