import { describe, expect, test } from 'vitest';
import { parsePolicy } from './policy-document.ts';
import { evaluate } from './policy-evaluator.ts';
import type { Context } from './policy-pattern.ts';

type Json = Record<string, unknown>;

/** A policy that allows everything on one condition. */
function outcomeUnder(condition: Json, context: Context): string {
  const statement = { Effect: 'Allow', Action: '*', Resource: '*', Condition: condition };
  const policy = parsePolicy(JSON.stringify({ Version: '2012-10-17', Statement: statement }), 'identity');
  return evaluate({ identity: [policy] }, { action: 'rds-db:connect', resource: '*', context }).outcome;
}

describe('conditions', () => {
  const time = { 'aws:CurrentTime': '2026-05-01T12:00:00Z' };
  const mfa = { 'aws:MultiFactorAuthPresent': 'true' };
  const key = (value: string) => ({ 'aws:SourceIdentity': value });
  const keys = (...values: string[]) => ({ 'aws:TagKeys': values });
  test.each<[string, Json, Context, boolean]>([
    ['DateLessThan before', { DateLessThan: { 'aws:CurrentTime': '2026-05-01T12:00:01Z' } }, time, true],
    ['DateLessThan at the very moment', { DateLessThan: { 'aws:CurrentTime': '2026-05-01T12:00:00Z' } }, time, false],
    [
      'DateLessThanEquals at the moment',
      { DateLessThanEquals: { 'aws:CurrentTime': '2026-05-01T12:00:00Z' } },
      time,
      true,
    ],
    [
      'DateGreaterThan with an offset',
      { DateGreaterThan: { 'aws:CurrentTime': '2026-05-01T13:59:59+02:00' } },
      time,
      true,
    ],
    ['a date as seconds', { DateGreaterThan: { 'aws:CurrentTime': '1000000000' } }, time, true],
    ['a date that is none', { DateLessThan: { 'aws:CurrentTime': 'tomorrow' } }, time, false],
    ['a date without the key', { DateLessThan: { 'aws:CurrentTime': '2099-01-01T00:00:00Z' } }, {}, false],
    [
      'two bounds, both hold',
      {
        DateGreaterThan: { 'aws:CurrentTime': '2026-01-01T00:00:00Z' },
        DateLessThan: { 'aws:CurrentTime': '2027-01-01T00:00:00Z' },
      },
      time,
      true,
    ],
    [
      'two bounds, one fails',
      {
        DateGreaterThan: { 'aws:CurrentTime': '2026-06-01T00:00:00Z' },
        DateLessThan: { 'aws:CurrentTime': '2027-01-01T00:00:00Z' },
      },
      time,
      false,
    ],
    ['StringEquals one of', { StringEquals: { 'aws:SourceIdentity': ['bob', 'alice'] } }, key('alice'), true],
    ['StringEquals with case', { StringEquals: { 'aws:SourceIdentity': 'Alice' } }, key('alice'), false],
    ['StringEqualsIgnoreCase', { StringEqualsIgnoreCase: { 'aws:SourceIdentity': 'Alice' } }, key('alice'), true],
    ['StringEquals takes a star literally', { StringEquals: { 'aws:SourceIdentity': 'a*' } }, key('alice'), false],
    ['StringLike', { StringLike: { 'aws:SourceIdentity': 'a*e' } }, key('alice'), true],
    ['StringNotEquals', { StringNotEquals: { 'aws:SourceIdentity': 'bob' } }, key('alice'), true],
    ['StringNotEquals without the key', { StringNotEquals: { 'aws:SourceIdentity': 'bob' } }, {}, true],
    ['StringNotLike', { StringNotLike: { 'aws:SourceIdentity': 'a*' } }, key('alice'), false],
    ['StringEqualsIfExists without the key', { StringEqualsIfExists: { 'aws:SourceIdentity': 'bob' } }, {}, true],
    [
      'StringEqualsIfExists with another',
      { StringEqualsIfExists: { 'aws:SourceIdentity': 'bob' } },
      key('alice'),
      false,
    ],
    [
      'ArnLike',
      { ArnLike: { 'aws:PrincipalArn': 'arn:aws:iam::*:role/sso/*' } },
      { 'aws:PrincipalArn': 'arn:aws:iam::1:role/sso/x' },
      true,
    ],
    [
      'ArnNotLike',
      { ArnNotLike: { 'aws:PrincipalArn': 'arn:aws:iam::*:role/sso/*' } },
      { 'aws:PrincipalArn': 'arn:aws:iam::1:role/sso/x' },
      false,
    ],
    [
      'ArnLike does not cross parts',
      { ArnLike: { 'aws:PrincipalArn': 'arn:aws:*:role/x' } },
      { 'aws:PrincipalArn': 'arn:aws:iam::1:role/x' },
      false,
    ],
    ['Bool', { Bool: { 'aws:MultiFactorAuthPresent': 'true' } }, mfa, true],
    ['Bool as JSON boolean', { Bool: { 'aws:MultiFactorAuthPresent': false } }, mfa, false],
    ['Bool without the key', { Bool: { 'aws:MultiFactorAuthPresent': 'false' } }, {}, false],
    ['Null true, absent', { Null: { 'aws:MultiFactorAuthPresent': 'true' } }, {}, true],
    ['Null true, present', { Null: { 'aws:MultiFactorAuthPresent': 'true' } }, mfa, false],
    ['Null false, present', { Null: { 'aws:MultiFactorAuthPresent': 'false' } }, mfa, true],
    [
      'NumericLessThan',
      { NumericLessThan: { 'aws:MultiFactorAuthAge': '300' } },
      { 'aws:MultiFactorAuthAge': '299' },
      true,
    ],
    ['IpAddress', { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } }, { 'aws:SourceIp': '10.9.8.7' }, true],
    ['IpAddress that RDS does not supply', { IpAddress: { 'aws:SourceIp': '0.0.0.0/0' } }, {}, false],
    ['ForAllValues, all known', { 'ForAllValues:StringEquals': { 'aws:TagKeys': ['a', 'b'] } }, keys('a', 'b'), true],
    [
      'ForAllValues, one unknown',
      { 'ForAllValues:StringEquals': { 'aws:TagKeys': ['a', 'b'] } },
      keys('a', 'c'),
      false,
    ],
    ['ForAllValues, none', { 'ForAllValues:StringEquals': { 'aws:TagKeys': ['a'] } }, {}, true],
    ['ForAnyValue, one known', { 'ForAnyValue:StringEquals': { 'aws:TagKeys': ['a'] } }, keys('c', 'a'), true],
    ['ForAnyValue, none', { 'ForAnyValue:StringEquals': { 'aws:TagKeys': ['a'] } }, {}, false],
    [
      'a variable in the value',
      { StringEquals: { 'aws:SourceIdentity': '${aws:username}' } },
      { ...key('alice'), 'aws:username': 'alice' },
      true,
    ],
  ])('%s', (_what, condition, context, holds) => {
    expect(outcomeUnder(condition, context)).toBe(holds ? 'allowed' : 'implicitDeny');
  });
});
