import type { FastifyInstance } from 'fastify';

const METHODS = 'GET, POST, PATCH, DELETE';
const SENT = 'Authorization, Content-Type, Idempotency-Key, If-None-Match';
const SHOWN = 'Retry-After, RateLimit, RateLimit-Policy, X-Correlation-Id, ETag';
const PREFLIGHT_SECONDS = '600';

/**
 * Lets pages of these origins call the API (Fetch Standard, CORS protocol), and no others: names are compared exactly, nothing is
 * echoed, and no credentials of the browser are allowed, since a call is only ever by its access token.
 */
export function allowOrigins(server: FastifyInstance, origins: readonly string[]): void {
  if (origins.length === 0) return;
  const allowed = new Set(origins);
  server.addHook('onRequest', (request, reply, done) => {
    void reply.header('Vary', 'Origin');
    const origin = allowed.has(request.headers.origin ?? '') ? request.headers.origin : undefined;
    if (origin === undefined) return done();
    void reply.headers({
      'Access-Control-Allow-Origin': origin,
      'Access-Control-Expose-Headers': SHOWN,
    });
    const preflight = request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined;
    if (!preflight) return done();
    void reply
      .headers({ 'Access-Control-Allow-Methods': METHODS, 'Access-Control-Allow-Headers': SENT })
      .header('Access-Control-Max-Age', PREFLIGHT_SECONDS)
      .status(204)
      .send();
  });
}
