import { describe, expect, test } from 'vitest';
import { MalformedPolicy, parsePolicy } from './policy-document.ts';
import { evaluate, evaluateTrust } from './policy-evaluator.ts';
import type { PolicyLayers } from './policy-evaluator.ts';
import type { Context } from './policy-pattern.ts';

type Json = Record<string, unknown>;
const policy = (...statements: Json[]) =>
  parsePolicy(JSON.stringify({ Version: '2012-10-17', Statement: statements }), 'identity');
const allow = (Action: unknown, Resource: unknown, Condition?: Json): Json => ({
  Effect: 'Allow',
  Action,
  Resource,
  ...(Condition === undefined ? {} : { Condition }),
});
const deny = (Action: unknown, Resource: unknown): Json => ({ ...allow(Action, Resource), Effect: 'Deny' });

const connect = 'rds-db:connect';
const alice = 'arn:aws:rds-db:eu-west-1:123456789012:dbuser:cluster-ABC/alice';
const outcome = (layers: PolicyLayers, resource = alice, context: Context = {}, action = connect) =>
  evaluate(layers, { action, resource, context }).outcome;
const one = (statement: Json, resource = alice, context: Context = {}, action = connect) =>
  outcome({ identity: [policy(statement)] }, resource, context, action);

describe('layers', () => {
  const yes = policy(allow(connect, '*'));
  const no = policy(deny(connect, '*'));
  const other = policy(allow('s3:GetObject', '*'));
  test.each<[string, PolicyLayers, string]>([
    ['nothing allows', { identity: [] }, 'implicitDeny'],
    ['one allows', { identity: [other, yes] }, 'allowed'],
    ['deny wins over allow, in whatever order', { identity: [yes, no] }, 'explicitDeny'],
    ['the session narrows', { identity: [yes], session: [other] }, 'implicitDeny'],
    ['the session alone gives nothing', { identity: [other], session: [yes] }, 'implicitDeny'],
    ['both allow', { identity: [yes], session: [yes] }, 'allowed'],
    ['one of two session policies is enough', { identity: [yes], session: [other, yes] }, 'allowed'],
    ['an empty session narrows to nothing', { identity: [yes], session: [] }, 'implicitDeny'],
    ['the session denies', { identity: [yes], session: [yes, no] }, 'explicitDeny'],
    ['the boundary narrows', { identity: [yes], boundary: other }, 'implicitDeny'],
    ['the boundary alone gives nothing', { identity: [], boundary: yes }, 'implicitDeny'],
    ['all three allow', { identity: [yes], session: [yes], boundary: yes }, 'allowed'],
    ['the boundary denies', { identity: [yes], session: [yes], boundary: no }, 'explicitDeny'],
  ])('%s', (_what, layers, expected) => {
    expect(outcome(layers)).toBe(expected);
  });
});

describe('actions and resources', () => {
  const arn = (user: string) => `arn:aws:rds-db:eu-west-1:123456789012:dbuser:${user}`;
  test.each<[string, Json, string]>([
    ['exactly', allow(connect, alice), 'allowed'],
    ['actions without case', allow('RDS-DB:Connect', alice), 'allowed'],
    ['resources with case', allow(connect, arn('cluster-ABC/Alice')), 'implicitDeny'],
    ['star in the action', allow('rds-db:*', alice), 'allowed'],
    ['star alone', allow('*', '*'), 'allowed'],
    ['another service', allow('rds:*', '*'), 'implicitDeny'],
    ['any resource, this user', allow(connect, arn('*/alice')), 'allowed'],
    ['question mark is one character', allow(connect, arn('cluster-AB?/alice')), 'allowed'],
    ['question mark is not none', allow(connect, arn('cluster-ABC/alice?')), 'implicitDeny'],
    [
      'slash for colon',
      allow(connect, 'arn:aws:rds-db:eu-west-1:123456789012:dbuser/cluster-ABC/alice'),
      'implicitDeny',
    ],
    ['another account', allow(connect, alice.replace('123456789012', '210987654321')), 'implicitDeny'],
    ['any region', allow(connect, alice.replace('eu-west-1', '*')), 'allowed'],
    ['a star does not cross into the next part', allow(connect, 'arn:aws:rds-db:*:dbuser:x:*'), 'implicitDeny'],
    ['one of several', allow(connect, [arn('x/y'), alice]), 'allowed'],
    ['NotAction takes out', { Effect: 'Allow', NotAction: connect, Resource: '*' }, 'implicitDeny'],
    ['NotAction leaves in', { Effect: 'Allow', NotAction: 'iam:*', Resource: '*' }, 'allowed'],
    ['NotResource takes out', { Effect: 'Allow', Action: '*', NotResource: alice }, 'implicitDeny'],
    ['NotResource leaves in', { Effect: 'Allow', Action: '*', NotResource: arn('x/y') }, 'allowed'],
  ])('%s', (_what, statement, expected) => {
    expect(one(statement)).toBe(expected);
  });

  test('many stars do not make matching slow', () => {
    const started = process.cpuUsage().user;
    expect(one(allow(connect, arn('*a'.repeat(50))), arn('a'.repeat(5000) + 'b'))).toBe('implicitDeny');
    // An exponential matcher would not come back at all; the bound is only there to fail instead of hanging.
    expect(process.cpuUsage().user - started).toBeLessThan(20_000_000);
  });
});

