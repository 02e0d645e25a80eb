import { describe, expect, test } from 'vitest';
import { caCatalogue, caExpiry } from './trust-ca.js';
import { tlsAdvice, tlsQuestion, type TlsQuestion } from './trust-advice.js';
import { bundleFor, bundleOf, bundles, globalBundles, safeUrl } from './trust.js';

const now = new Date('2025-01-01T00:00:00Z');

describe('bundles', () => {
  test('every region of the data, sorted, with https URLs', () => {
    const all = bundles();
    expect(all).toHaveLength(38);
    expect(all.map(({ region }) => region)).toEqual(all.map(({ region }) => region).sort());
    for (const { pemUrl, pkcs7Url, region } of all) {
      expect(new URL(pemUrl).protocol).toBe('https:');
      expect(pemUrl.endsWith(`/${region}/${region}-bundle.pem`)).toBe(true);
      expect(pkcs7Url?.endsWith(`/${region}/${region}-bundle.p7b`)).toBe(true);
    }
    expect(Object.keys(globalBundles).sort()).toEqual(['aws', 'aws-cn', 'aws-us-gov']);
  });

  test.each([
    ['aws', 'eu-west-1', 'https://truststore.pki.rds.amazonaws.com/eu-west-1/eu-west-1-bundle.pem'],
    [
      'aws-us-gov',
      'us-gov-east-1',
      'https://truststore.pki.us-gov-west-1.rds.amazonaws.com/us-gov-east-1/us-gov-east-1-bundle.pem',
    ],
    [
      'aws-cn',
      'cn-northwest-1',
      'https://rds-truststore.s3.cn-north-1.amazonaws.com.cn/cn-northwest-1/cn-northwest-1-bundle.pem',
    ],
  ])('%s %s', (partition, region, pemUrl) => {
    expect(bundleFor(partition, region)).toMatchObject({ partition, region, pemUrl });
    expect(bundleOf(region)).toEqual(bundleFor(partition, region));
  });

  test.each([
    ['aws', 'eu-west-9', 'unknown_region', /USHER_TRUST_BUNDLES/],
    ['aws', 'constructor', 'unknown_region', /USHER_TRUST_BUNDLES/],
    ['aws', '', 'unknown_region', /USHER_TRUST_BUNDLES/],
    ['aws', 'cn-north-1', 'unknown_region', /partition of the target/],
    ['aws-cn', 'eu-west-1', 'unknown_region', /partition of the target/],
    ['aws-eusc', 'eusc-de-east-1', 'unknown_partition', /USHER_TRUST_BUNDLES/],
    ['aws-iso', 'us-iso-east-1', 'unknown_partition', /USHER_TRUST_BUNDLES/],
  ])('%s %j is refused with what to set', (partition, region, code, advice) => {
    expect(() => bundleFor(partition, region)).toThrow(
      expect.objectContaining({ kind: 'invalid', code, advice: expect.stringMatching(advice) }),
    );
  });

  test('an operator adds a partition and replaces a region', () => {
    const overrides = {
      'eusc-de-east-1': { partition: 'aws-eusc', pem: 'https://ca.example/eusc.pem' },
      'eu-west-1': { pem: 'http://127.0.0.1:4566/trust/eu-west-1/eu-west-1-bundle.pem' },
    };
    expect(bundleFor('aws-eusc', 'eusc-de-east-1', overrides)).toEqual({
      region: 'eusc-de-east-1',
      partition: 'aws-eusc',
      pemUrl: 'https://ca.example/eusc.pem',
      pkcs7Url: null,
      evidence: 'configured',
    });
    expect(bundleFor('aws', 'eu-west-1', overrides).pemUrl).toBe(overrides['eu-west-1'].pem);
    expect(bundles(overrides)).toHaveLength(39);
    expect(() => bundleFor('aws', 'eu-west-9', overrides)).toThrow();
  });

  test.each(['http://ca.example/x.pem', 'ftp://127.0.0.1/x', 'file:///etc/x', 'x.pem', 'http://localhost.evil/x'])(
    '%s is no place to fetch a CA from',
    (url) => {
      expect(() => safeUrl(url)).toThrow(expect.objectContaining({ code: 'invalid_input' }));
    },
  );
});

