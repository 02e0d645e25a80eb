import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '../..');
let built: Promise<unknown> | undefined;

/** Does nothing when `dist` is fresh, which it is under `npm test`. For `beforeAll`, with the patience of a build. */
export const buildCli = (): Promise<unknown> =>
  (built ??= promisify(execFile)(process.execPath, [join(root, 'scripts/run.mjs'), 'build'], { cwd: root }));

/** How a command ended, and what it wrote. */
export interface Ended {
  code: number | null;
  out: string;
  err: string;
}

/** A command that runs: to be waited for, or to be cut short. */
export interface Running {
  ended: Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
}

/** `npm run usher -- …` as a process of its own, with nothing in its environment but what is given. */
export async function startCli(args: readonly string[], env: Record<string, string> = {}): Promise<Running> {
  await buildCli();
  const child = spawn(process.execPath, [join(root, 'dist/cli.js'), ...args], {
    cwd: root,
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, err]: [string[], string[]] = [[], []];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk.toString()));
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code) => resolve({ code, out: out.join(''), err: err.join('') }));
  });
  return { ended, kill: (signal) => void child.kill(signal) };
}

export const runCli = async (args: readonly string[], env?: Record<string, string>): Promise<Ended> =>
  (await startCli(args, env)).ended;

const directory = mkdtempSync(join(tmpdir(), 'usher-cli-'));

/** A file for one run, e.g. of a CA. */
export function fileWith(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}
