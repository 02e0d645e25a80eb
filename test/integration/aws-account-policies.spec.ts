import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AwsStandIn } from '../../local/aws/server.ts';
import { AccountDoorService } from '../../src/aws/account-door.service.ts';
import {
  accountModes,
  accountPolicies,
  type AccountPolicy,
  type AccountPolicies,
} from '../../src/aws/account-policies.ts';
import type { RegisteredAccount } from '../../src/aws/account-register.ts';
import type { AwsConfig } from '../../src/aws/config.ts';
import { connectPolicy, dbUserArn } from '../../src/aws/connect-policy.ts';
import { IamService } from '../../src/aws/iam.service.ts';
import { RdsService } from '../../src/aws/rds.service.ts';
import { SecretsService } from '../../src/aws/secrets.service.ts';
import { ServerLogsService } from '../../src/aws/server-logs.service.ts';
import { StsService } from '../../src/aws/sts.service.ts';
import { DomainError } from '../../src/platform/errors.ts';
import { accountsOf, partition, refusalOf, startBrokerAccount } from './aws-account.ts';
import type { BrokerAccount } from './aws-account.ts';

const OTHER = '210987654321';
const BOUNDARY = `arn:aws:iam::${OTHER}:policy/people-boundary`;
const printed = accountPolicies(
  {
    ...{ partition, accountId: OTHER, externalId: 'shared', peoplePath: 'people/', peopleBoundary: BOUNDARY },
    ...{ brokerRole: 'usher-broker', connectRole: 'usher-connect', usherArn: 'arn:aws:iam::123456789012:user/usher' },
  },
  accountModes,
);
const GROUP = '/aws/rds/instance/bills/postgresql';
const logDirectory = mkdtempSync(join(tmpdir(), 'usher-logs-'));
const place = { partition, accountId: OTHER, region: 'eu-west-1' };

let account: BrokerAccount;
let aws: AwsStandIn;
let other: ReturnType<AwsStandIn['addAccount']>;
let registered: RegisteredAccount;
let secretArn: string;
let made = 0;

beforeAll(async () => {
  account = await startBrokerAccount();
  ({ aws } = account);
  other = aws.addAccount(OTHER);
  const brokerRoleArn = `arn:aws:iam::${OTHER}:role/usher-broker`;
  const whoever = { id: 'other', accountId: OTHER, name: 'other', partition, connectRole: null };
  registered = {
    ...whoever,
    brokerRoleArn,
    externalId: 'shared',
    regions: ['eu-west-1'],
    endpoints: {},
    enabled: true,
  };
  other.iam.createRole('usher-broker', { ...printed.brokerTrust });
  other.iam.createRole('usher-connect', { ...printed.connectTrust });
  const all = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'rds-db:connect', Resource: '*' }] };
  other.iam.createPolicy('people-boundary', all);
  secretArn = other.secrets.put('usher/orders', 'word');
  const db = { port: 5432, engineVersion: '17.4', region: 'eu-west-1' };
  other.rds.addCluster({ ...db, identifier: 'orders', resourceId: 'cluster-ORDERS' });
  writeFileSync(join(logDirectory, 'postgresql.log.2026-03-01-09'), 'a line\n');
  other.rds.addInstance({ ...db, identifier: 'bills', resourceId: 'db-BILLS', logDirectory });
  other.logs.put(GROUP, 'bills', [{ timestamp: 1, message: 'a line' }]);
});
afterAll(async () => {
  rmSync(logDirectory, { recursive: true, force: true });
  await account.close();
});

const without = (policy: AccountPolicy, action: string): AccountPolicy => {
  const Statement = policy.Statement.map((each) => ({ ...each, Action: each.Action.filter((a) => a !== action) }));
  return { ...policy, Statement: Statement.filter(({ Action }) => Action.length > 0) };
};

