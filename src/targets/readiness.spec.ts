/** Long, because it is one table: each way in which a target may not be ready, and what is said of it. */
import { describe, expect, test } from 'vitest';
import type { RdsInstance } from '../aws/rds.contract.js';
import type { Proof, ServerFacts } from '../postgres/postgres.contract.js';
import { overall, readinessOf } from './readiness.js';
import type { RdsFacts, ReadinessFacts, ReadinessTarget, Verdict } from './readiness-item.js';

const instance: RdsInstance = {
  identifier: 'orders-1',
  arn: 'arn:aws:rds:eu-west-1:123456789012:db:orders-1',
  resourceId: 'db-ORDERS1',
  engine: 'aurora-postgresql',
  engineVersion: '17.4',
  status: 'available',
  instanceClass: 'db.r7g.large',
  endpoint: null,
  iamAuthentication: true,
  masterUser: null,
  databaseName: null,
  clusterIdentifier: 'orders',
  parameterGroup: null,
  certificate: { caIdentifier: 'rds-ca-rsa2048-g1', validTill: new Date('2027-08-01T00:00:00Z') },
  tags: {},
};
const rds: RdsFacts = {
  database: { kind: 'cluster', identifier: 'orders' },
  status: 'available',
  iamAuthentication: true,
  engine: 'aurora-postgresql',
  engineVersion: '17.4',
  parameterGroup: 'orders-group',
  instances: [instance],
  version: { authorities: ['rds-ca-rsa2048-g1', 'rds-ca-ecc384-g1'], rotatesWithoutRestart: true },
};
const server: ServerFacts = {
  settings: {
    'rds.force_ssl': '1',
    'rds.restrict_password_commands': 'on',
    'rds.accepted_password_auth_method': 'scram',
    password_encryption: 'scram-sha-256',
    log_connections: 'on',
    log_disconnections: 'on',
    ssl: 'on',
    shared_preload_libraries: 'rdsutils,pg_cron',
    max_connections: '200',
    superuser_reserved_connections: '3',
    reserved_connections: '2',
    server_version_num: '170004',
    TimeZone: 'UTC',
  },
  connections: 20,
  iamRoleExists: true,
  roles: [
    { role: 'usher_broker', exists: true, iamPath: ['usher_broker', 'rds_iam'] },
    { role: 'postgres', exists: true, iamPath: null },
  ],
  databases: [],
  cronHere: true,
  inRecovery: false,
  clock: new Date('2026-11-21T10:00:00Z'),
};
const target: ReadinessTarget = {
  id: '01920000-0000-7000-8000-000000000000',
  region: 'eu-west-1',
  brokerLogin: 'usher_broker',
  brokerByIam: true,
  masterUser: 'postgres',
};
const proof: Proof = { right: 'guard', verdict: 'ok', finding: 'guard 1.2 on PostgreSQL 17.4', remedy: null };
const ready: ReadinessFacts = {
  now: new Date('2026-11-21T10:00:00Z'),
  target,
  rds: { value: rds },
  parameters: { value: new Map() },
  server: { value: server },
  proofs: { value: [proof] },
};

const ofRds = (change: Partial<RdsFacts>): ReadinessFacts => ({ ...ready, rds: { value: { ...rds, ...change } } });
const ofInstance = (change: Partial<RdsInstance>): ReadinessFacts => ofRds({ instances: [{ ...instance, ...change }] });
const ofServer = (change: Partial<ServerFacts>): ReadinessFacts => ({
  ...ready,
  server: { value: { ...server, ...change } },
});
const set = (change: Partial<ServerFacts['settings']>): ReadinessFacts =>
  ofServer({ settings: { ...server.settings, ...change } });
const reach = (role: string, iamPath: string[] | null): ReadinessFacts =>
  ofServer({ roles: server.roles.map((one) => (one.role === role ? { ...one, iamPath } : one)) });
const as = (facts: ReadinessFacts, change: Partial<ReadinessTarget>): ReadinessFacts => ({
  ...facts,
  target: { ...target, ...change },
});
const ends = (end: string) => ({ caIdentifier: 'rds-ca-rsa2048-g1', validTill: new Date(end) });
const group = 'modify-db-cluster-parameter-group --db-cluster-parameter-group-name orders-group';

