import { mkdir, chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { createRdsAuthority } from '../../local/rds/authority.ts';
import { startRdsInstance, type RdsInstance } from '../../local/rds/instance.ts';
import type { PostgresMajor } from '../../src/platform/embedded-postgres.ts';

const TOKEN = `localhost:1/?Action=connect&X-Amz-Security-Token=${'t'.repeat(600)}`;

/** A session as its client knows it. */
export interface Held {
  login: string;
  database: string;
  pid: number;
  application?: string | undefined;
}

/** A database server that writes log files, with people who log in by token, and what they really did. */
export interface LoggingServer {
  rds: RdsInstance;
  directory: string;
  admin: pg.Client;
  /** Logs in through the front of the stand-in and stays, until whoever asked for it leaves. */
  connect(login: string, database?: string, application?: string): Promise<pg.Client>;
  /** Logs in, runs some SQL and leaves. */
  session(login: string, database?: string, more?: { application?: string; sql?: string }): Promise<Held>;
  /** Is refused, by the front or by the server. */
  refused(login: string, database?: string, password?: string): Promise<void>;
  close(): Promise<void>;
}

/** Names that people would not choose, and who wants to write into a log would. */
export const hostile = {
  login: 'eve\n2026-03-01 10:00:00 UTC:1.2.3.4(5):ana@app:[7]:LOG:  x',
  quoted: `o'hara "the", @home`,
  database: 'd b\nwith a line',
  application:
    'a "b", c\\n\n2026-03-01 10:00:00 UTC:1.2.3.4(5):ana@app:[7]:LOG:  connection authorized: user=root database=app',
} as const;

export interface LoggingServerOptions {
  /** Other binaries of the same major than those of npm. */
  binaries?: string;
  settings?: Record<string, string>;
}

export async function startLoggingServer(
  major: PostgresMajor,
  formats: string,
  { binaries, settings }: LoggingServerOptions = {},
): Promise<LoggingServer> {
  const base = await mkdtemp(join(tmpdir(), 'server-log-'));
  await chmod(base, 0o755); // the server may run as another user
  await mkdir(join(base, 'data'));
  const verify = ({ token }: { token: string }) =>
    Promise.resolve(token === TOKEN ? { ok: true as const } : { ok: false as const, reason: 'not the token' });
  const rds = await startRdsInstance({
    ...{ name: `logs-${major}`, resourceId: `db-LOGS${major}`, major, dataDir: join(base, 'data', 'pg') },
    ...{ authority: createRdsAuthority('eu-west-1'), databases: ['app', hostile.database], verify, ephemeral: true },
    ...{ logFiles: formats, ...(binaries !== undefined && { binaries }) },
    settings: { log_filename: 'postgresql.log.%Y-%m-%d-%H%M%S', log_statement: 'all', ...settings },
  });
  const admin = new pg.Client({ ...rds.admin(), database: 'postgres' });
  await admin.connect();
  for (const login of ['ana', 'ben', hostile.login, hostile.quoted]) {
    const name = admin.escapeIdentifier(login);
    await admin.query(`CREATE ROLE ${name} LOGIN; GRANT rds_iam TO ${name}`);
  }
  const [endpoint] = rds.endpoints;
  const clientOf = (user: string, database: string, password: string, application?: string) =>
    new pg.Client({
      ...{ host: 'localhost', port: endpoint?.port ?? 0, user, database, password, ssl: { ca: rds.caPem } },
      ...(application !== undefined && { application_name: application }),
    });
  const connect = async (login: string, database = 'app', application?: string): Promise<pg.Client> => {
    const client = clientOf(login, database, TOKEN, application);
    await client.connect();
    return client;
  };
  return {
    rds,
    directory: rds.logDirectory(),
    admin,
    connect,
    session: async (login, database = 'app', { application, sql = 'SELECT 1' } = {}) => {
      const client = await connect(login, database, application);
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      await client.query(sql);
      await client.end();
      return { login, database, application, pid: rows[0]?.pid ?? 0 };
    },
    refused: async (login, database = 'app', password = 'wrong') => {
      const client = clientOf(login, database, password);
      await client.connect().then(
        () => Promise.reject(new Error(`${login} was let in`)),
        () => client.end().catch(() => undefined),
      );
    },
    close: async () => {
      await admin.end().catch(() => undefined);
      await rds.close();
      await rm(base, { recursive: true, force: true });
    },
  };
}
