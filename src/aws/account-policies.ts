/** One statement of an IAM policy, with what its reader must know of it in `Sid`. */
export interface Statement {
  readonly Sid: string;
  readonly Effect: 'Allow';
  readonly Principal?: { readonly AWS: string } | { readonly Service: string };
  readonly Action: readonly string[];
  readonly Resource?: readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}
export interface AccountPolicy {
  readonly Version: '2012-10-17';
  readonly Statement: readonly Statement[];
}

/** What Usher is used for in an account; each needs permissions of its own. */
export const accountModes = ['session', 'attached', 'discovery', 'logs', 'iam-authentication', 'secrets'] as const;
export type AccountMode = (typeof accountModes)[number];
/**
 * Those that most accounts need. `iam-authentication` lets Usher change databases (IAM knows no narrower action than
 * ModifyDB…), `secrets` read passwords of broker logins, `logs` what servers log, statements too: each is asked for by name.
 */
export const usualModes: readonly AccountMode[] = ['session', 'attached', 'discovery'];

/** What each use is, as who fills in a template reads it. */
export const modeUses: Readonly<Record<AccountMode, string>> = {
  session: 'sign tokens by sessions of the connect role',
  attached: 'write policies on users and roles under the people path',
  discovery: 'find databases and read how they are set up',
  logs: 'read who connected out of the logs of PostgreSQL',
  'iam-authentication': 'switch IAM authentication on',
  secrets: 'read the passwords of broker logins, in secrets whose names start with usher/',
};

/** JSON in the syntax of Terraform or of CloudFormation; strings in it hold `${…}`. */
export type Template = Readonly<Record<string, unknown>>;
/** For an account that Usher works in, or for Usher's own principal. */
export const templateParts = ['account', 'usher'] as const;
export type TemplatePart = (typeof templateParts)[number];
export const MADE_BY = 'Made by npm run usher -- aws-policy';

export interface AccountPoliciesOf {
  readonly partition: string;
  readonly accountId: string;
  /** ARN of the user or role that Usher runs as. */
  readonly usherArn: string;
  readonly externalId: string;
  readonly brokerRole: string;
  readonly connectRole: string;
  /** Of the users and roles that attached mode may write to: `people/`, without a leading slash. */
  readonly peoplePath: string;
  /** ARN of a permissions boundary that these must have, so that no policy can give them more. */
  readonly peopleBoundary?: string | undefined;
  /** ARN of the key in AWS KMS that signs the record; undefined: none does. */
  readonly recordKeyArn?: string | undefined;
}

export interface AccountPolicies {
  /** For Usher's own principal. */
  readonly usher: AccountPolicy;
  readonly brokerTrust: AccountPolicy;
  readonly broker: AccountPolicy;
  readonly connectTrust: AccountPolicy;
  /** The most that any session of the connect role can do; each is narrowed to one login on one database. */
  readonly connect: AccountPolicy;
}

const SESSION_ACTIONS = ['sts:AssumeRole', 'sts:SetSourceIdentity', 'sts:TagSession'] as const;

/** What discovery and readiness read. RDS names no resource for most of these, so they are allowed on all. */
const READ_RDS = [
  'rds:DescribeDBClusterEndpoints',
  'rds:DescribeDBClusterParameters',
  'rds:DescribeDBClusters',
  'rds:DescribeDBEngineVersions',
  'rds:DescribeDBInstances',
  'rds:DescribeDBParameters',
  'rds:DescribeDBProxies',
  'rds:DescribeDBProxyEndpoints',
  'rds:DescribeDBProxyTargets',
  'rds:ListTagsForResource',
] as const;

const of = (...statements: readonly Statement[]): AccountPolicy => ({ Version: '2012-10-17', Statement: statements });

/** The least that lets Usher work in an account, and who may come in by which role. */
export const accountPolicies = (ask: AccountPoliciesOf, modes: readonly AccountMode[]): AccountPolicies => {
  const parts = brokerParts(ask);
  const broker = [parts.itself, ...modes.map((mode) => parts[mode])].flatMap(({ Statement }) => Statement);
  const signing = ask.recordKeyArn === undefined ? [] : maySign(ask.recordKeyArn).Statement;
  const usher = of(...mayEnter([brokerArn(ask)]).Statement, ...signing);
  return { usher, broker: of(...broker), ...rolePolicies(ask) };
};

/** For Usher's own principal: the broker roles that it may assume, each by its ARN. */
export const mayEnter = (brokerRoles: readonly string[]): AccountPolicy =>
  of({ Sid: 'EnterTheAccount', Effect: 'Allow', Action: ['sts:AssumeRole'], Resource: brokerRoles });

/** For Usher's own principal: checkpoints of the record are signed with this key, and nothing in any other way. */
export const maySign = (keyArn: string): AccountPolicy =>
  of(
    { Sid: 'ReadRecordKey', Effect: 'Allow', Action: ['kms:GetPublicKey'], Resource: [keyArn] },
    {
      Sid: 'SignTheRecord',
      Effect: 'Allow',
      Action: ['kms:Sign'],
      Resource: [keyArn],
      Condition: { StringEquals: { 'kms:SigningAlgorithm': 'ED25519_SHA_512', 'kms:MessageType': 'RAW' } },
    },
  );

/** Trust of Usher's own role where an AWS service runs it. */
export const runBy = (service: string): AccountPolicy =>
  of({ Sid: 'RunByService', Effect: 'Allow', Principal: { Service: service }, Action: ['sts:AssumeRole'] });

