import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ConfigError, integer, text, type Environment } from './config-values.js';
import { Secret } from './secret.js';

/** How the record is signed. */
export interface AuditSettings {
  /** The name of this record on its checkpoints, for ever. */
  readonly origin: string;
  /** PEM (PKCS8) of the Ed25519 key that signs them; undefined: see `signingKey`. */
  readonly key: Secret | undefined;
  /** ARN of an Ed25519 key in AWS KMS, or of an alias of one, that signs them in its place. */
  readonly kmsKey: string | undefined;
  /** Seconds between two signatures that KMS is asked for, at least. */
  readonly signSeconds: number;
}

/** @throws ConfigError naming the variable and what it must be */
export const auditSettings = (env: Environment): AuditSettings => ({
  origin: auditOrigin(env),
  kmsKey: auditKmsKey(env),
  key: auditKey(env),
  signSeconds: integer(env, 'USHER_AUDIT_SIGN_SECONDS', 10, 1, 600),
});

/** Neither spaces nor plus signs: the name on a signature ends there (C2SP signed-note). */
function auditOrigin(env: Environment): string {
  const name = text(env, 'USHER_AUDIT_ORIGIN') ?? 'usher/audit';
  if (!/^[^\s+\p{Cc}]{1,200}$/u.test(name))
    throw new ConfigError(
      'USHER_AUDIT_ORIGIN must be a name like usher.example.com/audit, without spaces and plus signs',
    );
  return name;
}

function auditKey(env: Environment): Secret | undefined {
  const file = text(env, 'USHER_AUDIT_KEY_FILE');
  // in one line, as some environments want it
  const given = text(env, 'USHER_AUDIT_KEY')?.replaceAll('\\n', '\n');
  if (file !== undefined && given !== undefined)
    throw new ConfigError('USHER_AUDIT_KEY and USHER_AUDIT_KEY_FILE are both set: only one of them can be used');
  const name = file === undefined ? 'USHER_AUDIT_KEY' : 'USHER_AUDIT_KEY_FILE';
  let pem = given;
  try {
    pem ??= file === undefined ? undefined : readFileSync(file, 'utf8');
    if (pem === undefined) return undefined;
    if (createPrivateKey(pem).asymmetricKeyType === 'ed25519') return new Secret(pem);
  } catch {
    // what it says of a key that it cannot read is not to be told
  }
  throw new ConfigError(`${name} must be an Ed25519 private key in PEM: openssl genpkey -algorithm ed25519`);
}

const KMS_KEY = /^arn:aws(?:-[a-z]+)*:kms:[a-z0-9-]+:\d{12}:(?:key\/[A-Za-z0-9-]{1,128}|alias\/[\w/-]{1,250})$/;

/** One key signs: two would be two answers to the question which one an auditor trusts. */
function auditKmsKey(env: Environment): string | undefined {
  const arn = text(env, 'USHER_AUDIT_KMS_KEY');
  if (arn === undefined) return undefined;
  const other = ['USHER_AUDIT_KEY', 'USHER_AUDIT_KEY_FILE'].find((name) => text(env, name) !== undefined);
  if (other !== undefined)
    throw new ConfigError(`USHER_AUDIT_KMS_KEY and ${other} are both set: only one key can sign the record`);
  if (KMS_KEY.test(arn)) return arn;
  throw new ConfigError(
    'USHER_AUDIT_KMS_KEY must be the ARN of a key in AWS KMS or of an alias, like arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab',
  );
}
