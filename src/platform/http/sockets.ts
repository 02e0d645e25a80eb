import { randomUUID } from 'node:crypto';
import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { handleProtocols, makeServer, type Server } from 'graphql-ws';
import { InjectPinoLogger, PinoLogger } from 'nestjs-pino';
import { WebSocket, WebSocketServer } from 'ws';
import { runCall } from '../call.js';
import { SETTINGS, type Settings } from '../config.js';
import { DomainError } from '../errors.js';
import { networkOf } from '../network.js';
import { Seats } from './seats.js';
import { RESTART, TWICE, UNREADABLE } from './socket-closes.js';
import { readMessage } from './socket-messages.js';
import { Subscriber, type House } from './subscriber.js';
import type { Upgrade } from './upgrade.js';

/** Bytes of a message, as of a body. */
const LARGEST_MESSAGE = 64 * 1024;
/** Bytes that may wait for one who does not read what they asked for. Events do not: the next is made when the last is gone. */
const MOST_WAITING = 1024 * 1024;
/** Milliseconds within which it must be said who connects. */
const INIT_MS = 5_000;
/** Connections of which that is not known yet: of all, and from one address. */
const UNNAMED = { all: 200, ofOne: 50 } as const;
/** Milliseconds in which a text must have left, once it was sent: who takes none is gone, whatever else they say. */
const LEAVE_MS = 30_000;
/** Milliseconds between two signs of life; who gave none since the last is gone. */
const HEARTBEAT_MS = 15_000;
/** Milliseconds that the other end has to agree to the end. */
const LINGER_MS = 1_000;

