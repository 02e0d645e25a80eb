import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { ConfigError, readSettings, type Settings } from './config.js';

const needed = { OIDC_ISSUER: 'https://idp.example' };
const read = (env: Record<string, string>): Settings => readSettings({ ...needed, ...env });

interface Variable {
  of: (settings: Settings) => unknown;
  unset: unknown;
  good: [given: string, found: unknown][];
  bad?: string[];
}
const text = (of: Variable['of'], unset: unknown): Variable => ({
  of,
  unset,
  good: [
    ['given', 'given'],
    ['  given ', 'given'],
    ['', unset],
    ['  ', unset],
  ],
});
const webAddress = (of: Variable['of']): Variable => ({
  of,
  unset: undefined,
  good: [
    ['https://usher.example.com', 'https://usher.example.com'],
    ['http://127.0.0.1:3000/x', 'http://127.0.0.1:3000/x'],
  ],
  bad: [
    'usher.example.com',
    'http://usher.example.com',
    'https://me@usher.example.com',
    'file:///etc',
    'http://localhost.evil',
  ],
});
const whole = (of: Variable['of'], unset: number, min: number, max: number): Variable => ({
  of,
  unset,
  good: [
    [String(min), min],
    [String(max), max],
    ['', unset],
  ],
  bad: [String(min - 1), String(max + 1), 'many', `${min}.5`, 'NaN', 'Infinity', '-'],
});
const flag = (of: Variable['of'], unset: boolean): Variable => ({
  of,
  unset,
  good: [
    ['true', true],
    ['false', false],
    ['', unset],
  ],
  bad: ['yes', '1', 'TRUE', '0'],
});

