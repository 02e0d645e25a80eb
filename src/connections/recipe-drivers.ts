import { isIP } from 'node:net';
import { javaString, scriptString, urlPart } from './quoting.js';
import {
  applicationName,
  bundleName,
  bundleNotes,
  passToken,
  type Recipe,
  type RecipeInput,
  until,
  usesSystemRoots,
} from './recipe-input.js';

const jdbcUrl = (input: RecipeInput, rootcert?: string): string => {
  // pgjdbc verifies the name it connects to and has no hostaddr: with another name only the chain can be checked.
  const mode = input.tls.hostaddrNeeded ? 'verify-ca' : input.tls.mode;
  const trust = usesSystemRoots(input)
    ? ['sslfactory=org.postgresql.ssl.DefaultJavaSSLFactory']
    : rootcert === undefined
      ? []
      : [`sslrootcert=${urlPart(rootcert)}`];
  const settings = [`sslmode=${mode}`, ...trust, `ApplicationName=${urlPart(applicationName(input.grantId))}`];
  const host = isIP(input.host) === 6 ? `[${input.host}]` : input.host;
  return `jdbc:postgresql://${host}:${input.port}/${urlPart(input.database)}?${settings.join('&')}`;
};

const jdbcNotes = (input: RecipeInput): string[] =>
  input.tls.hostaddrNeeded
    ? [
        `pgjdbc cannot connect to one name and verify another, so the name is not checked here. For verify-full, map ${input.tls.servername} to the address of ${input.host} in the hosts file and connect to ${input.tls.servername}.`,
      ]
    : [];

export const jdbc = (input: RecipeInput): Recipe => ({
  client: 'jdbc',
  text: [
    'java.util.Properties properties = new java.util.Properties();',
    `properties.setProperty("user", ${javaString(input.user)});`,
    'properties.setProperty("password", System.getenv("PGPASSWORD"));',
    ...(usesSystemRoots(input)
      ? []
      : [`String ca = System.getProperty("user.home") + ${javaString(`/.usher/${bundleName(input)}`)};`]),
    ...(usesSystemRoots(input) ? [] : ['properties.setProperty("sslrootcert", ca);']),
    `java.sql.Connection connection = java.sql.DriverManager.getConnection(${javaString(jdbcUrl(input))}, properties);`,
  ].join('\n'),
  notes: [passToken(input), ...bundleNotes(input), ...jdbcNotes(input)],
});

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
  const file = scriptString(bundleName(input));
  return {
    client: 'node-postgres',
    text: [
      "import pg from 'pg';",
      ...(tls.hostaddrNeeded ? ["import { checkServerIdentity } from 'node:tls';"] : []),
      ...(usesSystemRoots(input)
        ? []
        : [
            "import { readFileSync } from 'node:fs';",
            "import { homedir } from 'node:os';",
            "import { join } from 'node:path';",
          ]),
      '',
      'const client = new pg.Client({',
      `  host: ${scriptString(host)},`,
      `  port: ${port},`,
      `  user: ${scriptString(user)},`,
      `  database: ${scriptString(database)},`,
      '  password: process.env.PGPASSWORD,',
      `  application_name: ${scriptString(applicationName(input.grantId))},`,
      '  ssl: {',
      ...(usesSystemRoots(input) ? [] : [`    ca: readFileSync(join(homedir(), '.usher', ${file}), 'utf8'),`]),
      '    rejectUnauthorized: true,',
      ...check,
      '  },',
      '});',
      'await client.connect();',
    ].join('\n'),
    notes: [
      passToken(input),
      ...bundleNotes(input),
      'A pool may take an async function as password, to ask for a new token for each connection.',
    ],
  };
};

export const dbeaver = (input: RecipeInput): Recipe => ({
  client: 'dbeaver',
  text: [
    `URL: ${jdbcUrl(input, `/absolute/path/to/${bundleName(input)}`)}`,
    `Username: ${input.user}`,
    'Password: paste the token; leave "Save password" off',
  ].join('\n'),
  notes: [
    'New connection, PostgreSQL, connect by URL.',
    until(input),
    ...(usesSystemRoots(input)
      ? []
      : [`Set sslrootcert to the absolute path of the file from ${input.tls.caBundleUrl}.`]),
    ...jdbcNotes(input),
  ],
});
