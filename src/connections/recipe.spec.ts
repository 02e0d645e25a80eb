import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applicationName, grantIdOf, type Recipe, type RecipeClient, type RecipeInput, recipes } from './recipe.js';

const token = 'orders.example:5432/?Action=connect&DBUser=jane_doe&X-Amz-Signature=abc%2B';
const host = 'orders.cluster-abc.eu-west-1.rds.amazonaws.com';
const base: RecipeInput = {
  grantId: '0190c1f0-0000-7000-8000-000000000001',
  method: 'iam',
  secret: token,
  expiresAt: new Date('2025-01-01T00:15:00Z'),
  host,
  port: 5432,
  database: 'orders',
  user: 'jane_doe',
  tls: {
    mode: 'verify-full',
    servername: host,
    hostaddrNeeded: false,
    authority: 'rds',
    caBundleUrl: 'https://truststore.pki.rds.amazonaws.com/eu-west-1/eu-west-1-bundle.pem',
  },
};
const clients: RecipeClient[] = [
  'psql',
  'psql-powershell',
  'libpq-service',
  'psycopg',
  'psycopg2',
  'jdbc',
  'jdbc-truststore',
  'node-postgres',
  'pgx',
  'npgsql',
  'pgadmin',
  'dbeaver',
  'sql-workbench',
];
/** Where the secret stands in the text: as a value of the environment, or in a file of one's own. */
const forShells: RecipeClient[] = ['psql', 'psql-powershell', 'libpq-service', 'pgpass'];

const tls = (change: Partial<RecipeInput['tls']>): RecipeInput => ({ ...base, tls: { ...base.tls, ...change } });
const recipe = (client: RecipeClient, input = base): Recipe => {
  const found = recipes(input).find((one) => one.client === client);
  if (!found) throw new Error(`no recipe for ${client}`);
  return found;
};

describe('every recipe', () => {
  test('is there, once', () => {
    expect(recipes(base).map(({ client }) => client)).toEqual(clients);
  });

  test('only those for a shell hold the token', () => {
    for (const { client, text, notes } of recipes(base)) {
      expect(notes.join('\n')).not.toContain(token);
      const kept = client === 'libpq-service' ? token.replaceAll(':', '\\:') : token;
      expect(text.split(kept)).toHaveLength(forShells.includes(client) ? 2 : 1);
    }
    expect(recipe('psql').text).toContain(`PGPASSWORD='${token}' psql `);
    expect(recipe('psql-powershell').text).toContain(`$env:PGPASSWORD = '${token}'\n`);
  });

  test.each(clients)('%s names the session, the mode and the end of the token', (client) => {
    const { text, notes } = recipe(client);
    expect(text.replaceAll('%3A', ':')).toContain(applicationName(base.grantId));
    expect(text).toMatch(/verify-full|VerifyFull|rejectUnauthorized: true/);
    expect(notes.join('\n')).toContain('2025-01-01T00:15:00.000Z');
  });

  test('only those that were asked for are made', () => {
    expect(recipes(base, ['jdbc', 'psql', 'aws-cli']).map(({ client }) => client)).toEqual(['psql', 'jdbc']);
    expect(recipes(base, [])).toEqual([]);
  });

  test.each<[string, RecipeInput]>([
    ['a line break', { ...base, database: 'a\nb' }],
    ['a carriage return', { ...base, user: 'a\rb' }],
    ['NUL', { ...base, database: 'a\0b' }],
    ['an escape sequence', { ...base, database: '\u001b[2K' }],
    ['a reversed reading direction', { ...base, database: 'a\u202eb' }],
    ['a line separator', { ...base, database: 'a\u2028b' }],
    ['half a character', { ...base, database: 'a\ud800b' }],
    ['nothing', { ...base, database: '' }],
    ['a line break in the token', { ...base, secret: 'a\nb' }],
    ['a file as bundle', tls({ caBundleUrl: 'file:///etc/passwd' })],
    ['an option as bundle', tls({ caBundleUrl: '-o/etc/passwd' })],
  ])('refuses %s', (_, input) => {
    expect(() => recipes(input)).toThrow(expect.objectContaining({ kind: 'invalid', code: 'invalid_input' }));
  });
});

