import { ServerResponse, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';

/** A call that asks for a WebSocket, and may still be answered like any other. */
export interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  /** What came behind the header already. */
  readonly head: Buffer;
  /** Takes the socket out of the hands of HTTP. */
  release(): void;
}

const upgrades = new WeakMap<IncomingMessage, Upgrade>();

export const upgradeOf = (request: FastifyRequest): Upgrade | undefined => upgrades.get(request.raw);

export const isWebSocket = ({ method, headers }: IncomingMessage): boolean =>
  method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket';

/**
 * Leads calls for a WebSocket through the same hooks as every other: their addresses and limits are the same, and so are the refusals.
 * Node leaves both the socket and its errors to whoever listens for them.
 */
export function takeUpgrades(server: FastifyInstance): void {
  server.server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    const ignore = (): void => undefined;
    socket.on('error', ignore);
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    try {
      response.assignSocket(socket);
    } catch {
      // it came behind a call whose answer has the socket still, as no client of WebSockets does
      socket.destroy();
      return;
    }
    // Node has let go of it by now: nobody else would ever close what the other end leaves open
    response.once('finish', () => socket.destroySoon());
    // its body would be read by nobody
    if (!isWebSocket(request)) return void response.writeHead(400).end();
    const release = (): void => {
      response.detachSocket(socket);
      socket.off('error', ignore);
    };
    upgrades.set(request, { request, socket, head, release });
    server.routing(request, response);
  });
}
