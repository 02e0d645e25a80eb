import { stat } from 'node:fs/promises';
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

const psqlText = (input: RecipeInput) => textOf('psql', input);

describe('the psql recipe in a real shell', () => {
  test('fetches the bundle into a private folder and runs psql with it', async () => {
    const { failed, psql, curl } = await shell(psqlText(base));
    expect(failed).toBe(false);
    expect(curl.arguments?.at(-1)).toBe(base.tls.caBundleUrl);
    expect(psql.environment).toEqual([base.secret, join(home, '.usher/eu-west-1-bundle.pem'), '', '']);
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
      fc.asyncProperty(hostile, hostile, hostile, async (database, user, secret) => {
        const { failed, psql } = await shell(psqlText({ ...base, database, user, secret }));
        expect(failed).toBe(false);
        expect(psql.arguments).toHaveLength(1);
        expect(parseConninfo(psql.arguments?.[0] ?? '')).toMatchObject({ host: servername, dbname: database, user });
        expect(psql.environment?.[0]).toBe(secret);
        await expect(stat(join(home, 'pwned'))).rejects.toMatchObject({ code: 'ENOENT' });
      }),
      { numRuns: 60 },
    );
  });
});
