/* eslint max-lines: off -- one table: each text beside what it means and what helps */
import type { HopName } from './diagnosis-hop.js';

/** What an error text of some client means. */
export interface ErrorMeaning {
  readonly hop: HopName;
  readonly meaning: string;
  readonly cure: string;
}

const BUNDLE =
  'Give the client the roots of the recipe (caBundleUrl of POST /v1/grants/{id}/tokens); an endpoint of RDS Proxy takes those of Amazon Trust: sslrootcert=system, or AmazonRootCA1.pem.';
const NAME =
  'Connect with the name in the recipe; through a tunnel, an alias or an address keep that name and give the address apart (libpq: hostaddr).';
const FRESH = 'POST /v1/grants/{id}/tokens gives a new token; use it within 15 minutes.';
const KEYS = 'Renew the keys that sign (aws sso login, or the role assumed anew), then sign a new token.';
const CLOCK = 'Set the clock of the machine that signs (chronyc tracking, w32tm /resync), then sign a new token.';
const NETWORK =
  'Check host and port, then security groups, routes and VPN from the machine of the client: nc -vz <host> <port>.';
const TLS_ON = 'Switch TLS on in the client: sslmode=verify-full with the roots of the recipe.';

type Line = readonly [RegExp, HopName, string, string];

/**
 * Texts of PostgreSQL (English, as RDS writes them; other `lc_messages` are not read), libpq, pgjdbc, node-postgres, Npgsql, pgx,
 * PgBouncer, and of the AWS CLI. The first that fits counts: what says more stands before what says less.
 */
