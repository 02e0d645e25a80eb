import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cloudFormation } from './account-cloudformation.js';
import {
  accountModes,
  accountPolicies,
  mayEnter,
  maySign,
  runBy,
  templateParts,
  usualModes,
} from './account-policies.js';
import { terraform } from './account-terraform.js';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- templates are read as AWS and Terraform read them: without types
type Json = Record<string, any>;

const ask = {
  partition: 'aws-cn',
  accountId: '210987654321',
  usherArn: 'arn:aws-cn:iam::123456789012:role/usher',
  externalId: 'shared',
  brokerRole: 'a-broker',
  connectRole: 'a-connect',
  peoplePath: 'staff/',
};
const printed = accountPolicies(ask, accountModes);
const entered = ['arn:aws-cn:iam::210987654321:role/a-broker', 'arn:aws-cn:iam::310987654321:role/a-broker'];
const recordKey = 'arn:aws-cn:kms:cn-north-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const values: Record<string, unknown> = {
  'data.aws_partition.current.partition': ask.partition,
  'data.aws_caller_identity.current.account_id': ask.accountId,
  'var.usher_arn': ask.usherArn,
  'var.external_id': ask.externalId,
  'var.broker_role': ask.brokerRole,
  'var.connect_role': ask.connectRole,
  'var.people_path': ask.peoplePath,
  'var.service': 'ecs-tasks.amazonaws.com',
  'var.broker_role_arns': entered,
  'var.record_key_arn': recordKey,
  'AWS::Partition': ask.partition,
  'AWS::AccountId': ask.accountId,
  UsherArn: ask.usherArn,
  ExternalId: ask.externalId,
  BrokerRole: ask.brokerRole,
  ConnectRole: ask.connectRole,
  PeoplePath: ask.peoplePath,
  Service: 'ecs-tasks.amazonaws.com',
  BrokerRoleArns: entered,
  RecordKeyArn: recordKey,
};

/** What Terraform and CloudFormation make of it: both name a value as `${…}`, CloudFormation only within Fn::Sub. */
const filled = (value: unknown, within = false): unknown => {
  if (typeof value === 'string') {
    const whole = /^\$\{([^}]+)\}$/.exec(value)?.[1];
    if (within && whole !== undefined) return values[whole];
    return within ? value.replace(/\$\{([^}]+)\}/g, (_, name: string) => String(values[name])) : value;
  }
  if (Array.isArray(value)) return value.map((each) => filled(each, within));
  if (typeof value !== 'object' || value === null) return value;
  const { 'Fn::Sub': text, Ref: name } = value as Json;
  if (text !== undefined) return filled(text, true);
  if (name !== undefined) return values[String(name)];
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, filled(inner, within)]));
};

/** All statements of the policies on one role, whichever policy they stand in. */
const statements = (documents: Json[]): unknown[] => documents.flatMap(({ Statement }) => Statement as unknown[]);

const inTerraform = (part: 'account' | 'usher') => {
  const { resource, locals } = terraform(part) as Json;
  const document = (text: string): Json => {
    const name = /^\$\{jsonencode\(local\.(\w+)\)\}$/.exec(text)?.[1] ?? text;
    return filled(locals[name], true) as Json;
  };
  const policies = Object.values<Json>(resource.aws_iam_role_policy);
  return {
    trust: (role: string) => document(resource.aws_iam_role[role].assume_role_policy),
    of: (role: string) =>
      statements(
        policies
          .filter((policy) => String(policy['role']).includes(`aws_iam_role.${role}`))
          .map(({ policy }) => document(policy)),
      ),
  };
};

const inCloudFormation = (part: 'account' | 'usher') => {
  const { Resources } = cloudFormation(part) as Json;
  const ofRole = ({ Type, Properties }: Json, role: string): boolean =>
    Type === 'AWS::IAM::RolePolicy' && Properties.RoleName.Ref === role;
  return {
    trust: (role: string) => filled(Resources[role].Properties.AssumeRolePolicyDocument),
    of: (role: string) =>
      statements(
        Object.values<Json>(Resources)
          .filter((resource) => ofRole(resource, role))
          .map(({ Properties }) => filled(Properties.PolicyDocument) as Json),
      ),
  };
};

