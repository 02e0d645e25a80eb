import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { ACCOUNT, REGION } from '../../local/stand-in-account.ts';
import { createAuthority } from '../../local/rds/authority.ts';
import { targetSql } from '../../src/postgres/target-sql.ts';
import { buildCli, fileWith, runCli } from '../support/cli.ts';
import { anyMajor } from '../support/majors.ts';
import { register } from '../support/people.ts';
import { standIn } from '../support/stand-in.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { startGuardTarget, type GuardTarget } from './guard-target.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });
beforeAll(buildCli, 300_000);

const root = join(import.meta.dirname, '../..');

describe('how commands are called', () => {
  test('the list of commands, and the help of each', async () => {
    const { code, out } = await runCli(['--help']);
    expect(code).toBe(0);
    for (const name of ['target-sql', 'target-check', 'target-retire', 'audit', 'schema']) {
      expect(out).toContain(`  ${name} `);
      const own = await runCli([name, '--help']);
      expect(own).toMatchObject({ code: 0, err: '' });
      expect(own.out).toMatch(new RegExp(`^usage: npm run usher -- ${name}`));
    }
  });

  test('through npm the answer and the exit code are the same', async () => {
    const run = (...args: string[]) =>
      promisify(execFile)(process.execPath, [join(root, 'scripts/run.mjs'), 'usher', ...args], { cwd: root });
    expect((await run('target-sql')).stdout).toBe(targetSql());
    await expect(run('target-check')).rejects.toMatchObject({ code: 2 });
  });

  const ca = fileWith('some.pem', createAuthority('nobody').caPem);
  const reached = ['--host', 'h.invalid', '--ca', ca];
  test.each([
    ['an unknown command', ['target-chek'], /There is no command "target-chek"[^]*target-check/],
    ['an unknown option', ['target-check', '--hots', 'x'], /Unknown option '--hots'.*It takes --host, --port/],
    ['no target at all', ['target-check'], /--host is missing, e\.g\. --host orders/],
    ['no CA', ['target-check', '--host', 'h.invalid'], /--ca is missing/],
    ['a CA that is not there', ['target-check', '--host', 'h', '--ca', '/nowhere.pem'], /--ca: ENOENT/],
    ['a CA that is none', ['target-check', '--host', 'h', '--ca', join(root, 'package.json')], /not a PEM file/],
    ['a port that is none', ['target-check', ...reached, '--port', '99999'], /--port is a number/],
    ['no password', ['target-check', ...reached], /PGPASSWORD is not set\. Set it, or give --region/],
    ['an account without a region', ['target-check', ...reached, '--account', ACCOUNT], /--account goes with --region/],
    [
      'an account without a resource',
      ['target-check', ...reached, '--region', REGION, '--account', ACCOUNT],
      /--resource-id is missing/,
    ],
    ['a name and a host', ['target-check', 'orders', '--host', 'h'], /--host is for a target that is not registered/],
    ['two names', ['target-check', 'orders', 'billing'], /There is no place for "billing"/],
    ['nobody to retire', ['target-retire', ...reached, '--user', 'dba'], /Name the login to retire/],
    ['a login that is none', ['target-retire', 'Jane"', ...reached], /"Jane\\"" is no login of the guard's/],
    ['no DBA', ['target-retire', 'jane', ...reached], /--user is missing/],
    ['no password of the DBA', ['target-retire', 'jane', ...reached, '--user', 'dba'], /give --password-file/],
    ['a switch with a value', ['target-retire', 'jane', '--dry-run=yes'], /does not take an argument/],
  ])('%s: says what is right, and ends with 2', async (_what, args, says) => {
    const { code, out, err } = await runCli(args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(says);
    if (args[0] !== 'target-chek') expect(err).toContain(`npm run usher -- ${args[0]} --help`);
  });
});

describe('a target that cannot be entered', () => {
  const authority = createAuthority('entered');
  const ca = fileWith('entered.pem', authority.caPem);
  let target: GuardTarget;
  const check = async (more: Record<string, string> = {}, password?: string) => {
    const given: Record<string, string> = {
      '--host': '127.0.0.1',
      '--port': String(target.address.port),
      '--ca': ca,
      '--servername': target.address.servername,
      ...more,
    };
    return runCli(['target-check', ...Object.entries(given).flat()], {
      PGPASSWORD: password ?? (await target.broker.password()),
    });
  };
  beforeAll(async () => {
    target = await startGuardTarget(anyMajor, authority);
    await target.asMaster('CREATE DATABASE bare');
  });
  afterAll(() => target.stop());

  test.each([
    [
      'a wrong password',
      {},
      'no-such-password',
      /^MISSING {2}connect {2}The target refused the login.*\(28P01\)\n {9}Check/,
    ],
    ['nothing that listens', { '--port': '1' }, undefined, /connect {2}Nothing listens.*\n {9}Check host and port/],
    [
      'another authority',
      { '--ca': fileWith('other.pem', createAuthority('other').caPem) },
      undefined,
      /connect {2}The certificate .*\n {9}Register the CA bundle/,
    ],
    ['another name', { '--servername': 'else.test' }, undefined, /certificate of the target is for another host name/],
    ['no such database', { '--database': 'nowhere' }, undefined, /database does not exist/],
    ['a database without the guard', { '--database': 'bare' }, undefined, /guard is not installed.*\n {9}.*target-sql/],
  ])('%s is the right that is missing', async (_what, more, password, says) => {
    const { code, out, err } = await check(more, password);
    expect({ code, err }).toEqual({ code: 1, err: '' });
    expect(out).toMatch(says);
    expect(out).toMatch(/\n\d+ ok, 0 to look at, 1 missing\n$/);
    expect(out).not.toContain('no-such-password');
  });
});

describe('with tokens, as the service signs them', () => {
  let usher: Usher;
  let env: Record<string, string>;
  beforeAll(async () => {
    usher = await startUsher({ work: false });
    await register(usher, 'orders');
    env = { ...(await standIn()).env, DATABASE_URL: usher.database.url };
  });
  afterAll(() => usher.close());

  test('a registered target by its name and by its id', async () => {
    const named = await runCli(['target-check', 'orders'], env);
    expect(named).toMatchObject({ code: 0, err: '' });
    expect(named.out).toMatch(/^ok {7}broker by token/m);
    expect(named.out).toMatch(/^ok {7}open iam reporting-read/m);
    const { rows } = await usher.database.owner.query<{ id: string }>(`SELECT id FROM target WHERE name = 'orders'`);
    expect((await runCli(['target-check', rows[0]?.id ?? '', '--json'], env)).code).toBe(0);
  });

  test('one that is not registered: says which are', async () => {
    const { code, err } = await runCli(['target-check', 'ordres'], env);
    expect(code).toBe(2);
    expect(err).toContain('No target "ordres" is registered; there are orders.');
  });

  test('before registration: by the connect role of the account, and not by keys that may not connect', async () => {
    const { rds, registration } = usher.standIn.targets.orders;
    const [writer] = registration.target.endpoints;
    const given = ['--host', writer?.connectHost ?? '', '--port', String(writer?.port), '--region', REGION];
    const args = ['target-check', ...given, '--ca', fileWith('region.pem', rds.caPem)];
    const role = ['--account', ACCOUNT, '--resource-id', registration.target.resourceId];
    expect(await runCli([...args, ...role], env)).toMatchObject({ code: 0, err: '' });
    const own = await runCli(args, env);
    expect(own.code).toBe(1);
    expect(own.out).toMatch(/^MISSING {2}connect {2}The target refused the login of the broker/);
  });
});

test('no command leaves a secret in its arguments: each reads it from the environment or a file', () => {
  for (const name of ['target-check', 'target-retire'])
    expect(readFileSync(join(root, `src/cli/${name}.ts`), 'utf8')).not.toMatch(/^ {2}'?password'?: \{ type/m);
});
