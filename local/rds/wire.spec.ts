import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { fatal, parametersOf, take, takePassword, takeStartup } from './wire.ts';

function startup(text: string): Buffer {
  const body = Buffer.from(text, 'utf8');
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length + 8);
  head.writeUInt32BE(196608, 4);
  return Buffer.concat([head, body]);
}

test('takes exactly the bytes asked for, however they arrive, and leaves the rest', async () => {
  const stream = new PassThrough();
  const taken = take(stream, 5);
  for (const part of ['ab', 'c', 'defg']) stream.write(part);
  expect((await taken).toString()).toBe('abcde');
  expect((await take(stream, 2)).toString()).toBe('fg');
});

test('fails when the stream ends before', async () => {
  const stream = new PassThrough();
  stream.end('abc');
  await expect(take(stream, 5)).rejects.toThrow('ended');
});

describe('startup packets', () => {
  test('are kept whole and read by name', async () => {
    const stream = new PassThrough();
    const bytes = startup('user\0jané\0database\0shop\0options\0-c a=b\0\0');
    stream.write(bytes);
    const packet = await takeStartup(stream);
    expect(packet.bytes).toEqual(bytes);
    expect(Object.fromEntries(parametersOf(packet))).toEqual({ user: 'jané', database: 'shop', options: '-c a=b' });
  });

  test.each([4, 7, 10_001, 0xffffffff])('of length %d are refused before anything is kept', async (length) => {
    const stream = new PassThrough();
    const head = Buffer.alloc(4);
    head.writeUInt32BE(length);
    stream.write(head);
    await expect(takeStartup(stream)).rejects.toThrow('not a startup packet');
  });
});

test.each([1, 360, 6_579, 65_000])('a password of %d characters is read whole', async (length) => {
  const stream = new PassThrough({ highWaterMark: 64 });
  const head = Buffer.from([0x70, 0, 0, 0, 0]);
  head.writeUInt32BE(length + 5, 1);
  stream.write(Buffer.concat([head, Buffer.from(`${'x'.repeat(length)}\0`)]));
  expect(await takePassword(stream)).toBe('x'.repeat(length));
});

test('another message than a password is refused', async () => {
  const stream = new PassThrough();
  stream.write(Buffer.from('Q\0\0\0\x09abcd\0'));
  await expect(takePassword(stream)).rejects.toThrow('not a password message');
});

test('a FATAL error is a whole message', () => {
  const bytes = fatal('28000', 'PAM authentication failed for user "é"');
  expect(bytes.readUInt32BE(1)).toBe(bytes.length - 1);
  expect(bytes.toString()).toContain('SFATAL\0VFATAL\0C28000\0MPAM authentication failed for user "é"\0\0');
});