describe.each([
  ['Terraform', inTerraform, { broker: 'broker', connect: 'connect', usher: 'usher' }],
  [
    'CloudFormation',
    inCloudFormation,
    { broker: 'BrokerRoleResource', connect: 'ConnectRoleResource', usher: 'UsherRole' },
  ],
] as const)('%s', (_, read, role) => {
  test('gives the roles of an account exactly what is printed', () => {
    const { trust, of } = read('account');
    expect(trust(role.broker)).toEqual(printed.brokerTrust);
    expect(of(role.broker)).toEqual(printed.broker.Statement);
    expect(trust(role.connect)).toEqual(printed.connectTrust);
    expect(of(role.connect)).toEqual(printed.connect.Statement);
  });

  test('lets Usher enter the broker roles that are named, and sign with the key that is, and no others', () => {
    const { trust, of } = read('usher');
    expect(trust(role.usher)).toEqual(runBy('ecs-tasks.amazonaws.com'));
    expect(of(role.usher)).toEqual([...mayEnter(entered).Statement, ...maySign(recordKey).Statement]);
  });
});

test('both leave out what was not asked for by name, and have no policy without a switch but that of the role itself', () => {
  const tf = terraform('account') as Json;
  expect(tf.variable.modes.default).toEqual(usualModes);
  const counted = Object.entries<Json>(tf.resource.aws_iam_role_policy).filter(([, { count }]) => count === undefined);
  expect(counted.map(([name]) => name)).toEqual(['itself']);
  const cf = cloudFormation('account') as Json;
  for (const [name, { 'Fn::Equals': equals }] of Object.entries<Json>(cf.Conditions)) {
    expect(equals).toEqual([{ Ref: name }, 'true']);
    expect(cf.Parameters[name].Default).toBe(String(!/Authentication|Secrets|Logs/.test(name)));
  }
  const always = Object.entries<Json>(cf.Resources).filter(([, { Condition }]) => Condition === undefined);
  expect(always.map(([name]) => name)).toEqual(['BrokerRoleResource', 'ItselfPolicy']);
});

test('both leave the key of the record out where none is named', () => {
  const { resource, variable } = terraform('usher') as Json;
  expect(variable.record_key_arn.default).toBe('');
  expect(resource.aws_iam_role_policy.sign_record.count).toBe('${var.record_key_arn == "" ? 0 : 1}');
  const { Parameters, Conditions, Resources } = cloudFormation('usher') as Json;
  expect(Parameters.RecordKeyArn.Default).toBe('');
  expect(Conditions[Resources.SignRecordPolicy.Condition]).toEqual({
    'Fn::Not': [{ 'Fn::Equals': [{ Ref: 'RecordKeyArn' }, ''] }],
  });
});

test('every name that a template uses is one that it has', () => {
  for (const part of templateParts) {
    const cf = cloudFormation(part) as Json;
    const names = [...JSON.stringify(cf).matchAll(/"Ref":"(\w+)"|\$\{(\w+)\}/g)].map(
      ([, ref, sub]) => ref ?? sub ?? '',
    );
    const known = [...Object.keys(cf.Parameters), ...Object.keys(cf.Resources)];
    expect(names.filter((name) => !known.includes(name))).toEqual([]);
    const tf = terraform(part) as Json;
    const text = JSON.stringify(tf);
    for (const [, kind, name = ''] of text.matchAll(/\b(var|local)\.(\w+)/g))
      expect(Object.keys(kind === 'var' ? tf.variable : tf.locals)).toContain(name);
    expect(Object.keys(tf.variable).filter((name) => !text.includes(`var.${name}`))).toEqual([]);
  }
});

test.each(templateParts)('deploy/aws/… of %s is what the command prints; else print it anew', (part) => {
  const file = (path: string): unknown => readFileSync(join(import.meta.dirname, '../../deploy/aws', path), 'utf8');
  const text = (template: object): string => `${JSON.stringify(template, null, 2)}\n`;
  expect(file(`terraform/${part}/main.tf.json`)).toBe(text(terraform(part)));
  expect(file(`cloudformation/${part}.json`)).toBe(text(cloudFormation(part)));
});
