import { createHash, createHmac, pbkdf2, randomBytes, randomInt } from 'node:crypto';
import { promisify } from 'node:util';
import { Secret } from '../platform/secret.js';

const derive = promisify(pbkdf2);

/** PostgreSQL's own default (`scram_iterations`), and the least that RFC 7677 allows. More would not help a random password. */
const ITERATIONS = 4096;
const MOST_ITERATIONS = 999_999;
const KEY_BYTES = 32;
const SALT_BYTES = 16;

/** Neither shells, URLs, `.pgpass` nor connection strings give these a meaning, and a double click marks all of them. */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const LENGTH = 32;

/**
 * What PostgreSQL keeps of a password: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>` (RFC 5803, keys by
 * RFC 5802 section 3). The server takes it as it is, so the password itself never goes there.
 * @param password printable ASCII, which SASLprep (RFC 4013) leaves as it is
 * @param salt 16 random bytes when left out
 * @param iterations of PBKDF2, 4096 to 999999
 * @throws RangeError for a password, a salt or a count that cannot be used; the message holds neither
 */
export async function scramVerifier(
  password: Secret,
  salt: Buffer = randomBytes(SALT_BYTES),
  iterations = ITERATIONS,
): Promise<string> {
  if (!/^[\x20-\x7e]+$/.test(password.reveal())) throw new RangeError('A password must be printable ASCII.');
  if (salt.length < SALT_BYTES) throw new RangeError(`A salt has at least ${SALT_BYTES} bytes.`);
  if (!Number.isInteger(iterations) || iterations < ITERATIONS || iterations > MOST_ITERATIONS)
    throw new RangeError(`Iterations are ${ITERATIONS} to ${MOST_ITERATIONS}.`);
  const salted = await derive(password.reveal(), salt, iterations, KEY_BYTES, 'sha256');
  const storedKey = createHash('sha256').update(hmac(salted, 'Client Key')).digest('base64');
  const serverKey = hmac(salted, 'Server Key').toString('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}

/** A password that nobody chose: 32 letters and digits, 190 bits. Each letter is as likely as any other. */
export const randomPassword = (): Secret =>
  new Secret(Array.from({ length: LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join(''));

const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
