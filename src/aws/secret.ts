import { inspect } from 'node:util';
import { HIDDEN } from '../platform/secret.js';

/** Temporary or standing AWS keys, in memory only. Prints as `[secret]`; a spread or clone copies nothing. */
export class SigningCredentials {
  readonly #accessKeyId: string;
  readonly #secretAccessKey: string;
  readonly #sessionToken: string | undefined;
  readonly #expiresAt: Date | undefined;

  constructor(keys: {
    accessKeyId: string;
    secretAccessKey: string;
    sessionToken?: string | undefined;
    expiresAt?: Date | undefined;
  }) {
    this.#accessKeyId = keys.accessKeyId;
    this.#secretAccessKey = keys.secretAccessKey;
    this.#sessionToken = keys.sessionToken;
    this.#expiresAt = keys.expiresAt;
  }

  get accessKeyId(): string {
    return this.#accessKeyId;
  }

  get secretAccessKey(): string {
    return this.#secretAccessKey;
  }

  get sessionToken(): string | undefined {
    return this.#sessionToken;
  }

  /** Undefined for standing keys, which never expire. */
  get expiresAt(): Date | undefined {
    return this.#expiresAt;
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  [inspect.custom](): string {
    return HIDDEN;
  }
}