type Row = [what: string, facts: ReadinessFacts, item: string, verdict: Verdict, says: string | null];
const rows: Row[] = [
  ['a database that is being changed', ofRds({ status: 'modifying' }), 'status', 'warn', 'Wait'],
  [
    'IAM authentication off, on a cluster',
    ofRds({ iamAuthentication: false }),
    'IAM authentication',
    'fail',
    'aws rds modify-db-cluster --db-cluster-identifier orders --enable-iam-database-authentication --apply-immediately --region eu-west-1',
  ],
  [
    'IAM authentication off, on an instance',
    ofRds({ iamAuthentication: false, database: { kind: 'instance', identifier: 'bills' } }),
    'IAM authentication',
    'fail',
    'aws rds modify-db-instance --db-instance-identifier bills --enable-iam-database-authentication',
  ],
  [
    'the authority of 2019',
    ofInstance({ certificate: { caIdentifier: 'rds-ca-2019', validTill: new Date('2027-08-01T00:00:00Z') } }),
    'authority orders-1',
    'fail',
    '--db-instance-identifier orders-1 --ca-certificate-identifier rds-ca-rsa2048-g1 --apply-immediately',
  ],
  [
    'an authority that the engine version does not support',
    ofRds({ version: { authorities: ['rds-ca-ecc384-g1'], rotatesWithoutRestart: true } }),
    'authority orders-1',
    'fail',
    '--ca-certificate-identifier rds-ca-ecc384-g1',
  ],
  ['no word of the authority', ofInstance({ certificate: null }), 'authority orders-1', 'unknown', null],
  [
    'a certificate that ended',
    ofInstance({ certificate: ends('2026-11-21T10:00:00Z') }),
    'certificate orders-1',
    'fail',
    'modify-db-instance',
  ],
  [
    'a certificate that ends soon',
    ofInstance({ certificate: ends('2026-12-10T00:00:00Z') }),
    'certificate orders-1',
    'warn',
    'modify-db-instance',
  ],
  [
    'a certificate without an end',
    ofInstance({ certificate: { ...ends('2027-01-01'), validTill: null } }),
    'certificate orders-1',
    'unknown',
    null,
  ],
  [
    'a version that restarts to rotate',
    ofRds({ version: { authorities: ['rds-ca-rsa2048-g1'], rotatesWithoutRestart: false } }),
    'certificate rotation',
    'warn',
    'describe-db-engine-versions --engine aurora-postgresql',
  ],
  ['a version that RDS does not know', ofRds({ version: undefined }), 'certificate rotation', 'unknown', null],
  ['a small class', ofInstance({ instanceClass: 'db.t4g.micro' }), 'memory orders-1', 'warn', 'FreeableMemory'],
  ['no instance', ofRds({ instances: [] }), 'certificates', 'unknown', null],
  [
    'TLS not forced',
    set({ 'rds.force_ssl': '0' }),
    'rds.force_ssl',
    'fail',
    `${group} --parameters "ParameterName=rds.force_ssl,ParameterValue=1,ApplyMethod=immediate"`,
  ],
  [
    'passwords that people change',
    set({ 'rds.restrict_password_commands': 'off' }),
    'rds.restrict_password_commands',
    'warn',
    'ApplyMethod=pending-reboot',
  ],
  ['logins not logged', set({ log_connections: 'off' }), 'log_connections', 'warn', 'ParameterName=log_connections'],
  [
    'logins not logged, as PostgreSQL 18 says it',
    set({ log_connections: '' }),
    'log_connections',
    'warn',
    'ParameterName=log_connections',
  ],
  [
    'logins logged, as PostgreSQL 18 says it',
    set({ log_connections: 'receipt,authorization' }),
    'log_connections',
    'pass',
    null,
  ],
  [
    'ends of sessions not logged',
    set({ log_disconnections: 'off' }),
    'log_disconnections',
    'warn',
    'ParameterName=log_disconnections',
  ],
  [
    'md5 for new passwords',
    set({ password_encryption: 'md5' }),
    'password_encryption',
    'warn',
    'ParameterValue=scram-sha-256',
  ],
  [
    'md5 let in',
    set({ 'rds.accepted_password_auth_method': 'md5+scram' }),
    'rds.accepted_password_auth_method',
    'warn',
    'ParameterValue=scram,',
  ],
  ['a setting that the server does not have', set({ 'rds.force_ssl': null }), 'rds.force_ssl', 'unknown', null],
  [
    'a default parameter group',
    { ...set({ log_connections: 'off' }), rds: { value: { ...rds, parameterGroup: 'default.aurora-postgresql17' } } },
    'log_connections',
    'warn',
    'make one of your own',
  ],
  ['no pg_cron, but loaded', ofServer({ cronHere: false }), 'pg_cron', 'warn', 'CREATE EXTENSION pg_cron;'],
  [
    'no pg_cron, and not loaded',
    ofServer({ cronHere: false, settings: { ...server.settings, shared_preload_libraries: 'rdsutils' } }),
    'pg_cron',
    'warn',
    'Put rdsutils,pg_cron into shared_preload_libraries',
  ],
  [
    'a broker that signs and may not',
    reach('usher_broker', null),
    'rds_iam of the broker',
    'fail',
    'GRANT rds_iam TO "usher_broker";',
  ],
  [
    'a broker whose password is shut out',
    as(ready, { brokerByIam: false }),
    'rds_iam of the broker',
    'fail',
    'REVOKE "rds_iam" FROM "usher_broker";',
  ],
  [
    'a broker by password',
    as(reach('usher_broker', null), { brokerByIam: false }),
    'rds_iam of the broker',
    'pass',
    null,
  ],
  ['a broker that is not there', as(ready, { brokerLogin: 'other' }), 'rds_iam of the broker', 'unknown', null],
  [
    'a master in rds_iam by a group',
    reach('postgres', ['postgres', 'pe"ople', 'rds_iam']),
    'rds_iam of the master',
    'fail',
    'REVOKE "pe""ople" FROM "postgres";',
  ],
  [
    'a master whom RDS put there',
    reach('postgres', ['postgres', 'rds_superuser', 'rds_iam']),
    'rds_iam of the master',
    'warn',
    'REVOKE',
  ],
  [
    'a master whom RDS put there, as the proof knows',
    {
      ...reach('postgres', ['postgres', 'rds_iam']),
      proofs: {
        value: [{ ...proof, right: 'installer keeps its password', finding: 'postgres is not in rds_iam by any path' }],
      },
    },
    'rds_iam of the master',
    'pass',
    null,
  ],
  [
    'a master in rds_iam, while another is the one who installed',
    {
      ...reach('postgres', ['postgres', 'team', 'rds_iam']),
      proofs: {
        value: [{ ...proof, right: 'installer keeps its password', finding: 'dba is not in rds_iam by any path' }],
      },
    },
    'rds_iam of the master',
    'fail',
    'REVOKE "team" FROM "postgres";',
  ],
  ['a master whom nobody named', as(ready, { masterUser: null }), 'rds_iam of the master', 'unknown', null],
  ['few connections left', ofServer({ connections: 180 }), 'connections', 'warn', 'pg_stat_activity'],
  [
    'no connections left',
    ofServer({ connections: 190 }),
    'connections',
    'fail',
    'ParameterName=max_connections,ParameterValue=400,ApplyMethod=pending-reboot',
  ],
  [
    'a right that is missing',
    { ...ready, proofs: { value: [{ ...proof, verdict: 'missing', remedy: 'run it' }] } },
    'broker: guard',
    'fail',
    'run it',
  ],
  ['AWS that refuses', { ...ready, rds: { why: 'AWS refused.' } }, 'IAM authentication', 'unknown', null],
  ['a server out of reach', { ...ready, server: { why: 'No answer.' } }, 'connections', 'unknown', null],
  [
    'a server out of reach, but its parameter group read',
    { ...ready, server: { why: 'No answer.' }, parameters: { value: new Map([['rds.force_ssl', '0']]) } },
    'rds.force_ssl',
    'fail',
    'ParameterName=rds.force_ssl',
  ],
];

