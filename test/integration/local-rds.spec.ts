import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import * as tls from 'node:tls';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRdsAuthority } from '../../local/rds/authority.ts';
import type { LoginAttempt } from '../../local/rds/front.ts';
import { startRdsInstance } from '../../local/rds/instance.ts';
import type { RdsInstance } from '../../local/rds/instance.ts';
import { sslRequest } from '../../local/rds/wire.ts';
import { targetSql } from '../../src/postgres/target-sql.ts';

const authority = createRdsAuthority('eu-west-1');
const goodToken = `localhost:1/?Action=connect&X-Amz-Security-Token=${'t'.repeat(2_400)}`;
const attempts: LoginAttempt[] = [];
let base: string;
let orders: RdsInstance;
let billing: RdsInstance;

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'local-rds-'));
  await chmod(base, 0o755); // the server may run as another user
  const verify = async (attempt: LoginAttempt) => {
    attempts.push(attempt);
    return attempt.token === goodToken ? { ok: true as const } : { ok: false as const, reason: 'not the token' };
  };
  const common = { authority, verify, ephemeral: true };
  [orders, billing] = await Promise.all([
    startRdsInstance({
      ...common,
      name: 'orders',
      resourceId: 'cluster-A',
      major: 17,
      dataDir: join(base, 'orders'),
      databases: ['orders'],
      replica: true,
    }),
    startRdsInstance({
      ...common,
      name: 'billing',
      resourceId: 'db-B',
      major: 15,
      dataDir: join(base, 'billing'),
      databases: ['billing'],
    }),
  ]);
});

afterAll(async () => {
  await Promise.all([orders?.close(), billing?.close()]);
  await rm(base, { recursive: true, force: true });
});

const portOf = (instance: RdsInstance, kind?: 'reader'): number => {
  const endpoint = kind === undefined ? instance.endpoints[0] : instance.endpoints.find((one) => one.kind === kind);
  if (endpoint === undefined) throw new Error('no such endpoint');
  return endpoint.port;
};

async function using<T>(config: pg.ClientConfig, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(config);
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const login = (instance: RdsInstance, user: string, password: string, more: pg.ClientConfig = {}): pg.ClientConfig => ({
  host: 'localhost',
  port: portOf(instance),
  user,
  password,
  database: 'postgres',
  ssl: { ca: instance.caPem },
  ...more,
});
const asMaster = (instance: RdsInstance, more: pg.ClientConfig = {}): pg.ClientConfig =>
  login(instance, instance.master.user, instance.master.password, more);
const asAdmin = (instance: RdsInstance, kind?: 'reader'): pg.ClientConfig => ({
  ...instance.admin(kind),
  database: 'postgres',
});
const whoami = async (client: pg.Client): Promise<string> =>
  (await client.query<{ u: string }>('SELECT current_user AS u')).rows[0]?.u ?? '';

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`never: ${what}`);
    await pause(20);
  }
}

/** Both majors, for what must hold on each. The instances exist only when a test runs. */
const each = describe.each([
  ['PostgreSQL 17', () => orders],
  ['PostgreSQL 15', () => billing],
] as const);

