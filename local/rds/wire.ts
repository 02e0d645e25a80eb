/** The few messages of the PostgreSQL protocol (manual, chapter "Message Formats") that are sent before a login is done. */
import type { Duplex } from 'node:stream';
import { once } from 'node:events';

export const SSL_REQUEST = 80877103;
export const GSSENC_REQUEST = 80877104;
export const CANCEL_REQUEST = 80877102;
/** MAX_STARTUP_PACKET_LENGTH and PG_MAX_AUTH_TOKEN_LENGTH of the server. */
const MAX_STARTUP = 10_000;
const MAX_PASSWORD = 65_535;

export interface StartupPacket {
  /** A request code, or the protocol version. */
  code: number;
  /** The whole packet, to be passed on as it came. */
  bytes: Buffer;
}

/** Takes exactly n bytes and leaves the rest in the stream. @throws Error when the stream ends before */
export async function take(stream: Duplex, n: number): Promise<Buffer> {
  for (;;) {
    const chunk = stream.read(n) as Buffer | null;
    if (chunk !== null && chunk.length === n) return chunk;
    if (stream.readableEnded || stream.destroyed || chunk !== null) throw new Error('the connection ended');
    const waiting = new AbortController();
    try {
      await Promise.race(['readable', 'end', 'close'].map((event) => once(stream, event, { signal: waiting.signal })));
    } finally {
      waiting.abort();
    }
  }
}

export async function takeStartup(stream: Duplex): Promise<StartupPacket> {
  const head = await take(stream, 4);
  const length = head.readUInt32BE();
  if (length < 8 || length > MAX_STARTUP) throw new Error('not a startup packet');
  const body = await take(stream, length - 4);
  return { code: body.readUInt32BE(), bytes: Buffer.concat([head, body]) };
}

/** The parameters of a startup message; unknown ones are kept. */
export function parametersOf(packet: StartupPacket): Map<string, string> {
  const parts = packet.bytes.subarray(8).toString('utf8').split('\0');
  const parameters = new Map<string, string>();
  for (let i = 0; i + 1 < parts.length && parts[i] !== ''; i += 2)
    parameters.set(String(parts[i]), String(parts[i + 1]));
  return parameters;
}

/** Reads the answer to AuthenticationCleartextPassword. */
export async function takePassword(stream: Duplex): Promise<string> {
  const head = await take(stream, 5);
  const length = head.readUInt32BE(1);
  if (head[0] !== 0x70 || length < 5 || length > MAX_PASSWORD) throw new Error('not a password message');
  const body = await take(stream, length - 4);
  return body.subarray(0, -1).toString('utf8');
}

export const cleartextPasswordRequest = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]);
export const sslRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

export function fatal(sqlstate: string, message: string): Buffer {
  const fields = `SFATAL\0VFATAL\0C${sqlstate}\0M${message}\0\0`;
  const body = Buffer.from(fields, 'utf8');
  const head = Buffer.alloc(5);
  head.write('E');
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
