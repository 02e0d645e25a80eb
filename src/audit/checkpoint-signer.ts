import type { KeyObject } from 'node:crypto';

/** Injection token of a {@link CheckpointSigner}, or null; `app.module` knows who that is. */
export const CHECKPOINT_SIGNER = Symbol('CHECKPOINT_SIGNER');

/** Signs checkpoints with an Ed25519 key that Usher does not hold: asking takes time, and may fail. */
export interface CheckpointSigner {
  /** Where the key is, for logs. */
  readonly name: string;
  /** The same for as long as this process runs. @throws DomainError `unavailable`; `invalid` for a key of another kind */
  publicKey(): Promise<KeyObject>;
  /** Over the bytes as they are. @throws DomainError */
  sign(body: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
}
