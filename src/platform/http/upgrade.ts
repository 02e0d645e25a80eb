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
  server.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const ignore = (): void => undefined;
    socket.on('error', ignore);
    // its body would be read by nobody
    if (!isWebSocket(request))
      return void socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket as Socket);
    response.once('finish', () => socket.end());
    const release = (): void => {
      response.detachSocket(socket as Socket);
      socket.off('error', ignore);
    };
    upgrades.set(request, { request, socket, head, release });
    server.routing(request, response);
  });
}