const variables: Record<string, Variable> = {
  USHER_HOST: text((s) => s.host, '127.0.0.1'),
  USHER_PORT: whole((s) => s.port, 3000, 0, 65535),
  DATABASE_URL: text((s) => s.databaseUrl?.reveal(), undefined),
  USHER_DATABASE_POOL_SIZE: whole((s) => s.databasePoolSize, 20, 4, 500),
  USHER_TRUSTED_PROXIES: {
    of: (s) => s.trustedProxies,
    unset: [],
    good: [
      ['10.0.0.1', ['10.0.0.1']],
      ['10.0.0.0/8, ::1,', ['10.0.0.0/8', '::1']],
      ['', []],
    ],
  },
  USHER_CORS_ORIGINS: {
    of: (s) => s.corsOrigins,
    unset: [],
    good: [
      ['https://portal.example.com, http://localhost:8080', ['https://portal.example.com', 'http://localhost:8080']],
      ['', []],
    ],
    bad: [
      '*',
      'null',
      'portal.example.com',
      'https://portal.example.com/',
      'https://*.example.com',
      'https://A.example.com',
    ],
  },
  USHER_OUTBOUND_NETWORKS: {
    of: (s) => s.aws.outboundNetworks,
    unset: [],
    good: [
      ['10.0.0.0/8, fd12::/16', ['10.0.0.0/8', 'fd12::/16']],
      ['', []],
    ],
    bad: ['10.0.0.0', '10.0.0.0/33', 'localhost', '*'],
  },
  USHER_REQUEST_TIMEOUT_SECONDS: whole((s) => s.requestTimeoutSeconds, 20, 1, 300),
  USHER_CALLS_PER_MINUTE: whole((s) => s.callsPerMinute, 1200, 0, 1_000_000),
  USHER_ANONYMOUS_CALLS_PER_MINUTE: whole((s) => s.anonymousCallsPerMinute, 120, 0, 1_000_000),
  USHER_SOCKETS: whole((s) => s.sockets.most, 500, 0, 100_000),
  USHER_SOCKETS_PER_PERSON: whole((s) => s.sockets.ofOne, 10, 1, 10_000),
  USHER_GRAPHQL_INTROSPECTION: flag((s) => s.graphqlIntrospection, true),
  USHER_STATE_DIR: {
    of: (s) => s.stateDirectory,
    unset: resolve('.usher/state'),
    good: [
      ['/var/lib/x', '/var/lib/x'],
      ['here', resolve('here')],
    ],
  },
  OIDC_AUDIENCE: text((s) => s.oidc.audience, 'usher'),
  OIDC_ALGORITHMS: {
    of: (s) => s.oidc.algorithms,
    unset: ['RS256', 'ES256', 'EdDSA'],
    good: [
      ['PS256', ['PS256']],
      ['RS256, ES384', ['RS256', 'ES384']],
    ],
    bad: [','],
  },
  OIDC_SERVICE_TOKENS: {
    of: (s) => s.oidc.serviceTokens,
    unset: undefined,
    good: [
      ['subject', ['subject']],
      ['gty=client-credentials, clientHost', ['gty=client-credentials', 'clientHost']],
      ['https://example.com/kind=a=b', ['https://example.com/kind=a=b']],
    ],
    bad: [',', 'gty=', '=x', 'a b', 'gty==x'],
  },
  OIDC_AUTHORIZED_PARTIES: {
    of: (s) => s.oidc.authorizedParties,
    unset: undefined,
    good: [
      ['portal', ['portal']],
      ['portal, cli,', ['portal', 'cli']],
      ['', undefined],
    ],
    bad: [',', ' , '],
  },
  OIDC_CLI_CLIENT_ID: text((s) => s.oidc.cliClientId, undefined),
  OIDC_CLI_SCOPE: text((s) => s.oidc.cliScope, 'openid'),
  OIDC_CLOCK_TOLERANCE_SECONDS: whole((s) => s.oidc.clockToleranceSeconds, 30, 0, 300),
  OIDC_GROUPS_CLAIM: text((s) => s.oidc.groupsClaim, 'groups'),
  OIDC_AWS_PRINCIPAL_CLAIM: text((s) => s.oidc.awsPrincipalClaim, 'aws_principal'),
  AWS_ENDPOINT_URL: text((s) => s.aws.endpointUrl, undefined),
  USHER_CONNECT_ROLE: text((s) => s.aws.connectRoleName, 'usher-connect'),
  USHER_EXTERNAL_ID: text((s) => s.aws.externalId?.reveal(), undefined),
  USHER_SECRETS_DIR: text((s) => s.aws.secretsDirectory, undefined),
  USHER_POLICY_FILE: text((s) => s.policyFile, undefined),
  USHER_TIME_ZONE: {
    of: (s) => s.timeZone,
    unset: 'UTC',
    good: [
      ['Europe/Berlin', 'Europe/Berlin'],
      [' america/new_york ', 'America/New_York'],
    ],
    bad: ['Europe/Atlantis', '+02:00', '-01', 'local', '2'],
  },
  USHER_AUDIT_ORIGIN: {
    of: (s) => s.audit.origin,
    unset: 'usher/audit',
    good: [['usher.example.com/audit', 'usher.example.com/audit']],
    bad: ['two words', 'a+b', 'a\u0000b'],
  },
  USHER_WEBHOOK_KEY: {
    of: (s) => s.webhookKeys.map((key) => key.reveal()),
    unset: [],
    good: [
      ['a'.repeat(43) + '=', ['a'.repeat(43) + '=']],
      [`${'a'.repeat(64)}, ${'b'.repeat(43)}`, ['a'.repeat(64), 'b'.repeat(43)]],
      ['', []],
    ],
    bad: ['a'.repeat(42), 'a'.repeat(43) + '!', `${'a'.repeat(43)},short`],
  },
  USHER_TRUST_MIRROR_HOURS: whole(({ trustMirror }) => trustMirror.hours, 0, 0, 720),
  USHER_TRUST_MIRROR_FROM: webAddress(({ trustMirror }) => trustMirror.from),
  USHER_TRUST_MIRROR_AT: webAddress(({ trustMirror }) => trustMirror.at),
  USHER_AUDIT_SIGN_SECONDS: whole((s) => s.audit.signSeconds, 10, 1, 600),
  USHER_DELEGATION_MAX_DAYS: whole((s) => s.delegationMaxDays, 30, 1, 365),
  USHER_REQUEST_TTL_MINUTES: whole((s) => s.requestTtlMinutes, 1440, 1, 43200),
  USHER_SAMPLE_SECONDS: whole((s) => s.sampleSeconds, 5, 0, 3600),
  USHER_SERVER_LOG_RETENTION_DAYS: whole((s) => s.serverLogRetentionDays, 400, 0, 3650),
  USHER_DRIFT_MINUTES: whole((s) => s.drift.minutes, 5, 0, 1440),
  USHER_DRIFT_MODE: {
    of: (s) => s.drift.mode,
    unset: 'repair',
    good: [
      ['report', 'report'],
      [' repair ', 'repair'],
      ['', 'repair'],
    ],
    bad: ['Report', 'off', 'report,repair'],
  },
  USHER_JOBS: flag((s) => s.jobs, true),
  USHER_GRAPHIQL: flag((s) => s.graphiql, true),
  USHER_LOG_LEVEL: text((s) => s.logLevel, 'info'),
};

