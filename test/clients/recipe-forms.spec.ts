/** Recipes for clients that cannot be executed here, read by the rules of the configuration that they are for. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RecipeInput } from '../../src/connections/recipe.ts';
import { base, parseConninfo, servername, textOf } from './recording-home.ts';

/** Characters that mean something in one of the languages, and some that are more than one byte. */
const name = fc
  .string({ unit: fc.constantFrom(...'\'"\\$()`;=&?/#% +{}[]<>|*~^,.0aé😀‘’'), minLength: 1, maxLength: 30 })
  .filter((text) => text.trim() !== '');
const named = (database: string, user: string): RecipeInput => ({ ...base, database, user });
const literal = (text: string, pattern: RegExp): string => JSON.parse(pattern.exec(text)?.[1] ?? 'null') as string;

/** As ADO.NET's DbConnectionStringBuilder reads it: a quoted value ends at its quote, and has its own quotes doubled. */
function parseAdoNet(text: string): Record<string, string> {
  const settings: Record<string, string> = {};
  const pair = /\s*([^=;]+?)\s*=\s*(?:"((?:[^"]|"")*)"|'((?:[^']|'')*)'|([^;"']*?))\s*(?:;|$)/suy;
  while (pair.lastIndex < text.length) {
    const found = pair.exec(text);
    if (!found?.[1]) throw new Error(`ADO.NET would not read: ${text}`);
    settings[found[1]] = found[2]?.replaceAll('""', '"') ?? found[3]?.replaceAll("''", "'") ?? found[4] ?? '';
  }
  return settings;
}

/** As PowerShell reads a string in single quotes, of which it knows five. */
function parsePowerShell(text: string, variable: string): string {
  const start = text.indexOf(`$env:${variable} = '`) + `$env:${variable} = '`.length;
  let value = '';
  for (let i = start; i < text.length; i += 1) {
    const character = text.charAt(i);
    if (/['\u2018-\u201b]/.test(character) && !/['\u2018-\u201b]/.test(text.charAt(++i))) return value;
    value += character;
  }
  throw new Error('the string does not end');
}

describe('no name breaks out of', () => {
  test('the connection string of Npgsql', () => {
    fc.assert(
      fc.property(name, name, (database, user) => {
        const text = literal(textOf('npgsql', named(database, user)), /NpgsqlConnectionStringBuilder\((".*")\)$/m);
        expect(parseAdoNet(text)).toEqual({
          Host: servername,
          Port: '5432',
          Database: database,
          Username: user,
          'SSL Mode': 'VerifyFull',
          'Application Name': `usher:${base.grantId}`,
        });
      }),
    );
  });

  test('the connection string of pgx', () => {
    fc.assert(
      fc.property(name, name, (database, user) => {
        const text = literal(textOf('pgx', named(database, user)), /ParseConfig\((".*")\)$/m);
        expect(parseConninfo(text)).toMatchObject({ host: servername, dbname: database, user, sslmode: 'verify-full' });
      }),
    );
  });

  test('PowerShell', () => {
    fc.assert(
      fc.property(name, name, (database, user) => {
        const text = textOf('psql-powershell', named(database, user));
        expect(parsePowerShell(text, 'PGDATABASE')).toBe(database);
        expect(parsePowerShell(text, 'PGUSER')).toBe(user);
        expect(parsePowerShell(text, 'PGPASSWORD')).toBe(base.secret);
      }),
    );
  });

  test('the arguments of psycopg 3', () => {
    fc.assert(
      fc.property(name, name, (database, user) => {
        const text = textOf('psycopg', named(database, user));
        expect([literal(text, /dbname=(".*"),$/m), literal(text, /user=(".*"),$/m)]).toEqual([database, user]);
        expect(text).toContain('import psycopg\n');
      }),
    );
  });
});

describe('what pgAdmin imports', () => {
  const signing = { host: servername, port: 5432, region: 'eu-west-1' };
  const serverOf = (input: RecipeInput): Record<string, unknown> =>
    (JSON.parse(textOf('pgadmin', input)) as { Servers: Record<string, Record<string, unknown>> }).Servers['1'] ?? {};

  test('has the fields that it asks for, and no password', () => {
    expect(serverOf(base)).toEqual({
      Name: `usher:${base.grantId}`,
      Group: 'Usher',
      Host: servername,
      Port: 5432,
      MaintenanceDB: 'orders',
      Username: 'jane_doe',
      ConnectionParameters: {
        sslmode: 'verify-full',
        application_name: `usher:${base.grantId}`,
        sslrootcert: '/absolute/path/to/eu-west-1-bundle.pem',
      },
    });
  });

  test('signs by a password exec command for who signs alone', () => {
    expect(serverOf({ ...base, secret: undefined, signing })).toMatchObject({
      PasswordExecCommand: `aws rds generate-db-auth-token --hostname ${servername} --port 5432 --region eu-west-1 --username jane_doe`,
      PasswordExecExpiration: 840,
    });
  });
});

test('the wrapper of AWS has the parameters of its IAM plugin', () => {
  const signing = { host: servername, port: 5432, region: 'eu-west-1' };
  const text = textOf('aws-jdbc-wrapper', { ...base, secret: undefined, signing });
  const properties = Object.fromEntries(
    [...text.matchAll(/setProperty\("(\w+)", (".*")\);$/gm)].map(([, key, value]) => [key, JSON.parse(value ?? '')]),
  ) as Record<string, string>;
  expect(properties).toMatchObject({
    wrapperPlugins: 'iam',
    iamRegion: 'eu-west-1',
    iamHost: servername,
    iamDefaultPort: '5432',
    user: 'jane_doe',
  });
  expect(Number(properties['iamExpiration'])).toBeLessThan(900);
  expect(properties).not.toHaveProperty('password');
});