const lines: readonly Line[] = [
  // TLS: the certificate
  [
    /server certificate for .* does not match host name/i,
    'tls',
    'The certificate is for another name than the client asked for.',
    NAME,
  ],
  [
    /ERR_TLS_CERT_ALTNAME_INVALID|does not match certificate's altnames/i,
    'tls',
    'The certificate is for another name than the client asked for.',
    NAME,
  ],
  [
    /certificate is (?:not )?valid for .*,? not|doesn't contain any IP SANs|RemoteCertificateNameMismatch/i,
    'tls',
    'The certificate is for another name than the client asked for.',
    NAME,
  ],
  [
    /hostname .* could not be verified|No subject alternative (?:DNS )?names? (?:present|matching)/i,
    'tls',
    'The certificate is for another name than the client asked for.',
    NAME,
  ],
  [
    /certificate has expired|CERT_HAS_EXPIRED|certificate has expired or is not yet valid|NotAfter:/i,
    'tls',
    'A certificate on the way, or the clock of the client, is out of date.',
    "Fetch the bundle anew (caBundleUrl) and check the clock; when the server's own certificate is over: aws rds modify-db-instance --ca-certificate-identifier rds-ca-rsa2048-g1.",
  ],
  [
    /self[- ]signed certificate in certificate chain|SELF_SIGNED_CERT_IN_CHAIN/i,
    'tls',
    'The client does not trust the authority of the server.',
    BUNDLE,
  ],
  [
    /unable to get (?:local )?issuer certificate|UNABLE_TO_GET_ISSUER_CERT|UNABLE_TO_VERIFY_LEAF_SIGNATURE/i,
    'tls',
    'The client does not know the authority of the server.',
    BUNDLE,
  ],
  [
    /PKIX path building failed|unable to find valid certification path/i,
    'tls',
    'The trust store of Java does not know the authority of the server.',
    BUNDLE,
  ],
  [
    /remote certificate is invalid|RemoteCertificateChainErrors|UntrustedRoot/i,
    'tls',
    '.NET does not trust the authority of the server.',
    BUNDLE,
  ],
  [/x509: certificate signed by unknown authority/i, 'tls', 'Go does not know the authority of the server.', BUNDLE],
  [
    /root certificate file .* does not exist|could not read root certificate file/i,
    'tls',
    'The file with the roots is not where the client looks.',
    'Download caBundleUrl to the path that sslrootcert names.',
  ],
  [
    /weak sslmode .* may not be used with sslrootcert=system/i,
    'tls',
    'sslrootcert=system asks for verify-full.',
    'Set sslmode=verify-full.',
  ],
  [/certificate verify failed/i, 'tls', 'The client does not trust the certificate of the server.', BUNDLE],
  [
    /tlsv1 alert protocol version|unsupported protocol|no protocols in common/i,
    'tls',
    'Client and server have no version of TLS in common.',
    'Update the client: RDS for PostgreSQL takes TLS 1.2 and newer.',
  ],
  // TLS: none at all
  [
    /server does not support SSL|The server does not support SSL connections|SSL is not enabled on the server/i,
    'tls',
    'What answered speaks no TLS: it is a tunnel or pooler of somebody else, or not the database.',
    'Check host and port of the client; a pooler must be given a certificate of its own.',
  ],
  [
    /PAM authentication failed/i,
    'login',
    'RDS refused the token, and tells nobody why.',
    'GET the group /aws/rds/…/iam-db-auth-error in CloudWatch Logs; it names the reason and the IAM session. Then POST /v1/grants/{id}/diagnose again with the token.',
  ],
  [
    /no pg_hba\.conf entry for .*(?:no encryption|SSL off)|pg_hba\.conf rejects connection .*(?:no encryption|SSL off)/i,
    'tls',
    'The client came without TLS, which rds.force_ssl and every login by token demand.',
    TLS_ON,
  ],
  [
    /(?:no pg_hba\.conf entry for|pg_hba\.conf rejects) replication/i,
    'client',
    'No login by token may replicate.',
    'Use a login by password for replication.',
  ],
  [
    /no pg_hba\.conf entry|pg_hba\.conf rejects connection/i,
    'method',
    'The server has no rule that lets this login in.',
    'Check database and user of the client, and that rds_iam and rds_ad are not mixed on the role.',
  ],
  // the login role
  [
    /role ".*" is not permitted to log in/i,
    'role',
    'The login role is shut: no live grant stands behind it, or somebody shut it by hand.',
    'Look at the state of the grant; if it is active, an administrator calls POST /v1/targets/{id}/drift, which mends the role.',
  ],
  [
    /FATAL:\s+role ".*" does not exist/i,
    'role',
    'The server has no such role: the client used another name, or it was dropped.',
    'Use the user of the recipe; names are lower case and compared with care. An administrator calls POST /v1/targets/{id}/drift when it was dropped.',
  ],
  [
    /too many connections for role/i,
    'limit',
    'All sessions that the profile allows this login are open.',
    'Close sessions or make the pool smaller: SELECT pid, application_name FROM pg_stat_activity WHERE usename = current_user.',
  ],
  [
    /remaining connection slots are reserved|sorry, too many clients already|\b53300\b/i,
    'limit',
    'The server has no free connection slot.',
    'Make pools smaller, put RDS Proxy before it, or raise max_connections.',
  ],
  [
    /too many connections for database/i,
    'limit',
    'The database has its own limit of connections, and it is reached.',
    'The DBA raises it: ALTER DATABASE … CONNECTION LIMIT.',
  ],
  [
    /password authentication failed|\b28P01\b/i,
    'method',
    'The server took the token or password for a wrong password: the role lacks rds_iam, IAM authentication is off, or the password is an old one.',
    'For a grant by token: aws rds modify-db-instance --enable-iam-database-authentication (clusters: modify-db-cluster). For one by password: POST /v1/grants/{id}/passwords.',
  ],
  [
    /SCRAM.*(?:password is an empty|no password)|fe_sendauth: no password supplied|client password must be a string/i,
    'client',
    'The client sent no password at all.',
    'Give the token as the password: PGPASSWORD, or the password callback of the driver.',
  ],
  [
    /no password assigned/i,
    'method',
    'The server asked for a password that the role does not have: the role lacks rds_iam.',
    'An administrator calls POST /v1/targets/{id}/drift, which mends the role.',
  ],
  // the database and what is in it
  [
    /database ".*" does not exist|\b3D000\b/i,
    'database',
    'The server has no database of that name.',
    'Use the database of the recipe; without one libpq takes the name of the user.',
  ],
  [
    /permission denied for database/i,
    'database',
    'The login may not connect to that database.',
    'Use the database of the grant; for another one ask with POST /v1/requests.',
  ],
  [
    /cannot execute .* in a read-only transaction|\b25006\b/i,
    'rights',
    'The endpoint is a reader, or the profile reads only.',
    'Mint the token for the writer ({"endpoint":"writer"}), or ask for a profile that writes.',
  ],
  [
    /permission denied for (?:table|relation|schema|sequence|view|function|materialized view)|\b42501\b/i,
    'rights',
    'The login is in; its profile does not give this right.',
    'Ask for another profile with POST /v1/requests, or have the DBA grant it to the group role.',
  ],
  // the network
  [
    /could not translate host name|ENOTFOUND|EAI_AGAIN|UnknownHostException|no such host|Name or service not known|No such host is known/i,
    'network',
    'The machine of the client cannot resolve the host name.',
    'Compare the host with the recipe; a private endpoint needs the VPN or the DNS of the VPC.',
  ],
  [/connection refused|ECONNREFUSED/i, 'network', 'Nothing listens at that host and port.', NETWORK],
  [
    /timeout expired|connection timed out|ETIMEDOUT|i\/o timeout|connect timed out|Timeout during connection attempt/i,
    'network',
    'No answer came: most often a security group, a route, or a VPN that is not on.',
    NETWORK,
  ],
  [
    /no route to host|network is unreachable|EHOSTUNREACH|ENETUNREACH/i,
    'network',
    'There is no route from the machine of the client to the host.',
    NETWORK,
  ],
  [
    /server closed the connection unexpectedly|ECONNRESET|connection reset by peer|terminating connection due to administrator command|\b57P01\b/i,
    'login',
    'The session was cut: the grant ended, the server restarted, or a box on the way lost patience.',
    'Look at the state of the grant; if it is active, connect again.',
  ],
  [
    /the database system is (?:starting up|shutting down|in recovery mode)|\b57P03\b/i,
    'network',
    'The server is starting or stopping.',
    'Wait a minute and connect again.',
  ],
  // the token
  [
    /password (?:is )?too long|invalid startup packet|exceeds maximum length|password_too_long/i,
    'token',
    'The client, or a pooler before the server, cannot take a password of this length.',
    'Look at cutBy in the answer of POST /v1/grants/{id}/tokens; give the token in PGPASSWORD or a password callback.',
  ],
  [/signature not yet current/i, 'clock', 'The clock that signed is ahead.', CLOCK],
  [
    /signature expired|RequestTimeTooSkewed|RequestExpired/i,
    'clock',
    'The signature is too old, or the clock that signed is behind.',
    CLOCK,
  ],
  [
    /ExpiredToken|security token included in the request is expired|TokenRefreshRequired|token has expired/i,
    'token',
    'The keys that sign the token have ended.',
    KEYS,
  ],
  [
    /InvalidClientTokenId|UnrecognizedClientException|security token included in the request is invalid/i,
    'token',
    'AWS does not know the access key: it was deleted, or belongs to another partition.',
    'Check aws sts get-caller-identity with the same profile and region.',
  ],
  [
    /Unable to locate credentials|CredentialsProviderError|NoCredentialProviders|could not load credentials/i,
    'token',
    'The client that signs has no AWS keys.',
    'Set AWS_PROFILE, or the AWS_* variables, of the process that signs.',
  ],
  [
    /explicit deny in a service control policy|service control policy/i,
    'iam',
    'A service control policy of the organisation denies it.',
    'Have rds-db:connect allowed in the service control policy of that account.',
  ],
  [
    /permissions boundary/i,
    'iam',
    'The permission boundary of the principal denies it.',
    'Have rds-db:connect allowed in the permission boundary.',
  ],
  [
    /is not authorized to perform:? (?:rds-db:connect|sts:AssumeRole)|AccessDenied/i,
    'iam',
    'IAM denied it.',
    'Compare the ARN in the answer with the policies of the principal; changes of IAM take up to a minute.',
  ],
  [
    /ThrottlingException|Rate exceeded/i,
    'login',
    'RDS checks fewer than 200 new logins by token in a second.',
    'Use one token and a pool; wait some seconds and connect again.',
  ],
];

/** @returns what the first known text in it means; undefined when there is none */
export function meaningOf(error: string): ErrorMeaning | undefined {
  const found = lines.find(([pattern]) => pattern.test(error));
  if (!found) return undefined;
  const [, hop, meaning, cure] = found;
  return { hop, meaning, cure };
}

/** That a fresh token is what helps. */
export const mintAnew = FRESH;
