import { accountModes, accountPolicies, type AccountMode, templateParts, usualModes } from '../aws/account-policies.js';
import { cloudFormation } from '../aws/account-cloudformation.js';
import { terraform } from '../aws/account-terraform.js';
import { needed, read, UsageError, type Command } from './command.js';

const help = `usage: npm run usher -- aws-policy --account <12 digits> --usher <ARN> --external-id <text>
         [--mode session] [--mode attached] [--mode discovery] [--mode logs] [--mode iam-authentication]
         [--mode secrets]
         [--partition aws|aws-cn|aws-us-gov] [--broker-role usher-broker] [--connect-role usher-connect]
         [--people-path people/] [--people-boundary <ARN>] [--record-key <ARN>]
   or: npm run usher -- aws-policy --format terraform|cloudformation [--part account|usher]

Prints, as one JSON object, the least IAM policies that let Usher work in an account: for Usher's own user or role (--usher),
for the broker role that it assumes there, and for the connect role whose sessions sign tokens, each role with its trust
policy. Without --mode they allow session, attached and discovery. With --people-boundary, attached mode gives only to
users and roles that have this permissions boundary. With --record-key, Usher's own principal may sign checkpoints of the
record with this key in AWS KMS.

With --format it prints the same policies with variables in place of what differs from account to account: what is in
deploy/aws. docs/aws-accounts.md explains them.`;

const options = {
  account: { type: 'string' },
  usher: { type: 'string' },
  'external-id': { type: 'string' },
  mode: { type: 'string', multiple: true },
  partition: { type: 'string', default: 'aws' },
  'broker-role': { type: 'string', default: 'usher-broker' },
  'connect-role': { type: 'string', default: 'usher-connect' },
  'people-path': { type: 'string', default: 'people/' },
  'people-boundary': { type: 'string' },
  'record-key': { type: 'string' },
  format: { type: 'string', default: 'json' },
  part: { type: 'string' },
} as const;

const templates = { terraform, cloudformation: cloudFormation } as const;

export const command: Command = {
  help,
  run: (args) => {
    const { values } = read(args, options, []);
    console.log(JSON.stringify(values.format === 'json' ? policiesOf(values) : templateOf(values), null, 2));
    return Promise.resolve(0);
  },
};

type Values = ReturnType<typeof read<typeof options>>['values'];

function policiesOf(values: Values): object {
  if (values.part !== undefined) throw new UsageError('--part goes with --format terraform or cloudformation.');
  const asked = {
    accountId: matching(values.account, '--account', '123456789012', /^[0-9]{12}$/),
    partition: matching(values.partition, '--partition', 'aws', /^aws(-cn|-us-gov)?$/),
    usherArn: matching(
      values.usher,
      '--usher',
      'arn:aws:iam::111122223333:role/usher',
      /^arn:aws[a-z-]*:iam::[0-9]{12}:(?:user|role)\/[\w+=,.@/-]{1,576}$/,
    ),
    externalId: matching(values['external-id'], '--external-id', 'a-text-of-yours', /^[\w+=,.@:/-]{2,1224}$/),
    brokerRole: matching(values['broker-role'], '--broker-role', 'usher-broker', /^[\w+=,.@/-]{1,128}$/),
    connectRole: matching(values['connect-role'], '--connect-role', 'usher-connect', /^[\w+=,.@/-]{1,128}$/),
    peoplePath: matching(values['people-path'], '--people-path', 'people/', /^(?:[\w+=,.@-]{1,64}\/){1,8}$/),
  };
  const boundary = values['people-boundary'];
  const arn = 'arn:aws:iam::123456789012:policy/people';
  const form = /^arn:aws[a-z-]*:iam::(?:[0-9]{12}|aws):policy\/[\w+=,.@/-]{1,576}$/;
  const peopleBoundary = boundary === undefined ? undefined : matching(boundary, '--people-boundary', arn, form);
  return accountPolicies({ ...asked, peopleBoundary, recordKeyArn: recordKeyOf(values) }, modesOf(values.mode));
}

/** Of a key, not of an alias: a policy that names an alias as its resource allows nothing. */
function recordKeyOf({ 'record-key': arn }: Values): string | undefined {
  const example = 'arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';
  const form = /^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key\/[A-Za-z0-9-]{1,128}$/;
  return arn === undefined ? undefined : matching(arn, '--record-key', example, form);
}

function templateOf({ format, part = 'account', ...values }: Values): object {
  if (!Object.hasOwn(templates, format)) throw new UsageError('--format is json, terraform or cloudformation.');
  const given = [
    values.account,
    values.usher,
    values['external-id'],
    values.mode,
    values['people-boundary'],
    values['record-key'],
  ];
  if (given.some((value) => value !== undefined))
    throw new UsageError('With --format, what differs from account to account is a variable: give --part alone.');
  const known = templateParts.find((each) => each === part);
  if (known === undefined) throw new UsageError(`--part is ${templateParts.join(' or ')}.`);
  return templates[format as keyof typeof templates](known);
}

const modesOf = (words: readonly string[] | undefined): readonly AccountMode[] => {
  if (words === undefined) return usualModes;
  const unknown = words.find((word) => !accountModes.some((mode) => mode === word));
  if (unknown !== undefined) throw new UsageError(`--mode is ${accountModes.join(', ')}.`);
  return accountModes.filter((mode) => words.includes(mode));
};

const matching = (value: string | undefined, option: string, example: string, form: RegExp): string => {
  const given = needed(value, option, example);
  if (!form.test(given)) throw new UsageError(`${option} does not look like ${example}.`);
  return given;
};
