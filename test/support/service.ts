import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { spawnKept } from '../../src/platform/embedded-postgres.js';
import { standIn } from './stand-in.ts';
import type { StandIn } from '../../local/stand-in.ts';
import { keepSecret, refuseSecrets } from './secrets.ts';
import { UNLIMITED } from './usher.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
let built: Promise<unknown> | undefined;

/** Does nothing when `dist` is fresh, which it is under `npm test`. */
const build = (): Promise<unknown> =>
  (built ??= run(process.execPath, [join(root, 'scripts/run.mjs'), 'build'], { cwd: root }));

/** The real service, in a process of its own that cannot outlive this one. */
export interface Service {
  url: string;
  standIn: StandIn;
  pid: number;
  /** All that it has written so far, to stdout and stderr. */
  log(): string;
  /** As a crash or the kernel would: nothing is finished, nobody says goodbye. @throws Error when it wrote a secret */
  kill(): Promise<void>;
  /** As an operator would. @returns the exit code @throws Error when it wrote a secret */
  stop(): Promise<number | null>;
}

export interface ServiceOptions {
  databaseUrl: string;
  env?: Record<string, string>;
}

const LISTENS = /Usher listens on (http:\S+)/;

/** @throws Error with its output when it ends instead of listening */
export async function startService({ databaseUrl, env = {} }: ServiceOptions): Promise<Service> {
  const [outside] = await Promise.all([standIn(), build()]);
  for (const [name, value] of Object.entries(env)) if (name.includes('SECRET')) keepSecret(name, value);
  const child = await spawnKept(process.execPath, [join(root, 'dist/main.js')], {
    cwd: root,
    output: 'pipe',
    env: {
      PATH: process.env['PATH'],
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
      ...outside.env,
      ...{
        DATABASE_URL: databaseUrl,
        USHER_HOST: '127.0.0.1',
        USHER_PORT: '0',
        USHER_SAMPLE_SECONDS: '0',
        ...UNLIMITED,
        USHER_DRIFT_MINUTES: '0', // files share targets: one file's look would end what another's Usher gave
        USHER_LOG_LEVEL: 'warn',
        ...env,
      },
    },
  });
  let text = '';
  const listens = Promise.withResolvers<string>();
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const url = LISTENS.exec(text)?.[1];
      if (url !== undefined) listens.resolve(url);
    });
  void child.ended.then(({ code, signal }) =>
    listens.reject(new Error(`the service ended (${signal ?? code}) before it listened:\n${text}`)),
  );
  const url = await listens.promise;
  return {
    url,
    standIn: outside,
    pid: child.pid,
    log: () => text,
    kill: async () => {
      process.kill(child.pid, 'SIGKILL');
      await child.ended;
      refuseSecrets('the output of the service', text);
    },
    stop: async () => {
      const { code } = await child.stop();
      refuseSecrets('the output of the service', text);
      return code;
    },
  };
}
