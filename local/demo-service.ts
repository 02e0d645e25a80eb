/** The service as it is shipped: built, in a process of its own that ends with ours, on a PostgreSQL of its own. */
import { randomBytes } from 'node:crypto';
import { createWriteStream, existsSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { binariesOf, spawnKept, startPostgres } from '../src/platform/embedded-postgres.ts';
import type { KeptProcess, PostgresServer } from '../src/platform/embedded-postgres.ts';

/** The wanted port when it is free, else any free one. */
export async function portNear(wanted: number): Promise<number> {
  return (await tryPort(wanted)) ?? (await tryPort(0)) ?? wanted;
}

async function tryPort(port: number): Promise<number | undefined> {
  const probe = createServer();
  try {
    probe.listen(port, '127.0.0.1');
    await once(probe, 'listening');
    return (probe.address() as AddressInfo).port;
  } catch {
    return undefined;
  } finally {
    probe.close();
  }
}

export interface StateDatabase {
  url: string;
  server: PostgresServer;
}

/** New at each run, for the targets are new too: grants of an earlier run would be closed on databases that are gone. */
export async function startStateDatabase(directory: string): Promise<StateDatabase> {
  const password = randomBytes(18).toString('base64url');
  const server = await startPostgres({
    binaries: binariesOf(),
    dataDir: join(directory, 'state'),
    superuser: 'usher',
    superuserPassword: password,
    ephemeral: true,
    settings: { fsync: 'off' },
  });
  return { server, url: `postgresql://usher:${password}@${server.host}:${server.port}/postgres` };
}

export interface Service {
  api: string;
  logFile: string;
  /** Settles with the end of its output when it ended without being told to. */
  died: Promise<string>;
  stop(): Promise<void>;
}

const READY_WITHIN_MS = 60_000;

/** @throws Error with the end of the service's output when it does not come up */
export async function startService(directory: string, env: Readonly<Record<string, string>>): Promise<Service> {
  const main = join(import.meta.dirname, '../dist/main.js');
  if (!existsSync(main)) throw new Error('dist/main.js is not there: run "npm run build" first, or "npm run demo"');
  const port = await portNear(3000);
  const kept = await spawnKept(process.execPath, ['--enable-source-maps', main], {
    env: { ...plainEnvironment(), ...env, USHER_HOST: '127.0.0.1', USHER_PORT: String(port) },
    output: 'pipe',
  });
  const logFile = join(directory, 'usher.log');
  const tail = keepLog(kept, logFile);
  const ended = kept.ended.then(() => tail());
  const api = `http://localhost:${port}`;
  const died = Promise.withResolvers<string>();
  let wanted = false;
  void ended.then((output) => wanted || died.resolve(output));
  try {
    await ready(api, ended);
  } catch (error) {
    await kept.stop();
    throw error;
  }
  return {
    api,
    logFile,
    died: died.promise,
    stop: async () => {
      wanted = true;
      await kept.stop();
    },
  };
}

/** Nothing that was meant for other programs: keys, a DATABASE_URL or a profile of the person who looks at the demo. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const names = ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR', 'SystemRoot'];
  const own: NodeJS.ProcessEnv = {};
  for (const name of names) if (process.env[name] !== undefined) own[name] = process.env[name];
  return { ...own, AWS_CONFIG_FILE: devNull, AWS_SHARED_CREDENTIALS_FILE: devNull };
}

const TAIL_CHARACTERS = 4_000;

/** @returns what answers with the end of the output */
function keepLog({ stdout, stderr }: KeptProcess, file: string): () => string {
  const log = createWriteStream(file, { mode: 0o600 });
  let tail = '';
  for (const stream of [stdout, stderr]) {
    stream?.setEncoding('utf8');
    stream?.on('data', (text: string) => {
      log.write(text);
      tail = (tail + text).slice(-TAIL_CHARACTERS);
    });
  }
  return () => tail;
}

async function ready(api: string, ended: Promise<string>): Promise<void> {
  const deadline = Date.now() + READY_WITHIN_MS;
  const dead = ended.then((tail) => {
    throw new Error(`the service ended while it started:\n${tail}`);
  });
  dead.catch(() => undefined);
  for (;;) {
    const answer = await Promise.race([fetch(`${api}/health/ready`).catch(() => undefined), dead]);
    if (answer?.ok === true) return;
    if (Date.now() > deadline) throw new Error(`the service is not ready: ${answer?.status ?? 'it does not answer'}`);
    await delay(50);
  }
}
