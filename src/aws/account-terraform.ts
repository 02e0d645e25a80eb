import {
  accountModes,
  type AccountMode,
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

/**
 * The policies of an account, or of Usher's own principal, as Terraform with variables, in its JSON syntax (`.tf.json`):
 * each string is a template there, also within `locals`.
 */
export const terraform = (part: TemplatePart): Template => (part === 'usher' ? usherSide() : accountSide());

const open: AccountPoliciesOf = {
  partition: '${data.aws_partition.current.partition}',
  accountId: '${data.aws_caller_identity.current.account_id}',
  usherArn: '${var.usher_arn}',
  externalId: '${var.external_id}',
  brokerRole: '${var.broker_role}',
  connectRole: '${var.connect_role}',
  peoplePath: '${var.people_path}',
};

const variable = (description: string, rest: object = {}): object => ({ description, type: 'string', ...rest });
const encoded = (policy: string): string => `\${jsonencode(local.${policy})}`;
const when = (mode: AccountMode): string => `\${contains(var.modes, "${mode}") ? 1 : 0}`;
const snake = (mode: AccountMode): string => mode.replaceAll('-', '_');
const head = {
  '//': MADE_BY,
  terraform: {
    required_version: '>= 1.3',
    required_providers: { aws: { source: 'hashicorp/aws', version: '>= 5.0' } },
  },
};

function accountSide(): Template {
  const { connect, connectTrust, brokerTrust } = rolePolicies(open);
  const { itself, ...parts } = brokerParts(open);
  return {
    ...head,
    data: { aws_partition: { current: {} }, aws_caller_identity: { current: {} } },
    variable: accountVariables(),
    locals: {
      ...{ broker_trust: brokerTrust, connect_trust: connectTrust, connect, itself },
      ...Object.fromEntries(accountModes.map((mode) => [snake(mode), parts[mode]])),
    },
    resource: {
      aws_iam_role: {
        broker: { name: '${var.broker_role}', assume_role_policy: encoded('broker_trust') },
        connect: {
          count: when('session'),
          name: '${var.connect_role}',
          assume_role_policy: encoded('connect_trust'),
          // a trust policy may only name a role that is there
          depends_on: ['aws_iam_role.broker'],
        },
      },
      aws_iam_role_policy: {
        itself: { name: 'itself', role: '${aws_iam_role.broker.name}', policy: encoded('itself') },
        ...Object.fromEntries(accountModes.map((mode) => [snake(mode), brokerPolicy(mode)])),
        connect: {
          count: when('session'),
          name: 'connect',
          role: '${aws_iam_role.connect[0].name}',
          policy: encoded('connect'),
        },
      },
    },
    output: { broker_role_arn: { value: '${aws_iam_role.broker.arn}' } },
  };
}

const accountVariables = (): object => ({
  usher_arn: variable('ARN of the user or role that Usher runs as'),
  external_id: variable('What Usher says when it comes in; the same in POST /v1/accounts'),
  broker_role: variable('Name of the role that Usher comes in by', { default: 'usher-broker' }),
  connect_role: variable('Name of the role that signs tokens', { default: 'usher-connect' }),
  people_path: variable('Path of the users and roles of attached mode', { default: 'people/' }),
  modes: {
    description: `What Usher may do: ${accountModes.map((mode) => `${mode} (${modeUses[mode]})`).join(', ')}`,
    type: 'list(string)',
    default: usualModes,
  },
});

const brokerPolicy = (mode: AccountMode): object => ({
  count: when(mode),
  name: mode,
  role: '${aws_iam_role.broker.name}',
  policy: encoded(snake(mode)),
});

function usherSide(): Template {
  const [statement] = mayEnter([]).Statement;
  return {
    ...head,
    variable: {
      role: variable('Name of the role that Usher runs as', { default: 'usher' }),
      service: variable('AWS service that runs it', { default: 'ecs-tasks.amazonaws.com' }),
      broker_role_arns: { description: 'Broker roles that Usher comes in by', type: 'list(string)' },
      record_key_arn: variable('Key in AWS KMS that signs the record; empty: none does', { default: '' }),
    },
    locals: {
      trust: runBy('${var.service}'),
      enter_accounts: { Version: '2012-10-17', Statement: [{ ...statement, Resource: '${var.broker_role_arns}' }] },
      sign_record: maySign('${var.record_key_arn}'),
    },
    resource: {
      aws_iam_role: { usher: { name: '${var.role}', assume_role_policy: encoded('trust') } },
      aws_iam_role_policy: {
        usher: { name: 'enter-accounts', role: '${aws_iam_role.usher.name}', policy: encoded('enter_accounts') },
        sign_record: {
          count: '${var.record_key_arn == "" ? 0 : 1}',
          name: 'sign-record',
          role: '${aws_iam_role.usher.name}',
          policy: encoded('sign_record'),
        },
      },
    },
    output: { usher_arn: { value: '${aws_iam_role.usher.arn}' } },
  };
}