/** WebSockets of GraphQL, for its subscriptions, by the protocol graphql-transport-ws (adr/0029). */
@Injectable()
export class Sockets implements OnModuleDestroy {
  readonly #seats = new Seats();
  readonly #open = new Map<WebSocket, { alive: boolean; readonly closed: Promise<void> }>();
  readonly #sockets = new WebSocketServer({
    ...{ noServer: true, clientTracking: false, perMessageDeflate: false, maxPayload: LARGEST_MESSAGE },
    handleProtocols,
  });
  #house: House | undefined;
  #protocol: Server<Subscriber> | undefined;
  #heart: NodeJS.Timeout | undefined;

  constructor(
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'sockets' | 'corsOrigins' | 'graphqlIntrospection'>,
    @InjectPinoLogger(Sockets.name) private readonly log: PinoLogger,
  ) {}

  /** Connections that are open. */
  get count(): number {
    return this.#open.size;
  }

  /** Bytes that were sent to somebody and did not leave the process yet, over all connections. */
  get waiting(): number {
    return [...this.#open.keys()].reduce((sum, { bufferedAmount }) => sum + bufferedAmount, 0);
  }

  /** Lets connections in from now on. */
  serve(from: Pick<House, 'gate' | 'schema' | 'greeting'>): void {
    this.#house = { ...from, seats: this.#seats, settings: this.settings, log: this.log };
    this.#protocol = makeServer<Record<string, unknown>, Subscriber>({
      connectionInitWaitTimeout: INIT_MS,
      onConnect: ({ connectionParams, extra }) => extra.begin(connectionParams),
      onSubscribe: ({ extra }, id, asked) => extra.operation(id, asked),
      onNext: ({ extra }, _id, _asked, _args, result) => extra.event(result),
      onError: ({ extra }, _id, _asked, errors) => extra.told(errors),
    });
    this.#heart = setInterval(() => this.#beat(), HEARTBEAT_MS).unref();
  }

  /** @throws DomainError `origin_not_allowed`, `too_many_requests` */
  open({ ip, headers, host }: FastifyRequest, upgrade: Upgrade): void {
    const [house, protocol] = [this.#house, this.#protocol];
    if (this.settings.sockets.most === 0) throw switchedOff();
    if (!house || !protocol) throw ending();
    refuseForeign(headers.origin, host, this.settings.corsOrigins);
    const known = this.#seats.take([
      { of: 'unnamed', most: UNNAMED.all },
      { of: `unnamed from ${networkOf(ip)}`, most: UNNAMED.ofOne },
    ]);
    upgrade.socket.once('close', known);
    upgrade.release();
    this.#sockets.handleUpgrade(upgrade.request, upgrade.socket, upgrade.head, (socket) => {
      const subscriber = new Subscriber(house, headers, (code, reason) => shut(socket, code, reason));
      this.#follow(socket, ip, subscriber, protocol, known);
    });
  }

  /** Ends all of them with a word, as a service does that is about to come again: with the HTTP server they would only break off. */
  async onModuleDestroy(): Promise<void> {
    clearInterval(this.#heart);
    this.#protocol = undefined;
    for (const socket of this.#open.keys()) shut(socket, RESTART.code, RESTART.reason);
    await Promise.all([...this.#open.values()].map(({ closed }) => closed));
  }

  #follow(
    socket: WebSocket,
    address: string,
    subscriber: Subscriber,
    protocol: Server<Subscriber>,
    known: () => void,
  ): void {
    const gone = Promise.withResolvers<void>();
    const life = { alive: true, closed: gone.promise };
    this.#open.set(socket, life);
    const closed = protocol.opened(
      {
        protocol: socket.protocol,
        send: (text) => send(socket, text),
        close: (code, reason) => shut(socket, code, reason),
        // each message is a call of its own, as if it had come over HTTP
        onMessage: (take) =>
          socket.on('message', (data) => {
            const text = data.toString();
            const message = readMessage(text);
            if (!message) return shut(socket, UNREADABLE.code, UNREADABLE.reason);
            const done = subscriber.beginMessage(message);
            if (!done) return shut(socket, TWICE.code, TWICE.reason);
            const call = { correlationId: randomUUID(), address, subject: {} };
            const taken = runCall(call, () => take(text).catch((error: unknown) => subscriber.end(error)));
            void taken.then(() => {
              done();
              if (subscriber.isNamed) known();
            });
          }),
      },
      subscriber,
    );
    socket.on('error', () => undefined); // what cannot be read closes it, with a code that says why
    socket.on('pong', () => (life.alive = true));
    socket.on('ping', () => refuseFlood(socket));
    socket.on('close', (code, reason) => {
      this.#open.delete(socket);
      subscriber.left();
      gone.resolve();
      void closed(code, reason.toString());
    });
  }

  #beat(): void {
    for (const [socket, life] of this.#open) {
      if (!life.alive) socket.terminate();
      life.alive = false;
      if (socket.readyState === WebSocket.OPEN) socket.ping();
    }
  }
}

/** Over when the text has left the process: who reads slowly is asked for nothing more until then. */
function send(socket: WebSocket, text: string): Promise<void> {
  refuseFlood(socket);
  if (socket.readyState !== WebSocket.OPEN) return Promise.resolve();
  return new Promise((resolve) => {
    const late = setTimeout(() => socket.terminate(), LEAVE_MS).unref();
    // one that fails is closed, and that is told elsewhere
    socket.send(text, () => {
      clearTimeout(late);
      resolve();
    });
  });
}

/** Somebody who asks and asks, and takes no answer. */
function refuseFlood(socket: WebSocket): void {
  if (socket.bufferedAmount > MOST_WAITING) socket.terminate();
}

function shut(socket: WebSocket, code = 1000, reason = ''): void {
  socket.close(code, reason);
  setTimeout(() => socket.terminate(), LINGER_MS).unref();
}

/**
 * Browsers ask nobody before they open a WebSocket, so it is we who refuse: to pages of the origins that may call the API, and of our
 * own. Without a token they could do nothing either.
 */
function refuseForeign(origin: string | undefined, host: string, allowed: readonly string[]): void {
  if (origin === undefined || allowed.includes(origin)) return;
  if (URL.canParse(origin) && new URL(origin).host === host) return;
  throw new DomainError(
    'forbidden',
    'origin_not_allowed',
    'Pages of this origin may not open a WebSocket here.',
    'Have the origin added to USHER_CORS_ORIGINS.',
  );
}

const switchedOff = (): DomainError =>
  new DomainError(
    'not_found',
    'route_not_found',
    'Subscriptions are switched off here.',
    'Use webhooks, or have USHER_SOCKETS set above 0.',
  );

const ending = (): DomainError =>
  new DomainError('unavailable', 'internal', 'This process is ending.', 'Connect again in a moment.');
