/** What we use of the package `ws`, which brings no types of its own (its doc/ws.md). */
declare module 'ws' {
  import type { IncomingMessage } from 'node:http';
  import type { Duplex } from 'node:stream';

  export class WebSocket {
    static readonly OPEN: number;
    constructor(address: string, protocols: string, options?: { headers?: Record<string, string>; origin?: string });
    readonly protocol: string;
    readonly readyState: number;
    /** Bytes that were sent and did not leave the process yet. */
    readonly bufferedAmount: number;
    send(data: string, done?: (error?: Error) => void): void;
    close(code?: number, reason?: string): void;
    terminate(): void;
    ping(): void;
    pause(): void;
    resume(): void;
    on(event: 'message', listener: (data: Buffer, isBinary: boolean) => void): this;
    on(event: 'error', listener: (error: Error) => void): this;
    on(event: 'open' | 'ping' | 'pong', listener: () => void): this;
    on(event: 'close', listener: (code: number, reason: Buffer) => void): this;
    on(event: 'unexpected-response', listener: (request: unknown, response: IncomingMessage) => void): this;
  }

  export class WebSocketServer {
    constructor(options: {
      noServer: true;
      clientTracking: false;
      perMessageDeflate: false;
      /** Bytes of a message; a longer one closes its socket with 1009. */
      maxPayload: number;
      handleProtocols: (offered: Set<string>) => string | false;
    });
    handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, opened: (socket: WebSocket) => void): void;
  }
}
