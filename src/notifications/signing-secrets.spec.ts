import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { Secret } from '../platform/secret.js';
import { SigningSecrets } from './signing-secrets.js';

const directory = mkdtempSync(join(tmpdir(), 'usher-webhook-key-'));
afterAll(() => rmSync(directory, { recursive: true }));
const newKey = (): Secret => new Secret(randomBytes(32).toString('base64'));
const [one, two] = [newKey(), newKey()];
const secrets = (...webhookKeys: Secret[]): SigningSecrets =>
  new SigningSecrets({ webhookKeys, databaseUrl: new Secret('postgresql://elsewhere'), stateDirectory: directory });
const shown = async (from: SigningSecrets, id: string, keyId: string): Promise<string> =>
  (await from.shown({ id, keyId })).reveal();

test('a secret is the same each time, another one for each id and each key, and prints as none', async () => {
  const keyId = await secrets(one).keyId();
  const secret = await shown(secrets(one), 'a', keyId);
  expect(await shown(secrets(one), 'a', keyId)).toBe(secret);
  expect(await shown(secrets(one), 'b', keyId)).not.toBe(secret);
  expect(await shown(secrets(two), 'a', await secrets(two).keyId())).not.toBe(secret);
  expect(inspect(await secrets(one).shown({ id: 'a', keyId }))).not.toContain(secret);
});

test('a new key comes first, and what was made with the old one stays known beside it', async () => {
  const old = await secrets(one).keyId();
  const both = secrets(two, one);
  expect(await both.keyId()).toBe(await secrets(two).keyId());
  expect(await shown(both, 'a', old)).toBe(await shown(secrets(one), 'a', old));
  expect(await secrets(two).derive({ id: 'a', keyId: old })).toBeUndefined();
});

test('with a state elsewhere no key is made up', async () => {
  await expect(secrets().keyId()).rejects.toMatchObject({ code: 'webhook_key_missing' });
});

test('an embedded state has one beside it, readable by its owner alone, the same for all who come at once', async () => {
  const place = { webhookKeys: [], databaseUrl: undefined, stateDirectory: join(directory, 'state') };
  const ids = await Promise.all(Array.from({ length: 5 }, () => new SigningSecrets(place).keyId()));
  expect(new Set(ids).size).toBe(1);
  const file = join(place.stateDirectory, 'webhook-key');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(Buffer.from(readFileSync(file, 'utf8'), 'base64')).toHaveLength(32);
});
