import { isIP } from 'node:net';
import { DomainError } from '../platform/errors.js';
import { conninfo, javaString, refuseUnprintable, scriptString, shellWord, urlPart } from './quoting.js';

/** What a token answer holds that a client needs. The token stands in the psql recipe alone. */
export interface RecipeInput {
  readonly grantId: string;
  readonly token: string;
  readonly expiresAt: Date;
  /** Where to connect. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly tls: {
    readonly mode: 'verify-full' | 'verify-ca';
    readonly servername: string;
    readonly hostaddrNeeded: boolean;
    readonly authority: 'rds' | 'amazon-trust';
    readonly caBundleUrl: string;
  };
}

export type RecipeClient = 'psql' | 'jdbc' | 'node-postgres' | 'psycopg' | 'pgadmin' | 'dbeaver';

export interface Recipe {
  readonly client: RecipeClient;
  /** To be used as it is: a shell command, a piece of a program, an import file or a list of settings. */
  readonly text: string;
  readonly notes: readonly string[];
}

const MARKER = 'usher:';

/** `application_name` of a session under a grant: a hint that the client may change, not a proof. At most 63 bytes. */
export const applicationName = (grantId: string): string => `${MARKER}${grantId}`.slice(0, 63);

/** The grant that a session names, if it names one. */
export const grantIdOf = (name: string): string | undefined =>
  name.startsWith(MARKER) && name.length > MARKER.length ? name.slice(MARKER.length) : undefined;

/**
 * How to connect with each client. The token is never in an argument or a URL.
 * @throws DomainError invalid/`invalid_input` for values with control characters or a bundle URL that is not https
 */
export const recipes = (input: RecipeInput): Recipe[] => {
  refuse(input);
  return [psql(input), jdbc(input), nodePostgres(input), psycopg(input), pgAdmin(input), dbeaver(input)];
};

const refuse = (input: RecipeInput): void => {
  const { grantId, token, host, database, user, tls } = input;
  const texts = { grantId, token, host, database, user, servername: tls.servername, caBundleUrl: tls.caBundleUrl };
  for (const [what, text] of Object.entries(texts)) refuseUnprintable(what, text);
  if (!/^https?:\/\/[^\s]+$/.test(tls.caBundleUrl)) {
    throw new DomainError('invalid', 'invalid_input', 'A CA bundle has an https URL.');
  }
};

/** Name of the bundle in the person's own `.usher` folder: not in a shared one, where others could put their CA first. */
const bundleName = ({ tls }: RecipeInput): string => {
  const last = new URL(tls.caBundleUrl).pathname.split('/').at(-1) ?? '';
  return /^[\w.-]{1,100}$/.test(last) && !last.startsWith('.') ? last : 'rds-bundle.pem';
};

const usesSystemRoots = ({ tls }: RecipeInput): boolean => tls.authority === 'amazon-trust';

/** libpq verifies `host`; `hostaddr` says where to connect. An IP address is put there at once, a name is looked up. */
const libpqSettings = (input: RecipeInput): Record<string, string> => ({
  host: input.tls.hostaddrNeeded ? input.tls.servername : input.host,
  ...(input.tls.hostaddrNeeded && isIP(input.host) ? { hostaddr: input.host } : {}),
  port: String(input.port),
  dbname: input.database,
  user: input.user,
  sslmode: input.tls.mode,
  ...(usesSystemRoots(input) ? { sslrootcert: 'system' } : {}),
  application_name: applicationName(input.grantId),
});

const download = (input: RecipeInput): string[] => {
  if (usesSystemRoots(input)) return [];
  const file = bundleName(input);
  const protocol = new URL(input.tls.caBundleUrl).protocol.slice(0, -1);
  const fetch = `curl -fsS --proto '=${protocol}' --max-time 30 -o "$HOME/.usher/${file}.$$" ${shellWord(input.tls.caBundleUrl)}`;
  // Moved into place whole: another psql may be reading it.
  return [
    `(umask 077 && mkdir -p "$HOME/.usher" && ${fetch} && mv -f "$HOME/.usher/${file}.$$" "$HOME/.usher/${file}") &&`,
  ];
};

/** macOS has no getent, small Linux images have no dig. */
const lookUp = (input: RecipeInput): string[] => {
  if (!input.tls.hostaddrNeeded || isIP(input.host)) return [];
  const host = shellWord(input.host);
  const ask = `{ getent ahostsv4 ${host} || dig +short ${host} A; } 2>/dev/null`;
  return [`usher_hostaddr=$(${ask} | awk '/^[0-9.]+( |$)/ { print $1; exit }') && [ -n "$usher_hostaddr" ] &&`];
};

const psql = (input: RecipeInput): Recipe => {
  const named = input.tls.hostaddrNeeded && !isIP(input.host);
  const environment = [
    ...(named ? ['PGHOSTADDR="$usher_hostaddr"'] : []),
    ...(usesSystemRoots(input) ? [] : [`PGSSLROOTCERT="$HOME/.usher/${bundleName(input)}"`]),
    `PGPASSWORD=${shellWord(input.token)}`,
  ];
  const command = `${environment.join(' ')} psql ${shellWord(conninfo(libpqSettings(input)))}`;
  // The first space keeps it all out of the history of shells with HISTCONTROL=ignorespace.
  return {
    client: 'psql',
    text: ` ${[...download(input), ...lookUp(input), command].join('\n ')}`,
    notes: [
      until(input),
      'The token reaches psql through its environment, never its arguments; do not pass the text itself to "sh -c", where others on the host could see it.',
      'The leading space keeps it out of the shell history where HISTCONTROL has ignorespace (zsh: setopt HIST_IGNORE_SPACE).',
      'Options of psql may be put after the last line, for example -c "select current_user".',
      ...(usesSystemRoots(input) ? [systemRoots(input)] : []),
      ...(named ? ['The address is looked up with getent or dig (IPv4); without either set PGHOSTADDR by hand.'] : []),
    ],
  };
};

