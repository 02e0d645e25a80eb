import { describe, expect, test } from 'vitest';
import { credentialsOf } from './socket-credentials.js';

const token = { authorization: 'Bearer a' };

test.each<[string, Parameters<typeof credentialsOf>, Record<string, string>]>([
  ['the first message', [{}, { Authorization: 'Bearer a' }], token],
  ['headers in it, as GraphiQL has them', [{}, { headers: { Authorization: 'Bearer a' } }], token],
  ['the header of the call', [{ authorization: 'Bearer a', cookie: 'b' }, {}], token],
  ['both, when they say the same', [token, { authorization: 'Bearer a' }], token],
  ['nothing', [{}, {}], {}],
  [
    'an empty name, which is no call for oneself',
    [token, { 'usher-on-behalf-of': '' }],
    { ...token, 'usher-on-behalf-of': '' },
  ],
  [
    'each by its own way',
    [token, { 'Usher-On-Behalf-Of': 'ana', 'usher-on-behalf-of-token': 'b', other: 'c' }],
    { ...token, 'usher-on-behalf-of': 'ana', 'usher-on-behalf-of-token': 'b' },
  ],
])('who it is says %s', (_what, [header, payload], expected) => {
  expect(credentialsOf(header, payload)).toEqual(expected);
});

describe('refused is', () => {
  test.each<[string, Parameters<typeof credentialsOf>]>([
    ['what header and message say differently', [token, { authorization: 'Bearer b' }]],
    ['what the message says twice', [{}, { authorization: 'Bearer a', Authorization: 'Bearer b' }]],
    ['what it says twice, at two depths', [{}, { 'usher-on-behalf-of': 'a', headers: { 'Usher-On-Behalf-Of': 'b' } }]],
    ['what is no text', [{}, { authorization: { toString: 'Bearer a' } }]],
    ['null', [{}, { authorization: null }]],
  ])('%s', (_what, [header, payload]) => {
    expect(() => credentialsOf(header, payload)).toThrow(/^(authorization|usher-on-behalf-of) is /);
  });
});
