// The directions of docs/architecture.md: what a folder of src/ may import. Change both together, and give the reason there.

/** Each module with the modules that it may import; platform, and the generated Prisma client, are open to all. */
const mayImport = {
  platform: [],
  aws: [],
  postgres: [],
  audit: [],
  identity: ['audit'],
  policy: ['identity', 'audit'],
  targets: ['policy', 'identity', 'audit', 'postgres', 'aws'],
  grants: ['targets', 'policy', 'identity', 'audit', 'postgres', 'aws'],
  access: ['grants', 'targets', 'policy', 'identity', 'audit', 'postgres', 'aws'],
  connections: ['grants', 'targets', 'policy', 'identity', 'audit', 'postgres', 'aws'],
  evidence: ['targets', 'policy', 'identity', 'audit'],
  notifications: ['policy', 'identity', 'audit'],
  streams: ['access', 'connections', 'grants', 'policy', 'identity', 'audit'],
  health: ['connections', 'notifications', 'grants', 'policy', 'identity', 'audit'],
  // the one module that may open a target for its DBA, and without the service
  cli: ['targets', 'postgres', 'aws', 'audit'],
};

/** What other modules may import beside x.service, x.contract and x.module: decorators, and files without state or I/O. */
const doors = [
  'audit/checkpoint',
  'audit/events',
  'audit/redaction',
  'audit/sealed-lines',
  'audit/verification',
  'aws/account-cloudformation',
  'aws/account-policies',
  'aws/account-terraform',
  'aws/connect-policy',
  'aws/principal',
  'grants/grant',
  'grants/lifecycle',
  'identity/actor.decorator',
  'identity/api-key',
  'identity/login-name',
  'identity/role-session-name',
  'identity/standing',
  'policy/requires',
  'policy/visibility',
  'targets/profile',
  'targets/stages',
  'targets/target',
  'targets/trust-advice',
];

const directions = Object.entries(mayImport).map(([module, allowed]) => ({
  name: `${module}-imports-only-below`,
  severity: 'error',
  comment: `${module} may import: ${['platform', ...allowed].join(', ')}`,
  from: { path: `^src/${module}/` },
  to: {
    path: '^src/[^/]+/',
    pathNot: [`^src/(${[module, 'platform', 'generated', ...allowed].join('|')})/`],
  },
}));

const only = (name, what, owners, comment) => ({
  name,
  severity: 'error',
  comment,
  from: { path: '^src/', pathNot: [`^src/(${owners})/`, '\\.spec\\.ts$'] },
  to: { path: what },
});

module.exports = {
  forbidden: [
    ...directions,
    {
      name: 'no-cycles',
      severity: 'error',
      comment: 'two files that need each other are one file, or hide a third',
      from: {},
      to: { circular: true },
    },
    {
      name: 'every-folder-has-a-place',
      severity: 'error',
      comment: 'a new module needs an ADR, and a line in mayImport',
      from: { path: '^src/', pathNot: [`^src/(generated|${Object.keys(mayImport).join('|')})/`, '^src/[^/]+\\.ts$'] },
      to: {},
    },
    {
      name: 'through-the-door',
      severity: 'error',
      comment: 'across modules: x.service, x.contract, x.module, and the files named in doors',
      from: { path: '^src/([^/]+)/' },
      to: {
        path: '^src/[^/]+/',
        pathNot: [
          '^src/$1/',
          '^src/(platform|generated)/',
          '\\.(service|contract|module)\\.ts$',
          `^src/(${doors.join('|').replaceAll('.', '\\.')})\\.ts$`,
        ],
      },
    },
    {
      name: 'only-roots-wire',
      severity: 'error',
      comment: 'nothing imports the entry points or the composition',
      from: { path: '^src/[^/]+/', pathNot: '^src/cli/' },
      to: { path: '^src/[^/]+\\.ts$' },
    },
    {
      name: 'contracts-are-plain',
      severity: 'error',
      comment: 'a contract names other contracts and what platform gives all of them',
      from: { path: '^src/(access|audit|connections|grants|health|notifications|streams|targets)/.+\\.contract\\.ts$' },
      to: { path: '^src/', pathNot: ['\\.contract\\.ts$', '^src/platform/'] },
    },
    {
      name: 'src-stands-alone',
      severity: 'error',
      comment: 'the product knows neither its stand-in nor its tests; a spec beside its code may lean on both',
      from: { path: '^src/', pathNot: '\\.spec\\.ts$' },
      to: { path: ['^(local|test|bench|scripts)/', '\\.spec\\.ts$'] },
    },
    {
      name: 'local-speaks-to-the-service-from-outside',
      severity: 'error',
      comment: 'the stand-in uses nothing of src but the PostgreSQL starter, the SQL for targets, and types',
      from: { path: '^local/', pathNot: '\\.spec\\.ts$' },
      to: {
        path: '^src/',
        pathNot: '^src/(platform/embedded-postgres|postgres/target-sql)\\.ts$',
        dependencyTypesNot: ['type-only'],
      },
    },
    only('aws-sdk-only-in-aws', '(^|/)node_modules/(@aws-sdk|@smithy)/', 'aws', 'one folder to review for AWS calls'),
    only(
      'pg-only-in-postgres-and-state',
      '(^|/)node_modules/pg/',
      'postgres|platform/state',
      'one folder for SQL on targets, one for our own pool',
    ),
    only(
      'prisma-client-only-in-platform',
      '(^|/)node_modules/@prisma/',
      'platform|generated',
      'one client, made in one place',
    ),
    only('cedar-only-in-policy', '(^|/)node_modules/@cedar-policy/', 'policy', 'one engine, which denies by default'),
    only(
      'jose-only-in-identity',
      '(^|/)node_modules/jose/',
      'identity',
      'one place that decides whether a token is good',
    ),
    only(
      'signer-only-in-notifications',
      '(^|/)node_modules/standardwebhooks/',
      'notifications',
      'one place that signs what is sent',
    ),
    only(
      'websockets-only-in-platform',
      '(^|/)node_modules/(ws|graphql-ws)/',
      'platform',
      'one place that opens them, and closes them',
    ),
    only(
      'jobs-only-in-platform',
      '(^|/)node_modules/pg-boss/',
      'platform',
      'one job engine, started and stopped in one place',
    ),
    {
      name: 'no-dev-dependency-in-src',
      severity: 'error',
      comment: 'the image is installed without them',
      from: { path: '^src/', pathNot: '\\.spec\\.ts$' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'resolvable',
      severity: 'error',
      comment: 'an import that leads nowhere',
      from: {},
      to: { couldNotResolve: true, pathNot: '^(iam|sts|rds|secretsmanager|logs):' },
    },
  ],
  options: {
    doNotFollow: { path: ['node_modules', '^src/generated/'] },
    exclude: { path: ['^dist/', '^src/metadata\\.ts$', '^src/generated/.+/internal/'] },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.local.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
