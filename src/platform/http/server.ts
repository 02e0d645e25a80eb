import { randomUUID } from 'node:crypto';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { currentCall, runCall } from '../call.js';
import type { Settings } from '../config.js';
import { DomainError } from '../errors.js';
import { allowOrigins } from './cors.js';
import { refuseDeep } from './depth.js';
import type { Gate } from './gate.js';
import { serveGraphiql } from './graphiql.js';
import { refuseCrowded } from './graphql-scan.js';
import { challenge, toDomainError, toProblem } from './problem.js';
import { isHealth, rateLimitHeaders } from './rate-limits.js';
import type { Sockets } from './sockets.js';
import { answerUnread, refuseExpectations } from './unread.js';
import { isWebSocket, takeUpgrades, upgradeOf } from './upgrade.js';

const BODY_LIMIT = 64 * 1024;
/** Above the longest access token that is looked at, so that a longer one is refused by us, with advice and on record. */
const HEADER_LIMIT = 32 * 1024;

/** Between two looks at which calls are late. Node's own 30 s would give the slow more than the limit itself. */
const CHECK_MS = 1_000;

/** Nest sets its handler of errors when the routes are there, and Fastify then no longer looks: ours is set before. */
class Adapter extends FastifyAdapter {
  override setErrorHandler(): ReturnType<FastifyAdapter['setErrorHandler']> {
    return this.instance;
  }
}

/** Fastify, with limits on everything that a caller can make large or slow. */
export const fastifyAdapter = (settings: Pick<Settings, 'trustedProxies' | 'requestTimeoutSeconds'>): FastifyAdapter =>
  new Adapter({
    bodyLimit: BODY_LIMIT,
    http: {
      maxHeaderSize: HEADER_LIMIT,
      headersTimeout: settings.requestTimeoutSeconds * 1_000,
      connectionsCheckingInterval: CHECK_MS,
      shouldUpgradeCallback: isWebSocket, // others are calls like any, as the protocol has it; Node before 24.9 does not ask
    },
    // an address that cannot be read, or is too long, leads nowhere
    frameworkErrors: (_error: unknown, request: FastifyRequest, reply: FastifyReply) => {
      const unread = new DomainError(
        'not_found',
        'route_not_found',
        'There is no such route.',
        'The routes are listed at /docs.',
      );
      runCall({ correlationId: randomUUID(), address: request.ip, subject: {} }, () => answer(unread, reply));
    },
    clientErrorHandler: answerUnread,
    requestTimeout: settings.requestTimeoutSeconds * 1_000,
    keepAliveTimeout: 65_000,
    routerOptions: { maxParamLength: 200 },
    trustProxy: settings.trustedProxies.length > 0 ? [...settings.trustedProxies] : false,
    logger: false,
  });

/** @param form that its caller reads */
function answer(thrown: unknown, reply: FastifyReply, form: 'problem' | 'graphql' = 'problem'): void {
  const error = toDomainError(thrown);
  const problem = toProblem(error);
  if (error.kind === 'unauthenticated') void reply.header('WWW-Authenticate', challenge(error));
  if (error.retryAfterSeconds !== undefined) void reply.header('Retry-After', String(error.retryAfterSeconds));
  if (form === 'graphql') {
    const { detail: message, ...extensions } = problem;
    return void reply.status(problem.status).send({ data: null, errors: [{ message, extensions }] });
  }
  void reply
    .status(problem.status)
    .type('application/problem+json')
    .header('Cache-Control', 'no-store')
    .send(JSON.stringify(problem));
}

const noDocument = (): DomainError =>
  new DomainError(
    'invalid',
    'invalid_input',
    'There is no document in the call.',
    'Send one JSON object with "query", and "variables" where it has some.',
  );

