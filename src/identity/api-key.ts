import { createHash, randomInt, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Secret } from '../platform/secret.js';

/** What every key begins with: secret scanners find it, and an access token never does. */
const MARK = 'usher_';
const DIGITS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
const prefixLength = 12;
/** 43 characters out of 62 are 256 bits. */
const secretLength = 43;
/** As many as 32 bits take. */
const checksumLength = 6;
const FORM = /^(usher_([a-z0-9]{12})_[0-9A-Za-z]{43})([0-9A-Za-z]{6})$/;

/** A key as it is made: `usher_<prefix>_<secret><checksum>`. */
export interface NewApiKey {
  readonly key: Secret;
  /** The part by which it is found; no secret. */
  readonly prefix: string;
  readonly hash: string;
}

export function newApiKey(): NewApiKey {
  const prefix = random(prefixLength, 36);
  const body = `${MARK}${prefix}_${random(secretLength, DIGITS.length)}`;
  const key = `${body}${checksum(body)}`;
  return { key: new Secret(key), prefix, hash: hashOf(key).toString('hex') };
}

/** Whether it is meant as a key, well-formed or not: such a thing is never looked at as an access token. */
export const isApiKey = (token: string | undefined): token is string => token?.startsWith(MARK) ?? false;

/** The prefix of a key that can be one; undefined for what was mistyped or cut, so that the store is not asked about it. */
export function prefixOf(key: string): string | undefined {
  const [, body, prefix, sum] = FORM.exec(key) ?? [];
  return body !== undefined && sum === checksum(body) ? prefix : undefined;
}

/**
 * Whether it is the key of this hash, in a time that does not tell how much of it was right. No salt and no slow hash: they make
 * it costly to guess what people choose, and nobody guesses 256 random bits; every call would pay for it.
 * @param hash in hex; without one the same time is spent, and the answer is no
 */
export function isKeyOf(key: string, hash: string | undefined): boolean {
  const same = timingSafeEqual(hashOf(key), hash === undefined ? Buffer.alloc(32) : Buffer.from(hash, 'hex'));
  return same && hash !== undefined;
}

const hashOf = (key: string): Buffer => createHash('sha256').update(key).digest();

const random = (length: number, digits: number): string =>
  Array.from({ length }, () => DIGITS.charAt(randomInt(digits))).join('');

/** Tells typing errors, and tells a scanner what is no key; it proves nothing. */
function checksum(body: string): string {
  let left = crc32(body);
  let text = '';
  for (let n = 0; n < checksumLength; n++) {
    text = DIGITS.charAt(left % DIGITS.length) + text;
    left = Math.floor(left / DIGITS.length);
  }
  return text;
}