describe('tlsAdvice', () => {
  const writer = 'orders.cluster-abc.eu-west-1.rds.amazonaws.com';
  const custom = 'reports.cluster-custom-abc.eu-west-1.rds.amazonaws.com';
  const base = { partition: 'aws', region: 'eu-west-1', connectHost: writer, tokenHost: writer, now } as const;
  const full = { mode: 'verify-full', hostaddrNeeded: false, authority: 'rds' } as const;
  const regional = bundleFor('aws', 'eu-west-1').pemUrl;
  const amazon = 'https://www.amazontrust.com/repository/AmazonRootCA1.pem';

  test.each<[string, TlsQuestion, object]>([
    ['writer', { ...base, kind: 'writer' }, { ...full, servername: writer, caBundleUrl: regional, warnings: [] }],
    ['reader', { ...base, kind: 'reader' }, { ...full, servername: writer, caBundleUrl: regional }],
    ['instance', { ...base, kind: 'instance' }, { ...full, servername: writer, warnings: [] }],
    [
      'alias',
      { ...base, kind: 'instance', connectHost: 'db.example.com' },
      { ...full, servername: writer, hostaddrNeeded: true },
    ],
    [
      'custom, with the writer known',
      { ...base, kind: 'custom', connectHost: custom, tokenHost: custom, writerHost: writer },
      { ...full, servername: writer, hostaddrNeeded: true },
    ],
    [
      'custom, signed for another name',
      { ...base, kind: 'custom', connectHost: custom },
      { ...full, servername: writer, hostaddrNeeded: true },
    ],
    [
      'custom alone',
      { ...base, kind: 'custom', connectHost: custom, tokenHost: custom },
      { mode: 'verify-ca', servername: custom, hostaddrNeeded: false, authority: 'rds' },
    ],
    [
      'proxy',
      { ...base, kind: 'proxy' },
      {
        mode: 'verify-full',
        authority: 'amazon-trust',
        caBundleUrl: amazon,
        caBundlePkcs7Url: null,
        servername: writer,
      },
    ],
    [
      'Serverless v1',
      { ...base, kind: 'writer', engineMode: 'serverless' },
      { mode: 'verify-full', authority: 'amazon-trust', caBundleUrl: amazon },
    ],
    ['Serverless v2', { ...base, kind: 'writer', engineMode: 'provisioned' }, { ...full, caBundleUrl: regional }],
    [
      'GovCloud',
      { ...base, kind: 'writer', partition: 'aws-us-gov', region: 'us-gov-west-1' },
      { ...full, caBundleUrl: bundleFor('aws-us-gov', 'us-gov-west-1').pemUrl },
    ],
    [
      'China',
      { ...base, kind: 'writer', partition: 'aws-cn', region: 'cn-north-1' },
      { ...full, caBundleUrl: bundleFor('aws-cn', 'cn-north-1').pemUrl },
    ],
  ])('%s', (_, question, advice) => {
    expect(tlsAdvice(question)).toMatchObject(advice);
  });

  test.each<[string, Partial<TlsQuestion>, RegExp]>([
    ['an expired CA', { caIdentifier: 'rds-ca-2019' }, /rds-ca-2019 expired on 2024-08-22/],
    ['an unknown CA', { caIdentifier: 'my-ca' }, /my-ca is not a certificate authority known/],
    [
      'a CA near its end',
      { caIdentifier: 'rds-ca-rsa2048-g1', caExpiresAt: new Date('2025-03-01T00:00:00Z') },
      /expires on 2025-03-01/,
    ],
    ['an alias', { connectHost: 'db.example.com' }, /db\.example\.com is not the name in the certificate/],
    ['a guessed bundle URL', { region: 'ap-east-2' }, /ap-east-2 follows AWS' pattern/],
    ['a guessed PKCS #7 URL', { partition: 'aws-cn', region: 'cn-north-1' }, /PKCS #7 URL of cn-north-1/],
    ['a custom endpoint', { kind: 'custom' }, /The host name is not verified/],
    ['a token for a custom endpoint', { kind: 'custom' }, /sign for the writer/],
    ['a proxy', { kind: 'proxy' }, /does not verify it/],
  ])('warns of %s', (_, change, warning) => {
    const { warnings } = tlsAdvice({ ...base, kind: 'writer', ...change });
    expect(warnings.join('\n')).toMatch(warning);
  });

  test('a custom endpoint is checked against the writer, and never against one of the instances', () => {
    const endpoint = { kind: 'custom', connectHost: custom, tokenHost: custom };
    const target = {
      partition: 'aws',
      region: 'eu-west-1',
      caIdentifier: 'rds-ca-rsa2048-g1',
      engineMode: 'provisioned',
    };
    const beside = (kind: string, host: string) =>
      tlsAdvice({
        ...tlsQuestion({ ...target, endpoints: [endpoint, { kind, connectHost: host, tokenHost: host }] }, endpoint),
        now,
      });
    expect(beside('writer', writer)).toMatchObject({ mode: 'verify-full', servername: writer });
    const lone = beside('instance', 'orders-1.abc.eu-west-1.rds.amazonaws.com');
    expect(lone).toMatchObject({ mode: 'verify-ca', servername: custom });
    expect(lone.warnings[0]).toMatch(/The host name is not verified/);
  });

  test('an unknown region is refused, never guessed', () => {
    expect(() => tlsAdvice({ ...base, kind: 'writer', region: 'eu-west-9' })).toThrow(
      expect.objectContaining({ code: 'unknown_region' }),
    );
  });
});

describe('certificate authorities', () => {
  test('one is the default, the 2019 one has expired', () => {
    expect(caCatalogue.filter(({ status }) => status === 'default').map(({ identifier }) => identifier)).toEqual([
      'rds-ca-rsa2048-g1',
    ]);
    expect(caCatalogue.find(({ identifier }) => identifier === 'rds-ca-2019')?.status).toBe('expired');
  });

  test.each([
    ['rds-ca-2019', 'eu-west-1', true, '2024-08-22T17:08:50.000Z'],
    ['rds-ca-2019', 'me-south-1', true, '2024-05-08T00:00:00.000Z'],
    ['rds-ca-rsa2048-g1', 'eu-west-1', true, '2061-01-01T00:00:00.000Z'],
    ['rds-ca-rsa2048-g1', 'il-central-1', true, '2062-01-01T00:00:00.000Z'],
    ['rds-ca-rsa2048-g1', 'ca-west-1', true, '2063-01-01T00:00:00.000Z'],
    ['rds-ca-rsa2048-g1', 'mx-central-1', true, '2064-01-01T00:00:00.000Z'],
    ['rds-ca-rsa4096-g1', 'eu-west-1', true, '2121-01-01T00:00:00.000Z'],
    ['rds-ca-ecc384-g1', 'mx-central-1', true, '2124-01-01T00:00:00.000Z'],
  ])('%s in %s', (identifier, region, seen, end) => {
    expect(caExpiry(identifier, region, seen)?.toISOString()).toBe(end);
  });

  test('what was never read has no end', () => {
    expect(caExpiry('rds-ca-rsa2048-g1', 'cn-north-1', false)).toBeNull();
    expect(caExpiry('my-ca', 'eu-west-1', true)).toBeNull();
  });
});
