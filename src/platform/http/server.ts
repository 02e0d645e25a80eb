import { randomUUID } from 'node:crypto';
import helmet from '@fastify/helmet';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { runCall } from '../call.js';

const BODY_LIMIT = 64 * 1024;
const CORRELATION_ID = /^[\w-]{8,64}$/;

/** Fastify, with limits on everything that a caller can make large or slow. */
export const fastifyAdapter = (): FastifyAdapter =>
  new FastifyAdapter({
    bodyLimit: BODY_LIMIT,
    requestTimeout: 20_000,
    keepAliveTimeout: 65_000,
    routerOptions: { maxParamLength: 200 },
    trustProxy: false,
    logger: false,
  });

/** Every call has a name and a context from its first byte; every answer says that it is not to be kept. */
export async function prepareServer(app: NestFastifyApplication): Promise<void> {
  const server = app.getHttpAdapter().getInstance() as unknown as FastifyInstance;
  server.addHook('onRequest', (request, reply, done) => {
    const given = request.headers['x-correlation-id'];
    const correlationId = typeof given === 'string' && CORRELATION_ID.test(given) ? given : randomUUID();
    void reply.header('X-Correlation-Id', correlationId);
    if (!isDocumentation(request.url)) void reply.header('Cache-Control', 'no-store');
    runCall({ correlationId, address: request.ip, subject: {} }, done);
  });
  await server.register(helmet, {
    // the documentation pages are our own and run scripts in the page; nothing else here is a page
    contentSecurityPolicy: { directives: { defaultSrc: ["'self'"], scriptSrc: ["'self'", "'unsafe-inline'"], styleSrc: ["'self'", "'unsafe-inline'"], imgSrc: ["'self'", 'data:'] } },
    hsts: { maxAge: 31_536_000, includeSubDomains: false },
  });
}

const isDocumentation = (url: string): boolean => /^\/(docs|graphiql|openapi\.json)/.test(url);
