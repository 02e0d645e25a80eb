import {
  type AccountMode,
  accountModes,
  type AccountPoliciesOf,
  brokerParts,
  MADE_BY,
  mayEnter,
  maySign,
  modeUses,
  rolePolicies,
  runBy,
  type Template,
  type TemplatePart,
  usualModes,
} from './account-policies.js';

/** The policies of an account, or of Usher's own principal, as a CloudFormation template with parameters. */
export const cloudFormation = (part: TemplatePart): Template => (part === 'usher' ? usherSide() : accountSide());

const open: AccountPoliciesOf = {
  partition: '${AWS::Partition}',
  accountId: '${AWS::AccountId}',
  usherArn: '${UsherArn}',
  externalId: '${ExternalId}',
  brokerRole: '${BrokerRole}',
  connectRole: '${ConnectRole}',
  peoplePath: '${PeoplePath}',
};
const head = { AWSTemplateFormatVersion: '2010-09-09' };
const parameter = (Description: string, rest: object = {}): object => ({ Type: 'String', Description, ...rest });

function accountSide(): Template {
  const { connect, connectTrust, brokerTrust } = rolePolicies(open);
  const { itself, ...byMode } = brokerParts(open);
  const switches = accountModes.map((mode) => [
    camel(mode),
    parameter(`Lets Usher ${modeUses[mode]}`, {
      AllowedValues: ['true', 'false'],
      Default: String(usualModes.includes(mode)),
    }),
  ]);
  const policies = accountModes.map((mode) => [
    `${camel(mode)}Policy`,
    { Condition: camel(mode), ...policyOf('BrokerRoleResource', mode, byMode[mode]) },
  ]);
  return {
    ...head,
    Description: `The roles by which Usher works in an AWS account. ${MADE_BY}`,
    Parameters: {
      UsherArn: parameter('ARN of the user or role that Usher runs as'),
      ExternalId: parameter('What Usher says when it comes in; the same in POST /v1/accounts'),
      BrokerRole: parameter('Name of the role that Usher comes in by', { Default: 'usher-broker' }),
      ConnectRole: parameter('Name of the role that signs tokens', { Default: 'usher-connect' }),
      PeoplePath: parameter('Path of the users and roles of attached mode', { Default: 'people/' }),
      ...Object.fromEntries(switches),
    },
    Conditions: Object.fromEntries(
      accountModes.map((mode) => [camel(mode), { 'Fn::Equals': [{ Ref: camel(mode) }, 'true'] }]),
    ),
    Resources: {
      BrokerRoleResource: roleOf('BrokerRole', brokerTrust),
      ItselfPolicy: policyOf('BrokerRoleResource', 'itself', itself),
      ...Object.fromEntries(policies),
      // a trust policy may only name a role that is there
      ConnectRoleResource: {
        Condition: camel('session'),
        DependsOn: 'BrokerRoleResource',
        ...roleOf('ConnectRole', connectTrust),
      },
      ConnectPolicy: { Condition: camel('session'), ...policyOf('ConnectRoleResource', 'connect', connect) },
    },
    Outputs: { BrokerRoleArn: { Value: { 'Fn::GetAtt': ['BrokerRoleResource', 'Arn'] } } },
  };
}

function usherSide(): Template {
  const [statement] = mayEnter([]).Statement;
  const document = {
    Version: '2012-10-17',
    Statement: [{ ...statement, Resource: { Ref: 'BrokerRoleArns' } }],
  };
  return {
    ...head,
    Description: `The role that Usher runs as. ${MADE_BY}`,
    Parameters: {
      Role: parameter('Name of the role that Usher runs as', { Default: 'usher' }),
      Service: parameter('Service that runs it', { Default: 'ecs-tasks.amazonaws.com' }),
      BrokerRoleArns: { Type: 'CommaDelimitedList', Description: 'Broker roles that Usher comes in by' },
      RecordKeyArn: parameter('Key in AWS KMS that signs the record; empty: none does', { Default: '' }),
    },
    Conditions: { SignsByKms: { 'Fn::Not': [{ 'Fn::Equals': [{ Ref: 'RecordKeyArn' }, ''] }] } },
    Resources: {
      UsherRole: roleOf('Role', runBy('${Service}')),
      EnterAccountsPolicy: policyOf('UsherRole', 'enter-accounts', document),
      SignRecordPolicy: {
        Condition: 'SignsByKms',
        ...policyOf('UsherRole', 'sign-record', maySign('${RecordKeyArn}')),
      },
    },
    Outputs: { UsherArn: { Value: { 'Fn::GetAtt': ['UsherRole', 'Arn'] } } },
  };
}

const roleOf = (parameterName: string, trust: object): object => ({
  Type: 'AWS::IAM::Role',
  Properties: {
    RoleName: { Ref: parameterName },
    AssumeRolePolicyDocument: substituted(trust),
  },
});

const policyOf = (role: string, PolicyName: string, document: object): object => ({
  Type: 'AWS::IAM::RolePolicy',
  Properties: { RoleName: { Ref: role }, PolicyName, PolicyDocument: substituted(document) },
});

/** Strings with parameters in them become `Fn::Sub`. */
const substituted = (value: unknown): unknown => {
  if (typeof value === 'string') return value.includes('${') ? { 'Fn::Sub': value } : value;
  if (Array.isArray(value)) return value.map(substituted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, substituted(inner)]));
};

const camel = (mode: AccountMode): string =>
  `Allow${mode.replace(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase())}`;