describe('policy variables', () => {
  const own = allow(connect, 'arn:aws:rds-db:*:*:dbuser:*/${aws:username}');
  test.each<[string, Context, string]>([
    ['the value matches', { 'aws:username': 'alice' }, 'allowed'],
    ['another value', { 'aws:username': 'bob' }, 'implicitDeny'],
    ['no value', {}, 'implicitDeny'],
    ['a star in the value is only a star', { 'aws:username': '*' }, 'implicitDeny'],
    ['keys without case', { 'AWS:UserName': 'alice' }, 'allowed'],
  ])('%s', (_what, context, expected) => {
    expect(one(own, alice, context)).toBe(expected);
  });

  test('the principal ARN', () => {
    const statement = allow('iam:GetUser', '${aws:PrincipalArn}');
    const me = 'arn:aws:iam::123456789012:user/alice';
    expect(() => policy(statement)).toThrow('must be in ARN format');
    const inArn = allow(connect, 'arn:aws:rds-db:*:*:dbuser:*/${aws:PrincipalArn}');
    expect(one(inArn, `arn:aws:rds-db:eu-west-1:1:dbuser:x/${me}`, { 'aws:PrincipalArn': me })).toBe('allowed');
  });

  test('${*} is a star and not a wildcard', () => {
    const statement = allow(connect, 'arn:aws:rds-db:*:*:dbuser:x/${*}');
    expect(one(statement, 'arn:aws:rds-db:r:a:dbuser:x/*')).toBe('allowed');
    expect(one(statement, 'arn:aws:rds-db:r:a:dbuser:x/alice')).toBe('implicitDeny');
  });

  test('version 2008-10-17 does not expand them', () => {
    const old = parsePolicy(JSON.stringify({ Version: '2008-10-17', Statement: own }), 'identity');
    expect(outcome({ identity: [old] }, alice, { 'aws:username': 'alice' })).toBe('implicitDeny');
  });
});

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
    expect(one(allow(connect, '*', condition), alice, context)).toBe(holds ? 'allowed' : 'implicitDeny');
  });
});

describe('documents that are refused', () => {
  const wrap = (Statement: unknown, Version = '2012-10-17') => JSON.stringify({ Version, Statement });
  const good = allow(connect, '*');
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

describe('trust policies', () => {
  const role = 'arn:aws:iam::123456789012:role/connect';
  const user = 'arn:aws:iam::123456789012:user/broker';
  const trust = (Principal: unknown, extra: Json = {}, Effect = 'Allow') =>
    parsePolicy(
      JSON.stringify({ Version: '2012-10-17', Statement: { Effect, Principal, Action: 'sts:AssumeRole', ...extra } }),
      'trust',
    );
  const ask = (document: ReturnType<typeof trust>, context: Context = {}) =>
    evaluateTrust(
      document,
      { arn: user, principalArn: user, accountId: '123456789012' },
      { action: 'sts:AssumeRole', resource: role, context },
    );
  test.each([
    ['by name', trust({ AWS: user }), 'named'],
    ['by account', trust({ AWS: '123456789012' }), 'account'],
    ['by the root ARN', trust({ AWS: 'arn:aws:iam::123456789012:root' }), 'account'],
    ['everyone is not a name', trust('*'), 'account'],
    ['another account', trust({ AWS: '210987654321' }), 'silent'],
    ['a service', trust({ Service: 'rds.amazonaws.com' }), 'silent'],
    ['another action', trust({ AWS: user }, { Action: 'sts:TagSession' }), 'silent'],
    ['denied', trust({ AWS: user }, {}, 'Deny'), 'denied'],
    [
      'a condition that fails',
      trust({ AWS: user }, { Condition: { StringEquals: { 'sts:ExternalId': 'x' } } }),
      'silent',
    ],
  ])('%s', (_what, document, expected) => {
    expect(ask(document)).toBe(expected);
  });

  test('a condition that holds', () => {
    const document = trust({ AWS: user }, { Condition: { StringEquals: { 'sts:ExternalId': 'x' } } });
    expect(ask(document, { 'sts:ExternalId': 'x' })).toBe('named');
  });

  test('a resource or no principal is refused', () => {
    expect(() => trust({ AWS: user }, { Resource: '*' })).toThrow('prohibited field');
    expect(() => trust({})).toThrow('Principal');
  });
});
