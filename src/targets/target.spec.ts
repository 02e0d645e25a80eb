import { describe, expect, test } from 'vitest';
import { changesOf, presentTarget, targetFacts, targetProblems, usual, writable, type TargetRow } from './target.js';

const endpoints = (...kinds: string[]) => kinds.map((kind) => ({ kind }));
const instance = { kind: 'rds-instance', resourceId: 'db-ABC', endpoints: endpoints('instance') };
const cluster = { kind: 'aurora-cluster', resourceId: 'cluster-ABC', endpoints: endpoints('writer', 'reader') };
const proxy = {
  kind: 'rds-proxy',
  resourceId: 'prx-0abc',
  endpoints: endpoints('proxy', 'writer'),
  brokerSecret: 'env:USHER_SECRET_X',
};

describe('what does not fit together', () => {
  test.each([
    ['an instance', instance],
    ['an instance with a read replica', { ...instance, endpoints: endpoints('instance', 'reader') }],
    ['a cluster', cluster],
    ['a cluster with all kinds', { ...cluster, endpoints: endpoints('writer', 'reader', 'custom', 'instance') }],
    ['a cluster known by an instance', { ...cluster, endpoints: endpoints('instance') }],
    ['a proxy before a cluster', proxy],
    ['a proxy before an instance', { ...proxy, endpoints: endpoints('proxy', 'instance') }],
  ])('nothing: %s', (_, target) => expect(targetProblems(target)).toEqual([]));

  test.each<[string, Parameters<typeof targetProblems>[0], string[]]>([
    ['an unknown kind', { ...instance, kind: 'rds-oracle' }, ['kind']],
    ['a kind that every object has', { ...instance, kind: 'constructor' }, ['kind']],
    ['an instance with the id of a cluster', { ...instance, resourceId: 'cluster-ABC' }, ['resourceId']],
    ['a cluster with the id of an instance', { ...cluster, resourceId: 'db-ABC' }, ['resourceId']],
    ['a proxy with the id of an instance', { ...proxy, resourceId: 'db-ABC' }, ['resourceId']],
    ['an instance with a writer', { ...instance, endpoints: endpoints('instance', 'writer') }, ['endpoints']],
    ['an instance with a custom endpoint', { ...instance, endpoints: endpoints('instance', 'custom') }, ['endpoints']],
    ['a cluster with a proxy', { ...cluster, endpoints: endpoints('writer', 'proxy') }, ['endpoints']],
    ['a proxy with a reader', { ...proxy, endpoints: endpoints('proxy', 'writer', 'reader') }, ['endpoints']],
    ['a cluster without a writer', { ...cluster, endpoints: endpoints('reader') }, ['endpoints']],
    ['a proxy without what is behind it', { ...proxy, endpoints: endpoints('proxy') }, ['endpoints']],
    ['an instance without endpoints', { ...instance, endpoints: [] }, ['endpoints']],
    ['Serverless v1 that is no cluster', { ...proxy, engineMode: 'serverless' }, ['engineMode']],
    ['a proxy without a secret', { ...proxy, brokerSecret: null }, ['brokerSecret']],
    [
      'several things',
      { kind: 'rds-proxy', resourceId: 'db-ABC', endpoints: endpoints('reader') },
      ['resourceId', 'endpoints', 'endpoints', 'brokerSecret'],
    ],
  ])('%s', (_, target, fields) => expect(targetProblems(target).map(({ field }) => field)).toEqual(fields));
});

test('roles are made on the writer, else on the instance', () => {
  expect(writable(endpoints('instance', 'reader', 'writer'))?.kind).toBe('writer');
  expect(writable(endpoints('reader', 'instance'))?.kind).toBe('instance');
  expect(writable(endpoints('reader', 'custom', 'proxy'))).toBeUndefined();
});

test('people are given the proxy where there is one, else where roles are made', () => {
  expect(usual(endpoints('writer', 'proxy'))?.kind).toBe('proxy');
  expect(usual(endpoints('reader', 'writer'))?.kind).toBe('writer');
  expect(usual(endpoints('reader'))).toBeUndefined();
});

