/** The provider's signing key, laid open: tests must be able to forge, or they cannot show that a forgery is refused. */
import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import type { JsonWebKey } from 'node:crypto';

export interface SigningKey {
  /** RSA, with `kid`, `alg` and `use`. */
  readonly privateJwk: JsonWebKey;
  readonly publicJwk: JsonWebKey;
  readonly publicPem: string;
  readonly kid: string;
}

export function createSigningKey(): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const kid = randomUUID();
  const named = { kid, alg: 'RS256', use: 'sig' };
  return {
    privateJwk: { ...privateKey.export({ format: 'jwk' }), ...named },
    publicJwk: { ...publicKey.export({ format: 'jwk' }), ...named },
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    kid,
  };
}

export interface SignOptions {
  /** Default RS256. `none` leaves the signature empty; HS256 keys the MAC with the text given as `key`. */
  readonly alg?: 'RS256' | 'HS256' | 'none';
  /** RS256: another private key than the provider's. HS256: the secret, e.g. the provider's public PEM. */
  readonly key?: JsonWebKey | string;
  /** Added to, or in place of, `alg`, `typ` and `kid`. */
  readonly header?: Readonly<Record<string, unknown>>;
}

/** A compact JWS over any claims. Written out by hand, because a sound JOSE library refuses to make most of these. */
export function signJwt(claims: Readonly<Record<string, unknown>>, own: SigningKey, options: SignOptions = {}): string {
  const alg = options.alg ?? 'RS256';
  const header = { alg, typ: 'at+jwt', kid: own.kid, ...options.header };
  const input = `${encode(header)}.${encode(claims)}`;
  return `${input}.${signatureOver(input, alg, options.key ?? (alg === 'HS256' ? own.publicPem : own.privateJwk))}`;
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function signatureOver(input: string, alg: 'RS256' | 'HS256' | 'none', key: JsonWebKey | string): string {
  if (alg === 'none') return '';
  if (alg === 'HS256') {
    const secret =
      typeof key === 'string' ? key : createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    return createHmac('sha256', secret).update(input).digest('base64url');
  }
  const privateKey = typeof key === 'string' ? createPrivateKey(key) : createPrivateKey({ key, format: 'jwk' });
  return sign('sha256', Buffer.from(input), privateKey).toString('base64url');
}
