/** Secrets Manager, as far as reading one secret goes. */
import { randomUUID } from 'node:crypto';
import { ApiError } from './api.ts';
import type { Handlers } from './api.ts';
import { partitionOf } from './arn.ts';
import { members } from './xml.ts';

interface Secret {
  readonly name: string;
  readonly arn: string;
  readonly value: string;
  readonly versionId: string;
  readonly createdAt: Date;
}

export class SecretStore {
  readonly #accountId: string;
  readonly #region: string;
  readonly #now: () => Date;
  readonly #secrets = new Map<string, Secret>();

  constructor(accountId: string, region: string, now: () => Date) {
    this.#accountId = accountId;
    this.#region = region;
    this.#now = now;
  }

  /** @returns the ARN; a later put of the same name keeps it and makes a new version */
  put(name: string, value: string): string {
    const suffix = randomUUID().slice(0, 6);
    const arn =
      this.#secrets.get(name)?.arn ??
      `arn:${partitionOf(this.#region)}:secretsmanager:${this.#region}:${this.#accountId}:secret:${name}-${suffix}`;
    this.#secrets.set(name, { name, arn, value, versionId: randomUUID(), createdAt: this.#now() });
    return arn;
  }

  /** @param id name or ARN */
  find(id: string): Secret | undefined {
    return this.#secrets.get(id) ?? [...this.#secrets.values()].find((secret) => secret.arn === id);
  }

  arnPattern(id: string): string {
    if (id.startsWith('arn:')) return id;
    return `arn:${partitionOf(this.#region)}:secretsmanager:${this.#region}:${this.#accountId}:secret:${id}`;
  }
}

export function secretsHandlers(store: SecretStore): Handlers {
  return {
    GetSecretValue: (call) => {
      const id = call.parameters.required('SecretId');
      const secret = store.find(id);
      // Permission first: whoever may not read a secret does not learn whether it exists.
      call.require('secretsmanager:GetSecretValue', secret?.arn ?? store.arnPattern(id));
      if (secret === undefined)
        throw new ApiError('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
      return {
        ARN: secret.arn,
        Name: secret.name,
        VersionId: secret.versionId,
        SecretString: secret.value,
        VersionStages: members(['AWSCURRENT']),
        CreatedDate: secret.createdAt,
      };
    },
  };
}