test.each([
  [{ kind: 'rds-instance', logSource: 'file', logPlace: '/var/log/postgresql' }, []],
  [{ kind: 'rds-instance', logSource: 'cloudwatch', logPlace: '/aws/rds/instance/x/postgresql' }, []],
  [{ kind: 'rds-instance', logSource: 'rds' }, []],
  [{ kind: 'rds-instance' }, []],
  [{ kind: 'rds-instance', logSource: 'file' }, ['logPlace']],
  [{ kind: 'rds-instance', logSource: 'file', logPlace: 'log' }, ['logPlace']],
  [{ kind: 'rds-instance', logSource: 'cloudwatch', logPlace: 'a b' }, ['logPlace']],
  [{ kind: 'rds-instance', logSource: 'rds', logPlace: '/var/log' }, ['logPlace']],
  [{ kind: 'rds-proxy', logSource: 'rds', brokerSecret: 'env:USHER_SECRET_X' }, ['logSource']],
])('of where the log of %j is read, what does not fit is told', (target, fields) => {
  const resourceId = target.kind === 'rds-proxy' ? 'prx-abc' : 'db-ABC';
  const problems = targetProblems({ resourceId, endpoints: endpoints('instance'), ...target });
  expect(problems.map(({ field }) => field)).toEqual(fields);
});

describe('a row', () => {
  const row: TargetRow = {
    id: 't',
    name: 'orders',
    kind: 'rds-instance',
    partition: 'aws',
    region: 'eu-west-1',
    accountId: '123456789012',
    resourceId: 'db-ABC',
    engineVersion: '17.1',
    engineMode: 'provisioned',
    environment: 'prod',
    ownerGroup: 'owners',
    databases: ['orders'],
    caIdentifier: 'rds-ca-rsa2048-g1',
    masterUser: null,
    guardDatabase: 'postgres',
    brokerLogin: 'usher_broker',
    brokerSecret: 'file:/run/secrets/broker',
    connectRole: null,
    logSource: 'none',
    logFormat: 'stderr',
    logPlace: null,
    furtherLogs: [],
    tags: {},
    enabled: true,
    createdAt: new Date(0),
    updatedAt: new Date(0),
    removingAt: null,
    lockedAt: null,
    lockReason: null,
    deletedAt: null,
    lookedAt: null,
    downSince: null,
    dials: 0,
    nextDialAt: null,
    endpoints: [
      {
        id: 'e',
        targetId: 't',
        kind: 'instance',
        connectHost: 'db.internal',
        tokenHost: 'db.rds.amazonaws.com',
        port: 5432,
      },
    ],
  };

  test('says that there is a secret, not where it stands', () => {
    const shown = presentTarget(row);
    expect(JSON.stringify(shown)).not.toContain('/run/secrets');
    expect(shown.brokerAuthentication).toBe('secret');
    expect(presentTarget({ ...row, brokerSecret: null }).brokerAuthentication).toBe('iam');
    expect(shown.endpoints).toEqual([
      { id: 'e', kind: 'instance', connectHost: 'db.internal', tokenHost: 'db.rds.amazonaws.com', port: 5432 },
    ]);
  });

  test('is not to be used once it is disabled or deleted', () => {
    expect(targetFacts(row)).toEqual({ id: 't', environment: 'prod', ownerGroup: 'owners', enabled: true, tags: {} });
    expect(targetFacts({ ...row, enabled: false }).enabled).toBe(false);
    expect(targetFacts({ ...row, deletedAt: new Date(0) }).enabled).toBe(false);
  });

  test('changes are named with both values, and only those that are changes', () => {
    const input = {
      ownerGroup: 'others',
      engineVersion: '17.1',
      engineMode: 'provisioned',
      databases: ['orders', 'audit'],
      connectRole: undefined,
      endpoints: endpoints('writer'),
    };
    expect(changesOf(row, input)).toEqual({
      ownerGroup: { from: 'owners', to: 'others' },
      databases: { from: ['orders'], to: ['orders', 'audit'] },
      endpoints: { from: 'replaced', to: endpoints('writer') },
    });
    expect(changesOf(row, {})).toEqual({});
  });
});
