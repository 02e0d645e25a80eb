import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RecipeInput } from '../../src/connections/recipe.ts';
import { base, parseConninfo, recordingHome, servername, textOf, type RecordingHome } from './recording-home.ts';

let home: string;
let shell: RecordingHome['shell'];
let recording: RecordingHome;

beforeAll(async () => {
  recording = await recordingHome();
  ({ path: home, shell } = recording);
});
afterAll(() => recording?.remove());

/** As libpq reads a line of a password file (manual, 32.16). */
const parsePasswordLine = (line: string): string[] =>
  line
    .replace(/\n$/, '')
    .split(/(?<=(?:^|[^\\])(?:\\\\)*):/su)
    .map((field) => field.replace(/\\(.)/gsu, '$1'));

describe('the recipes for a password in a real shell', () => {
  const password = 'Zm9yIHRoaXMgdGVzdCBhbG9uZSBoZXJl';
  const given: RecipeInput = { ...base, method: 'password', user: 'jane_doe_pw', secret: password };
  const file = join('.usher', `pgpass-${base.grantId}`);

  test('pgpass writes a private file and runs psql with it', async () => {
    const { failed, psql } = await shell(textOf('pgpass', given));
    expect(failed).toBe(false);
    expect(psql.environment).toEqual(['', join(home, '.usher/eu-west-1-bundle.pem'), '', join(home, file)]);
    expect(parseConninfo(psql.arguments?.[0] ?? '')).toMatchObject({ host: servername, user: 'jane_doe_pw' });
    expect(await readFile(join(home, file), 'utf8')).toBe(`${servername}:5432:orders:jane_doe_pw:${password}\n`);
    expect((await stat(join(home, file))).mode & 0o777).toBe(0o600);
  });

  test('a file that others could read is not written into', async () => {
    await writeFile(join(home, file), '', { mode: 0o644 });
    await chmod(join(home, file), 0o644);
    await shell(textOf('pgpass', given));
    expect((await stat(join(home, file))).mode & 0o777).toBe(0o600);
  });

  test('the URI holds all but the password', async () => {
    const { psql } = await shell(textOf('libpq-uri', given));
    const uri = new URL(psql.arguments?.[0] ?? '');
    expect([uri.protocol, uri.hostname, uri.port, uri.pathname]).toEqual([
      'postgresql:',
      servername,
      '5432',
      '/orders',
    ]);
    expect([uri.username, uri.password]).toEqual(['jane_doe_pw', '']);
    expect(Object.fromEntries(uri.searchParams)).toEqual({
      sslmode: 'verify-full',
      application_name: `usher:${base.grantId}`,
    });
    expect(psql.environment?.[3]).toBe(join(home, file));
  });

  test.each(['psql', 'pgpass', 'libpq-uri'] as const)(
    '%s gives the password to no program as an argument',
    async (client) => {
      const { psql, curl, getent } = await shell(
        textOf(client, { ...given, host: 'alias.example', tls: { ...base.tls, hostaddrNeeded: true } }),
      );
      expect(psql.environment?.[2]).toBe('10.0.0.9');
      for (const program of [psql, curl, getent]) expect(program.arguments?.join(' ') ?? '').not.toContain(password);
    },
  );

  test('no value breaks out of the line or the URI', async () => {
    const piece = fc.constantFrom(
      "'",
      '"',
      '\\',
      ':',
      '$(touch pwned)',
      '`touch pwned`',
      ' ',
      ';',
      '%',
      '%s',
      '@',
      '/',
      '?',
      'é',
    );
    const hostile = fc.array(piece, { minLength: 1, maxLength: 6 }).map((pieces) => pieces.join(''));
    await fc.assert(
      fc.asyncProperty(hostile, hostile, hostile, async (database, user, secret) => {
        const input = { ...given, database, user, secret };
        expect((await shell(textOf('pgpass', input))).failed).toBe(false);
        expect(parsePasswordLine(await readFile(join(home, file), 'utf8'))).toEqual([
          ...[servername, '5432', database, user, secret],
        ]);
        const uri = new URL((await shell(textOf('libpq-uri', input))).psql.arguments?.[0] ?? '');
        expect([decodeURIComponent(uri.username), decodeURIComponent(uri.pathname)]).toEqual([user, `/${database}`]);
        await expect(stat(join(home, 'pwned'))).rejects.toMatchObject({ code: 'ENOENT' });
      }),
      { numRuns: 40 },
    );
  });
});
