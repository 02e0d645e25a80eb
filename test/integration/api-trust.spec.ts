import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import globalRows from '../../src/targets/rds-ca-bundles-global.json' with { type: 'json' };
import regionalRows from '../../src/targets/rds-ca-bundles.json' with { type: 'json' };
import { known } from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

let usher: Usher;
let alice: Client;

beforeAll(async () => {
  usher = await startUsher({ work: false, env: { USHER_TRUST_BUNDLES: '' } });
  alice = await known(usher, 'alice');
});
afterAll(() => usher?.close());

describe('what is known is served', () => {
  test('38 regions, each with its PEM and PKCS #7, alone as in the list', async () => {
    const { body } = await alice.get<{ region: string }[]>('/v1/trust/bundles');
    expect(body).toHaveLength(38);
    expect(Object.fromEntries(body.map((one) => [one.region, one]))).toMatchObject(
      Object.fromEntries(
        Object.entries(regionalRows).map(([region, { partition, pem, p7b, evidence }]) => [
          region,
          { region, partition, pemUrl: pem, pkcs7Url: p7b, evidence },
        ]),
      ),
    );
    for (const one of body) expect((await alice.get(`/v1/trust/bundles/${one.region}`)).body).toEqual(one);
  });

  test('three partitions, each region in one, with the hash of the global bundle', async () => {
    const { body } = await alice.get<{ partition: string; regions: string[] }[]>('/v1/trust/partitions');
    expect(body).toHaveLength(3);
    for (const one of body) {
      const row = globalRows[one.partition as keyof typeof globalRows];
      expect(one).toMatchObject({
        pemUrl: row.pem,
        pkcs7Url: row.p7b,
        sha256: row.sha256_pem,
        certificates: row.certificates,
        asOf: row.asOf,
        pkcs7Documented: one.partition !== 'aws-cn',
      });
      expect((await alice.get(`/v1/trust/partitions/${one.partition}`)).body).toEqual(one);
    }
    expect(body.flatMap(({ regions }) => regions).sort()).toEqual(Object.keys(regionalRows).sort());
    expect(body.find(({ partition }) => partition === 'aws-us-gov')?.regions).toEqual([
      'us-gov-east-1',
      'us-gov-west-1',
    ]);
  });

  test.each([
    ['eu-west-1', 'SHA256', '2061-01-01T00:00:00.000Z', true],
    ['il-central-1', 'SHA256', '2062-01-01T00:00:00.000Z', false],
    ['us-gov-west-1', 'SHA384', null, true],
  ])('the authorities of %s', async (region, signature, expiresAt, documented) => {
    const { body } = await alice.get<{ authorities: { identifier: string }[] }>(`/v1/trust/bundles/${region}`);
    expect(body.authorities).toMatchObject([
      { identifier: 'rds-ca-rsa2048-g1', signature, expiresAt, documented: true },
      { identifier: 'rds-ca-rsa4096-g1', signature: 'SHA384', documented },
      { identifier: 'rds-ca-ecc384-g1', signature: 'SHA384', documented },
    ]);
  });

  test('the catalogue: one default, and what is over with the way out of it', async () => {
    const { body } =
      await alice.get<{ identifier: string; status: string; rotation: string }[]>('/v1/trust/authorities');
    expect(body.map(({ identifier, status }) => [identifier, status])).toEqual([
      ['rds-ca-rsa2048-g1', 'default'],
      ['rds-ca-rsa4096-g1', 'available'],
      ['rds-ca-ecc384-g1', 'available'],
      ['rds-ca-2019', 'expired'],
    ]);
    expect(body[0]).toMatchObject({
      algorithm: 'RSA2048',
      signature: 'SHA256',
      validityYears: 40,
      expiredAt: null,
      rotation: expect.stringContaining('by itself'),
    });
    expect(body[3]).toMatchObject({
      expiredAt: '2024-08-22T17:08:50.000Z',
      rotation: expect.stringContaining('--ca-certificate-identifier rds-ca-rsa2048-g1'),
    });
  });
});

test.each([
  ['/v1/trust/bundles/eusc-de-east-1', 'unknown_region', /USHER_TRUST_BUNDLES .* region "eusc-de-east-1"/],
  ['/v1/trust/bundles/amazon-trust', 'unknown_region', /USHER_TRUST_BUNDLES/],
  ['/v1/trust/partitions/aws-iso', 'unknown_partition', /USHER_TRUST_BUNDLES .* each of its regions/],
  ['/v1/trust/partitions/constructor', 'unknown_partition', /USHER_TRUST_BUNDLES/],
])('%s: %s, with what to configure', async (path, code, advice) => {
  expect((await alice.get(path)).body).toMatchObject({ status: 422, code, advice: expect.stringMatching(advice) });
});
