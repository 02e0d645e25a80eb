import { describe, expect, test } from 'vitest';
import { MalformedPolicy, parsePolicy } from './policy-document.ts';

const connect = 'rds-db:connect';

describe('documents that are refused', () => {
  const wrap = (Statement: unknown, Version = '2012-10-17') => JSON.stringify({ Version, Statement });
  const good = { Effect: 'Allow', Action: connect, Resource: '*' };
  test.each<[string, string]>([
    ['not JSON', '{'],
    ['no statement', '{"Version":"2012-10-17"}'],
    ['an empty list', wrap([])],
    ['an unknown version', wrap(good, '2020-01-01')],
    ['an unknown key', wrap({ ...good, Extra: 1 })],
    ['no effect', wrap({ Action: connect, Resource: '*' })],
    ['Action and NotAction', wrap({ ...good, NotAction: 'x:y' })],
    ['an action without a vendor', wrap({ ...good, Action: 'connect' })],
    ['a resource that is no ARN', wrap({ ...good, Resource: 'cluster-ABC' })],
    ['a principal', wrap({ ...good, Principal: '*' })],
    ['no resource', wrap({ Effect: 'Allow', Action: connect })],
    ['an unknown operator', wrap({ ...good, Condition: { StringIs: { 'a:b': 'c' } } })],
    [
      'one Sid twice',
      wrap([
        { ...good, Sid: 'A' },
        { ...good, Sid: 'A' },
      ]),
    ],
    ['a Sid with a blank', wrap({ ...good, Sid: 'a b' })],
    [
      'NotResource with a variable',
      wrap({ Effect: 'Allow', Action: '*', NotResource: 'arn:aws:s3:::${aws:username}' }),
    ],
  ])('%s', (_what, text) => {
    expect(() => parsePolicy(text, 'identity')).toThrow(MalformedPolicy);
  });
});
