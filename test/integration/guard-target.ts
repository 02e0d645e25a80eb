import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { Authority } from '../../local/rds/authority.ts';
import {
  binariesOf,
  startPostgres,
  type PostgresMajor,
  type PostgresServer,
} from '../../src/platform/embedded-postgres.ts';
import type { BrokerLogin, TargetAddress } from '../../src/postgres/postgres.contract.ts';
import { targetSql } from '../../src/postgres/target-sql.ts';

/** A cluster as RDS sets it up, as far as the guard is concerned: no superuser for us, rds_iam shuts passwords out, TLS. */
export interface GuardTarget {
  major: PostgresMajor;
  server: PostgresServer;
  address: TargetAddress;
  /** The cluster's superuser, rdsadmin on RDS, over the private socket: for what only AWS can do, and to look. */
  rdsadmin: pg.Pool;
  master: BrokerLogin;
  broker: BrokerLogin;
  /** A session over verified TLS; ended with the target at the latest. A session that is cut stays silent. */
  connect(user: string, password: string, config?: pg.ClientConfig): Promise<pg.Client>;
  asMaster<T extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<T[]>;
  stop(): Promise<void>;
}

/** As RFC 5803 and PostgreSQL's pg_authid write it. */
export function scramVerifier(password: string): string {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, 4096, 32, 'sha256');
  const keyed = (text: string): Buffer => createHmac('sha256', salted).update(text).digest();
  const stored = createHash('sha256').update(keyed('Client Key')).digest('base64');
  return `SCRAM-SHA-256$4096:${salt.toString('base64')}$${stored}:${keyed('Server Key').toString('base64')}`;
}

const secret = (): string => randomBytes(18).toString('base64url');

/** What rdsadmin prepares on RDS. */
const rdsRoles = (master: string, password: string): string => `
  CREATE ROLE rds_superuser NOLOGIN;
  CREATE ROLE rds_iam NOLOGIN;
  CREATE ROLE rds_password NOLOGIN;
  GRANT pg_monitor, pg_signal_backend, pg_read_all_data, pg_write_all_data, rds_password TO rds_superuser WITH ADMIN OPTION;
  CREATE ROLE ${master} LOGIN CREATEROLE CREATEDB PASSWORD '${scramVerifier(password)}' VALID UNTIL 'infinity';
  GRANT rds_superuser TO ${master};
  ALTER DATABASE postgres OWNER TO ${master};
  ALTER SCHEMA public OWNER TO pg_database_owner;
`;

/** On RDS tokens go to IAM; here nobody who reaches rds_iam gets in at all, which shows best whom a password still serves. */
const hba = [
  'local   all rdsadmin scram-sha-256',
  'hostnossl all all 127.0.0.1/32 reject',
  'hostssl all +rds_iam 127.0.0.1/32 reject',
  'hostssl all all 127.0.0.1/32 scram-sha-256',
];

export interface GuardTargetOptions {
  /** Other binaries of the same major than those of npm. */
  binaries?: string;
  settings?: Record<string, string>;
  /** The text of the guard to install; absent: the present one. */
  guard?: string;
}

