import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { currentCall, runCall, type Call } from '../call.js';
import { DomainError } from '../errors.js';
import { serveGraphiql } from './graphiql.js';
import { challenge, toDomainError, toProblem } from './problem.js';

const BODY_LIMIT = 64 * 1024;
/** Above the longest access token that is looked at, so that a longer one is refused by us, with advice and on record. */
const HEADER_LIMIT = 32 * 1024;

/** Nest sets its handler of errors when the routes are there, and Fastify then no longer looks: ours is set before. */
class Adapter extends FastifyAdapter {
  override setErrorHandler(): ReturnType<FastifyAdapter['setErrorHandler']> {
    return this.instance;
  }
}

/** Fastify, with limits on everything that a caller can make large or slow. */
export const fastifyAdapter = (settings: { trustedProxies: readonly string[] }): FastifyAdapter =>
  new Adapter({
    bodyLimit: BODY_LIMIT,
    http: { maxHeaderSize: HEADER_LIMIT },
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
    requestTimeout: 20_000,
    keepAliveTimeout: 65_000,
    routerOptions: { maxParamLength: 200 },
    trustProxy: settings.trustedProxies.length > 0 ? [...settings.trustedProxies] : false,
    logger: false,
  });

function answer(error: unknown, reply: FastifyReply): void {
  const problem = toProblem(toDomainError(error));
  void reply
    .status(problem.status)
    .type('application/problem+json')
    .header('Cache-Control', 'no-store')
    .send(JSON.stringify(problem));
}

const DEPTH_LIMIT = 16;

/** What is nested deeper than any input of ours would only exhaust the stack of whoever walks through it. */
const isTooDeep = (value: unknown, left = DEPTH_LIMIT): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (left === 0 || Object.values(value).some((inner) => isTooDeep(inner, left - 1)));

const tooDeep = (): DomainError =>
  new DomainError(
    'invalid',
    'invalid_input',
    'The body is nested too deeply.',
    `Nothing here takes more than ${DEPTH_LIMIT} levels.`,
  );

/** Who may use GraphQL at all, asked before a document is even parsed: reading one costs more than refusing it. */
export interface Gate {
  /** @throws DomainError for a caller who cannot be named */
  admit(call: Call, headers: IncomingHttpHeaders): Promise<void>;
  /** Puts the refusal on record. */
  refused(error: DomainError): Promise<void>;
}

async function admitToGraphql(gate: Gate, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const call = currentCall();
  if (!call || request.url.split('?')[0] !== '/graphql') return;
  try {
    await gate.admit(call, request.headers);
  } catch (thrown) {
    const error = toDomainError(thrown);
    await gate.refused(error);
    const { detail: message, ...extensions } = toProblem(error);
    if (error.kind === 'unauthenticated') void reply.header('WWW-Authenticate', challenge(error));
    await reply.status(extensions.status).send({ data: null, errors: [{ message, extensions }] });
  }
}

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
  pages: { graphiql: boolean },
  gate: Gate,
): Promise<void> {
  const server = app.getHttpAdapter().getInstance();
  server.addHook('onRequest', (request, reply, done) => {
    const correlationId = randomUUID(); // never the caller's: he could write himself into the story of another call
    void reply.headers(HEADERS).header('X-Correlation-Id', correlationId);
    if (!isDocumentation(request.url)) void reply.header('Cache-Control', 'no-store');
    runCall({ correlationId, address: request.ip, subject: {} }, done);
  });
  server.addHook('onRequest', (request, reply) => admitToGraphql(gate, request, reply));
  server.addHook('preValidation', (request, _reply, done) => done(isTooDeep(request.body) ? tooDeep() : undefined));
  // what goes wrong before a route is reached: a body that is too large, broken, or of another type
  server.setErrorHandler((error, _request, reply) => answer(error, reply));
  if (pages.graphiql) serveGraphiql(server);
}

const isDocumentation = (url: string): boolean => /^\/(docs|graphiql|openapi\.json)/.test(url);
