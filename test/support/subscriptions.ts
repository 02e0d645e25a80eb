import { createClient, type Client as LineClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { keepCredential, refuseSecrets } from './secrets.ts';
import type { Usher } from './usher.ts';

/** How a connection came to its end. */
export interface Closed {
  code: number;
  reason: string;
}

/** Errors as a subscription is told them. */
export type Told = readonly { message: string; extensions?: Record<string, unknown> }[];

/** One subscription: what came so far, and what ended it. */
export interface Heard<Event> {
  readonly events: Event[];
  /** Undefined while it goes on; errors, or how the connection was closed; null: it was completed. */
  ended: Told | Closed | null | undefined;
  /** Ends it from this side. */
  stop: () => void;
}

const socketUrl = (usher: Usher, path = '/graphql'): string => `${usher.url.replace(/^http/, 'ws')}${path}`;

/** A WebSocket alone, for what no client of the protocol would do. */
export function rawSocket(
  usher: Usher,
  options: { headers?: Record<string, string>; origin?: string } = {},
  path?: string,
): WebSocket {
  const socket = new WebSocket(socketUrl(usher, path), 'graphql-transport-ws', options);
  socket.on('error', () => undefined);
  return socket;
}

/** A portal's way to listen, over a real WebSocket. It does not connect again by itself. */
export class Line {
  closed: Closed | undefined;
  /** What came with the acknowledgement. */
  greeting: Record<string, unknown> | undefined;
  private readonly client: LineClient;

  /** @param first fields of the first message @param headers of the call that asks for the connection */
  constructor(usher: Usher, first: Record<string, string>, headers: Record<string, string> = {}) {
    for (const value of [...Object.values(first), ...Object.values(headers)])
      keepCredential(value.replace('Bearer ', ''));
    class Socket extends WebSocket {
      constructor(address: string, protocol: string) {
        super(address, protocol, { headers });
      }
    }
    this.client = createClient({
      ...{ url: socketUrl(usher), webSocketImpl: Socket, connectionParams: first, retryAttempts: 0, lazy: false },
      onNonLazyError: () => undefined,
    });
    this.client.on('connected', (_socket, payload) => (this.greeting = payload ?? {}));
    this.client.on('closed', (event) => {
      const { code, reason } = event as Closed;
      refuseSecrets('the end of a connection', reason);
      this.closed ??= { code, reason };
    });
  }

  /** @param selection what follows `subscription` */
  subscribe<Event>(selection: string, variables: Record<string, unknown> = {}): Heard<Event> {
    return this.run(`subscription ${selection}`, variables);
  }

  run<Event>(query: string, variables: Record<string, unknown> = {}): Heard<Event> {
    const heard: Heard<Event> = { events: [], ended: undefined, stop: () => undefined };
    const end = (how: Told | Closed | null): void => {
      heard.ended ??= how;
      refuseSecrets('the end of a subscription', JSON.stringify(how));
    };
    heard.stop = this.client.subscribe<Record<string, Event>>(
      { query, variables },
      {
        next: ({ data, errors }) => {
          if (errors) end(errors);
          heard.events.push(...Object.values(data ?? {}));
        },
        error: (error) => {
          const { code = 0, reason = '' } = error as Partial<Closed>;
          end(Array.isArray(error) ? (error as Told) : { code, reason });
        },
        complete: () => end(null),
      },
    );
    return heard;
  }

  /** As when the network is gone: nobody says goodbye. */
  cut(): void {
    this.client.terminate();
  }

  async close(): Promise<void> {
    await this.client.dispose();
  }
}

export const codeOf = (heard: Heard<unknown>): unknown =>
  Array.isArray(heard.ended) ? heard.ended[0]?.extensions?.['code'] : heard.ended;
