import { adoNet, conninfo, javaString, scriptString } from './quoting.js';
import {
  applicationName,
  bundleName,
  bundleNotes,
  libpqSettings,
  looksUp,
  passSecret,
  type Recipe,
  type RecipeInput,
  systemRoots,
} from './recipe-input.js';

const poolNote = (input: RecipeInput, how: string): string[] => (input.method === 'iam' ? [how] : []);

export const nodePostgres = (input: RecipeInput): Recipe => {
  const { host, port, user, database, tls } = input;
  // pg overwrites ssl.servername with its host, so another name is checked by hand; the chain is verified before that.
  const check = tls.hostaddrNeeded
    ? [
        `    checkServerIdentity: (_host, certificate) => checkServerIdentity(${scriptString(tls.servername)}, certificate),`,
      ]
    : tls.mode === 'verify-ca'
      ? ['    checkServerIdentity: () => undefined,']
      : [];
  return {
    client: 'node-postgres',
    text: [
      "import pg from 'pg';",
      ...(tls.hostaddrNeeded ? ["import { checkServerIdentity } from 'node:tls';"] : []),
      "import { readFileSync } from 'node:fs';",
      "import { homedir } from 'node:os';",
      "import { join } from 'node:path';",
      '',
      'const client = new pg.Client({',
      `  host: ${scriptString(host)},`,
      `  port: ${port},`,
      `  user: ${scriptString(user)},`,
      `  database: ${scriptString(database)},`,
      '  password: process.env.PGPASSWORD,',
      `  application_name: ${scriptString(applicationName(input.grantId))},`,
      '  ssl: {',
      `    ca: readFileSync(join(homedir(), '.usher', ${scriptString(bundleName(input))}), 'utf8'),`,
      '    rejectUnauthorized: true,',
      ...check,
      '  },',
      '});',
      'await client.connect();',
    ].join('\n'),
    notes: [
      passSecret(input),
      ...bundleNotes(input),
      ...poolNote(input, 'A pool may take an async function as password, to ask for a new token for each connection.'),
    ],
  };
};

/** psycopg 2 and 3 hand the keywords to libpq as they are. */
const python = (client: 'psycopg' | 'psycopg2', input: RecipeInput): Recipe => ({
  client,
  text: [
    `import os${looksUp(input) ? ', socket' : ''}`,
    `import ${client}`,
    '',
    `connection = ${client}.connect(`,
    ...Object.entries(libpqSettings(input)).map(([keyword, value]) => `    ${keyword}=${scriptString(value)},`),
    ...(looksUp(input) ? [`    hostaddr=socket.gethostbyname(${scriptString(input.host)}),`] : []),
    `    sslrootcert=os.path.expanduser(${scriptString(`~/.usher/${bundleName(input)}`)}),`,
    '    password=os.environ["PGPASSWORD"],',
    ')',
  ].join('\n'),
  notes: [passSecret(input), ...bundleNotes(input), ...systemRoots(input)],
});

export const psycopg = (input: RecipeInput): Recipe => python('psycopg', input);
export const psycopg2 = (input: RecipeInput): Recipe => python('psycopg2', input);

/** pgx reads connection strings as libpq does, but for hostaddr, which it does not know: there the name is looked up in code. */
export const pgx = (input: RecipeInput): Recipe => {
  const { hostaddr: _hostaddr, ...settings } = libpqSettings(input);
  const { hostaddrNeeded } = input.tls;
  return {
    client: 'pgx',
    text: [
      'package main',
      '',
      'import (',
      ...['context', 'log', ...(hostaddrNeeded ? ['net'] : []), 'os', 'path/filepath'].map((name) => `\t"${name}"`),
      '',
      '\t"github.com/jackc/pgx/v5"',
      ')',
      '',
      'func main() {',
      '\thome, err := os.UserHomeDir()',
      '\tif err != nil {',
      '\t\tlog.Fatal(err)',
      '\t}',
      `\tos.Setenv("PGSSLROOTCERT", filepath.Join(home, ".usher", ${scriptString(bundleName(input))}))`,
      `\tconfig, err := pgx.ParseConfig(${scriptString(conninfo(settings))})`,
      '\tif err != nil {',
      '\t\tlog.Fatal(err)',
      '\t}',
      ...(hostaddrNeeded
        ? [
            '\tconfig.LookupFunc = func(ctx context.Context, _ string) ([]string, error) {',
            `\t\treturn net.DefaultResolver.LookupHost(ctx, ${scriptString(input.host)})`,
            '\t}',
          ]
        : []),
      '\tconnection, err := pgx.ConnectConfig(context.Background(), config)',
      '\tif err != nil {',
      '\t\tlog.Fatal(err)',
      '\t}',
      '\tdefer connection.Close(context.Background())',
      '}',
    ].join('\n'),
    notes: [
      passSecret(input),
      ...bundleNotes(input),
      ...poolNote(input, 'With pgxpool set Password in BeforeConnect, to ask for a new token for each connection.'),
      ...systemRoots(input),
    ],
  };
};

export const npgsql = (input: RecipeInput): Recipe => {
  const { host, port, database, user, tls } = input;
  const full = tls.mode === 'verify-full' && !tls.hostaddrNeeded;
  const settings = {
    Host: host,
    Port: String(port),
    Database: database,
    Username: user,
    'SSL Mode': full ? 'VerifyFull' : 'VerifyCA',
    'Application Name': applicationName(input.grantId),
  };
  return {
    client: 'npgsql',
    text: [
      'using Npgsql;',
      '',
      `var settings = new NpgsqlConnectionStringBuilder(${javaString(adoNet(settings))})`,
      '{',
      '    RootCertificate = Path.Combine(',
      `        Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".usher", ${javaString(bundleName(input))}),`,
      '    Password = Environment.GetEnvironmentVariable("PGPASSWORD"),',
      '};',
      'await using var source = NpgsqlDataSource.Create(settings);',
      'await using var connection = await source.OpenConnectionAsync();',
    ].join('\n'),
    notes: [
      passSecret(input),
      ...bundleNotes(input),
      ...poolNote(
        input,
        'With NpgsqlDataSourceBuilder.UsePeriodicPasswordProvider a pool asks for a new token by itself; every 10 minutes is enough.',
      ),
      ...(tls.hostaddrNeeded
        ? [
            `Npgsql cannot connect to one name and verify another, so the name is not checked here. For VerifyFull, map ${tls.servername} to the address of ${host} in the hosts file and connect to ${tls.servername}.`,
          ]
        : []),
    ],
  };
};