each('%s', (major, of) => {
  test('is of its major, and the master is what it is on RDS', async () => {
    await using(asMaster(of()), async (client) => {
      const { rows } = await client.query(
        `SELECT 'PostgreSQL ' || current_setting('server_version_num')::int / 10000 AS major, rolsuper, rolcreaterole, rolcreatedb, rolreplication,
                pg_has_role('rds_superuser', 'MEMBER') AS rds FROM pg_roles WHERE rolname = current_user`,
      );
      expect(rows).toEqual([
        { major, rolsuper: false, rolcreaterole: true, rolcreatedb: true, rolreplication: false, rds: true },
      ]);
    });
  });

  test('sessions are encrypted, as the server itself sees them', async () => {
    await using(asMaster(of()), async (client) => {
      const { rows } = await client.query('SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
      expect(rows).toEqual([{ ssl: true, version: 'TLSv1.3' }]);
    });
  });

  test('an IAM user gets in by token and only by token', async () => {
    await using(asAdmin(of()), (admin) =>
      admin.query(
        `CREATE ROLE jane LOGIN CONNECTION LIMIT 1 PASSWORD 'pw'; CREATE ROLE team; GRANT rds_iam TO team; GRANT team TO jane`,
      ),
    );
    const config = login(of(), 'jane', goodToken);
    attempts.length = 0;
    const seen = await using(config, async (client) => {
      await expect(using(config, whoami)).rejects.toMatchObject({
        code: '53300',
        message: 'too many connections for role "jane"',
      });
      return whoami(client);
    });
    expect(seen).toBe('jane');
    expect(attempts[0]).toEqual({ token: goodToken, user: 'jane', host: 'localhost', port: portOf(of()) });
    const refused = { code: '28000', message: 'PAM authentication failed for user "jane"' };
    for (const wrong of ['pw', `${goodToken}\n`, goodToken.slice(0, -1)]) {
      await expect(using({ ...config, password: wrong }, whoami)).rejects.toMatchObject(refused);
    }
    await using(asAdmin(of()), (admin) => admin.query('ALTER ROLE jane NOLOGIN'));
    await expect(using(config, whoami)).rejects.toMatchObject({
      code: '28000',
      message: 'role "jane" is not permitted to log in',
    });
    await using(asAdmin(of()), (admin) => admin.query('ALTER ROLE jane LOGIN; REVOKE team FROM jane'));
    await expect(using(config, whoami)).rejects.toMatchObject({ code: '28P01' });
    expect(await using({ ...config, password: 'pw' }, whoami)).toBe('jane');
  });

  test('the guard installs as master, who still logs in by password, while its broker logs in by token', async () => {
    await using(asMaster(of()), (client) => client.query(targetSql()));
    await using(asMaster(of()), (client) => client.query(`SELECT usher.broker_auth('iam')`));
    expect(await using(asMaster(of()), whoami)).toBe(of().master.user);
    expect(await using(login(of(), 'usher_broker', goodToken), whoami)).toBe('usher_broker');
  });

  test('a database that is not the master’s is closed to it', async () => {
    await expect(using(asMaster(of(), { database: 'rdsadmin' }), whoami)).rejects.toMatchObject({ code: '28000' });
    await expect(using(login(of(), 'rdsadmin', 'x'), whoami)).rejects.toMatchObject({ code: '28000' });
  });
});

test('since 16 who makes a role that gets rds_iam becomes an IAM user, the master too', async () => {
  const { user } = orders.master;
  await using(asMaster(orders), (client) => client.query('CREATE ROLE trap LOGIN; GRANT rds_iam TO trap'));
  await expect(using(asMaster(orders), whoami)).rejects.toMatchObject({
    message: `PAM authentication failed for user "${user}"`,
  });
  expect(await using(login(orders, user, goodToken), whoami)).toBe(user);
  await using(asAdmin(orders), (admin) => admin.query('DROP ROLE trap'));
  expect(await using(asMaster(orders), whoami)).toBe(user);
  await using(asMaster(billing), (client) => client.query('CREATE ROLE trap LOGIN; GRANT rds_iam TO trap'));
  expect(await using(asMaster(billing), whoami)).toBe(user);
});

describe('TLS', () => {
  test('another root, another name and no TLS are refused', async () => {
    const other = createRdsAuthority('eu-west-1').caPem;
    await expect(using(asMaster(orders, { ssl: { ca: other } }), whoami)).rejects.toThrow(/certificate/);
    await expect(using(asMaster(orders, { host: '127.0.0.1' }), whoami)).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    });
    await expect(using(asMaster(orders, { ssl: false }), whoami)).rejects.toMatchObject({
      code: '28000',
      message: 'no pg_hba.conf entry for host "127.0.0.1", user "rdsmaster", database "postgres", no encryption',
    });
  });

  test('an IAM user without TLS is rejected before a token is asked for', async () => {
    await using(asAdmin(billing), (admin) => admin.query('CREATE ROLE plain LOGIN; GRANT rds_iam TO plain'));
    const before = attempts.length;
    await expect(using(login(billing, 'plain', goodToken, { ssl: false }), whoami)).rejects.toThrow(
      'pg_hba.conf rejects connection',
    );
    expect(attempts.length).toBe(before);
  });

  const psql = ['/usr/bin/psql', '/usr/local/bin/psql'].find((path) => existsSync(path));
  test.skipIf(psql === undefined)('libpq verifies in full and binds SCRAM to the channel', async () => {
    const root = join(base, 'root.pem');
    await writeFile(root, orders.caPem);
    const conninfo = `host=localhost port=${portOf(orders)} user=rdsmaster dbname=orders sslmode=verify-full sslrootcert=${root} channel_binding=require`;
    const env = { PATH: process.env['PATH'], PGPASSWORD: orders.master.password, LC_ALL: 'C' };
    const { stdout } = await promisify(execFile)(String(psql), ['-XAt', '-c', 'SELECT current_database()', conninfo], {
      env,
    });
    expect(stdout).toBe('orders\n');
  });
});

