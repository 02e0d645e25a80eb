import { describe, expect, test } from 'vitest';
import { parsePolicy } from './policy-document.ts';
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