/** Starts a cluster, installs the guard as the master, and opens two profiles over one group role. */
export async function startGuardTarget(
  major: PostgresMajor,
  authority: Authority,
  { binaries = binariesOf(major), settings = {}, guard = targetSql() }: GuardTargetOptions = {},
): Promise<GuardTarget> {
  const servername = `orders-${major}.test`;
  const certificate = authority.server([servername]);
  const [adminPassword, masterPassword, brokerPassword] = [secret(), secret(), secret()];
  const server = await startPostgres({
    binaries,
    dataDir: join(tmpdir(), `usher-guard-${major}-${randomBytes(4).toString('hex')}`),
    ephemeral: true,
    superuser: 'rdsadmin',
    superuserPassword: adminPassword,
    hba,
    files: { 'server.key': certificate.keyPem, 'server.crt': certificate.certPem },
    settings: (dir) => ({
      ssl: 'on',
      ssl_cert_file: join(dir, 'server.crt'),
      ssl_key_file: join(dir, 'server.key'),
      fsync: 'off',
      ...settings,
    }),
  });
  const rdsadmin = new pg.Pool({
    host: server.socketDir,
    port: server.port,
    user: 'rdsadmin',
    password: adminPassword,
    database: 'postgres',
    max: 2,
  });
  rdsadmin.on('error', () => undefined);
  await rdsadmin.query(rdsRoles('dba', masterPassword));

  const clients: pg.Client[] = [];
  const connect = async (user: string, password: string, config: pg.ClientConfig = {}): Promise<pg.Client> => {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: server.port,
      database: 'postgres',
      ssl: { ca: authority.caPem, servername },
      user,
      password,
      ...config,
    });
    client.on('error', () => undefined);
    await client.connect();
    clients.push(client);
    return client;
  };
  const master = await connectMaster(() => connect('dba', masterPassword));
  await prepare(master, rdsadmin, { major, brokerPassword, guard });
  return {
    major,
    server,
    rdsadmin,
    connect,
    address: {
      host: 'localhost',
      hostaddr: '127.0.0.1',
      port: server.port,
      database: 'postgres',
      servername,
      ca: authority.caPem,
    },
    master: { user: 'dba', password: () => Promise.resolve(masterPassword) },
    broker: { user: 'usher_broker', password: () => Promise.resolve(brokerPassword) },
    asMaster: async <T extends pg.QueryResultRow>(sql: string, values?: unknown[]) =>
      (await (await master()).query<T>(sql, values)).rows,
    stop: async () => {
      await Promise.allSettled([...clients.map((client) => client.end()), rdsadmin.end()]);
      await server.stop('immediate');
    },
  };
}

/** The master's own session, made anew when a test had it cut. */
async function connectMaster(connect: () => Promise<pg.Client>): Promise<() => Promise<pg.Client>> {
  let client = connect();
  await client;
  return async () => {
    const alive = await (await client).query('SELECT 1').then(
      () => true,
      () => false,
    );
    if (!alive) client = connect();
    return client;
  };
}

async function prepare(
  master: () => Promise<pg.Client>,
  rdsadmin: pg.Pool,
  { major, brokerPassword, guard }: { major: PostgresMajor; brokerPassword: string; guard: string },
): Promise<void> {
  const dba = await master();
  // On RDS the master hands rds_iam on without reaching it; stock PostgreSQL 16+ knows only ADMIN, which is membership. So it
  // is lent for the install, and AWS's part takes the grant over: every path from the master to rds_iam that is seen
  // afterwards is the guard's fault.
  const options = 'WITH ADMIN TRUE, INHERIT FALSE, SET FALSE';
  if (major >= 16) await rdsadmin.query(`GRANT rds_iam TO dba ${options}`);
  await dba.query(guard);
  if (major >= 16) await rdsadmin.query(`GRANT rds_iam TO usher_owner ${options}; REVOKE rds_iam FROM dba CASCADE`);
  await dba.query('SELECT usher.broker_auth($1)', [scramVerifier(brokerPassword)]);
  // as docs/target-setup.md asks; the default from 15 on
  await dba.query('REVOKE CREATE ON SCHEMA public FROM PUBLIC');
  await dba.query(
    `CREATE ROLE app_read NOLOGIN; CREATE ROLE app_write NOLOGIN; CREATE ROLE app_rich NOLOGIN CREATEDB;`,
  );
  await dba.query(
    `CREATE TABLE orders (id int); GRANT SELECT ON orders TO app_read; GRANT INSERT ON orders TO app_write;`,
  );
  await dba.query(`SELECT usher.allow('read', '{app_read}', 60, 5, '{iam,password}'),
                          usher.allow('write', '{app_write}', 30, 3, '{iam,password}'),
                          usher.allow('token-only', '{app_read}', 60)`);
}

/** Looks again and again until it holds; fails after 10 s. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not within 10 s: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
