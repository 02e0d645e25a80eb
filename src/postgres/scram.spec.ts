import { createHash, createHmac } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { Secret } from '../platform/secret.js';
import { randomPassword, scramVerifier } from './scram.js';

/** The exchange of RFC 7677, section 3, for user "user" with password "pencil". */
const published = {
  password: new Secret('pencil'),
  salt: Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'),
  iterations: 4096,
  authMessage: [
    'n=user,r=rOprNGfwEbeRWgbNEkqO',
    'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  ].join(','),
  clientProof: 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  serverSignature: '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
};

/** What a server makes of the verifier in an exchange, by RFC 5802, section 3. */
function served(verifier: string, authMessage: string, clientProof: string) {
  const [storedKey = '', serverKey = ''] = (verifier.split('$')[2] ?? '').split(':');
  const sign = (key: string) => createHmac('sha256', Buffer.from(key, 'base64')).update(authMessage).digest();
  const signature = sign(storedKey);
  const clientKey = Buffer.from(clientProof, 'base64').map((byte, index) => byte ^ (signature[index] ?? 0));
  return {
    letsIn: createHash('sha256').update(clientKey).digest('base64') === storedKey,
    serverSignature: sign(serverKey).toString('base64'),
  };
}

describe('a verifier', () => {
  const { password, salt, iterations, authMessage, clientProof, serverSignature } = published;

  test('lets in the client of RFC 7677, and signs as its server does', async () => {
    const verifier = await scramVerifier(password, salt, iterations);
    expect(verifier).toMatch(/^SCRAM-SHA-256\$4096:W22ZaJ0SNY7soEsUEjb6gQ==\$[\w+/]{43}=:[\w+/]{43}=$/);
    expect(served(verifier, authMessage, clientProof)).toEqual({ letsIn: true, serverSignature });
  });

  test.each<[string, Promise<string>]>([
    ['another password', scramVerifier(new Secret('Pencil'), salt, iterations)],
    ['another salt', scramVerifier(password, Buffer.alloc(16), iterations)],
    ['another count', scramVerifier(password, salt, 4097)],
  ])('of %s does not', async (_, verifier) => {
    const found = served(await verifier, authMessage, clientProof);
    expect(found.letsIn).toBe(false);
    expect(found.serverSignature).not.toBe(serverSignature);
  });

  test('has a salt of its own each time', async () => {
    expect(await scramVerifier(password)).not.toBe(await scramVerifier(password));
  });

  test.each<[string, () => Promise<string>]>([
    ['nothing', () => scramVerifier(new Secret(''))],
    ['what SASLprep would change', () => scramVerifier(new Secret('pässword-hidden'))],
    ['a control character', () => scramVerifier(new Secret('hidden\n'))],
    ['a short salt', () => scramVerifier(password, Buffer.alloc(15))],
    ['too few iterations', () => scramVerifier(password, salt, 4095)],
    ['part of an iteration', () => scramVerifier(password, salt, 4096.5)],
    ['more iterations than the guard takes', () => scramVerifier(password, salt, 1_000_000)],
  ])('is not made of %s, and the error does not quote it', async (_, make) => {
    const error: unknown = await make().catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(RangeError);
    expect(inspect(error)).not.toContain('hidden');
  });
});

describe('a random password', () => {
  test('is 32 letters and digits, another each time, and does not print', () => {
    const many = Array.from({ length: 1000 }, () => randomPassword());
    for (const password of many) {
      expect(password.reveal()).toMatch(/^[A-Za-z0-9]{32}$/);
      expect(`${password} ${inspect(password)} ${JSON.stringify({ password })}`).not.toContain(password.reveal());
    }
    expect(new Set(many.map((password) => password.reveal())).size).toBe(1000);
  });

  test('favours no character', () => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 2000; i++)
      for (const letter of randomPassword().reveal()) counts.set(letter, (counts.get(letter) ?? 0) + 1);
    // 64,000 letters in 62 bins: the chi-square of an even hand is 61, above 150 once in 10^8; bytes modulo 62 give some 420
    const expected = 64_000 / 62;
    const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(counts.size).toBe(62);
    expect(chiSquare).toBeLessThan(150);
  });
});
