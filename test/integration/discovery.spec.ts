/** Discovery against the stand-in's RDS API: found, registered, renamed, restored, gone and back; and nothing written twice. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { addFleet } from '../../local/aws/rds-fleet.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';
import { until } from '../support/until.ts';

interface Run {
  id: string;
  finishedAt: string | null;
  places: { state: string; databases: number; added: number; changed: number; missing: number; error: string | null }[];
}
interface Found {
  id: string;
  identifier: string;
  resourceId: string;
  state: string;
  targetId: string | null;
  differences: { field: string }[];
  namesakes: string[];
  endpoints: { kind: string; connectHost: string; tokenHost: string }[];
}

const REGION = 'eu-central-1'; // nobody else's databases are there
const host = (name: string) => `${name}.c0ffee.${REGION}.rds.amazonaws.com`;
let usher: Usher;
let dave: Client;

beforeAll(async () => {
  usher = await startUsher();
  dave = await usher.as('dave');
  const { aws } = usher.standIn;
  const made = await dave.post('/v1/accounts', {
    accountId: aws.accountId,
    name: 'main',
    partition: 'aws',
    regions: [REGION],
  });
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  addFleet(aws.rds, { clusters: 230, instancesEach: 2, region: REGION });
  aws.rds.addCluster({
    identifier: 'ledger',
    resourceId: 'cluster-LEDGER1',
    endpoint: host('ledger.cluster'),
    customEndpoints: [{ identifier: 'reports', address: host('reports.cluster-custom') }],
    port: 5432,
    engineVersion: '17.4',
    members: ['ledger-1'],
    region: REGION,
    tags: { team: 'billing-owners', Environment: 'Production', 'usher:databases': 'ledger audit' },
  });
});
afterAll(async () => {
  const { rds } = usher.standIn.aws;
  for (const one of [...rds.clusters, ...rds.instances, ...rds.proxies].filter(({ region }) => region === REGION))
    rds.remove(one.resourceId);
  usher.standIn.aws.faults.clear();
  await usher.close();
});

async function discover(body: object = {}): Promise<Run['places'][number]> {
  const started = await dave.post<Run>('/v1/discoveries', body);
  expect(started.status, JSON.stringify(started.body)).toBe(201);
  const run = await until('the look to end', async () => {
    const { body } = await dave.get<Run>(`/v1/discoveries/${started.body.id}`);
    return body.finishedAt !== null && body;
  });
  const [place] = run.places;
  if (place === undefined) throw new Error('the run has no place');
  return place;
}

async function found(identifier: string): Promise<Found[]> {
  const all: Found[] = [];
  let cursor: string | null = null;
  do {
    const path: string = `/v1/discovered-databases?limit=200${cursor === null ? '' : `&cursor=${cursor}`}`;
    const page: { body: { items: Found[]; nextCursor: string | null } } = await dave.get(path);
    all.push(...page.body.items);
    cursor = page.body.nextCursor;
  } while (cursor !== null);
  return all.filter((one) => one.identifier === identifier);
}

test('finds PostgreSQL alone, rides out throttling, and writes nothing the second time', async () => {
  const { faults } = usher.standIn.aws;
  faults.throttleOneIn(4, { service: 'rds' });
  expect(await discover()).toMatchObject({ state: 'done', error: null, databases: 231, added: 231, missing: 0 });
  expect(faults.refusedOfMany).toBeGreaterThan(1);
  faults.clear();
  expect(await found('graph-100')).toEqual([]);
  const versions = () =>
    usher.db.client.$queryRaw<
      { id: string; xmin: string }[]
    >`SELECT id, xmin::text FROM discovered_database ORDER BY id`;
  const before = await versions();
  expect(await discover()).toMatchObject({ databases: 231, added: 0, changed: 0, missing: 0 });
  expect(await versions()).toEqual(before);
});

test('registers with what tags say, and offers a rename, never a namesake, as an update', async () => {
  const [ledger] = await found('ledger');
  expect(ledger).toMatchObject({ state: 'new', resourceId: 'cluster-LEDGER1' });
  expect(ledger?.endpoints).toContainEqual(
    expect.objectContaining({ kind: 'custom', tokenHost: host('ledger.cluster') }),
  );
  const made = await dave.post(`/v1/discovered-databases/${ledger?.id ?? ''}/register`, {});
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  expect(made.body).toMatchObject({
    environment: 'prod',
    ownerGroup: 'billing-owners',
    databases: ['ledger', 'audit'],
  });

  const { rds } = usher.standIn.aws;
  rds.changeCluster('cluster-LEDGER1', { identifier: 'ledger-old', endpoint: host('ledger-old.cluster') });
  rds.addCluster({
    identifier: 'ledger',
    resourceId: 'cluster-LEDGER2',
    port: 5432,
    engineVersion: '17.4',
    region: REGION,
  });
  expect(await discover()).toMatchObject({ added: 1, changed: 1, missing: 0 });
  const [renamed] = await found('ledger-old');
  expect(renamed).toMatchObject({ state: 'changed', targetId: made.body['id'], id: ledger?.id });
  expect(renamed?.differences.map(({ field }) => field)).toEqual(['endpoints']);
  expect((await found('ledger'))[0]).toMatchObject({ state: 'new', resourceId: 'cluster-LEDGER2', targetId: null });
  expect((await dave.post(`/v1/discovered-databases/${renamed?.id ?? ''}/apply`)).status).toBe(200);
  expect((await found('ledger-old'))[0]).toMatchObject({ state: 'registered' });

  rds.remove('cluster-LEDGER1');
  expect(await discover()).toMatchObject({ missing: 1 });
  expect((await found('ledger-old'))[0]).toMatchObject({ state: 'missing', targetId: made.body['id'] });
  const refused = await dave.post(`/v1/discovered-databases/${renamed?.id ?? ''}/apply`);
  expect([refused.status, refused.body['code']]).toEqual([409, 'database_missing']);
});

test('offers a proxy under the id of its ARN with the database behind it, and under a tag filter only what has the tag', async () => {
  const { rds } = usher.standIn.aws;
  rds.addProxy({
    name: 'fleet-proxy',
    resourceId: 'prx-FLEET1',
    endpoint: host('fleet-proxy.proxy'),
    endpoints: [{ name: 'reads', address: host('reads.endpoint.proxy'), role: 'READ_ONLY' }],
    cluster: 'fleet-00001',
    tags: { pilot: 'yes' },
    region: REGION,
  });
  rds.addProxy({
    name: 'mysql-proxy',
    resourceId: 'prx-MYSQL1',
    endpoint: host('mysql-proxy.proxy'),
    engineFamily: 'MYSQL',
    tags: { pilot: 'yes' },
    region: REGION,
  });
  rds.addCluster({
    identifier: 'plain',
    resourceId: 'cluster-PLAIN',
    port: 5432,
    engineVersion: '17.4',
    region: REGION,
  });
  expect(await discover({ regions: [REGION], tags: [{ key: 'pilot', value: 'yes' }] })).toMatchObject({ added: 1 });
  const [proxy] = await found('fleet-proxy');
  expect(proxy).toMatchObject({ state: 'new', resourceId: 'prx-FLEET1' });
  expect(proxy?.endpoints.map(({ kind, connectHost }) => [kind, connectHost])).toEqual([
    ['proxy', host('fleet-proxy.proxy')],
    ['proxy', host('reads.endpoint.proxy')],
    ['writer', `fleet-00001.cluster-c0ffee.${REGION}.rds.amazonaws.com`],
  ]);
  expect([await found('mysql-proxy'), await found('plain')]).toEqual([[], []]);
  expect(await discover()).toMatchObject({ added: 1 });
  expect(await found('plain')).toHaveLength(1);
  const nowhere = await dave.post('/v1/discoveries', { regions: ['us-east-1'] });
  expect([nowhere.status, nowhere.body['code']]).toEqual([400, 'invalid_input']);
});

test('a look that fails marks nothing missing, and says why', async () => {
  usher.standIn.aws.faults.fail(10, { service: 'rds', action: 'DescribeDBClusters' });
  const place = await discover();
  expect(place).toMatchObject({ state: 'failed', missing: 0 });
  expect(place.error).toContain('rds:DescribeDBClusters');
  usher.standIn.aws.faults.clear();
});

test('is refused to who may not', async () => {
  const alice = await usher.as('alice');
  const [one] = await found('fleet-00001');
  for (const answer of [
    await alice.post('/v1/discoveries', {}),
    await alice.get('/v1/discovered-databases'),
    await alice.post(`/v1/discovered-databases/${one?.id ?? ''}/register`, {}),
    await alice.post(`/v1/discovered-databases/${one?.id ?? ''}/apply`),
  ])
    expect([answer.status, answer.body['code']]).toEqual([403, 'policy_denied']);
});
