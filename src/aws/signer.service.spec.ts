import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SigningCredentials } from './secret.js';
import { SignerService, signedAt } from './signer.service.js';

const signer = new SignerService({ connectRoleName: 'usher-connect' });
const host = 'mydb.cluster-abc123.eu-west-1.rds.amazonaws.com';
const at = new Date('2025-01-02T03:04:05Z');
const secretAccessKey = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const keys = (change: { sessionToken?: string; expiresAt?: Date } = {}) =>
  new SigningCredentials({ accessKeyId: 'AKIDEXAMPLE', secretAccessKey, ...change });
const ask = { host, port: 5432, region: 'eu-west-1', user: 'jane_doe', credentials: keys() };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: at });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Signatures of golden-token.json, computed by an independent SigV4. */
describe('golden tokens', () => {
  test.each([
    [ask, 'abf49b154b5a5919560c0090436ed0a53b75ba474a2fb2668f33b828bb34df68'],
    [
      { ...ask, credentials: keys({ sessionToken: 'IQoJb3JpZ2luX2VjEXAMPLE+/=' }) },
      'a1dc78e2505e2d9690e7907ded23f23d1a8949728645d7500edabcecfaf123bc',
    ],
    [
      { ...ask, host: 'mydb.abc.rds.cn-north-1.amazonaws.com.cn', region: 'cn-north-1', user: "o'b*a@x y" },
      'f6c4d623f2d64abe504ca3a305c0b8733a84e6657e6af5aa7f045a29fbb7f631',
    ],
  ])('%#', async (input, signature) => {
    const minted = await signer.mintToken(input);
    const query = new URLSearchParams(minted.token.slice(minted.token.indexOf('?')));
    expect(query.get('X-Amz-Signature')).toBe(signature);
    expect(query.get('DBUser')).toBe(input.user);
    expect(minted.token.startsWith(`${input.host}:5432/?`)).toBe(true);
    expect(minted.tokenLength).toBe(minted.token.length);
  });
});

describe('how long a token lives', () => {
  const inSeconds = (seconds: number) => new Date(at.getTime() + seconds * 1_000);

  test.each([
    ['standing keys', undefined, 900],
    ['keys that live longer', 3_600, 900],
    ['keys that end sooner', 300, 300],
  ])('%s', async (_, keySeconds, tokenSeconds) => {
    const credentials = keys(keySeconds === undefined ? {} : { expiresAt: inSeconds(keySeconds) });
    const minted = await signer.mintToken({ ...ask, credentials });
    expect(minted.issuedAt).toEqual(at);
    expect(minted.expiresAt).toEqual(inSeconds(tokenSeconds));
  });

  test.each([59, 0, -10])('nothing is signed with keys that end in %d s', async (seconds) => {
    await expect(
      signer.mintToken({ ...ask, credentials: keys({ expiresAt: inSeconds(seconds) }) }),
    ).rejects.toMatchObject({
      kind: 'unavailable',
      code: 'aws_unavailable',
    });
  });

  test('the time is read from the token, by name', () => {
    expect(signedAt('h:1/?X-Amz-Expires=900&X-Amz-Date=20250102T030405Z&Action=connect')).toEqual(at);
    expect(() => signedAt('h:1/?Action=connect')).toThrow(expect.objectContaining({ code: 'aws_unavailable' }));
  });
});

test.each([
  [{ host: '' }],
  [{ host: 'a/b' }],
  [{ host: 'a?x=1' }],
  [{ host: 'a\nb' }],
  [{ port: 0 }],
  [{ port: 70_000 }],
  [{ port: 1.5 }],
  [{ user: '' }],
  [{ user: 'a\nb' }],
])('refuses %j', async (change) => {
  await expect(signer.mintToken({ ...ask, ...change })).rejects.toMatchObject({ kind: 'invalid' });
});
