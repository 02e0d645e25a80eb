import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { accountModes, accountPolicies, type AccountPolicy, maySign, usualModes } from './account-policies.js';

const ask = {
  partition: 'aws-us-gov',
  accountId: '210987654321',
  usherArn: 'arn:aws-us-gov:iam::123456789012:role/usher',
  externalId: 'shared',
  brokerRole: 'usher-broker',
  connectRole: 'usher-connect',
  peoplePath: 'people/',
};

test('no action has a wildcard, and every resource but that of reading is in the account', () => {
  for (const { Statement } of Object.values<AccountPolicy>({ ...accountPolicies(ask, accountModes) }))
    for (const { Action, Resource = [] } of Statement) {
      expect(Action.join()).not.toContain('*');
      for (const resource of Resource)
        if (resource === '*')
          expect(
            Action.every((name) => /^(?:rds:(?:Describe|List)|iam:GetAccountSummary$|iam:ListPolicies$)/.test(name)),
          ).toBe(true);
        else expect(resource).toMatch(/^arn:aws-us-gov:(?:iam|logs|rds|rds-db|secretsmanager):(?:\*)?:210987654321:/);
    }
});

test('only Usher with the external id opens the broker role, and only that role the connect role', () => {
  const { brokerTrust, connectTrust } = accountPolicies(ask, usualModes);
  expect(brokerTrust.Statement).toMatchObject([
    { Principal: { AWS: ask.usherArn }, Condition: { StringEquals: { 'sts:ExternalId': 'shared' } } },
  ]);
  expect(connectTrust.Statement[0]?.Principal).toEqual({ AWS: 'arn:aws-us-gov:iam::210987654321:role/usher-broker' });
});

test('session mode alone writes nothing into IAM and reads nothing of RDS', () => {
  const actions = accountPolicies(ask, ['session']).broker.Statement.flatMap(({ Action }) => Action);
  expect(actions.filter((name) => !name.startsWith('sts:'))).toEqual(['iam:SimulatePrincipalPolicy']);
});

test('unless it is asked for, no database is changed, no secret and no log is read', () => {
  const actions = accountPolicies(ask, usualModes).broker.Statement.flatMap(({ Action }) => Action);
  expect(actions.filter((name) => /^secretsmanager:|^logs:|^rds:(?!Describe|List)|LogFile/.test(name))).toEqual([]);
});

test('the key of the record is Usher’s own to use, and never that of a broker role', () => {
  const recordKeyArn = 'arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/1';
  const { usher, ...others } = accountPolicies({ ...ask, recordKeyArn }, accountModes);
  expect(usher.Statement.slice(1)).toEqual(maySign(recordKeyArn).Statement);
  expect(JSON.stringify(others)).not.toContain('kms:');
  expect(JSON.stringify(accountPolicies(ask, accountModes))).not.toContain('kms:');
});

test('a boundary is asked for where something is given, and nowhere else', () => {
  const peopleBoundary = 'arn:aws-us-gov:iam::210987654321:policy/people';
  const { Statement } = accountPolicies({ ...ask, peopleBoundary }, ['attached']).broker;
  const bounded = Statement.filter(({ Condition }) => JSON.stringify(Condition)?.includes(peopleBoundary));
  expect(bounded.flatMap(({ Action }) => Action)).toEqual([
    ...['iam:PutUserPolicy', 'iam:PutRolePolicy', 'iam:AttachUserPolicy', 'iam:AttachRolePolicy'],
  ]);
});

test('what is allowed is what the code calls, and the other way round', () => {
  const services = {
    iam: 'iam',
    rds: 'rds',
    'secrets-manager': 'secretsmanager',
    sts: 'sts',
    'cloudwatch-logs': 'logs',
    kms: 'kms',
  };
  const called = new Set<string>();
  const sources = readdirSync(import.meta.dirname).filter((name) => /(?<!spec)\.ts$/.test(name));
  for (const source of sources) {
    const text = readFileSync(join(import.meta.dirname, source), 'utf8');
    for (const [, names = '', client = ''] of text.matchAll(/import \{([^}]+)\} from '@aws-sdk\/client-([\w-]+)'/g))
      for (const [, page, call] of names.matchAll(/\bpaginate(\w+)|\b(\w+)Command\b/g))
        called.add(`${services[client as keyof typeof services]}:${page ?? call ?? ''}`);
  }
  called.delete('sts:GetCallerIdentity'); // allowed to everybody (AWS STS API reference)
  for (const carried of ['sts:SetSourceIdentity', 'sts:TagSession']) called.add(carried); // by AssumeRole
  const recordKeyArn = 'arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/1';
  const { broker, usher } = accountPolicies({ ...ask, recordKeyArn }, accountModes);
  const allowed = [...broker.Statement, ...usher.Statement].flatMap(({ Action }) => Action);
  expect([...called].sort()).toEqual([...new Set(allowed)].sort());
});
