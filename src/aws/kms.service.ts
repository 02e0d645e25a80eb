import { createPublicKey, type KeyObject } from 'node:crypto';
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { GetPublicKeyCommand, KMSClient, SignCommand } from '@aws-sdk/client-kms';
import { DomainError } from '../platform/errors.js';
import { askAws } from './aws-fault.js';
import { clientSettings, ownCredentials } from './clients.js';
import { AWS_CONFIG, type AwsConfig } from './config.js';

/** Who asks in the background asks again by itself: no call holds anything up for longer than two attempts. */
const ATTEMPTS = 2;
const LONGEST_ATTEMPT_MS = 5_000;

/**
 * One Ed25519 key pair in AWS KMS. The private key never leaves it.
 * Both methods throw DomainError `aws_denied` or `aws_unavailable`.
 */
export class KmsKey {
  #resolved: Promise<{ arn: string; key: KeyObject }> | undefined;

  /** @param name ARN of the key or of an alias */
  constructor(
    readonly name: string,
    private readonly client: KMSClient,
  ) {}

  /**
   * Asked for once. An alias leads for as long as this process runs to the key that it leads to now: another would sign what this one
   * is said to have signed.
   * @throws DomainError invalid/`invalid_input` for a key that is not Ed25519
   */
  async publicKey(): Promise<KeyObject> {
    return (await this.resolve()).key;
  }

  /** Pure Ed25519 over the bytes as they are (RFC 8032), not over their hash; up to 4,096 of them. */
  async sign(message: Uint8Array, signal?: AbortSignal): Promise<Buffer> {
    const { arn } = await this.resolve();
    const command = new SignCommand({
      KeyId: arn,
      Message: message,
      MessageType: 'RAW',
      SigningAlgorithm: 'ED25519_SHA_512',
    });
    const answer = await askAws({ action: 'kms:Sign', on: this.name }, () =>
      this.client.send(command, { ...(signal && { abortSignal: signal }) }),
    );
    return Buffer.from(answer.Signature ?? []);
  }

  private resolve(): Promise<{ arn: string; key: KeyObject }> {
    const resolved = (this.#resolved ??= this.ask());
    resolved.catch(() => {
      if (this.#resolved === resolved) this.#resolved = undefined;
    });
    return resolved;
  }

  private async ask(): Promise<{ arn: string; key: KeyObject }> {
    const answer = await askAws({ action: 'kms:GetPublicKey', on: this.name }, () =>
      this.client.send(new GetPublicKeyCommand({ KeyId: this.name })),
    );
    const der = Buffer.from(answer.PublicKey ?? []);
    if (answer.KeySpec === 'ECC_NIST_EDWARDS25519') {
      const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
      if (key.asymmetricKeyType === 'ed25519') return { arn: answer.KeyId ?? this.name, key };
    }
    throw new DomainError(
      'invalid',
      'invalid_input',
      `The key ${this.name} in AWS KMS is ${answer.KeySpec ?? 'of no spec'}, and checkpoints are signed with Ed25519.`,
      'Make a key of the spec ECC_NIST_EDWARDS25519 for SIGN_VERIFY, and name that.',
    );
  }
}

/** AWS KMS: keys that sign for Usher. Always as Usher's own principal: who enters another account by its broker role needs no key there. */
@Injectable()
export class KmsService implements OnApplicationShutdown {
  readonly #clients: KMSClient[] = [];

  constructor(@Inject(AWS_CONFIG) private readonly config: AwsConfig) {}

  /** @param arn of a key or of an alias; its region is asked */
  key(arn: string): KmsKey {
    const region = arn.split(':')[3] ?? '';
    const client = new KMSClient({
      ...clientSettings(
        { ...this.config, timeoutMs: Math.min(this.config.timeoutMs ?? LONGEST_ATTEMPT_MS, LONGEST_ATTEMPT_MS) },
        region,
        ownCredentials(this.config),
      ),
      maxAttempts: ATTEMPTS,
      retryMode: 'standard', // a call in ten seconds is no load that would have to adapt
    });
    this.#clients.push(client);
    return new KmsKey(arn, client);
  }

  onApplicationShutdown(): void {
    for (const client of this.#clients) client.destroy();
  }
}
