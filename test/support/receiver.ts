import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { vi } from 'vitest';
import { Webhook } from 'standardwebhooks';

/** What a receiver was sent. */
export interface Message {
  headers: IncomingHttpHeaders;
  text: string;
  body: { type: string; timestamp: string; data: Record<string, unknown> & { sequence: number } };
}

export interface Receiver {
  url: string;
  got: Message[];
  /** The status of the answer, or what sends another one. */
  answer: (message: Message) => number | Promise<number>;
  /** That go with every answer. */
  headers: Record<string, string>;
  /** Nobody listens there any more, until `start`. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** A receiver of webhooks on this machine, over real HTTP, that can be away and come back under its address. */
export async function startReceiver(): Promise<Receiver> {
  let server: Server | undefined;
  let port = 0;
  const receiver: Receiver = {
    ...{ url: '', got: [], answer: () => 204, headers: {} },
    start: async () => {
      server = createServer((request, response) => {
        const parts: Buffer[] = [];
        request.on('data', (part: Buffer) => parts.push(part));
        request.on('end', () => {
          const text = Buffer.concat(parts).toString();
          const message = { headers: request.headers, text, body: JSON.parse(text) as Message['body'] };
          receiver.got.push(message);
          void Promise.resolve(receiver.answer(message)).then((status) =>
            status === 0
              ? request.socket.destroy()
              : response.writeHead(status, { location: `${receiver.url}/elsewhere`, ...receiver.headers }).end(),
          );
        });
      });
      await new Promise<void>((resolve) => server?.listen(port, '127.0.0.1', resolve));
      const address = server.address();
      port = typeof address === 'object' && address ? address.port : 0;
      receiver.url = `http://127.0.0.1:${port}/hook`;
    },
    stop: async () => {
      server?.closeAllConnections();
      await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
      server = undefined;
    },
  };
  await receiver.start();
  return receiver;
}

/**
 * As a receiver verifies, with the library of the specification, at the time that the message names: a test may have moved it.
 * @throws WebhookVerificationError
 */
export function verify(secret: string, { headers, text }: Message): unknown {
  vi.useFakeTimers({ toFake: ['Date'], now: Number(headers['webhook-timestamp']) * 1000 });
  try {
    return new Webhook(secret).verify(text, headers as Record<string, string>);
  } finally {
    vi.useRealTimers();
  }
}