/** What the broker role is allowed for each of its uses, and in any case. */
export const brokerParts = (ask: AccountPoliciesOf): Readonly<Record<AccountMode | 'itself', AccountPolicy>> => ({
  itself: of({
    Sid: 'SayWhatIsAllowed',
    Effect: 'Allow',
    Action: ['iam:SimulatePrincipalPolicy'],
    Resource: [brokerArn(ask)],
  }),
  session: of({
    Sid: 'SignForPeople',
    Effect: 'Allow',
    Action: SESSION_ACTIONS,
    Resource: [iam(ask, `role/${ask.connectRole}`)],
  }),
  attached: of(...attached(ask)),
  discovery: of({ Sid: 'ReadRds', Effect: 'Allow', Action: READ_RDS, Resource: ['*'] }),
  logs: of(
    {
      Sid: 'ReadLogFiles',
      Effect: 'Allow',
      Action: ['rds:DescribeDBLogFiles', 'rds:DownloadDBLogFilePortion'],
      Resource: [`arn:${ask.partition}:rds:*:${ask.accountId}:db:*`],
    },
    // which instances a target has, and so whose files these are; RDS names no resource for it
    {
      Sid: 'FindInstances',
      Effect: 'Allow',
      Action: ['rds:DescribeDBInstances', 'rds:DescribeDBClusters'],
      Resource: ['*'],
    },
    {
      Sid: 'ReadLogStreams',
      Effect: 'Allow',
      Action: ['logs:DescribeLogStreams', 'logs:GetLogEvents'],
      Resource: [`arn:${ask.partition}:logs:*:${ask.accountId}:log-group:/aws/rds/*`],
    },
  ),
  'iam-authentication': of({
    Sid: 'SwitchIamAuthenticationOn',
    Effect: 'Allow',
    Action: ['rds:ModifyDBCluster', 'rds:ModifyDBInstance'],
    Resource: ['cluster', 'db'].map((kind) => `arn:${ask.partition}:rds:*:${ask.accountId}:${kind}:*`),
  }),
  secrets: of({
    Sid: 'ReadBrokerPasswords',
    Effect: 'Allow',
    Action: ['secretsmanager:GetSecretValue'],
    Resource: [`arn:${ask.partition}:secretsmanager:*:${ask.accountId}:secret:usher/*`],
  }),
});

/** Trust of both roles, and the upper bound of all that is signed. */
export const rolePolicies = (ask: AccountPoliciesOf): Omit<AccountPolicies, 'usher' | 'broker'> => ({
  brokerTrust: of({
    Sid: 'UsherOnly',
    Effect: 'Allow',
    Principal: { AWS: ask.usherArn },
    Action: ['sts:AssumeRole'],
    Condition: { StringEquals: { 'sts:ExternalId': ask.externalId } },
  }),
  connectTrust: of({
    Sid: 'BrokerOnly',
    Effect: 'Allow',
    Principal: { AWS: brokerArn(ask) },
    Action: SESSION_ACTIONS,
  }),
  connect: of({
    Sid: 'UpperBound',
    Effect: 'Allow',
    Action: ['rds-db:connect'],
    Resource: [`arn:${ask.partition}:rds-db:*:${ask.accountId}:dbuser:*/*`],
  }),
});

type Place = Pick<AccountPoliciesOf, 'partition' | 'accountId'>;
const iam = ({ partition, accountId }: Place, what: string): string => `arn:${partition}:iam::${accountId}:${what}`;
const brokerArn = (ask: AccountPoliciesOf): string => iam(ask, `role/${ask.brokerRole}`);

const both = (...actions: readonly string[]): string[] =>
  ['User', 'Role'].flatMap((kind) => actions.map((action) => `iam:${action.replace('{}', kind)}`));

/** IAM cannot say what a policy may contain: whom it may be written on is all that narrows, and their boundary. */
function attached(ask: AccountPoliciesOf): Statement[] {
  const people = [iam(ask, `user/${ask.peoplePath}*`), iam(ask, `role/${ask.peoplePath}*`)];
  const own = iam(ask, 'policy/usher/*');
  const ownOnly = { ArnLike: { 'iam:PolicyARN': own } };
  // asked for where something is given, never where it is taken away: a boundary that is gone must not keep access alive
  const bounded: Statement['Condition'] =
    ask.peopleBoundary === undefined ? undefined : { StringEquals: { 'iam:PermissionsBoundary': ask.peopleBoundary } };
  const allow = (Sid: string, Action: readonly string[], Resource: readonly string[], Condition = {}): Statement => ({
    ...{ Sid, Effect: 'Allow', Action, Resource },
    ...(Object.keys(Condition).length > 0 && { Condition }),
  });
  return [
    allow('ReadPeople', both('Get{}', 'Get{}Policy', 'List{}Policies', 'ListAttached{}Policies'), people),
    allow('AskWhatIsFelt', ['iam:SimulatePrincipalPolicy'], people),
    allow('WriteInlinePolicies', both('Put{}Policy'), people, bounded),
    allow('DeleteInlinePolicies', both('Delete{}Policy'), people),
    allow('AttachOwnPolicies', both('Attach{}Policy'), people, { ...ownOnly, ...bounded }),
    allow('DetachOwnPolicies', both('Detach{}Policy'), people, ownOnly),
    allow(
      'OwnManagedPolicies',
      [
        'iam:CreatePolicy',
        'iam:CreatePolicyVersion',
        'iam:DeletePolicy',
        'iam:DeletePolicyVersion',
        'iam:GetPolicyVersion',
        'iam:ListPolicyVersions',
      ],
      [own],
    ),
    // neither knows a resource (AWS service authorization reference, IAM)
    allow('ReadQuotasAndNames', ['iam:GetAccountSummary', 'iam:ListPolicies'], ['*']),
  ];
}
