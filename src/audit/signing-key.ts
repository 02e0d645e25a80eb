import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Settings } from '../platform/config.js';
import type { NamedKey } from './checkpoint.js';

/**
 * The key that signs checkpoints: the one that is configured, else one that stands beside an embedded state and is made the first
 * time. With a state elsewhere none is made up: every replica would have another, and each would be gone with its container. None
 * either where the key is to be one in KMS.
 */
export async function signingKey(
  settings: Pick<Settings, 'audit' | 'databaseUrl' | 'stateDirectory'>,
): Promise<NamedKey | undefined> {
  const { key, kmsKey, origin } = settings.audit;
  if (kmsKey !== undefined) return undefined;
  const pem =
    key?.reveal() ?? (settings.databaseUrl === undefined ? await keptKey(settings.stateDirectory) : undefined);
  return pem === undefined ? undefined : { name: origin, key: createPrivateKey(pem) };
}

/** Written whole or not at all, by whoever comes first, readable by us alone. */
async function keptKey(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, 'audit-key.pem');
  const draft = `${file}.${process.pid}`;
  const made = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  await writeFile(draft, made, { mode: 0o600 });
  await link(draft, file).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  });
  await rm(draft);
  return readFile(file, 'utf8');
}
