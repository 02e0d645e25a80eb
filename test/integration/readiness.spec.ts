/** What a target still needs, asked of the stand-in's RDS and of its PostgreSQL; and IAM authentication switched on. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { auditLines, register } from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

interface Line {
  item: string;
  verdict: string;
  finding: string;
  remedy: string | null;
}
interface Answer {
  targetId: string;
  verdict: string;
  items: Line[];
}

let usher: Usher;
let dave: Client;
let targetId: string;
let resourceId: string;

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  dave = await usher.as('dave');
  ({ targetId } = await register(usher, 'orders'));
  ({ resourceId } = usher.standIn.targets.orders);
  const { rds } = usher.standIn.aws;
  const { engineVersion: version } = usher.standIn.targets.orders.registration.target as { engineVersion: string };
  rds.engineVersions.push({
    engine: 'aurora-postgresql',
    version,
    authorities: ['rds-ca-rsa2048-g1'],
    rotatesWithoutRestart: true,
  });
  rds.changeInstance('db-ORDERSMEMBER1', { certificateValidTill: new Date('2099-01-01T00:00:00Z') });
});
afterAll(async () => {
  const { rds, iam } = usher.standIn.aws;
  rds.changeCluster(resourceId, { iamAuthentication: true });
  rds.changeInstance('db-ORDERSMEMBER2', { caIdentifier: 'rds-ca-rsa2048-g1' });
  rds.engineVersions.length = 0;
  iam.user('usher-service').inline.delete('switch');
  await usher.close();
});

async function look(of = targetId): Promise<Answer> {
  const { status, body } = await dave.get<Answer>(`/v1/targets/${of}/readiness`);
  expect(status, JSON.stringify(body)).toBe(200);
  return body;
}

const lineOf = ({ items }: Answer, item: string): Line | undefined => items.find((one) => one.item === item);

test('reads RDS, the server and the rights of the broker', async () => {
  const answer = await look();
  expect(lineOf(answer, 'IAM authentication')).toMatchObject({ verdict: 'pass' });
  expect(lineOf(answer, 'authority orders-1')).toMatchObject({ verdict: 'pass', finding: 'rds-ca-rsa2048-g1' });
  expect(lineOf(answer, 'certificate orders-1')).toMatchObject({ verdict: 'pass', finding: 'ends on 2099-01-01' });
  expect(lineOf(answer, 'certificate rotation')).toMatchObject({ verdict: 'pass' });
  expect(lineOf(answer, 'password_encryption')).toMatchObject({ verdict: 'pass' });
  expect(lineOf(answer, 'connections')?.finding).toMatch(/^\d+ of \d+ in use/);
  expect(lineOf(answer, 'rds_iam of the broker')).toMatchObject({ verdict: 'pass' });
  expect(lineOf(answer, 'broker: guard')).toMatchObject({ verdict: 'pass' });
  expect(lineOf(answer, 'rds_iam of the master')).toMatchObject({ verdict: 'pass' });
  // every line of a check is there, down to the trials of the profiles
  expect(answer.items.map(({ item }) => item)).toContainEqual(
    expect.stringMatching(/^broker: (open|close) iam reporting-read/),
  );
});

test('says the same over GraphQL', async () => {
  const { data } = await dave.graphql<{ targetReadiness: Answer }>(
    `{ targetReadiness(targetId: "${targetId}") { targetId verdict items { item verdict finding remedy } } }`,
  );
  const rest = await look();
  const verdicts = ({ items }: Answer) => items.map(({ item, verdict }) => [item, verdict]);
  expect(data && verdicts(data.targetReadiness)).toEqual(verdicts(rest));
});

test('many who ask at once share a look: the target and AWS are not asked for each', async () => {
  const { trail } = usher.standIn.aws;
  const before = trail.events('DescribeDBClusters').length;
  const answers = await Promise.all(Array.from({ length: 20 }, () => look()));
  expect(new Set(answers.map(({ verdict }) => verdict)).size).toBe(1);
  expect(trail.events('DescribeDBClusters').length - before).toBeLessThan(10); // two where all come in time
});

test('names an authority that has expired, on the instance that has it', async () => {
  usher.standIn.aws.rds.changeInstance('db-ORDERSMEMBER2', { caIdentifier: 'rds-ca-2019' });
  const answer = await look();
  expect(answer.verdict).toBe('fail');
  const line = lineOf(answer, 'authority orders-2');
  expect(line).toMatchObject({ verdict: 'fail' });
  expect(line?.remedy).toContain('--db-instance-identifier orders-2 --ca-certificate-identifier rds-ca-rsa2048-g1');
});

test('tells what could not be looked at, and why, and goes on with the rest', async () => {
  const { faults } = usher.standIn.aws;
  faults.refuse(1, 'AccessDenied', { service: 'rds', action: 'DescribeDBClusters' });
  const refused = await look();
  expect(lineOf(refused, 'IAM authentication')).toMatchObject({ verdict: 'unknown', remedy: null });
  expect(lineOf(refused, 'IAM authentication')?.finding).toContain('rds:DescribeDBClusters');
  expect(lineOf(refused, 'rds_iam of the broker')).toMatchObject({ verdict: 'pass' });

  const gone = { ...usher.standIn.targets.orders.registration.target, name: 'gone', resourceId: 'cluster-GONE' };
  const made = await dave.post<{ id: string }>('/v1/targets', gone);
  expect(lineOf(await look(made.body.id), 'IAM authentication')?.finding).toContain('cluster-GONE');
  const enabled = await dave.post(`/v1/targets/${made.body.id}/iam-authentication`);
  expect([enabled.status, enabled.body['code']]).toEqual([409, 'database_missing']);
});

test('switches IAM authentication on where AWS lets it, and has it on record either way', async () => {
  const { rds, iam } = usher.standIn.aws;
  rds.changeCluster(resourceId, { iamAuthentication: false });
  const off = () => rds.clusters.find((one) => one.resourceId === resourceId)?.iamAuthentication === false;
  expect(lineOf(await look(), 'IAM authentication')).toMatchObject({ verdict: 'fail' });
  const route = `/v1/targets/${targetId}/iam-authentication`;

  for (const person of ['alice', 'bob', 'carol'] as const) {
    const denied = await (await usher.as(person)).post(route);
    expect([denied.status, denied.body['code']]).toEqual([403, 'policy_denied']);
  }
  const refused = await dave.post(route);
  expect(refused.body['code']).toBe('aws_denied');
  expect(off()).toBe(true);

  iam.putInline(iam.user('usher-service'), 'switch', {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: 'rds:ModifyDBCluster', Resource: '*' }],
  });
  expect((await dave.post(route)).body).toEqual({ targetId, changed: true });
  expect(off()).toBe(false);
  expect((await dave.post(route)).body).toEqual({ targetId, changed: false });
  expect(lineOf(await look(), 'IAM authentication')).toMatchObject({ verdict: 'pass' });

  const lines = (await auditLines(usher)).filter(({ action }) => action === 'target.iamAuthentication');
  expect(lines.map(({ outcome, code, details }) => [outcome, code, details])).toMatchObject([
    ['success', null, { database: 'orders' }],
    ['failed', 'aws_denied', { database: 'orders' }],
    ['success', null, { database: 'orders' }],
  ]);
});

test('is refused to who may not look', async () => {
  for (const person of ['alice', 'bob'] as const) {
    const answer = await (await usher.as(person)).get(`/v1/targets/${targetId}/readiness`);
    expect([answer.status, answer.body['code']]).toEqual([403, 'policy_denied']);
  }
  expect((await (await usher.as('carol')).get(`/v1/targets/${targetId}/readiness`)).status).toBe(200);
});
