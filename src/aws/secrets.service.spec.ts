import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AwsAccounts } from './accounts.js';
import type { AwsConfig } from './config.js';
import { SecretsService } from './secrets.service.js';

let root: string;
let secrets: SecretsService;

const secretsOf = (config: AwsConfig) => new SecretsService(config, AwsAccounts.alone(config));

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'usher-secrets-'));
  await mkdir(join(root, 'in/sub'), { recursive: true });
  await mkdir(join(root, 'in-not'));
  await writeFile(join(root, 'in/sub/db'), 'from-file\n');
  await writeFile(join(root, 'in/empty'), '\n');
  await writeFile(join(root, 'in/large'), 'x'.repeat(70_000));
  await writeFile(join(root, 'out'), 'outside');
  await writeFile(join(root, 'in-not/db'), 'outside');
  await symlink(join(root, 'out'), join(root, 'in/link'));
  await symlink(join(root, 'in/sub/db'), join(root, 'link-in'));
  const variables: Readonly<Record<string, string>> = { USHER_SECRET_DB: 'from-env', PGPASSWORD: 'other' };
  secrets = secretsOf({
    connectRoleName: 'usher-connect',
    secretsDirectory: join(root, 'in'),
    env: (name) => variables[name],
  });
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

test('reads the environment and files, and shows neither', async () => {
  const fromEnv = await secrets.read('env:USHER_SECRET_DB');
  const fromFile = await secrets.read(`file:${root}/in/sub/db`);
  expect([fromEnv.reveal(), fromFile.reveal()]).toEqual(['from-env', 'from-file']);
  expect(JSON.stringify([fromEnv, fromFile])).toBe('["[secret]","[secret]"]');
});

test('a link from elsewhere into the directory is inside', async () => {
  expect((await secrets.read(`file:${root}/link-in`)).reveal()).toBe('from-file');
});

test.each([
  'env:PGPASSWORD',
  'env:USHER_SECRET_',
  'env:USHER_SECRET_DB ',
  'file:relative',
  'file:ROOT/out',
  'file:ROOT/in/../out',
  'file:ROOT/in/link',
  'file:ROOT/in-not/db',
  'file:ROOT/in',
  'file:ROOT/in/missing',
  'file:/etc/passwd',
  'https://example.com',
  'arn:aws:secretsmanager:eu-west-1:123456789012:parameter:x',
  '',
])('%s is no reference', async (reference) => {
  await expect(secrets.read(reference.replace('ROOT', root))).rejects.toMatchObject({
    kind: 'invalid',
    code: 'invalid_input',
  });
});

test.each(['env:USHER_SECRET_UNSET', 'file:ROOT/in/empty', 'file:ROOT/in/large', 'file:ROOT/in/sub'])(
  '%s holds no secret',
  async (reference) => {
    await expect(secrets.read(reference.replace('ROOT', root))).rejects.toMatchObject({
      kind: 'unavailable',
      code: 'target_not_ready',
    });
  },
);

test('without a directory or an environment nothing is read', async () => {
  const bare = secretsOf({ connectRoleName: 'usher-connect' });
  await expect(bare.read(`file:${root}/in/sub/db`)).rejects.toMatchObject({ code: 'invalid_input' });
  await expect(bare.read('env:USHER_SECRET_DB')).rejects.toMatchObject({ code: 'target_not_ready' });
});