const jdbcUrl = (input: RecipeInput, rootcert: string): string => {
  // pgjdbc verifies the name it connects to and has no hostaddr: with another name only the chain can be checked.
  const mode = input.tls.hostaddrNeeded ? 'verify-ca' : input.tls.mode;
  const trust = usesSystemRoots(input)
    ? 'sslfactory=org.postgresql.ssl.DefaultJavaSSLFactory'
    : `sslrootcert=${urlPart(rootcert)}`;
  const name = urlPart(applicationName(input.grantId));
  const host = isIP(input.host) === 6 ? `[${input.host}]` : input.host;
  return `jdbc:postgresql://${host}:${input.port}/${urlPart(input.database)}?sslmode=${mode}&${trust}&ApplicationName=${name}`;
};

const jdbcNotes = (input: RecipeInput): string[] =>
  input.tls.hostaddrNeeded
    ? [
        `pgjdbc cannot connect to one name and verify another, so the name is not checked here. For verify-full, map ${input.tls.servername} to the address of ${input.host} in the hosts file and connect to ${input.tls.servername}.`,
      ]
    : [];

const jdbc = (input: RecipeInput): Recipe => ({
  client: 'jdbc',
  text: [
    'java.util.Properties properties = new java.util.Properties();',
    `properties.setProperty("user", ${javaString(input.user)});`,
    'properties.setProperty("password", System.getenv("PGPASSWORD"));',
    ...(usesSystemRoots(input)
      ? []
      : [`String ca = System.getProperty("user.home") + ${javaString(`/.usher/${bundleName(input)}`)};`]),
    ...(usesSystemRoots(input) ? [] : ['properties.setProperty("sslrootcert", ca);']),
    `java.sql.Connection connection = java.sql.DriverManager.getConnection(${javaString(jdbcUrl(input, ''))}, properties);`,
  ].join('\n'),
  notes: [passToken(input), ...bundleNotes(input), ...jdbcNotes(input)],
});

const nodePostgres = (input: RecipeInput): Recipe => {
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

const psycopg = (input: RecipeInput): Recipe => {
  const settings = Object.entries(libpqSettings(input)).map(
    ([keyword, value]) => `    ${keyword}=${scriptString(value)},`,
  );
  const named = input.tls.hostaddrNeeded && !isIP(input.host);
  const file = scriptString(`~/.usher/${bundleName(input)}`);
  return {
    client: 'psycopg',
    text: [
      `import os${named ? ', socket' : ''}`,
      'import psycopg',
      '',
      'connection = psycopg.connect(',
      ...settings,
      ...(named ? [`    hostaddr=socket.gethostbyname(${scriptString(input.host)}),`] : []),
      ...(usesSystemRoots(input) ? [] : [`    sslrootcert=os.path.expanduser(${file}),`]),
      '    password=os.environ["PGPASSWORD"],',
      ')',
    ].join('\n'),
    notes: [
      passToken(input),
      ...bundleNotes(input),
      ...(usesSystemRoots(input) ? [systemRoots(input)] : []),
      'psycopg2 takes the same keywords.',
    ],
  };
};

const pgAdmin = (input: RecipeInput): Recipe => {
  const { host, port, dbname, user, ...parameters } = libpqSettings(input);
  const server = {
    Name: applicationName(input.grantId),
    Group: 'Usher',
    Host: host,
    Port: Number(port),
    MaintenanceDB: dbname,
    Username: user,
    ConnectionParameters: {
      ...parameters,
      ...(usesSystemRoots(input) ? {} : { sslrootcert: `/absolute/path/to/${bundleName(input)}` }),
    },
  };
  return {
    client: 'pgadmin',
    text: JSON.stringify({ Servers: { '1': server } }, null, 2),
    notes: [
      'Save as servers.json and import it (Tools, Import/Export Servers); paste the token when pgAdmin asks for the password, and do not save it.',
      until(input),
      'Password exec commands of pgAdmin 7.8 and older cut a token at 255 characters.',
      ...(usesSystemRoots(input)
        ? [systemRoots(input)]
        : [`Set sslrootcert to the absolute path of the file from ${input.tls.caBundleUrl}.`]),
      ...(input.tls.hostaddrNeeded && !isIP(input.host)
        ? [`Add the parameter "Host address" with the IP address of ${input.host}.`]
        : []),
    ],
  };
};

const dbeaver = (input: RecipeInput): Recipe => ({
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

const until = ({ expiresAt }: RecipeInput): string =>
  `Connect before ${expiresAt.toISOString()}; a session that is open then stays open until the grant ends.`;

const passToken = (input: RecipeInput): string =>
  `Give the token to the program in the environment variable PGPASSWORD. ${until(input)}`;

const bundleNotes = (input: RecipeInput): string[] =>
  usesSystemRoots(input)
    ? []
    : [
        `Save ${input.tls.caBundleUrl} as .usher/${bundleName(input)} in the home directory first; the psql recipe does so.`,
      ];

const systemRoots = ({ tls }: RecipeInput): string =>
  `sslrootcert=system needs libpq 16 or newer; with an older one download ${tls.caBundleUrl} and name that file instead.`;
