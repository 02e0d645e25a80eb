/**
 * What stands before the PostgreSQL of a stand-in and does what RDS does and the stock server cannot: check an IAM token
 * of any length in place of a password. It ends the client's TLS with the server's own certificate, so that SCRAM channel
 * binding holds from end to end, and speaks TLS again to the server, so that the server sees encrypted sessions.
 */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import * as tls from 'node:tls';
import type { Authority, Certificate } from './authority.ts';
import * as wire from './wire.ts';

export interface LoginAttempt {
  /** The password that the client sent: whole, unchecked. */
  token: string;
  user: string;
  host: string;
  port: number;
}
export type Verify = (attempt: LoginAttempt) => Promise<{ ok: true } | { ok: false; reason: string }>;

/** `masterByIam`: as 'iam', but the account for which the server's own rules expect a password. */
export type LoginMethod = 'password' | 'iam' | 'masterByIam';

export interface FrontOptions {
  /** Absent or 0: a free one, which stays the same over stop and start. */
  port?: number;
  /** The name that clients use and that tokens are signed for. */
  host: string;
  server: { port: number };
  certificate: Certificate;
  serverCa: string;
  clientAuthority: Authority;
  methodOf(user: string): Promise<LoginMethod>;
  verify: Verify;
}

export interface Front {
  readonly port: number;
  /** Refuses new connections and drops all open ones. */
  close(): Promise<void>;
}

const AUTHENTICATION_TIMEOUT_MS = 60_000;
/** The server takes a client certificate in place of the master's password from this address only (see README). */
const MASTER_BY_IAM_ADDRESS = '127.0.0.2';

/** @throws Error when the port is taken */
export async function startFront(o: FrontOptions): Promise<Front> {
  const open = new Set<Socket>();
  const track = <S extends Socket>(socket: S): S => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    socket.on('error', () => socket.destroy());
    return socket;
  };
  const session = new Session(o, track);
  const secure = tls.createServer({
    cert: o.certificate.certPem,
    key: o.certificate.keyPem,
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['postgresql'],
    handshakeTimeout: AUTHENTICATION_TIMEOUT_MS,
  });
  secure.on('secureConnection', (client) => guarded(track(client), (socket) => session.encrypted(socket)));
  secure.on('tlsClientError', (_error, client) => client.destroy());
  const listener = createServer((client) =>
    guarded(track(client), async (socket) => {
      if (await session.plain(socket)) secure.emit('connection', socket);
    }),
  );
  listener.listen(o.port ?? 0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  session.port = port;
  return {
    port,
    close: async () => {
      const closed = once(listener, 'close');
      listener.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

/** Runs one phase of a connection; whatever goes wrong in it ends the connection and nothing else. */
function guarded(socket: Socket, phase: (socket: Socket) => Promise<void>): void {
  phase(socket).catch(() => socket.destroy());
}

async function established(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  const waiting = new AbortController();
  const ended = once(socket, 'close', { signal: waiting.signal }).then(() =>
    Promise.reject(new Error('the connection ended')),
  );
  try {
    await Promise.race([once(socket, event), ended]);
  } finally {
    ended.catch(() => undefined);
    waiting.abort();
  }
}

class Session {
  port = 0;
  readonly #o: FrontOptions;
  readonly #track: <S extends Socket>(socket: S) => S;

  constructor(o: FrontOptions, track: <S extends Socket>(socket: S) => S) {
    this.#o = o;
    this.#track = track;
  }

  /** Before TLS. Answers true when the client wants TLS and waits for it. */
  async plain(client: Socket): Promise<boolean> {
    const late = setTimeout(() => client.destroy(), AUTHENTICATION_TIMEOUT_MS).unref();
    try {
      for (;;) {
        const packet = await wire.takeStartup(client);
        if (packet.code === wire.SSL_REQUEST) {
          client.write('S');
          return true;
        }
        if (packet.code === wire.GSSENC_REQUEST) client.write('N');
        else if (packet.code === wire.CANCEL_REQUEST) return (await this.#cancel(client, packet), false);
        else return (client.end(await this.#refusalWithoutTls(packet)), false);
      }
    } finally {
      clearTimeout(late);
    }
  }

  /** After the TLS handshake. */
  async encrypted(client: Socket): Promise<void> {
    const late = setTimeout(() => client.destroy(), AUTHENTICATION_TIMEOUT_MS).unref();
    try {
      const packet = await wire.takeStartup(client);
      if (packet.code === wire.CANCEL_REQUEST) {
        await this.#cancel(client, packet);
        return;
      }
      const parameters = wire.parametersOf(packet);
      const user = parameters.get('user') ?? '';
      // no IAM login for replication on RDS: the server's own rules refuse it
      const method = parameters.has('replication') ? 'password' : await this.#o.methodOf(user);
      if (method !== 'password' && !(await this.#verified(client, user))) {
        client.end(wire.fatal('28000', `PAM authentication failed for user "${user}"`));
        return;
      }
      await this.#join(client, packet, method, user);
    } catch (error) {
      if (!client.destroyed) client.end(wire.fatal('57P03', 'the database system is not accepting connections'));
      throw error;
    } finally {
      clearTimeout(late);
    }
  }

  async #verified(client: Socket, user: string): Promise<boolean> {
    client.write(wire.cleartextPasswordRequest);
    const token = await wire.takePassword(client);
    const answer = await this.#o
      .verify({ token, user, host: this.#o.host, port: this.port })
      .catch(() => ({ ok: false }));
    return answer.ok;
  }

  /** The rest is between client and server; we only pass bytes on, and the end of one to the other. */
  async #join(client: Socket, packet: wire.StartupPacket, method: LoginMethod, user: string): Promise<void> {
    const server = await this.#connect(method, user);
    server.write(packet.bytes);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.pipe(to);
      from.once('close', () => to.destroySoon());
    }
    if (client.destroyed) server.destroy();
  }

  async #connect(method: LoginMethod, user: string): Promise<Socket> {
    const localAddress = method === 'masterByIam' ? { localAddress: MASTER_BY_IAM_ADDRESS } : {};
    const raw = this.#track(connect({ host: '127.0.0.1', port: this.#o.server.port, ...localAddress }));
    await established(raw, 'connect');
    raw.write(wire.sslRequest);
    if ((await wire.take(raw, 1)).toString() !== 'S') throw new Error('the server offers no TLS');
    const certificate = method === 'password' ? undefined : this.#o.clientAuthority.client(user);
    const secure = this.#track(
      tls.connect({
        socket: raw,
        servername: this.#o.host,
        ca: this.#o.serverCa,
        minVersion: 'TLSv1.2',
        ...(certificate === undefined ? {} : { cert: certificate.certPem, key: certificate.keyPem }),
      }),
    );
    await established(secure, 'secureConnect');
    return secure;
  }

  /** To the server as it came; the answer is the end of the connection, as with the server itself. */
  async #cancel(client: Socket, packet: wire.StartupPacket): Promise<void> {
    const server = this.#track(connect(this.#o.server.port, '127.0.0.1'));
    server.end(packet.bytes);
    await once(server.resume(), 'close');
    client.end();
  }

  async #refusalWithoutTls(packet: wire.StartupPacket): Promise<Buffer> {
    const parameters = wire.parametersOf(packet);
    const user = parameters.get('user') ?? '';
    const what = `host "127.0.0.1", user "${user}", database "${parameters.get('database') ?? user}", no encryption`;
    const iam = (await this.#o.methodOf(user)) !== 'password';
    return wire.fatal('28000', iam ? `pg_hba.conf rejects connection for ${what}` : `no pg_hba.conf entry for ${what}`);
  }
}
