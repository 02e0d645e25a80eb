/** Which authority Usher itself asks for at an endpoint: a real server with certificates of either, and the roots of both. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority } from '../../local/rds/authority.ts';
import { REGION } from '../../local/stand-in-account.ts';
import { known, newName } from '../support/people.ts';
import { standIn } from '../support/stand-in.ts';
import { until } from '../support/until.ts';
import { startUsher, type Answer, type Client, type Usher } from '../support/usher.ts';

const amazonTrust = createAuthority('Amazon Root CA 1 (stand-in)');

let usher: Usher;
let dave: Client;
let serverlessPort: number;
let close: () => Promise<void>;

beforeAll(async () => {
  const outside = await standIn();
  const { orders } = outside.targets;
  const door = await orders.rds.door({
    to: 'writer',
    authority: amazonTrust,
    verify: (login) =>
      Promise.resolve(
        outside.aws.verifyToken(login.token, { ...login, region: REGION, resourceId: orders.resourceId }),
      ),
  });
  [serverlessPort, close] = [door.port, () => door.close()];
  const pem = outside.aws.bundles.addBundle('amazon/endpoints.pem', amazonTrust.caPem);
  const trust = { [REGION]: { partition: 'aws', pem: outside.caUrl }, 'amazon-trust': { pem } };
  usher = await startUsher({ env: { USHER_TRUST_BUNDLES: JSON.stringify(trust) } });
  dave = await known(usher, 'dave');
});
afterAll(async () => {
  await usher?.close();
  await close?.();
});

/** Registering a profile is the first time that Usher logs in. */
async function reach(engineMode: string | undefined, port: number): Promise<Answer> {
  const { target, profiles } = usher.standIn.targets.orders.registration;
  const before = await dave.get<{ items: { id: string }[] }>('/v1/targets');
  for (const { id } of before.body.items) await dave.delete(`/v1/targets/${id}`);
  const { status, body } = await dave.post<{ id: string }>('/v1/targets', {
    ...target,
    ...{ name: newName('authority'), engineMode },
    endpoints: [{ kind: 'writer', connectHost: 'localhost', port }],
  });
  expect(status, JSON.stringify(body)).toBe(201);
  return dave.post(`/v1/targets/${body.id}/profiles`, profiles[0]);
}

describe('Usher logs in', () => {
  const writer = (): number => usher.standIn.targets.orders.endpoints[0]?.port ?? 0;
  const untrusted = { status: 503, code: 'target_untrusted' };

  test('to Serverless v1 by the roots of Amazon Trust, and there by no others', async () => {
    expect((await reach('serverless', serverlessPort)).status).toBe(201);
    expect((await reach('provisioned', serverlessPort)).body).toMatchObject(untrusted);
    expect((await reach(undefined, serverlessPort)).body).toMatchObject(untrusted);
  });

  test('to all others by the bundle of the region, and there by no others', async () => {
    expect((await reach(undefined, writer())).status).toBe(201);
    expect((await reach('serverless', writer())).body).toMatchObject(untrusted);
  });
});

test.each([
  ['another mode', { engineMode: 'global' }],
  ['an instance', { engineMode: 'serverless', kind: 'rds-instance', resourceId: 'db-ABC' }],
])('Serverless v1 is a mode of clusters: %s', async (_, change) => {
  const { target } = usher.standIn.targets.orders.registration;
  const endpoints = [{ kind: 'kind' in change ? 'instance' : 'writer', connectHost: 'localhost', port: 5432 }];
  const answer = await dave.post('/v1/targets', { ...target, name: newName('mode'), endpoints, ...change });
  expect(answer.body).toMatchObject({ status: 400, code: 'invalid_input', fields: [{ field: 'engineMode' }] });
});

test('what discovery knows of the mode is registered, and follows a conversion', async () => {
  const { aws } = usher.standIn;
  const [region, resourceId] = ['ca-central-1', 'cluster-SERVERLESS1']; // nobody else's databases are there
  aws.rds.addCluster({
    ...{
      identifier: 'old-serverless',
      resourceId,
      region,
      port: 5432,
      engineVersion: '13.12',
      engineMode: 'serverless',
    },
    endpoint: `old.cluster-c0ffee.${region}.rds.amazonaws.com`,
    tags: { team: 'owners', env: 'dev', 'usher:databases': 'app' },
  });
  try {
    await dave.post('/v1/accounts', { accountId: aws.accountId, name: 'main', partition: 'aws', regions: [region] });
    const { body: run } = await dave.post<{ id: string }>('/v1/discoveries');
    await until('the look to end', async () => {
      const { body } = await dave.get<{ finishedAt: string | null }>(`/v1/discoveries/${run.id}`);
      return body.finishedAt !== null;
    });
    const { body: page } = await dave.get<{ items: { id: string }[] }>('/v1/discovered-databases?state=new');
    const path = `/v1/discovered-databases/${page.items[0]?.id ?? ''}`;
    const made = await dave.post<{ id: string }>(`${path}/register`, {});
    expect(made.body).toMatchObject({ resourceId, engineMode: 'serverless' });
    await dave.patch(`/v1/targets/${made.body.id}`, { engineMode: 'provisioned' });
    expect((await dave.get(path)).body).toMatchObject({
      state: 'changed',
      differences: [{ field: 'engineMode', registered: 'provisioned', discovered: 'serverless' }],
    });
    expect((await dave.post(`${path}/apply`)).body).toMatchObject({ engineMode: 'serverless' });
  } finally {
    aws.rds.remove(resourceId);
  }
});
