import { isIP } from 'node:net';
import { javaString, shellWord, urlPart } from './quoting.js';
import {
  applicationName,
  bundleName,
  bundleNotes,
  passSecret,
  type Recipe,
  type RecipeInput,
  systemRoots,
  until,
} from './recipe-input.js';

/** Settings of pgjdbc that a URL may hold: nothing in it is secret, and PGPASSWORD is not read from it. */
interface UrlSettings {
  /** Path of the bundle; without it the program sets it, or Java's own trust store is used. */
  readonly rootcert?: string;
  /** Only the chain can be checked where pgjdbc would look for the name of the host it connects to, and nobody helps it. */
  readonly mode?: RecipeInput['tls']['mode'];
  readonly more?: readonly string[];
}

/** @param scheme `postgresql`, or with the prefix of a driver that wraps pgjdbc */
export const jdbcUrl = (input: RecipeInput, settings: UrlSettings = {}, scheme = 'postgresql'): string => {
  const { rootcert, mode = input.tls.mode, more = [] } = settings;
  const parameters = [
    `sslmode=${mode}`,
    ...(rootcert === undefined ? [] : [`sslrootcert=${urlPart(rootcert)}`]),
    ...more,
    `ApplicationName=${urlPart(applicationName(input.grantId))}`,
  ];
  const host = isIP(input.host) === 6 ? `[${input.host}]` : input.host;
  return `jdbc:${scheme}://${host}:${input.port}/${urlPart(input.database)}?${parameters.join('&')}`;
};

/** For programs that take a URL and nothing else: pgjdbc cannot connect to one name and verify another by settings alone. */
export const settingsOnly = (input: RecipeInput, rootcert: string): string =>
  jdbcUrl(input, { rootcert, ...(input.tls.hostaddrNeeded && { mode: 'verify-ca' }) });

export const settingsOnlyNotes = ({ host, tls }: RecipeInput): string[] =>
  tls.hostaddrNeeded
    ? [
        `pgjdbc cannot connect to one name and verify another by settings alone, so the name is not checked here. For verify-full, map ${tls.servername} to the address of ${host} in the hosts file and connect to ${tls.servername}.`,
      ]
    : [];

/** pgjdbc compares the certificate with the host of the URL; where that is another, it is told which name is meant. */
const verifier = ({ tls }: RecipeInput): string[] =>
  tls.hostaddrNeeded
    ? [
        '',
        '  /** The name in the certificate is not that of the host: it is checked by the same rules. */',
        '  public static final class ServerName implements javax.net.ssl.HostnameVerifier {',
        '    @Override',
        '    public boolean verify(String host, javax.net.ssl.SSLSession session) {',
        `      return org.postgresql.ssl.PGjdbcHostnameVerifier.INSTANCE.verify(${javaString(tls.servername)}, session);`,
        '    }',
        '  }',
      ]
    : [];

const program = (input: RecipeInput, url: string, properties: readonly (readonly [string, string])[]): string =>
  [
    'import java.sql.Connection;',
    'import java.sql.DriverManager;',
    'import java.sql.ResultSet;',
    'import java.sql.SQLException;',
    'import java.util.Properties;',
    '',
    'public final class UsherConnect {',
    '  public static Connection open() throws SQLException {',
    '    Properties properties = new Properties();',
    ...properties.map(([name, value]) => `    properties.setProperty("${name}", ${value});`),
    ...(input.tls.hostaddrNeeded
      ? ['    properties.setProperty("sslhostnameverifier", ServerName.class.getName());']
      : []),
    `    return DriverManager.getConnection(${javaString(url)}, properties);`,
    '  }',
    ...verifier(input),
    '',
    '  public static void main(String[] arguments) throws SQLException {',
    '    try (Connection connection = open();',
    '        ResultSet row = connection.createStatement().executeQuery("SELECT current_user")) {',
    '      row.next();',
    '      System.out.println(row.getString(1));',
    '    }',
    '  }',
    '}',
  ].join('\n');

const HOW = 'Save it as UsherConnect.java, compile it with javac and run it with the driver on the class path.';

const common = (input: RecipeInput): (readonly [string, string])[] => [
  ['user', javaString(input.user)],
  ['sslrootcert', `System.getProperty("user.home") + ${javaString(`/.usher/${bundleName(input)}`)}`],
];

export const jdbc = (input: RecipeInput): Recipe => ({
  client: 'jdbc',
  text: program(input, jdbcUrl(input), [...common(input), ['password', 'System.getenv("PGPASSWORD")']]),
  notes: [HOW, passSecret(input), ...bundleNotes(input)],
});

/** The wrapper signs by itself, so it is for those whose own keys may. */
export const awsJdbcWrapper = (input: RecipeInput): Recipe[] => {
  const { signing } = input;
  if (signing === undefined) return [];
  const properties = [
    ['wrapperPlugins', '"iam"'],
    ['iamRegion', javaString(signing.region)],
    ['iamHost', javaString(signing.host)],
    ['iamDefaultPort', javaString(String(signing.port))],
    ['iamExpiration', '"870"'],
  ] as const;
  return [
    {
      client: 'aws-jdbc-wrapper',
      text: program(input, jdbcUrl(input, {}, 'aws-wrapper:postgresql'), [...common(input), ...properties]),
      notes: [
        HOW,
        'It needs software.amazon.jdbc:aws-advanced-jdbc-wrapper, software.amazon.awssdk:rds and pgjdbc on the class path, and finds keys where the AWS SDK looks. iamHost is the name that tokens are signed for.',
        until(input),
        ...bundleNotes(input),
      ],
    },
  ];
};

/**
 * For programs that only know Java's own trust store. keytool reads one certificate of a PEM file, so the bundle is taken apart.
 * The password guards nothing: there are public certificates in the store.
 */
export const jdbcTrustStore = (input: RecipeInput): Recipe => {
  const bundle = `"$HOME/.usher/${bundleName(input)}"`;
  const store = `.usher/${bundleName(input).replace(/\.pem$/, '')}.p12`;
  const url = jdbcUrl(input, {
    ...(input.tls.hostaddrNeeded && { mode: 'verify-ca' }),
    more: ['sslfactory=org.postgresql.ssl.DefaultJavaSSLFactory'],
  });
  const flags = [
    `-Djavax.net.ssl.trustStore="$HOME/${store}"`,
    '-Djavax.net.ssl.trustStoreType=PKCS12',
    '-Djavax.net.ssl.trustStorePassword=changeit',
  ];
  return {
    client: 'jdbc-truststore',
    text: ` ${[
      'usher_parts=$(mktemp -d) &&',
      `awk -v to="$usher_parts" '/BEGIN CERTIFICATE/ { n++ } n { print > (to "/" n ".pem") }' ${bundle} &&`,
      `rm -f "$HOME/${store}" &&`,
      'for usher_part in "$usher_parts"/*.pem; do',
      `  keytool -importcert -noprompt -storetype PKCS12 -keystore "$HOME/${store}" -storepass changeit -alias "usher-$(basename "$usher_part" .pem)" -file "$usher_part" || break`,
      'done &&',
      'rm -r "$usher_parts" &&',
      `printf '%s\\n' ${shellWord(`Java options: ${flags.join(' ').replaceAll('"', '')}`)} ${shellWord(`URL: ${url}`)}`,
    ].join('\n ')}`,
    notes: [
      'It makes a key store of the bundle with keytool, and prints what Java is to be started with and the URL to connect to.',
      passSecret(input),
      ...bundleNotes(input),
      ...systemRoots(input),
      ...settingsOnlyNotes(input),
    ],
  };
};