/** Puts the documents where they belong. A trust policy that trusts nobody stands for one that is empty. */
function apply({ usher, broker, connect, brokerTrust, connectTrust }: AccountPolicies): void {
  const nobody = { Effect: 'Deny', Principal: '*', Action: 'sts:AssumeRole' };
  const trust = (policy: AccountPolicy) =>
    other.iam.readTrust(JSON.stringify(policy.Statement.length > 0 ? policy : { ...policy, Statement: [nobody] }));
  other.iam.role('usher-broker').trust = trust(brokerTrust);
  other.iam.role('usher-connect').trust = trust(connectTrust);
  for (const [who, policy] of [
    [aws.iam.user('usher'), usher],
    [other.iam.role('usher-broker'), broker],
    [other.iam.role('usher-connect'), connect],
  ] as const) {
    who.inline.clear();
    const iam = who === aws.iam.user('usher') ? aws.iam : other.iam;
    if (policy.Statement.length > 0) iam.putInline(who, 'printed', { ...policy });
  }
}

const arns = (count: number) =>
  Array.from({ length: count }, (_, n) => dbUserArn({ ...place, resourceId: 'cluster-ORDERS', user: `person_${n}` }));

/** All that Usher ever does in an account, as a new process would do it. */
async function doEverything(): Promise<void> {
  const config: AwsConfig = { ...account.config, sessionTags: true, maxAttempts: 2 };
  const accounts = accountsOf(config, [registered]);
  const [sts, iam] = [new StsService(config, accounts), new IamService(accounts)];
  const [rds, secrets] = [new RdsService(accounts), new SecretsService(config, accounts)];
  const logs = new ServerLogsService(accounts);
  try {
    const tags = sts.tags({ 'usher:grant': 'grant-1' });
    const policy = connectPolicy(arns(1));
    await sts.assumeConnectRole({ ...place, sessionName: 'alice', sourceIdentity: 'alice', policy, tags });
    await attach(iam, other.iam.createUser(`person${++made}`, { path: '/people/', boundaryArn: BOUNDARY }), 40);
    const trust = JSON.stringify(printed.connectTrust);
    const role = other.iam.createRole(`person${++made}`, trust, { path: '/people/', boundaryArn: BOUNDARY });
    await attach(iam, role, 150);
    await discover(rds);
    await readLogs(logs);
    await secrets.read(secretArn);
    const { items } = await new AccountDoorService(accounts, config).check(registered, role.arn);
    const failed = items.find(({ verdict }) => verdict !== 'pass');
    if (failed) throw new DomainError('unavailable', 'aws_denied', `${failed.name}: ${failed.finding}`);
  } finally {
    for (const service of [sts, iam, rds, logs, secrets]) service.onApplicationShutdown();
  }
}

/** Inline, in managed policies, in more versions than a policy may have, and off again. */
async function attach(iam: IamService, { arn }: { arn: string }, count: number): Promise<void> {
  const all = arns(count + 7);
  const [first = ''] = all;
  await iam.fits({ principalArn: arn, desired: [] }, first);
  await iam.settle({ principalArn: arn, desired: [first] }, { must: first });
  for (let now = count; now < all.length; now++) await iam.settle({ principalArn: arn, desired: all.slice(0, now) });
  await iam.readScopedPolicies(arn);
  if ((await iam.probe(arn, first)) !== 'allowed')
    throw new DomainError('unavailable', 'aws_denied', 'iam:SimulatePrincipalPolicy was refused.');
  await iam.settle({ principalArn: arn, desired: [] }, { most: 50 });
}

async function discover(rds: RdsService): Promise<void> {
  for (const kind of ['clusters', 'instances', 'customEndpoints', 'proxies', 'proxyEndpoints'] as const)
    for await (const page of rds[kind](place)) expect(page).toBeInstanceOf(Array);
  const proxy = other.rds.addProxy({
    name: `proxy${++made}`,
    resourceId: `prx-${made}`,
    endpoint: 'p.example',
    region: 'eu-west-1',
  });
  await rds.proxyTarget(place, `proxy${made}`);
  await rds.tags(place, proxy.arn);
  await rds.cluster(place, 'cluster-ORDERS');
  await rds.instancesOf(place, { resourceId: 'db-BILLS' });
  await rds.engineVersion(place, 'aurora-postgresql', '17.4');
  await rds.parameters(place, { kind: 'cluster', name: 'default.aurora-postgresql' });
  await rds.parameters(place, { kind: 'instance', name: 'default.postgres' });
  await rds.enableIamAuthentication(place, { kind: 'cluster', identifier: 'orders' });
  await rds.enableIamAuthentication(place, { kind: 'instance', identifier: 'bills' });
}

