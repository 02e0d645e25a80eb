import { Inject, Injectable } from '@nestjs/common';
import { hkdfSync, randomBytes, randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SETTINGS, type Settings } from '../platform/config.js';
import { DomainError } from '../platform/errors.js';
import { Secret } from '../platform/secret.js';

/** Bytes of a secret: the specification asks for 24 to 64. */
const BYTES = 32;

/** What the store holds of a secret. */
export interface SecretOrigin {
  readonly id: string;
  readonly keyId: string;
}

/**
 * Secrets of webhooks. The store holds none of them, not even sealed: each is derived (HKDF, RFC 5869) from its id and a key
 * that only the configuration has. Whoever reads the store learns nothing to sign with.
 */
@Injectable()
export class SigningSecrets {
  private found: Promise<ReadonlyMap<string, Buffer>> | undefined;

  constructor(
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'webhookKeys' | 'databaseUrl' | 'stateDirectory'>,
  ) {}

  /**
   * Of the key that new secrets are derived from.
   * @throws DomainError `webhook_key_missing`
   */
  async keyId(): Promise<string> {
    const [first] = (await this.keys()).keys();
    if (first !== undefined) return first;
    throw new DomainError(
      'unavailable',
      'webhook_key_missing',
      'There is no key to derive the secrets of webhooks from.',
      'An operator sets USHER_WEBHOOK_KEY (openssl rand -base64 32), the same in every process.',
    );
  }

  /** The bytes that sign; undefined where the key is not configured any more. */
  async derive({ id, keyId }: SecretOrigin): Promise<Buffer | undefined> {
    const key = (await this.keys()).get(keyId);
    return key && Buffer.from(hkdfSync('sha256', key, id, 'usher webhook secret', BYTES));
  }

  /** As receivers are given it. @throws DomainError `webhook_key_missing` */
  async shown(origin: SecretOrigin): Promise<Secret> {
    const bytes = await this.derive(origin);
    if (bytes) return new Secret(`whsec_${bytes.toString('base64')}`);
    throw new DomainError('unavailable', 'webhook_key_missing', 'The key of this secret is not configured.');
  }

  /** By id. Read once: a failure is asked again. */
  private keys(): Promise<ReadonlyMap<string, Buffer>> {
    this.found ??= this.read().catch((error: unknown) => {
      this.found = undefined;
      throw error;
    });
    return this.found;
  }

  private async read(): Promise<ReadonlyMap<string, Buffer>> {
    const { webhookKeys, databaseUrl, stateDirectory } = this.settings;
    // a store of its own is on this machine alone, and so may be its key
    const given = webhookKeys.length > 0 || databaseUrl ? webhookKeys : [await keptKey(stateDirectory)];
    return new Map(given.map((key) => Buffer.from(key.reveal(), 'base64')).map((key) => [idOf(key), key]));
  }
}

const idOf = (key: Buffer): string =>
  Buffer.from(hkdfSync('sha256', key, '', 'usher webhook key id', 8)).toString('hex');

/** Made once beside the embedded state and not in it: written whole or not at all, readable by us alone. */
async function keptKey(directory: string): Promise<Secret> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, 'webhook-key');
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, randomBytes(BYTES).toString('base64'), { mode: 0o600 });
  try {
    await link(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(draft);
  }
  return new Secret((await readFile(file, 'utf8')).trim());
}