/** @throws DomainError `invalid_input` */
function refuseUnusable(request: FastifyRequest): void {
  refuseDeep(request.body);
  if (!isGraphql(request)) return;
  const asked = request.method === 'GET' ? request.query : request.body;
  if (typeof asked !== 'object' || asked === null || Array.isArray(asked)) throw noDocument();
  const { query } = asked as { query?: unknown };
  if (typeof query !== 'string') throw noDocument();
  refuseCrowded(query);
}

async function letIn(gate: Gate, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const call = currentCall();
  const { authorization } = request.headers;
  if (!call || (authorization !== undefined && !isGraphql(request))) return; // the guard of the route looks at the token
  try {
    if (authorization === undefined && !isHealth(request.url)) await gate.countAddress(call, false);
    if (isGraphql(request)) await gate.admit(call, request.headers);
  } catch (thrown) {
    const error = toDomainError(thrown);
    await gate.refused(error);
    answer(error, reply, formOf(request));
    await reply; // until it is sent: nothing else answers this call
  }
}

/** Who it is comes with its first message: a page in a browser can send no header of its own here. */
async function openSocket(sockets: Sockets, gate: Gate, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const upgrade = upgradeOf(request);
  if (!upgrade) return;
  try {
    if (!isGraphql(request)) throw noSocket();
    const call = currentCall();
    if (call && request.headers.authorization === undefined) await gate.countAddress(call, false);
    sockets.open(request, upgrade);
    void reply.hijack();
  } catch (thrown) {
    const error = toDomainError(thrown);
    await gate.refused(error);
    answer(error, reply);
    await reply;
  }
}

const noSocket = (): DomainError =>
  new DomainError('not_found', 'route_not_found', 'No WebSocket is opened there.', 'Open it at /graphql.');

/** By the route that was found, and not by the address, which has other spellings: `/%67raphql` leads there as well. */
const isGraphql = (request: FastifyRequest): boolean => request.routeOptions.url === '/graphql';
const formOf = (request: FastifyRequest): 'problem' | 'graphql' => (isGraphql(request) ? 'graphql' : 'problem');

/** Those that helmet sets. By hand, because helmet puts them together anew for each answer, at a tenth of the cost of a token. */
const HEADERS = {
  // only the documentation is a page, and it loads nothing from anywhere else; both its pages style their elements in place
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'self'",
    "frame-ancestors 'none'",
  ].join(';'),
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'Strict-Transport-Security': 'max-age=31536000',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
} as const;

/** Every call has a name and a context from its first byte; every answer says that it is not to be kept. */
export async function prepareServer(
  app: NestFastifyApplication,
  settings: Pick<Settings, 'graphiql' | 'corsOrigins'>,
  gate: Gate,
  sockets: Sockets,
): Promise<void> {
  const server = app.getHttpAdapter().getInstance();
  refuseExpectations(server.server);
  takeUpgrades(server);
  server.addHook('onRequest', (request, reply, done) => {
    const correlationId = randomUUID(); // never the caller's: he could write himself into the story of another call
    void reply.headers(HEADERS).header('X-Correlation-Id', correlationId);
    if (!isDocumentation(request.url)) void reply.header('Cache-Control', 'no-store');
    runCall({ correlationId, address: request.ip, subject: {} }, done);
  });
  allowOrigins(server, settings.corsOrigins);
  server.addHook('onRequest', (request, reply) => openSocket(sockets, gate, request, reply));
  server.addHook('onRequest', (request, reply) => letIn(gate, request, reply));
  server.addHook('onSend', (_request, reply, _payload, done) => {
    const { allowance } = currentCall() ?? {};
    if (allowance) void reply.headers(rateLimitHeaders(allowance));
    done();
  });
  server.addHook('preValidation', async (request) => refuseUnusable(request));
  // what goes wrong before a route is reached: a body that is too large, broken, or of another type
  server.setErrorHandler((error, request, reply) => answer(error, reply, formOf(request)));
  if (settings.graphiql) serveGraphiql(server);
}

const isDocumentation = (url: string): boolean => /^\/(docs|graphiql|openapi\.json)/.test(url);
