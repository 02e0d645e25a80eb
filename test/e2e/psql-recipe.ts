import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Finished {
  /** Exit status; null when a signal ended it. */
  code: number | null;
  stdout: string;
  stderr: string;
  /** By `performance.now()`. */
  at: number;
}

/** A shell of a person's own, with an empty home. */
export interface Home {
  /** The text as a script of `sh`; `after` follows on its last line. */
  start(text: string, after?: string): Promise<Finished>;
  remove(): Promise<void>;
}

export async function newHome(): Promise<Home> {
  const directory = await mkdtemp(join(tmpdir(), 'usher-home-'));
  let scripts = 0;
  return {
    start: async (text, after = '') => {
      const script = join(directory, `recipe-${++scripts}.sh`);
      await writeFile(script, `${text}${after}\n`, { mode: 0o600 });
      return finish(script, directory);
    },
    remove: () => rm(directory, { recursive: true }),
  };
}

function finish(script: string, home: string): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const env = { PATH: process.env['PATH'] ?? '', HOME: home, LC_ALL: 'C' };
    const child = spawn('sh', [script], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const [out, err]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', reject);
    child.on('close', (code) => {
      const at = performance.now();
      resolve({ code, stdout: Buffer.concat(out).toString().trim(), stderr: Buffer.concat(err).toString().trim(), at });
    });
  });
}

/** @throws Error that says what to install */
export async function needPsql(): Promise<void> {
  const home = await newHome();
  const { code } = await home.start('psql --version');
  await home.remove();
  if (code !== 0) throw new Error('these tests need psql: apt-get install postgresql-client');
}

/** Put after the recipe: unaligned rows and nothing else. */
export const running = (sql: string): string => ` -X -At -c "${sql}"`;
