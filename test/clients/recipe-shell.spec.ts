import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { recipes } from '../../src/connections/recipe.ts';
import type { RecipeInput } from '../../src/connections/recipe.ts';

const run = promisify(execFile);
const servername = 'orders.cluster-abc.eu-west-1.rds.amazonaws.com';
const base: RecipeInput = {
  grantId: '0190c1f0-0000-7000-8000-000000000001',
  token: `${servername}:5432/?Action=connect&DBUser=jane_doe&X-Amz-Signature=abc%2B`,
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

/** A home whose psql, curl and getent write down what they were called with. */
let home: string;

const recorder = (name: string, then: string) => `#!/bin/sh
printf '%s\\0' "$@" > "$RECORD/${name}.arguments"
printf '%s\\0' "$PGPASSWORD" "$PGSSLROOTCERT" "$PGHOSTADDR" > "$RECORD/${name}.environment"
${then}
`;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "usher recipe's $HOME "));
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
});
afterAll(async () => {
  await rm(home, { recursive: true });
});

interface Recorded {
  /** Undefined when the program was not run. */
  arguments: string[] | undefined;
  environment: string[] | undefined;
}

const psqlText = (input: RecipeInput) => recipes(input).find(({ client }) => client === 'psql')?.text ?? '';

const shell = async (text: string, environment: Record<string, string> = {}, shellPath = '/bin/sh') => {
  const script = join(home, 'recipe.sh');
  await rm(join(home, 'record'), { recursive: true });
  await mkdir(join(home, 'record'));
  await writeFile(script, text);
  await run(shellPath, ['-n', script]);
  const env = {
    PATH: `${join(home, 'bin')}:/usr/bin:/bin`,
    HOME: home,
    RECORD: join(home, 'record'),
    ...environment,
  };
  const failed = await run(shellPath, [script], { env, cwd: home }).then(
    () => false,
    () => true,
  );
  return { failed, psql: await recorded('psql'), curl: await recorded('curl'), getent: await recorded('getent') };
};

const recorded = async (program: string): Promise<Recorded> => {
  const words = async (what: string) =>
    (await readFile(join(home, 'record', `${program}.${what}`), 'utf8').catch(() => undefined))
      ?.split('\0')
      .slice(0, -1);
  return { arguments: await words('arguments'), environment: await words('environment') };
};

/** As libpq reads a connection string (manual, 32.1.1.1). */
const parseConninfo = (text: string): Record<string, string> => {
  const settings: Record<string, string> = {};
  const setting = /\s*(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)+))(?=\s|$)/suy;
  while (setting.lastIndex < text.length) {
    const found = setting.exec(text);
    if (!found?.[1]) throw new Error(`libpq would not read: ${text}`);
    settings[found[1]] = (found[2] ?? found[3] ?? '').replace(/\\(.)/gsu, '$1');
  }
  return settings;
};

describe('the psql recipe in a real shell', () => {
  test('fetches the bundle into a private folder and runs psql with it', async () => {
    const { failed, psql, curl } = await shell(psqlText(base));
    expect(failed).toBe(false);
    expect(curl.arguments?.at(-1)).toBe(base.tls.caBundleUrl);
    expect(psql.environment).toEqual([base.token, join(home, '.usher/eu-west-1-bundle.pem'), '']);
    expect(parseConninfo(psql.arguments?.[0] ?? '')).toEqual({
      host: servername,
      port: '5432',
      dbname: 'orders',
      user: 'jane_doe',
      sslmode: 'verify-full',
      application_name: `usher:${base.grantId}`,
    });
    expect((await stat(join(home, '.usher'))).mode & 0o077).toBe(0);
    expect((await stat(join(home, '.usher/eu-west-1-bundle.pem'))).mode & 0o077).toBe(0);
  });

  test.each(['psql', 'curl', 'getent'] as const)('the token is no argument of %s', async (program) => {
    const result = await shell(
      psqlText({ ...base, host: 'alias.example', tls: { ...base.tls, hostaddrNeeded: true } }),
    );
    expect(result[program].arguments).toBeDefined();
    expect(result[program].arguments?.join(' ')).not.toContain('X-Amz-Signature');
  });

  test('only psql gets the token, and the shell keeps nothing of it', async () => {
    const text = psqlText(base);
    const { curl } = await shell(text);
    expect(curl.environment?.[0]).toBe('');
    const after = await shell(`${text}\ncurl -o "$HOME/after" "\${PGPASSWORD-unset}"`);
    expect(after.curl.arguments?.at(-1)).toBe('unset');
  });

  test('options may be put after it', async () => {
    const { psql } = await shell(`${psqlText(base)} -X -c "select 'x'"`);
    expect(psql.arguments?.slice(1)).toEqual(['-X', '-c', "select 'x'"]);
  });

  test('without the bundle psql does not run', async () => {
    const { failed, psql } = await shell(psqlText(base), { CURL_EXIT: '22' });
    expect(failed).toBe(true);
    expect(psql.arguments).toBeUndefined();
  });

  test('another address is looked up, and without one psql does not run', async () => {
    const text = psqlText({ ...base, host: 'alias.example', tls: { ...base.tls, hostaddrNeeded: true } });
    const found = await shell(text);
    expect(found.getent.arguments).toEqual(['ahostsv4', 'alias.example']);
    expect(found.psql.environment?.[2]).toBe('10.0.0.9');
    expect(parseConninfo(found.psql.arguments?.[0] ?? '')['host']).toBe(servername);
    const lost = await shell(text, { ADDRESS: '' });
    expect(lost.failed).toBe(true);
    expect(lost.psql.arguments).toBeUndefined();
  });

  test('no value breaks out', async () => {
    const piece = fc.constantFrom(
      "'",
      '"',
      '\\',
      '$(touch pwned)',
      '`touch pwned`',
      '$HOME',
      ' ',
      ';',
      '|',
      '&',
      '*',
      '!',
      '#',
      '~',
      '=',
      '-c',
      '%',
      'é',
      'a',
      ' host=evil',
    );
    const hostile = fc.array(piece, { minLength: 1, maxLength: 8 }).map((pieces) => pieces.join(''));
    await fc.assert(
      fc.asyncProperty(hostile, hostile, hostile, async (database, user, token) => {
        const { failed, psql } = await shell(psqlText({ ...base, database, user, token }));
        expect(failed).toBe(false);
        expect(psql.arguments).toHaveLength(1);
        expect(parseConninfo(psql.arguments?.[0] ?? '')).toMatchObject({ host: servername, dbname: database, user });
        expect(psql.environment?.[0]).toBe(token);
        await expect(stat(join(home, 'pwned'))).rejects.toMatchObject({ code: 'ENOENT' });
      }),
      { numRuns: 60 },
    );
  });
});