describe('sessions', () => {
  async function cancelPacket(client: pg.Client): Promise<Buffer> {
    const { processID, secretKey } = client as pg.Client & { processID: number; secretKey: number };
    const packet = Buffer.alloc(16);
    [16, 80877102, processID].forEach((word, i) => packet.writeUInt32BE(word, i * 4));
    packet.writeInt32BE(secretKey, 12);
    return packet;
  }

  test.each(['in the clear', 'over TLS'])('a cancel request %s ends the statement', async (how) => {
    await using(asMaster(orders, { application_name: 'sleeper' }), async (client) => {
      const sleeping = expect(client.query('SELECT pg_sleep(600)')).rejects.toMatchObject({ code: '57014' });
      await using(asAdmin(orders), (admin) =>
        until(
          async () =>
            (
              await admin.query(
                `SELECT 1 FROM pg_stat_activity WHERE application_name = 'sleeper' AND wait_event = 'PgSleep'`,
              )
            ).rowCount === 1,
          'asleep',
        ),
      );
      let socket: ReturnType<typeof connect> = connect(portOf(orders), '127.0.0.1');
      if (how === 'over TLS') {
        socket.write(sslRequest);
        await once(socket, 'readable');
        expect(String(socket.read(1))).toBe('S');
        socket = tls.connect({ socket, servername: 'localhost', ca: orders.caPem });
      }
      socket.write(await cancelPacket(client));
      await sleeping;
      socket.destroy();
    });
  });

  test('a terminated session is told at once', async () => {
    await using(asMaster(orders), async (client) => {
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      const told = once(client, 'error').catch((error: unknown) => [error]);
      await using(asAdmin(orders), (admin) => admin.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]));
      expect((await told)[0]).toMatchObject({ code: '57P01' });
    });
  });

  test('a client that vanishes leaves no session', async () => {
    const client = new pg.Client(asMaster(billing, { application_name: 'vanishing' }));
    client.on('error', () => undefined);
    await client.connect();
    const { stream } = (client as pg.Client & { connection: { stream: tls.TLSSocket } }).connection;
    stream.destroy();
    await using(asAdmin(billing), (admin) =>
      until(
        async () =>
          (await admin.query(`SELECT 1 FROM pg_stat_activity WHERE application_name = 'vanishing'`)).rowCount === 0,
        'gone',
      ),
    );
  });
});

test('the reader follows the writer and refuses writes', async () => {
  await using(asMaster(orders, { database: 'orders' }), (client) =>
    client.query('CREATE TABLE seen (n int); INSERT INTO seen VALUES (7)'),
  );
  await using(asMaster(orders, { database: 'orders', port: portOf(orders, 'reader') }), async (client) => {
    expect((await client.query('SELECT pg_is_in_recovery() AS r')).rows).toEqual([{ r: true }]);
    await until(
      async () => (await client.query(`SELECT to_regclass('seen') IS NOT NULL AS there`)).rows[0]?.there === true,
      'replayed',
    );
    await expect(client.query('INSERT INTO seen VALUES (8)')).rejects.toMatchObject({ code: '25006' });
  });
});

test('stop() cuts sessions and closes the port; start() brings the data back at the same endpoint', async () => {
  const client = new pg.Client(asMaster(orders));
  const ended = new Promise((settle) => client.once('end', settle));
  client.on('error', () => undefined);
  await client.connect();
  const before = orders.endpoints;
  await orders.stop();
  await ended;
  await expect(using(asMaster(orders), whoami)).rejects.toThrow(/ECONNREFUSED/);
  await orders.start();
  expect(orders.endpoints).toEqual(before);
  expect(await using(asMaster(orders), whoami)).toBe('rdsmaster');
  await using(asMaster(orders, { port: portOf(orders, 'reader') }), async (reader) => {
    expect((await reader.query('SELECT pg_is_in_recovery() AS r')).rows).toEqual([{ r: true }]);
  });
});
