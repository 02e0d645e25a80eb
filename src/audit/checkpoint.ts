import { createPublicKey, hash, sign, verify, type KeyObject } from 'node:crypto';
import type { Hash } from './merkle.js';

/** How many lines there were, and the root of the Merkle tree over them. */
export interface Checkpoint {
  /** Names the log, for ever: the first line of the note. */
  readonly origin: string;
  readonly size: number;
  readonly root: Hash;
}

/** Who signs or verifies: the name on the signature, and an Ed25519 key. */
export interface NamedKey {
  readonly name: string;
  readonly key: KeyObject;
}

/** Ed25519, by https://c2sp.org/signed-note. */
const ED25519 = 1;
const RAW_KEY_BYTES = 32;
/** Before the key itself in its SubjectPublicKeyInfo (RFC 8410, 4). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

const rawKey = (key: KeyObject): Buffer =>
  (key.type === 'private' ? createPublicKey(key) : key)
    .export({ type: 'spki', format: 'der' })
    .subarray(-RAW_KEY_BYTES);

/** Four bytes by which a signature says whose it is. */
const keyHash = (name: string, raw: Buffer): Buffer =>
  hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(ED25519), raw]), 'buffer').subarray(0, 4);

/** The same four bytes in hex. */
export const keyId = ({ name, key }: NamedKey): string => keyHash(name, rawKey(key)).toString('hex');

/** The public key as tools for signed notes read it: `name+id+base64`. */
export const verifierKey = (named: NamedKey): string =>
  `${named.name}+${keyId(named)}+${Buffer.concat([Buffer.of(ED25519), rawKey(named.key)]).toString('base64')}`;

/** @throws Error saying what is wrong with it */
export function readVerifierKey(text: string): NamedKey {
  const [, name = '', id = '', base64 = ''] =
    /^([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(text.trim()) ?? [];
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.length !== RAW_KEY_BYTES + 1 || bytes[0] !== ED25519)
    throw new Error('this is no verifier key for Ed25519: name+id+base64');
  const der = Buffer.concat([SPKI_PREFIX, bytes.subarray(1)]);
  const named = { name, key: createPublicKey({ key: der, format: 'der', type: 'spki' }) };
  if (keyId(named) !== id) throw new Error(`the id of this verifier key is ${keyId(named)}, not ${id}`);
  return named;
}

const bodyOf = ({ origin, size, root }: Checkpoint): string => `${origin}\n${size}\n${root.toString('base64')}\n`;

/** A signed note (https://c2sp.org/tlog-checkpoint), by a key that is at hand. */
export function signCheckpoint(checkpoint: Checkpoint, signer: NamedKey): string {
  const body = bodyOf(checkpoint);
  return noteOf(body, signer, sign(null, Buffer.from(body), signer.key));
}

/** What came back as a signature is none of the key that was asked. */
export class WrongSignature extends Error {}

/**
 * The same by a key that is elsewhere.
 * @param signer its public key
 * @param ask for an Ed25519 signature over these bytes
 * @throws WrongSignature; and what asking throws
 */
export async function askForSignature(
  checkpoint: Checkpoint,
  signer: NamedKey,
  ask: (body: Buffer) => Promise<Uint8Array>,
): Promise<string> {
  const body = Buffer.from(bodyOf(checkpoint));
  const signature = await ask(body);
  if (!verify(null, body, signer.key, signature))
    throw new WrongSignature(
      `what came back for the checkpoint over ${checkpoint.size} lines is no signature by its key`,
    );
  return noteOf(body.toString(), signer, signature);
}

const noteOf = (body: string, { name, key }: NamedKey, signature: Uint8Array): string =>
  `${body}\n— ${name} ${Buffer.concat([keyHash(name, rawKey(key)), signature]).toString('base64')}\n`;

const SIGNATURE = /^— (\S+) ([A-Za-z0-9+/]+={0,2})$/u;

/**
 * A checkpoint that one of the keys signed. Signatures of others may stand beside it, such as those of witnesses.
 * @throws Error when it has not the form of a checkpoint, or none of the keys signed it
 */
export function openCheckpoint(note: string, keys: readonly NamedKey[]): Checkpoint {
  const end = note.lastIndexOf('\n\n');
  if (end < 0 || !note.endsWith('\n')) throw new Error('this is no signed note: text, an empty line, signatures');
  const body = note.slice(0, end + 1);
  const signed = note
    .slice(end + 2, -1)
    .split('\n')
    .some((line) => keys.some((key) => isSignedBy(line, body, key)));
  if (!signed) throw new Error('none of the keys given signed this checkpoint');
  return readBody(body);
}

function isSignedBy(line: string, body: string, { name, key }: NamedKey): boolean {
  const [, by, base64 = ''] = SIGNATURE.exec(line) ?? [];
  const bytes = Buffer.from(base64, 'base64');
  if (by !== name || !bytes.subarray(0, 4).equals(keyHash(name, rawKey(key)))) return false;
  return verify(null, Buffer.from(body), key, bytes.subarray(4));
}

function readBody(body: string): Checkpoint {
  const [origin = '', size = '', base64 = ''] = body.split('\n');
  const root = Buffer.from(base64, 'base64');
  const number = Number(size);
  // what could be written in two ways could be signed in one and read in the other
  const plain = /^(?:0|[1-9]\d*)$/.test(size) && Number.isSafeInteger(number) && root.toString('base64') === base64;
  if (origin === '' || !plain || root.length !== 32)
    throw new Error('this is no checkpoint: an origin, a size and a root of 32 bytes, a line each');
  return { origin, size: number, root };
}
