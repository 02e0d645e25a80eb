/** The processes of a measurement: each ends with this one, however that ends. */
import { fork } from 'node:child_process';
import type { ChildProcess, Serializable } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** @param file from the root of the project */
export const path = (file: string): string => fileURLToPath(new URL(`../${file}`, import.meta.url));

export interface Started {
  /** Where it listens. */
  url: string;
  pid: number;
  stop(): Promise<void>;
}

/** Starts a server and waits for the line of its output that names its URL. */
export async function startServer(
  file: string,
  env: Record<string, string>,
  args: readonly string[] = [],
): Promise<Started> {
  const child = fork(path(file), args, {
    execArgv: ['--import', path('scripts/leash.mjs')],
    env: { PATH: process.env['PATH'], NODE_ENV: 'production', ...env },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output = `${output}${text}`.slice(-4_096);
    const url = /https?:\/\/(?:127\.0\.0\.1|localhost):\d+/.exec(output)?.[0];
    if (url !== undefined) resolve(url);
  });
  child.once('exit', (code) => reject(new Error(`${file} ended with ${code ?? 'a signal'}:\n${output}`)));
  const url = await promise;
  return { url, pid: child.pid ?? 0, stop: () => stop(child) };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

/** A process that answers each message with one. */
export function startWorker<Ask extends Serializable, Answer>(
  file: string,
): { ask(message: Ask): Promise<Answer>; stop(): Promise<void> } {
  const child = fork(path(file), [], { execArgv: [], serialization: 'advanced' });
  return {
    ask: async (message) => {
      const { promise, resolve, reject } = Promise.withResolvers<Answer>();
      const ended = (): void => reject(new Error(`${file} ended`));
      child.once('message', resolve).once('exit', ended);
      child.send(message);
      return promise.finally(() => child.off('message', resolve).off('exit', ended));
    },
    stop: () => stop(child),
  };
}
