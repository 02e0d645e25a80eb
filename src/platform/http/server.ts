import { randomUUID } from 'node:crypto';
import helmet from '@fastify/helmet';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { runCall } from '../call.js';
import { serveGraphiql } from './graphiql.js';

const BODY_LIMIT = 64 * 1024;
/** Above the longest access token that is looked at, so that a longer one is refused by us, with advice and on record. */
const HEADER_LIMIT = 32 * 1024;
const CORRELATION_ID = /^[\w-]{8,64}$/;

/** Fastify, with limits on everything that a caller can make large or slow. */
export const fastifyAdapter = (): FastifyAdapter =>
  new FastifyAdapter({
    bodyLimit: BODY_LIMIT,
    http: { maxHeaderSize: HEADER_LIMIT },
    requestTimeout: 20_000,
    keepAliveTimeout: 65_000,
    routerOptions: { maxParamLength: 200 },
    trustProxy: false,
    logger: false,
  });

/** Every call has a name and a context from its first byte; every answer says that it is not to be kept. */
export async function prepareServer(app: NestFastifyApplication, pages: { graphiql: boolean }): Promise<void> {
  const server = app.getHttpAdapter().getInstance() as unknown as FastifyInstance;
  server.addHook('onRequest', (request, reply, done) => {
    const given = request.headers['x-correlation-id'];
    const correlationId = typeof given === 'string' && CORRELATION_ID.test(given) ? given : randomUUID();
    void reply.header('X-Correlation-Id', correlationId);
    if (!isDocumentation(request.url)) void reply.header('Cache-Control', 'no-store');
    runCall({ correlationId, address: request.ip, subject: {} }, done);
  });
  await server.register(helmet, {
    // only the documentation is a page, and it loads nothing from anywhere else
    contentSecurityPolicy: {
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'", "'unsafe-inline'"], // both documentation pages style their elements in place
        imgSrc: ["'self'", 'data:'],
        fontSrc: ["'self'", 'data:'],
        connectSrc: ["'self'"],
        upgradeInsecureRequests: null, // behind a TLS proxy it is needless, on a laptop it breaks the pages
      },
    },
    hsts: { maxAge: 31_536_000, includeSubDomains: false },
  });
  if (pages.graphiql) serveGraphiql(server);
}

const isDocumentation = (url: string): boolean => /^\/(docs|graphiql|openapi\.json)/.test(url);