describe.each(Object.entries(variables))('%s', (name, { of, unset, good, bad = [] }) => {
  test('unset', () => expect(of(read({}))).toEqual(unset));
  test.each(good)('%j', (given, found) => expect(of(read({ [name]: given }))).toEqual(found));
  if (bad.length > 0)
    test.each(bad)('%j is refused by name', (given) => {
      const read_ = (): Settings => read({ [name]: given });
      expect(read_).toThrow(ConfigError);
      expect(read_).toThrow(name);
    });
});

describe('OIDC_ISSUER', () => {
  test('is needed', () => {
    expect(read({}).oidc.issuer).toBe('https://idp.example');
    for (const env of [{}, { OIDC_ISSUER: ' ' }]) {
      expect(() => readSettings(env)).toThrow(ConfigError);
      expect(() => readSettings(env)).toThrow('OIDC_ISSUER');
    }
  });
});

describe('OIDC_PROVIDERS', () => {
  const partner = { issuer: 'https://partner.example', groupsPrefix: 'partner:' };
  const sameGroups = { issuer: 'https://other.example', groups: 'same' };
  const further = (given: unknown): Settings['furtherProviders'] =>
    read({ OIDC_PROVIDERS: JSON.stringify(given) }).furtherProviders;

  test('unset', () => expect(read({}).furtherProviders).toEqual([]));
  test('what is not said has the defaults, and no IAM principal is believed', () =>
    expect(further([partner, sameGroups])).toMatchObject([
      {
        ...partner,
        audience: 'usher',
        algorithms: ['RS256', 'ES256', 'EdDSA'],
        clockToleranceSeconds: 30,
        groupsClaim: 'groups',
        awsPrincipalClaim: undefined,
        authorizedParties: undefined,
        cliScope: 'openid',
      },
      { issuer: 'https://other.example', groupsPrefix: undefined },
    ]));
  test('everything', () => {
    const all = {
      ...partner,
      ...{ audience: 'broker', algorithms: ['ES384'], clockToleranceSeconds: 0, groupsClaim: 'roles' },
      ...{ awsPrincipalClaim: 'arn', authorizedParties: ['portal'], cliClientId: 'cli', cliScope: 'openid usher' },
      serviceTokens: ['subject', 'idtyp=app'],
    };
    expect(further([all])).toEqual([all]);
  });
  test('a file that holds the list', () => {
    const directory = mkdtempSync(join(tmpdir(), 'usher-config-'));
    try {
      const file = join(directory, 'providers.json');
      writeFileSync(file, JSON.stringify([partner]));
      expect(read({ OIDC_PROVIDERS: file }).furtherProviders).toMatchObject([partner]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
  test.each<[string, unknown, RegExp]>([
    ['no list', partner, /list/],
    ['no object', ['https://partner.example'], /provider 1 is no object/],
    ['no issuer', [{ groups: 'same' }], /provider 1 has no issuer/],
    ['nothing said of its groups', [{ issuer: 'https://partner.example' }], /either a groupsPrefix/],
    ['both said of its groups', [{ ...partner, groups: 'same' }], /either a groupsPrefix/],
    ['groups that are said to be something else', [{ ...sameGroups, groups: 'prefixed' }], /either a groupsPrefix/],
    ['an empty prefix', [{ ...partner, groupsPrefix: '' }], /groupsPrefix/],
    ['a prefix that others can complete', [{ ...partner, groupsPrefix: 'ad' }], /one : or \/ at the end/],
    ['a prefix within which another could lie', [{ ...partner, groupsPrefix: 'a:b:' }], /one : or \/ at the end/],
    ['a prefix twice', [partner, { ...partner, issuer: 'https://other.example' }], /two providers/],
    ['an issuer twice', [partner, { ...partner, groupsPrefix: 'other:' }], /there twice/],
    ['the issuer of the first', [{ ...partner, issuer: 'https://idp.example' }], /there twice/],
    ['the issuer of the first with a slash', [{ ...partner, issuer: 'https://idp.example/' }], /there twice/],
    ['a misspelt field', [{ ...partner, authorisedParties: ['x'] }], /nothing is called authorisedParties/],
    ['a mark that is none', [{ ...partner, serviceTokens: ['a b'] }], /serviceTokens/],
    ['no parties', [{ ...partner, authorizedParties: [] }], /authorizedParties/],
    ['parties that are no list', [{ ...partner, authorizedParties: 'portal' }], /authorizedParties/],
    ['an algorithm that is no text', [{ ...partner, algorithms: [256] }], /algorithms/],
    ['a tolerance that is text', [{ ...partner, clockToleranceSeconds: '30' }], /clockToleranceSeconds/],
    ['a tolerance of an hour', [{ ...partner, clockToleranceSeconds: 3600 }], /clockToleranceSeconds/],
    ['a client that is a number', [{ ...partner, cliClientId: 7 }], /cliClientId/],
  ])('%s is refused by name', (_, given, says) => {
    const read_ = (): unknown => further(given);
    expect(read_).toThrow(ConfigError);
    expect(read_).toThrow('OIDC_PROVIDERS');
    expect(read_).toThrow(says);
  });
  test.each(['{', '[', '/no/such/file'])('%j is refused by name', (given) =>
    expect(() => read({ OIDC_PROVIDERS: given })).toThrow('OIDC_PROVIDERS'),
  );
});

describe('USHER_AUDIT_KEY', () => {
  const pemOf = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();
  const good = pemOf(generateKeyPairSync('ed25519').privateKey);
  const other = pemOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
  const key = (env: Record<string, string>): string | undefined => read(env).audit.key?.reveal().trim();
  const directory = mkdtempSync(join(tmpdir(), 'usher-config-'));
  afterAll(() => rmSync(directory, { recursive: true }));
  const fileWith = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };

  test('unset', () => expect(key({})).toBeUndefined());
  test.each([
    ['PEM', good],
    ['PEM in one line', good.replaceAll('\n', '\\n')],
  ])('%s', (_, given) => expect(key({ USHER_AUDIT_KEY: given })).toBe(good.trim()));
  test('a file that holds it', () =>
    expect(key({ USHER_AUDIT_KEY_FILE: fileWith('key.pem', good) })).toBe(good.trim()));
  test.each([
    ['no key', { USHER_AUDIT_KEY: 'hidden-key' }],
    ['a key of another kind', { USHER_AUDIT_KEY: other }],
    ['a file that is not there', { USHER_AUDIT_KEY_FILE: '/no/such/file' }],
    ['a file with a key of another kind', { USHER_AUDIT_KEY_FILE: fileWith('other.pem', other) }],
    ['both', { USHER_AUDIT_KEY: good, USHER_AUDIT_KEY_FILE: fileWith('both.pem', good) }],
  ])('%s is refused by name, and not shown', (_, env) => {
    expect(() => key(env)).toThrow(ConfigError);
    expect(() => key(env)).toThrow(Object.keys(env)[0]);
    expect(() => key(env)).not.toThrow(/hidden-key|MC4C/);
  });
});

describe('USHER_AUDIT_KMS_KEY', () => {
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const arn = 'arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';

  test('unset', () => expect(read({}).audit).toMatchObject({ kmsKey: undefined, signSeconds: 10 }));
  test.each([
    arn,
    'arn:aws:kms:us-east-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab',
    'arn:aws-us-gov:kms:us-gov-west-1:123456789012:alias/usher/record_2027',
  ])('%s', (given) =>
    expect(read({ USHER_AUDIT_KMS_KEY: given }).audit).toMatchObject({ kmsKey: given, key: undefined }),
  );
  test.each([
    '1234abcd-12ab-34cd-56ef-1234567890ab',
    'alias/usher',
    'arn:aws:kms:eu-central-1:123456789012:key/',
    'arn:aws:kms:eu-central-1:123456789012:grant/1',
    'arn:aws:kms::123456789012:key/1',
    'arn:aws:secretsmanager:eu-central-1:123456789012:key/1',
    `${arn} x`,
  ])('%j is refused by name', (given) => {
    expect(() => read({ USHER_AUDIT_KMS_KEY: given })).toThrow(ConfigError);
    expect(() => read({ USHER_AUDIT_KMS_KEY: given })).toThrow('USHER_AUDIT_KMS_KEY must be the ARN');
  });
  test.each([
    ['USHER_AUDIT_KEY', pem],
    ['USHER_AUDIT_KEY_FILE', '/run/secrets/audit-key.pem'],
  ])('beside %s is refused, and the key not shown', (name, given) => {
    const both = (): unknown => read({ USHER_AUDIT_KMS_KEY: arn, [name]: given });
    expect(both).toThrow(ConfigError);
    expect(both).toThrow(`USHER_AUDIT_KMS_KEY and ${name} are both set`);
    expect(both).not.toThrow(/MC4C/);
  });
});

describe('USHER_TRUST_BUNDLES', () => {
  const bundles = { 'eu-west-1': { pem: 'https://bundles.example/eu.pem' } };
  test('unset', () => expect(read({}).trustOverrides).toEqual({}));
  test('a JSON object', () =>
    expect(read({ USHER_TRUST_BUNDLES: JSON.stringify(bundles) }).trustOverrides).toEqual(bundles));
  test('a file that holds one', () => {
    const directory = mkdtempSync(join(tmpdir(), 'usher-config-'));
    try {
      const file = join(directory, 'bundles.json');
      writeFileSync(file, JSON.stringify(bundles));
      expect(read({ USHER_TRUST_BUNDLES: file }).trustOverrides).toEqual(bundles);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
  test.each([
    '{',
    '[]',
    'null',
    '/no/such/file',
    '{"eu-west-1": null}',
    '{"eu-west-1": "https://x"}',
    '{"eu-west-1": {"pem": 1}}',
    '{"eu-west-1": {}}',
  ])('%j is refused by name', (given) => {
    expect(() => read({ USHER_TRUST_BUNDLES: given })).toThrow(ConfigError);
    expect(() => read({ USHER_TRUST_BUNDLES: given })).toThrow('USHER_TRUST_BUNDLES');
  });
});

describe('USHER_WEBHOOK_KEY_FILE', () => {
  test('holds keys by line', () => {
    const directory = mkdtempSync(join(tmpdir(), 'usher-config-'));
    try {
      const file = join(directory, 'keys');
      writeFileSync(file, `${'n'.repeat(43)}\n${'o'.repeat(43)}\n`);
      const { webhookKeys } = read({ USHER_WEBHOOK_KEY_FILE: file });
      expect(webhookKeys.map((key) => key.reveal())).toEqual(['n'.repeat(43), 'o'.repeat(43)]);
      expect(() => read({ USHER_WEBHOOK_KEY_FILE: file, USHER_WEBHOOK_KEY: 'k'.repeat(43) })).toThrow('both set');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
  test('that is not there is refused by name', () => {
    expect(() => read({ USHER_WEBHOOK_KEY_FILE: '/no/such/file' })).toThrow('USHER_WEBHOOK_KEY_FILE');
  });
});

test('secrets are read at use, and only those that are called secrets', () => {
  const { env } = read({ USHER_SECRET_ORDERS: 'hidden', AWS_SECRET_ACCESS_KEY: 'not for a target' }).aws;
  expect(env('USHER_SECRET_ORDERS')).toBe('hidden');
  expect(env('USHER_SECRET_OTHER')).toBeUndefined();
  expect(env('AWS_SECRET_ACCESS_KEY')).toBeUndefined();
});

test('introspection follows GraphiQL where nothing is said of it', () => {
  expect(read({ USHER_GRAPHIQL: 'false' }).graphqlIntrospection).toBe(false);
  expect(read({ USHER_GRAPHIQL: 'false', USHER_GRAPHQL_INTROSPECTION: 'true' }).graphqlIntrospection).toBe(true);
});

test('settings that are printed, logged or sent show no secret', () => {
  const hidden = { DATABASE_URL: 'postgresql://usher:hidden-pw@db/usher', USHER_EXTERNAL_ID: 'hidden-external-id' };
  const webhookKey = 'hidden'.padEnd(43, 'x');
  const settings = read({ ...hidden, USHER_SECRET_ORDERS: 'hidden-broker', USHER_WEBHOOK_KEY: webhookKey });
  expect([settings.databaseUrl?.reveal(), settings.aws.externalId?.reveal()]).toEqual(Object.values(hidden));
  const printed = [
    inspect(settings, { depth: 9, showHidden: true }),
    JSON.stringify(settings),
    `${settings.databaseUrl}`,
    String([settings.aws.externalId]),
  ];
  for (const text of printed) expect(text).not.toContain('hidden');
  expect(printed[0]).toContain('[secret]');
});
