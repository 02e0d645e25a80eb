import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { meaningOf } from './diagnosis-errors.js';
import { fault, inOrder, ok, unknown, verdictOf } from './diagnosis-hop.js';
import { lookAtTls } from './diagnosis-tls.js';

/** As clients write them, each with the hop that it means. */
const texts: [client: string, text: string, hop: string][] = [
  ['psql', 'FATAL:  PAM authentication failed for user "jane_doe"', 'login'],
  [
    'psql, both tries',
    'FATAL:  PAM authentication failed for user "jane"\nFATAL:  pg_hba.conf rejects connection for host "10.0.0.1", user "jane", database "app", no encryption',
    'login',
  ],
  ['psql', 'FATAL:  password authentication failed for user "jane_doe"', 'method'],
  ['psql', 'FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "jane", database "app", no encryption', 'tls'],
  [
    'psql of before 14',
    'FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "jane", database "app", SSL off',
    'tls',
  ],
  ['psql', 'FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "jane", database "app", SSL encryption', 'method'],
  [
    'pg_basebackup',
    'FATAL:  no pg_hba.conf entry for replication connection from host "10.0.0.1", user "jane", SSL encryption',
    'client',
  ],
  ['psql', 'SSL error: certificate verify failed', 'tls'],
  ['psql', 'server certificate for "a.b" (and 2 other names) does not match host name "c"', 'tls'],
  ['node', "Error [ERR_TLS_CERT_ALTNAME_INVALID]: Hostname/IP does not match certificate's altnames", 'tls'],
  ['node', 'Error: self-signed certificate in certificate chain', 'tls'],
  ['node', 'Error: self signed certificate in certificate chain { code: SELF_SIGNED_CERT_IN_CHAIN }', 'tls'],
  ['node', 'unable to get local issuer certificate', 'tls'],
  ['pgjdbc', 'sun.security.validator.ValidatorException: PKIX path building failed', 'tls'],
  ['pgjdbc', 'The hostname 10.0.0.1 could not be verified.', 'tls'],
  ['Npgsql', 'The remote certificate is invalid according to the validation procedure', 'tls'],
  ['pgx', 'tls: failed to verify certificate: x509: certificate signed by unknown authority', 'tls'],
  ['pgx', 'x509: certificate is valid for a.b, not c.d', 'tls'],
  ['pgx', "x509: cannot validate certificate for 10.0.0.1 because it doesn't contain any IP SANs", 'tls'],
  ['node', 'Error: certificate has expired', 'tls'],
  ['psql', 'root certificate file "/home/jane/.postgresql/root.crt" does not exist', 'tls'],
  ['psql', 'weak sslmode "require" may not be used with sslrootcert=system (use "verify-full")', 'tls'],
  ['psql', 'SSL error: tlsv1 alert protocol version', 'tls'],
  ['psql', 'server does not support SSL, but SSL was required', 'tls'],
  ['node', 'The server does not support SSL connections', 'tls'],
  ['pq', 'pq: SSL is not enabled on the server', 'tls'],
  ['psql', 'FATAL:  role "jane" is not permitted to log in', 'role'],
  ['psql', 'FATAL:  role "Jane" does not exist', 'role'],
  ['psql', 'FATAL:  too many connections for role "jane"', 'limit'],
  ['psql', 'FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute', 'limit'],
  ['psql', 'FATAL:  sorry, too many clients already', 'limit'],
  ['psql', 'FATAL:  too many connections for database "app"', 'limit'],
  ['psql', 'FATAL:  database "jane" does not exist', 'database'],
  ['psql', 'FATAL:  permission denied for database "app"', 'database'],
  ['psql', 'ERROR:  permission denied for table orders', 'rights'],
  ['psql', 'ERROR:  permission denied for schema shop', 'rights'],
  ['psql', 'ERROR:  cannot execute INSERT in a read-only transaction', 'rights'],
  ['psql', 'could not translate host name "x" to address: Name or service not known', 'network'],
  ['node', 'getaddrinfo ENOTFOUND x', 'network'],
  ['psql', 'connection to server at "x" (10.0.0.1), port 5432 failed: Connection refused', 'network'],
  ['psql', 'connection to server at "x" failed: timeout expired', 'network'],
  ['pgx', 'dial tcp 10.0.0.1:5432: i/o timeout', 'network'],
  ['psql', 'FATAL:  the database system is starting up', 'network'],
  ['psql', 'server closed the connection unexpectedly', 'login'],
  ['psql', 'fe_sendauth: no password supplied', 'client'],
  ['PgBouncer', 'FATAL: password too long', 'token'],
  [
    'aws',
    'An error occurred (ExpiredToken) when calling the GetCallerIdentity operation: The security token included in the request is expired',
    'token',
  ],
  ['aws', 'An error occurred (InvalidClientTokenId): The security token included in the request is invalid.', 'token'],
  ['aws', 'Unable to locate credentials. You can configure credentials by running "aws configure".', 'token'],
  ['aws', 'An error occurred (AccessDenied) when calling the AssumeRole operation', 'iam'],
  [
    'aws',
    'is not authorized to perform: sts:AssumeRole on resource: x with an explicit deny in a service control policy',
    'iam',
  ],
  ['aws', 'is not authorized to perform: rds-db:connect because no permissions boundary allows it', 'iam'],
  ['aws', 'Signature expired: 20260101T000000Z is now earlier than 20260101T001500Z', 'clock'],
  ['aws', 'Signature not yet current: 20260101T003000Z is still later than 20260101T002000Z', 'clock'],
  ['iam-db-auth-error', 'ThrottlingException', 'login'],
];