test('a target that is fit has nothing but passes', () => {
  const items = readinessOf(ready);
  expect(items.filter(({ verdict }) => verdict !== 'pass')).toEqual([]);
  expect(items.length).toBeGreaterThan(14);
  expect(overall(items)).toBe('pass');
});

describe.each(rows)('%s', (_, facts, item, verdict, says) => {
  test(`is ${verdict} of ${item}`, () => {
    const items = readinessOf(facts);
    const found = items.filter((one) => one.item === item);
    expect(found.map((one) => one.verdict)).toEqual([verdict]);
    if (says === null) expect(found[0]?.remedy).toBeNull();
    else expect(found[0]?.remedy).toContain(says);
  });
});

test('every name stands once, and what is bad has a remedy', () => {
  for (const [, facts] of rows) {
    const items = readinessOf(facts);
    expect(new Set(items.map(({ item }) => item)).size).toBe(items.length);
    for (const { verdict, remedy, item } of items)
      expect([item, remedy !== null]).toEqual([item, verdict === 'warn' || verdict === 'fail']);
  }
});

test('the gravest verdict counts, and what could not be looked at is no pass', () => {
  const item = (verdict: Verdict) => ({ item: verdict, verdict, finding: '', remedy: null });
  expect(overall([item('pass'), item('warn')])).toBe('warn');
  expect(overall([item('warn'), item('unknown')])).toBe('unknown');
  expect(overall([item('unknown'), item('fail')])).toBe('fail');
});
