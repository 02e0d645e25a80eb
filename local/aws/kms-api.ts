/** KMS, as far as signing goes. Source: AWS Key Management Service API Reference, version 2014-11-01 (Sign, GetPublicKey). */
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { ApiError, validationError } from './api.ts';
import type { Call, Handlers } from './api.ts';
import { partitionOf } from './arn.ts';
import { members } from './xml.ts';

/** Which pairs are made. */
const specs = {
  ECC_NIST_EDWARDS25519: {
    algorithms: ['ED25519_SHA_512', 'ED25519_PH_SHA_512'],
    make: () => generateKeyPairSync('ed25519'),
  },
  ECC_NIST_P256: { algorithms: ['ECDSA_SHA_256'], make: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }) },
} as const;
export type KmsKeySpec = keyof typeof specs;

interface KmsKey {
  readonly arn: string;
  readonly spec: KmsKeySpec;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  enabled: boolean;
}

/** By the documentation of Sign. */
const MOST_BYTES = 4_096;

/** Key pairs of one account. Their policies leave everything to IAM, as those do that the console makes. */
export class KmsStore {
  /** What a broken or hostile KMS does: signatures are of another key, and look like any other. */
  lies = false;
  readonly #accountId: string;
  readonly #region: string;
  readonly #keys = new Map<string, KmsKey>();
  readonly #aliases = new Map<string, string>();

  constructor(accountId: string, region: string) {
    this.#accountId = accountId;
    this.#region = region;
  }

  /** @returns the ARN of the key */
  createKey(spec: KmsKeySpec = 'ECC_NIST_EDWARDS25519'): string {
    const arn = this.#arn(`key/${randomUUID()}`);
    this.#keys.set(arn, { arn, spec, ...specs[spec].make(), enabled: true });
    return arn;
  }

  /** A later call with the same name leads it to another key. @returns the ARN of the alias */
  putAlias(name: string, keyArn: string): string {
    const arn = this.#arn(`alias/${name}`);
    this.#aliases.set(arn, keyArn);
    return arn;
  }

  enable(keyArn: string, enabled: boolean): void {
    const key = this.#keys.get(keyArn);
    if (key) key.enabled = enabled;
  }

  /** Under its own ARN, or that of an alias. */
  find(arn: string): KmsKey | undefined {
    return this.#keys.get(this.#aliases.get(arn) ?? arn);
  }

  #arn(resource: string): string {
    return `arn:${partitionOf(this.#region)}:kms:${this.#region}:${this.#accountId}:${resource}`;
  }
}

export const kmsHandlers = (store: KmsStore): Handlers => ({
  GetPublicKey: (call) => {
    const key = permitted(store, call, 'kms:GetPublicKey');
    return {
      KeyId: key.arn,
      PublicKey: key.publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
      KeySpec: key.spec,
      KeyUsage: 'SIGN_VERIFY',
      SigningAlgorithms: members(specs[key.spec].algorithms),
    };
  },
  Sign: (call) => {
    const algorithm = call.parameters.required('SigningAlgorithm');
    const type = call.parameters.optional('MessageType') ?? 'RAW';
    const key = permitted(store, call, 'kms:Sign', { 'kms:SigningAlgorithm': algorithm, 'kms:MessageType': type });
    const message = Buffer.from(call.parameters.required('Message'), 'base64');
    refuseForm(key.spec, algorithm, type, message);
    const { privateKey } = store.lies ? specs[key.spec].make() : key;
    const signature = sign(key.spec === 'ECC_NIST_P256' ? 'sha256' : null, message, privateKey);
    return { KeyId: key.arn, SigningAlgorithm: algorithm, Signature: signature.toString('base64') };
  },
});

/** Permission first: whoever may not use a key does not learn how it is. */
function permitted(
  store: KmsStore,
  call: Call,
  action: string,
  context: Readonly<Record<string, string>> = {},
): KmsKey {
  const id = call.parameters.required('KeyId');
  const key = store.find(id);
  const alias = id.split(':').at(-1) ?? '';
  call.require(action, key?.arn ?? id, {
    ...context,
    ...(alias.startsWith('alias/') && { 'kms:RequestAlias': alias }),
  });
  if (key === undefined) throw new ApiError('NotFoundException', `Key '${id}' does not exist`);
  if (!key.enabled) throw new ApiError('DisabledException', `${key.arn} is disabled.`);
  return key;
}

function refuseForm(spec: KmsKeySpec, algorithm: string, type: string, message: Buffer): void {
  if (message.length < 1 || message.length > MOST_BYTES) throw validationError('Message has 1 to 4096 bytes');
  if (!specs[spec].algorithms.some((known) => known === algorithm))
    throw new ApiError('InvalidKeyUsageException', `Algorithm ${algorithm} is incompatible with key spec ${spec}.`);
  // Ed25519 of a hash is another signature, which nothing here needs
  if (algorithm === 'ED25519_PH_SHA_512') throw new ApiError('UnsupportedOperationException', 'Not modelled here.');
  if (type !== 'RAW') throw validationError(`MessageType ${type} cannot be used with ${algorithm}`);
}