async function readLogs(logs: ServerLogsService): Promise<void> {
  const [file] = await logs.files(place, 'bills');
  await logs.portion(place, 'bills', file?.name ?? '', '0');
  const [stream] = await logs.streams(place, GROUP);
  const ask = { group: GROUP, stream: stream?.name ?? '', since: new Date(0), token: undefined };
  expect((await logs.lines(place, ask)).lines).toHaveLength(1);
}

test('with exactly what is printed Usher can do all that it does', async () => {
  apply(printed);
  await doEverything();
});

const named = (documents: AccountPolicies): string[] => [
  ...new Set(
    [documents.usher, documents.broker, documents.connectTrust].flatMap(({ Statement }) =>
      Statement.flatMap(({ Action }) => Action),
    ),
  ),
];

test.each(named(printed))('without %s something fails, and says so', async (action) => {
  const { usher, broker, brokerTrust, connectTrust, connect } = printed;
  apply({
    ...{ usher: without(usher, action), broker: without(broker, action), connect },
    ...{ brokerTrust: without(brokerTrust, action), connectTrust: without(connectTrust, action) },
  });
  const refusal = await refusalOf(doEverything(), account.secrets);
  expect(refusal.code).toBe('aws_denied');
  expect(`${refusal.message} ${refusal.advice ?? ''}`).toContain(action);
});

test('people elsewhere, and those without the boundary, are out of reach', async () => {
  apply(printed);
  const accounts = accountsOf(account.config, [registered]);
  const iam = new IamService(accounts);
  const [must = ''] = arns(1);
  for (const options of [{ path: '/people/' }, { path: '/admins/', boundaryArn: BOUNDARY }]) {
    const { arn, inline } = other.iam.createUser(`person${++made}`, options);
    const refusal = await refusalOf(iam.settle({ principalArn: arn, desired: [must] }, { must }), account.secrets);
    expect([refusal.code, inline.size]).toEqual(['aws_denied', 0]);
  }
  iam.onApplicationShutdown();
});

test('what was given is taken away although the boundary went off meanwhile', async () => {
  apply(printed);
  const iam = new IamService(accountsOf(account.config, [registered]));
  const user = other.iam.createUser(`person${++made}`, { path: '/people/', boundaryArn: BOUNDARY });
  await iam.settle({ principalArn: user.arn, desired: arns(40) });
  Reflect.deleteProperty(user, 'boundaryArn');
  expect([user.boundaryArn, user.inline.size, user.attached.size]).toEqual([undefined, 1, 1]);
  await iam.settle({ principalArn: user.arn, desired: [] }, { most: 50 });
  expect([user.inline.size, user.attached.size]).toEqual([0, 0]);
  iam.onApplicationShutdown();
});

test('the check says of whom attached mode may write on, and of whom not', async () => {
  apply(printed);
  const door = new AccountDoorService(accountsOf(account.config, [registered]), account.config);
  const failedOn = async (options: { path: string; boundaryArn?: string }) => {
    const { items } = await door.check(registered, other.iam.createUser(`person${++made}`, options).arn);
    return items.filter(({ verdict }) => verdict === 'fail').map(({ name }) => name);
  };
  expect(await failedOn({ path: '/people/', boundaryArn: BOUNDARY })).toEqual([]);
  expect(await failedOn({ path: '/people/' })).toEqual(['iam:PutUserPolicy', 'iam:AttachUserPolicy']);
  expect(await failedOn({ path: '/admins/', boundaryArn: BOUNDARY })).toEqual(['iam:GetUser']);
});