test.each(texts)('%s: %s', (_client, text, hop) => {
  for (const given of [text, text.toUpperCase(), `\n  ${text}\n`]) expect(meaningOf(given)).toMatchObject({ hop });
  const { meaning = '', cure = '' } = meaningOf(text) ?? {};
  expect(meaning.endsWith('.') && cure.length > 10).toBe(true);
});

test('a text that is not known means nothing', () => {
  expect(meaningOf('syntax error at or near "SELCT"')).toBeUndefined();
});

test('no text can keep the table busy', () => {
  const began = process.cpuUsage();
  for (const part of ['server certificate for ', 'is valid for ,', 'role "', 'pg_hba.conf rejects connection ', '%'])
    meaningOf(part.repeat(Math.floor(4_096 / part.length)));
  expect(process.cpuUsage(began).user).toBeLessThan(5_000_000);
});

describe('the verdict', () => {
  test('is the first fault in the order of the way, however they were found', () => {
    const hops = inOrder([
      fault('token', 'a', 'b'),
      unknown('grant', 'c', 'd'),
      fault('role', 'e', 'f'),
      ok('tls', 'g'),
    ]);
    expect(hops.map(({ name }) => name)).toEqual(['grant', 'tls', 'role', 'token']);
    expect(verdictOf(hops)).toMatchObject({ name: 'role', finding: 'e' });
  });
  test('of two faults at one hop what was seen stands before what was told', () => {
    expect(inOrder([ok('role', 'a'), fault('role', 'seen', 'b'), fault('role', 'told', 'c')])).toEqual([
      fault('role', 'seen', 'b'),
    ]);
  });
  test('without a fault is what nobody could look at and has a cure, else nothing', () => {
    expect(verdictOf([ok('grant', 'a'), unknown('token', 'b'), unknown('login', 'c', 'd')])?.name).toBe('login');
    expect(verdictOf([ok('grant', 'a'), unknown('token', 'b')])).toBeUndefined();
  });
});

describe('the look at an endpoint', () => {
  const now = new Date();
  const listening = async (answer: string | undefined): Promise<{ port: number; close: () => void }> => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      if (answer !== undefined) socket.once('data', () => socket.write(answer));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { port: (server.address() as AddressInfo).port, close: () => server.close() };
  };
  const look = (port: number, patience?: number) =>
    lookAtTls({ host: '127.0.0.1', port, servername: 'localhost', ca: '', authority: 'rds' }, now, patience);

  test('finds nobody there', async () => {
    const { port, close } = await listening(undefined);
    close();
    expect(await look(port)).toMatchObject([
      { name: 'network', state: 'fault', finding: expect.stringContaining('ECONNREFUSED') as string },
    ]);
  });
  test('finds a server without TLS', async () => {
    const { port, close } = await listening('N');
    expect(await look(port)).toMatchObject([
      { name: 'network', state: 'ok' },
      { name: 'tls', state: 'fault' },
    ]);
    close();
  });
  test('does not wait for one that says nothing', async () => {
    const { port, close } = await listening(undefined);
    expect(await look(port, 200)).toMatchObject([
      { name: 'network', state: 'ok' },
      { name: 'tls', state: 'unknown' },
    ]);
    close();
  });
});
