import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { recipes, type RecipeClient, type RecipeInput } from '../../src/connections/recipe.ts';

const run = promisify(execFile);
export const servername = 'orders.cluster-abc.eu-west-1.rds.amazonaws.com';
export const base: RecipeInput = {
  grantId: '0190c1f0-0000-7000-8000-000000000001',
  method: 'iam',
  secret: `${servername}:5432/?Action=connect&DBUser=jane_doe&X-Amz-Signature=abc%2B`,
  expiresAt: new Date('2025-01-01T00:15:00Z'),
  host: servername,
  port: 5432,
  database: 'orders',
  user: 'jane_doe',
  tls: {
    mode: 'verify-full',
    servername,
    hostaddrNeeded: false,
    authority: 'rds',
    caBundleUrl: 'https://truststore.pki.rds.amazonaws.com/eu-west-1/eu-west-1-bundle.pem',
  },
};

const recorder = (name: string, then: string) => `#!/bin/sh
printf '%s\\0' "$@" > "$RECORD/${name}.arguments"
printf '%s\\0' "$PGPASSWORD" "$PGSSLROOTCERT" "$PGHOSTADDR" "$PGPASSFILE" > "$RECORD/${name}.environment"
${then}
`;

interface Recorded {
  /** Undefined when the program was not run. */
  arguments: string[] | undefined;
  environment: string[] | undefined;
}

/** A home whose psql, curl and getent write down what they were called with. */
export interface RecordingHome {
  readonly path: string;
  /** Runs the text as a script, after the shell found no fault in its form. */
  shell(text: string, environment?: Record<string, string>): Promise<Ran>;
  remove(): Promise<void>;
}

interface Ran {
  failed: boolean;
  psql: Recorded;
  curl: Recorded;
  getent: Recorded;
}

export async function recordingHome(): Promise<RecordingHome> {
  const home = await mkdtemp(join(tmpdir(), "usher recipe's $HOME "));
  await mkdir(join(home, 'bin'));
  await mkdir(join(home, 'record'));
  const programs = {
    psql: recorder('psql', ''),
    // -o is followed by the file to write
    curl: recorder('curl', 'while [ "$1" != -o ]; do shift; done; printf pem > "$2"; exit "${CURL_EXIT:-0}"'),
    getent: recorder('getent', 'echo "${ADDRESS-10.0.0.9}       STREAM alias"'),
  };
  for (const [name, text] of Object.entries(programs)) {
    await writeFile(join(home, 'bin', name), text);
    await chmod(join(home, 'bin', name), 0o755);
  }
  return {
    path: home,
    shell: (text, environment) => shell(home, text, environment),
    remove: () => rm(home, { recursive: true }),
  };
}

export const textOf = (client: RecipeClient, input: RecipeInput) =>
  recipes(input).find((recipe) => recipe.client === client)?.text ?? '';

const shell = async (home: string, text: string, environment: Record<string, string> = {}): Promise<Ran> => {
  const script = join(home, 'recipe.sh');
  await rm(join(home, 'record'), { recursive: true });
  await mkdir(join(home, 'record'));
  await writeFile(script, text);
  await run('/bin/sh', ['-n', script]);
  const env = {
    PATH: `${join(home, 'bin')}:/usr/bin:/bin`,
    HOME: home,
    RECORD: join(home, 'record'),
    ...environment,
  };
  const failed = await run('/bin/sh', [script], { env, cwd: home }).then(
    () => false,
    () => true,
  );
  const of = (program: string): Promise<Recorded> => recorded(home, program);
  return { failed, psql: await of('psql'), curl: await of('curl'), getent: await of('getent') };
};

const recorded = async (home: string, program: string): Promise<Recorded> => {
  const words = async (what: string) =>
    (await readFile(join(home, 'record', `${program}.${what}`), 'utf8').catch(() => undefined))
      ?.split('\0')
      .slice(0, -1);
  return { arguments: await words('arguments'), environment: await words('environment') };
};

/** As libpq reads a connection string (manual, 32.1.1.1). */
export const parseConninfo = (text: string): Record<string, string> => {
  const settings: Record<string, string> = {};
  const setting = /\s*(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)+))(?=\s|$)/suy;
  while (setting.lastIndex < text.length) {
    const found = setting.exec(text);
    if (!found?.[1]) throw new Error(`libpq would not read: ${text}`);
    settings[found[1]] = (found[2] ?? found[3] ?? '').replace(/\\(.)/gsu, '$1');
  }
  return settings;
};