describe('for a password', () => {
  const password = 'Zm9yIHRoaXMgdGVzdCBhbG9uZSBoZXJl';
  const given: RecipeInput = { ...base, method: 'password', user: 'jane_doe_pw', secret: password };

  test('there are two more, for what is saved', () => {
    const saved = ['libpq-service', 'pgpass', 'libpq-uri'];
    expect(recipes(given).map(({ client }) => client)).toEqual(
      clients.flatMap((client) => (client === 'libpq-service' ? saved : [client])),
    );
  });

  test('only those for a shell hold it, and no word is of tokens', () => {
    for (const { client, text, notes } of recipes(given)) {
      expect(text.includes(password)).toBe(forShells.includes(client));
      expect(`${text} ${notes.join(' ')}`).not.toMatch(/\btokens?\b(?!" out)/i);
      expect(notes.join(' ')).not.toContain(password);
      expect(notes.join(' ')).toContain('works until 2025-01-01T00:15:00.000Z');
    }
  });

  test('a URI for an address that is IPv6, verified by another name', () => {
    const tunnel = { ...given, host: '::1', tls: { ...base.tls, hostaddrNeeded: true } };
    const text = recipes(tunnel).find(({ client }) => client === 'libpq-uri')?.text;
    expect(text).toContain(`postgresql://jane_doe_pw@${host}:5432/orders?hostaddr=%3A%3A1&sslmode=verify-full`);
    const direct = { ...given, host: '::1' };
    expect(recipes(direct).find(({ client }) => client === 'libpq-uri')?.text).toContain('@[::1]:5432/');
  });
});

describe('psql', () => {
  test('is this text', () => {
    expect(recipe('psql').text).toBe(
      [
        ` (umask 077 && mkdir -p "$HOME/.usher" && curl -fsS --proto '=https' --max-time 30 -o "$HOME/.usher/eu-west-1-bundle.pem.$$" ${base.tls.caBundleUrl} && mv -f "$HOME/.usher/eu-west-1-bundle.pem.$$" "$HOME/.usher/eu-west-1-bundle.pem") &&`,
        ` PGSSLROOTCERT="$HOME/.usher/eu-west-1-bundle.pem" PGPASSWORD='${token}' psql 'host=${host} port=5432 dbname=orders user=jane_doe sslmode=verify-full application_name=usher:${base.grantId}'`,
      ].join('\n'),
    );
  });

  test('a proxy is verified by a root of Amazon Trust, from a file that every libpq can read', () => {
    const { text, notes } = recipe(
      'psql',
      tls({ authority: 'amazon-trust', caBundleUrl: 'https://www.amazontrust.com/repository/AmazonRootCA1.pem' }),
    );
    expect(text).toContain('PGSSLROOTCERT="$HOME/.usher/AmazonRootCA1.pem"');
    expect(notes.join('\n')).toMatch(/libpq 16.*sslrootcert=system/);
  });

  test('another address than the name in the certificate', () => {
    const tunnel = { ...tls({ hostaddrNeeded: true }), host: '127.0.0.1', port: 15432 };
    expect(recipe('psql', tunnel).text).toContain(`host=${host} hostaddr=127.0.0.1 port=15432`);
    const custom = { ...tls({ hostaddrNeeded: true }), host: 'reports.cluster-custom-abc.example' };
    expect(recipe('psql', custom).text).toContain('PGHOSTADDR="$usher_hostaddr"');
    expect(recipe('psql', custom).text).toContain(`host=${host} port`);
  });

  test('the stand-in serves its bundle over http on loopback', () => {
    const { text } = recipe('psql', tls({ caBundleUrl: 'http://127.0.0.1:4566/trust/eu-west-1/eu-west-1-bundle.pem' }));
    expect(text).toContain("--proto '=http'");
  });

  test.each([
    'https://ca.example/',
    'https://ca.example/..%2f..%2fx',
    'https://ca.example/$(id).pem',
    'https://ca.example/.bashrc',
  ])('the file name of %s is a safe one', (caBundleUrl) => {
    expect(recipe('psql', tls({ caBundleUrl })).text).toContain('"$HOME/.usher/rds-bundle.pem"');
  });
});

describe('values survive the quoting of each language', () => {
  const hostile = fc
    .string({
      unit: fc.constantFrom(
        "'",
        '"',
        '\\',
        '$',
        '(',
        ')',
        '`',
        ' ',
        ';',
        '&',
        '?',
        '/',
        '#',
        '%',
        '+',
        '=',
        'u',
        '0',
        'é',
        '😀',
        '{',
        '}',
      ),
      minLength: 1,
      maxLength: 30,
    })
    .filter((text) => text.trim() !== '');
  const of = (text: string, pattern: RegExp): unknown => JSON.parse(pattern.exec(text)?.[1] ?? 'null');

  test('Java, JavaScript, Python, JSON and URLs', () => {
    fc.assert(
      fc.property(hostile, hostile, (database, user) => {
        const input = { ...base, database, user };
        const java = recipe('jdbc', input).text;
        expect(of(java, /setProperty\("user", (".*")\);/)).toBe(user);
        const url = String(of(java, /getConnection\((".*"), properties\);/));
        expect(decodeURIComponent(/^jdbc:postgresql:\/\/[^/]+\/([^?]*)\?/.exec(url)?.[1] ?? '')).toBe(database);
        expect(java).toMatch(/^[\x20-\x7e\n]*$/);
        expect(of(recipe('node-postgres', input).text, /database: (".*"),/)).toBe(database);
        expect(of(recipe('psycopg', input).text, /dbname=(".*"),/)).toBe(database);
        const servers: unknown = JSON.parse(recipe('pgadmin', input).text);
        expect(servers).toMatchObject({ Servers: { '1': { MaintenanceDB: database, Username: user } } });
      }),
    );
  });
});

describe('drivers', () => {
  test('node-postgres checks the name it was told, since pg puts its host over ssl.servername', () => {
    const { text } = recipe('node-postgres', { ...tls({ hostaddrNeeded: true }), host: 'alias.example' });
    expect(text).toContain(`checkServerIdentity("${host}", certificate)`);
    expect(recipe('node-postgres').text).not.toContain('checkServerIdentity');
    expect(recipe('node-postgres', tls({ mode: 'verify-ca' })).text).toContain('checkServerIdentity: () => undefined');
  });

  test('pgjdbc is told by code which name to check, and by settings alone says that it cannot', () => {
    const alias = { ...tls({ hostaddrNeeded: true }), host: 'alias.example' };
    expect(recipe('jdbc', alias).text).toContain(`PGjdbcHostnameVerifier.INSTANCE.verify("${host}", session)`);
    expect(recipe('jdbc', alias).text).toContain('sslmode=verify-full');
    expect(recipe('jdbc').text).not.toContain('HostnameVerifier');
    for (const client of ['dbeaver', 'sql-workbench', 'jdbc-truststore'] as const) {
      const { text, notes } = recipe(client, alias);
      expect(text).toContain('sslmode=verify-ca');
      expect(notes.join('\n')).toContain('hosts file');
      expect(recipe(client).text).toContain('sslmode=verify-full&');
    }
    expect(recipe('dbeaver').text).toContain('sslrootcert=%2Fabsolute%2Fpath%2Fto%2Feu-west-1-bundle.pem');
  });

  test('pgx looks up the one name and verifies the other; Npgsql says that it cannot', () => {
    const alias = { ...tls({ hostaddrNeeded: true }), host: 'alias.example' };
    expect(recipe('pgx', alias).text).toContain('LookupHost(ctx, "alias.example")');
    expect(recipe('pgx', alias).text).toContain(`host=${host} `);
    expect(recipe('npgsql', alias).text).toContain('SSL Mode=VerifyCA');
    expect(recipe('npgsql', alias).notes.join('\n')).toContain('hosts file');
  });
});

describe('for who signs their own tokens', () => {
  const alone: RecipeInput = { ...base, secret: undefined, signing: { host, port: 5432, region: 'eu-west-1' } };
  const command = `aws rds generate-db-auth-token --hostname ${host} --port 5432 --region eu-west-1 --username jane_doe`;

  test('there are those of AWS besides, and each shell signs before it connects', () => {
    expect(recipes(alone).map(({ client }) => client)).toEqual([
      ...clients.slice(0, clients.indexOf('jdbc-truststore') + 1),
      'aws-jdbc-wrapper',
      ...clients.slice(clients.indexOf('jdbc-truststore') + 1),
      'aws-cli',
    ]);
    expect(recipe('aws-cli', alone).text.trim()).toBe(command);
    for (const client of ['psql', 'libpq-service'] as const)
      expect(recipe(client, alone).text).toContain(`usher_token=$(${command}) && [ -n "$usher_token" ] &&`);
    expect(JSON.parse(recipe('pgadmin', alone).text)).toMatchObject({
      Servers: { '1': { PasswordExecCommand: command, PasswordExecExpiration: 840 } },
    });
  });

  test('the wrapper signs for the name of the endpoint, wherever it connects', () => {
    const { text } = recipe('aws-jdbc-wrapper', {
      ...alone,
      host: 'alias.example',
      tls: { ...base.tls, hostaddrNeeded: true },
    });
    expect(text).toContain(`setProperty("iamHost", "${host}")`);
    expect(text).toContain('jdbc:aws-wrapper:postgresql://alias.example:5432/orders?');
  });
});

test('the marker leads back to the grant', () => {
  expect(grantIdOf(applicationName(base.grantId))).toBe(base.grantId);
  expect(applicationName('x'.repeat(80))).toHaveLength(63);
  for (const name of ['', 'psql', 'usher:', 'not-usher:1']) expect(grantIdOf(name)).toBeUndefined();
});
