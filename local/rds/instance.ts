/** One RDS instance, or an Aurora cluster of a writer and a reader, on this machine: real PostgreSQL behind `front.ts`. */
import { randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { binariesOf, startPostgres } from '../../src/platform/embedded-postgres.ts';
import type { PostgresMajor, PostgresOptions, PostgresServer } from '../../src/platform/embedded-postgres.ts';
import { createAuthority } from './authority.ts';
import type { Authority, Certificate } from './authority.ts';
import { coldCopy, collected } from './data.ts';
import { startFront } from './front.ts';
import type { Front, FrontOptions, Verify } from './front.ts';
import { furnish, hbaLines, methodOf, RDS_ADMIN } from './roles.ts';

export interface RdsInstanceOptions {
  /** DB instance or cluster identifier. */
  name: string;
  /** `db-…` or `cluster-…`; what IAM policies name. */
  resourceId: string;
  major: PostgresMajor;
  /** Other binaries of the same major than those of npm. */
  binaries?: string;
  dataDir: string;
  /** Signs the server's certificate, as the regional RDS root does. */
  authority: Authority;
  /** Made on first start, owned by the master. */
  databases: readonly string[];
  /** The IAM check of a login. */
  verify: Verify;
  /** A writer and a streaming hot standby as reader, as an Aurora cluster has. */
  replica?: boolean;
  ephemeral?: boolean;
  /** Default rdsmaster. */
  masterUser?: string;
  /** Default: a new random one at each start of this process. */
  masterPassword?: string;
  /** Fixed endpoint ports; absent: free ones. */
  ports?: { writer?: number; reader?: number };
  /** More server settings. */
  settings?: Record<string, string>;
  /**
   * Log files that rotate, in these formats of `log_destination`, of all connections, as RDS writes them; then `log()` has no more
   * than what comes before them. Absent: one log, which only `log()` shows.
   */
  logFiles?: string;
}

export interface Endpoint {
  kind: 'writer' | 'reader' | 'instance';
  host: 'localhost';
  port: number;
}

/** Another way in, beside the endpoints of the instance's own. */
export interface DoorOptions {
  /** Where it leads. */
  to: Endpoint['kind'];
  /** Signs its certificate, as Amazon Trust does for RDS Proxy; absent: the certificate is that of the instance. */
  authority?: Authority;
  /** The IAM check of a login there; absent: that of the instance, for the name and port of its writer, as with a custom endpoint. */
  verify?: Verify;
}

export interface RdsInstance {
  name: string;
  resourceId: string;
  endpoints: readonly Endpoint[];
  master: { user: string; password: string };
  /** The stand-in's own way in, as superuser over the private socket; changes with each start. For seeding and for tests. */
  admin(kind?: Endpoint['kind']): { host: string; port: number; user: string };
  caPem: string;
  /** All that the writer or instance has written to its log so far, as RDS shows log files. */
  log(): Promise<string>;
  /** Where its log files are; only with `logFiles`. */
  logDirectory(kind?: Endpoint['kind']): string;
  /** Down as in a failure: sessions are cut, ports refuse. Data is kept. */
  stop(): Promise<void>;
  /** Up again after stop(), at the same endpoints. */
  start(): Promise<void>;
  /** A custom endpoint, or a proxy. Closed by whoever opened it, and with the instance at the latest. */
  door(options: DoorOptions): Promise<Front>;
  /** The end; removes the data of an ephemeral one. */
  close(): Promise<void>;
}

const HOST = 'localhost';

/** Beside the data: what is there the server's user owns. */
const logOf = (dataDir: string): string => `${dataDir}.log`;

export async function startRdsInstance(o: RdsInstanceOptions): Promise<RdsInstance> {
  const instance = new Instance(o);
  await instance.start();
  return instance;
}

interface Node {
  server: PostgresServer;
  admin: pg.Pool;
  front: Front;
}

class Instance implements RdsInstance {
  readonly name: string;
  readonly resourceId: string;
  readonly caPem: string;
  readonly master: { user: string; password: string };
  readonly #o: RdsInstanceOptions;
  readonly #certificate: Certificate;
  /** Known to nobody but the fronts and the servers. */
  readonly #frontAuthority = createAuthority('Front');
  #ports: (number | undefined)[];
  #nodes: Node[] = [];
  readonly #doors = new Set<Front>();
  #dataDirs: string[] = [];

  constructor(o: RdsInstanceOptions) {
    this.#o = o;
    this.name = o.name;
    this.resourceId = o.resourceId;
    this.caPem = o.authority.caPem;
    this.master = {
      user: o.masterUser ?? 'rdsmaster',
      password: o.masterPassword ?? randomBytes(18).toString('base64url'),
    };
    this.#certificate = o.authority.server([HOST]);
    this.#ports = [o.ports?.writer, o.ports?.reader];
  }

  get endpoints(): Endpoint[] {
    const kinds = this.#o.replica === true ? (['writer', 'reader'] as const) : (['instance'] as const);
    return kinds.map((kind, i) => ({ kind, host: HOST, port: this.#ports[i] ?? 0 }));
  }

  admin(kind?: Endpoint['kind']): { host: string; port: number; user: string } {
    const { server } = this.#nodes[kind === 'reader' ? 1 : 0] ?? {};
    if (server === undefined) throw new Error(`${this.name} is stopped`);
    return { host: server.socketDir, port: server.port, user: RDS_ADMIN };
  }

  async start(): Promise<void> {
    if (this.#nodes.length > 0) return;
    try {
      const primary = await this.#primary();
      await this.#open(primary);
      if (this.#o.replica === true) await this.#open(await this.#standby(primary));
      await this.#setMasterPassword();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  log(): Promise<string> {
    return readFile(logOf(this.#o.dataDir), 'utf8');
  }

  logDirectory(kind?: Endpoint['kind']): string {
    return join(this.#dataDirs[kind === 'reader' ? 1 : 0] ?? this.#o.dataDir, 'log');
  }

  async stop(): Promise<void> {
    await this.#end(true);
  }

  async close(): Promise<void> {
    await this.#end(false);
    if (this.#o.ephemeral !== true) return;
    for (const dir of this.#dataDirs) await rm(dir, { recursive: true, force: true });
    await rm(logOf(this.#o.dataDir), { force: true });
  }

  async door({ to, authority, verify }: DoorOptions): Promise<Front> {
    const node = this.#nodes[to === 'reader' ? 1 : 0];
    if (node === undefined) throw new Error(`${this.name} is stopped`);
    const atWriter: Verify = (login) => this.#o.verify({ ...login, port: this.#ports[0] ?? 0 });
    const door = await startFront({
      ...this.#frontTo(node.server, node.admin),
      ...(authority === undefined ? {} : { certificate: authority.server([HOST]) }),
      verify: verify ?? atWriter,
    });
    this.#doors.add(door);
    return { port: door.port, close: () => (this.#doors.delete(door) ? door.close() : Promise.resolve()) };
  }

  async #end(keepData: boolean): Promise<void> {
    for (const door of this.#doors) await door.close();
    this.#doors.clear();
    const nodes = this.#nodes.splice(0).reverse();
    await Promise.all(nodes.map(({ front }) => front.close()));
    for (const { admin, server } of nodes) {
      await admin.end();
      // what is thrown away needs no checkpoint
      await server.stop(!keepData && this.#o.ephemeral === true ? 'immediate' : 'fast', { keepData });
    }
  }

  #options(dataDir: string, settings: Record<string, string>): PostgresOptions {
    return {
      binaries: this.#o.binaries ?? binariesOf(this.#o.major),
      dataDir,
      superuser: RDS_ADMIN,
      superuserPassword: randomBytes(24).toString('base64url'),
      ephemeral: this.#o.ephemeral === true,
      hba: hbaLines(this.master.user, this.#o.major),
      files: {
        'server.crt': this.#certificate.certPem,
        'server.key': this.#certificate.keyPem,
        'front-ca.crt': this.#frontAuthority.caPem,
      },
      settings: (files) => ({
        ssl: 'on',
        ssl_cert_file: join(files, 'server.crt'),
        ssl_key_file: join(files, 'server.key'),
        ssl_ca_file: join(files, 'front-ca.crt'),
        ssl_min_protocol_version: 'TLSv1.2',
        password_encryption: 'scram-sha-256',
        log_line_prefix: '%t:%r:%u@%d:[%p]:', // as RDS fixes it
        shared_buffers: '32MB',
        wal_keep_size: '64MB',
        wal_retrieve_retry_interval: '200ms',
        // a stand-in may lose its data in a power cut; it starts and seeds in half the time
        fsync: 'off',
        ...(this.#o.logFiles !== undefined && collected(this.#o.logFiles)),
        ...this.#o.settings,
        ...settings,
      }),
    };
  }

  async #primary(): Promise<PostgresServer> {
    const options = { ...this.#options(this.#o.dataDir, {}), logFile: logOf(this.#o.dataDir) };
    const isNew = this.#dataDirs.length === 0;
    let server = await startPostgres({ ...options, initialise: (fresh) => this.#seed(fresh) });
    if (this.#o.replica === true && isNew) {
      // a copy is only whole while its source stands still
      await server.stop('fast', { keepData: true });
      await coldCopy(server.dataDir, `${server.dataDir}-replica`);
      server = await startPostgres({ ...options, dataDir: server.dataDir });
    }
    this.#dataDirs = [server.dataDir, ...(this.#o.replica === true ? [`${server.dataDir}-replica`] : [])];
    return server;
  }

  async #standby(primary: PostgresServer): Promise<PostgresServer> {
    const source = `host=${primary.socketDir} port=${primary.port} user=${RDS_ADMIN} application_name=reader`;
    return startPostgres(this.#options(`${primary.dataDir}-replica`, { primary_conninfo: source }));
  }

  #seed(server: PostgresServer): Promise<void> {
    const socket = { host: server.socketDir, port: server.port, user: RDS_ADMIN };
    return furnish((database) => new pg.Client({ ...socket, database }), {
      master: this.master.user,
      databases: this.#o.databases,
    });
  }

  async #open(server: PostgresServer): Promise<void> {
    const i = this.#nodes.length;
    const admin = new pg.Pool({
      host: server.socketDir,
      port: server.port,
      user: RDS_ADMIN,
      database: 'postgres',
      max: 2,
    });
    admin.on('error', () => undefined); // an idle connection was cut; the next question opens a new one
    const port = this.#ports[i];
    try {
      const front = await startFront({ ...this.#frontTo(server, admin), ...(port === undefined ? {} : { port }) });
      this.#ports[i] = front.port;
      this.#nodes.push({ server, admin, front });
    } catch (error) {
      await server.stop('immediate', { keepData: true });
      throw error;
    }
  }

  #frontTo(server: PostgresServer, admin: pg.Pool): FrontOptions {
    return {
      host: HOST,
      server,
      certificate: this.#certificate,
      serverCa: this.caPem,
      clientAuthority: this.#frontAuthority,
      methodOf: (user) => methodOf(admin, this.master.user, user),
      verify: this.#o.verify,
    };
  }

  async #setMasterPassword(): Promise<void> {
    const admin = this.#nodes[0]?.admin;
    // by format(), for a role command takes no parameters; the stand-in logs no statements
    const { rows } = (await admin?.query<{ sql: string }>(
      `SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text) AS sql`,
      [this.master.user, this.master.password],
    )) ?? { rows: [] };
    await admin?.query(rows[0]?.sql ?? '');
  }
}
