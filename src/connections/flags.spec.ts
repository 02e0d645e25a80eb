import { describe, expect, test } from 'vitest';
import { ConnectionFlag, LoginKind } from './connections.contract.js';
import { flagsOf, type Judged } from './flags.js';
import type { GrantPeriod, Match, Mint } from './match.js';

const person: Judged = {
  login: 'ana',
  loginKind: LoginKind.person,
  clientAddress: '10.0.0.1',
  tls: true,
  tlsVersion: 'TLSv1.3',
  iam: true,
  authMethod: null,
  knownAddresses: new Set(),
};
const period: GrantPeriod = {
  ...{ id: 'g', personId: 'ana', login: 'ana', method: 'iam', mode: 'session' },
  ...{ openedAt: new Date(0), endsAt: new Date(1), closedAt: null },
};
const mint: Mint = {
  ...{ id: 'm', grantId: 'g', endpoint: 'writer', host: 'h', port: 1 },
  ...{ at: new Date(0), expiresAt: new Date(1) },
};
const fine: Match = { grant: period, mint, certain: true };
const none: Match = { grant: undefined, mint: undefined, certain: true };
const byPassword: Match = { grant: { ...period, method: 'password' }, mint: undefined, certain: true };
const { no_grant, no_mint, password_for_token, no_tls, old_tls, unknown_login, administrator, new_address } =
  ConnectionFlag;
const stranger = { ...person, loginKind: LoginKind.unknown, iam: false };

describe('a session raises', () => {
  test.each<[string, Judged, Match, ConnectionFlag[]]>([
    ['nothing, with grant and token', person, fine, []],
    ['nothing, by a password where one is due', { ...person, iam: false }, byPassword, []],
    [
      'nothing, with a token of its own making',
      person,
      { ...fine, grant: { ...period, mode: 'attached' }, mint: undefined },
      [],
    ],
    ['no_grant', person, none, [no_grant]],
    ['no_mint', person, { ...fine, mint: undefined }, [no_mint]],
    ['password_for_token, by the log', { ...person, authMethod: 'scram-sha-256' }, fine, [password_for_token]],
    ['the same for md5, without a grant', { ...person, authMethod: 'md5' }, none, [no_grant, password_for_token]],
    ['password_for_token, by a login that no token opens', { ...person, iam: false }, fine, [password_for_token]],
    ['nothing for what the log calls pam', { ...person, authMethod: 'pam', iam: false }, fine, []],
    ['nothing for a login of which that is not known', { ...person, iam: null }, fine, []],
    ['no_tls', { ...person, tls: false, tlsVersion: null }, fine, [no_tls]],
    ['nothing where TLS may not be seen', { ...person, tls: null, tlsVersion: null }, fine, []],
    [
      'nothing on a socket of the server itself',
      { ...person, tls: false, tlsVersion: null, clientAddress: null },
      fine,
      [],
    ],
    ['old_tls', { ...person, tlsVersion: 'TLSv1.1' }, fine, [old_tls]],
    ['old_tls for 1.0', { ...person, tlsVersion: 'TLSv1' }, fine, [old_tls]],
    ['nothing for 1.2', { ...person, tlsVersion: 'TLSv1.2' }, fine, []],
    ['unknown_login', stranger, none, [unknown_login]],
    ['administrator', { ...stranger, loginKind: LoginKind.administrator }, none, [administrator]],
    ['both, without TLS', { ...stranger, tls: false }, none, [no_tls, unknown_login]],
    ['new_address', { ...person, knownAddresses: new Set(['10.0.0.2']) }, fine, [new_address]],
    ['nothing for a known one', { ...person, knownAddresses: new Set(['10.0.0.2', '10.0.0.1']) }, fine, []],
    ['no new address for a stranger', { ...stranger, knownAddresses: new Set(['10.0.0.2']) }, none, [unknown_login]],
  ])('%s', (_, session, found, expected) => {
    expect(flagsOf(session, found)).toEqual(expected);
  });
});
