import { createPublicKey, type KeyObject } from 'node:crypto';
import { Inject, Injectable, Optional } from '@nestjs/common';
import { SETTINGS, type Settings } from '../platform/config.js';
import { CHECKPOINT_SIGNER, type CheckpointSigner } from './checkpoint-signer.js';
import type { NamedKey } from './checkpoint.js';
import { signingKey } from './signing-key.js';

/** Which key signs checkpoints of the record: one that is at hand, one that is elsewhere, or none. */
@Injectable()
export class RecordKey {
  /** The name of the record, and so of whatever key signs it. */
  readonly origin: string;
  /** Undefined: no key is elsewhere. */
  readonly elsewhere: CheckpointSigner | undefined;
  /** Between two signatures that are asked for elsewhere. */
  readonly paceMs: number;
  private kept: Promise<NamedKey | undefined> | undefined;

  constructor(
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'audit' | 'databaseUrl' | 'stateDirectory'>,
    @Optional() @Inject(CHECKPOINT_SIGNER) elsewhere?: CheckpointSigner | null,
  ) {
    this.origin = settings.audit.origin;
    this.paceMs = settings.audit.signSeconds * 1_000;
    this.elsewhere = elsewhere ?? undefined;
  }

  /** Signs at once, in the transaction that seals. @throws Error when there is one, and it cannot be used */
  async atHand(): Promise<NamedKey | undefined> {
    if (this.elsewhere) return undefined;
    return (this.kept ??= signingKey(this.settings));
  }

  /**
   * What checkpoints are verified with; undefined: nothing is signed.
   * @throws DomainError when it is elsewhere and was not had yet: kind `unavailable`, or `invalid` for a key of another kind
   */
  async public(): Promise<NamedKey | undefined> {
    if (this.elsewhere) return this.named(await this.elsewhere.publicKey());
    const key = (await this.atHand())?.key;
    return key && this.named(createPublicKey(key));
  }

  private readonly named = (key: KeyObject): NamedKey => ({ name: this.origin, key });
}
