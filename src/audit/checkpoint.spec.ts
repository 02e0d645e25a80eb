import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { keyId, openCheckpoint, readVerifierKey, signCheckpoint, verifierKey } from './checkpoint.js';
import { emptyRoot, leafHash } from './merkle.js';

/** RFC 8410, 10.3. */
const key = createPrivateKey(
  '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n',
);
const name = 'usher.example.com/audit';
const signer = { name, key };
const verifier = { name, key: createPublicKey(key) };
const checkpoint = { origin: name, size: 1234, root: leafHash('a root') };
const note = signCheckpoint(checkpoint, signer);

test('a note has the form of C2SP tlog-checkpoint', () => {
  const [origin, size, root, empty, signature, end] = note.split('\n');
  expect([origin, size, root, empty, end]).toEqual([name, '1234', checkpoint.root.toString('base64'), '', '']);
  const [dash, by, base64] = signature!.split(' ');
  expect([dash, by]).toEqual(['\u2014', name]);
  expect(Buffer.from(base64!, 'base64')).toHaveLength(4 + 64);
  expect(Buffer.from(base64!, 'base64').subarray(0, 4).toString('hex')).toBe(keyId(signer));
});

test('opens with the public key', () => expect(openCheckpoint(note, [verifier])).toEqual(checkpoint));

test('opens with one key of several, and with the signature of a witness beside', () => {
  const other = { name: 'other', key: generateKeyPairSync('ed25519').publicKey };
  expect(openCheckpoint(note, [other, verifier])).toEqual(checkpoint);
  const witness = `— witness.example ${Buffer.alloc(76).toString('base64')}\n`;
  expect(openCheckpoint(note + witness, [verifier])).toEqual(checkpoint);
  expect(openCheckpoint(note.replace('\n\n', `\n\n${witness}`), [verifier])).toEqual(checkpoint);
});

test('the verifier key of the specification reads, and is written the same', () => {
  // https://pkg.go.dev/golang.org/x/mod/sumdb/note
  const text = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
  expect(verifierKey(readVerifierKey(text))).toBe(text);
  const signed =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n" +
    '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n';
  // signed by him, and no checkpoint
  expect(() => openCheckpoint(signed, [readVerifierKey(text)])).toThrow('no checkpoint');
  expect(() => openCheckpoint(signed.replace('problem is', 'problem was'), [readVerifierKey(text)])).toThrow('signed');
  expect(readVerifierKey(verifierKey(signer)).key.equals(verifier.key)).toBe(true);
});

const resigned = (body: string): string => {
  const id = Buffer.from(keyId(signer), 'hex');
  return `${body}\n— ${name} ${Buffer.concat([id, sign(null, Buffer.from(body), key)]).toString('base64')}\n`;
};

describe('refuses', () => {
  const other = generateKeyPairSync('ed25519').publicKey;
  test.each<[what: string, note: string, key: KeyObject, named: string, message: string]>([
    ['another size', note.replace('1234', '1235'), verifier.key, name, 'signed'],
    ['another origin', note.replace(name, 'usher.example.org/audit'), verifier.key, name, 'signed'],
    ['another key', note, other, name, 'signed'],
    ['the key under another name', note, verifier.key, 'somebody', 'signed'],
    ['no signature', note.slice(0, note.indexOf('\n\n') + 2), verifier.key, name, 'signed'],
    ['no empty line', note.replace('\n\n', '\n'), verifier.key, name, 'no signed note'],
    ['a cut note', note.slice(0, -1), verifier.key, name, 'no signed note'],
    ['nothing', '', verifier.key, name, 'no signed note'],
    [
      'a size with a zero before it',
      resigned(`${name}\n01\n${emptyRoot.toString('base64')}\n`),
      verifier.key,
      name,
      'no checkpoint',
    ],
    [
      'a size beyond all counting',
      resigned(`${name}\n99999999999999999\n${emptyRoot.toString('base64')}\n`),
      verifier.key,
      name,
      'no checkpoint',
    ],
    ['a short root', resigned(`${name}\n1\nAAAA\n`), verifier.key, name, 'no checkpoint'],
    [
      'a root written otherwise',
      resigned(`${name}\n1\n${emptyRoot.toString('base64url')}\n`),
      verifier.key,
      name,
      'no checkpoint',
    ],
    ['no origin', resigned(`\n1\n${emptyRoot.toString('base64')}\n`), verifier.key, name, 'no checkpoint'],
  ])('%s', (_, text, publicKey, named, message) => {
    expect(() => openCheckpoint(text, [{ name: named, key: publicKey }])).toThrow(message);
  });

  test.each([
    ['PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW', 'the id of'],
    ['PeterNeumann+c74f20a3+AhpcZ', 'no verifier key'],
    ['', 'no verifier key'],
  ])('the verifier key %s', (text, message) => expect(() => readVerifierKey(text)).toThrow(message));
});
