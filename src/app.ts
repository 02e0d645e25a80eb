import { NestFactory } from '@nestjs/core';
import { GraphQLSchemaHost } from '@nestjs/graphql';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { SwaggerModule } from '@nestjs/swagger';
import { Logger } from 'nestjs-pino';
import { RequestJobs } from './access/requests.job.js';
import { AppModule } from './app.module.js';
import { AuditFeed } from './audit/feed.service.js';
import { MonthJobs } from './audit/months.job.js';
import { Sealer } from './audit/sealer.js';
import { LogExpiryJobs } from './connections/log-expiry.job.js';
import { SigningRounds } from './audit/signing-rounds.js';
import { LogReaderJobs } from './connections/log-reader.job.js';
import { Sampler } from './connections/sampler.js';
import { DiscoveryService } from './targets/discovery.service.js';
import { TrustMirrorService } from './targets/trust-mirror.service.js';
import { DriftJobs } from './grants/drift.job.js';
import { GrantJobs } from './grants/grants.job.js';
import { NotificationJobs } from './notifications/notifications.job.js';
import { openApi } from './openapi.js';
import { IdempotencyJobs } from './platform/http/idempotency.job.js';
import { RateLimits } from './platform/http/rate-limits.js';
import { fastifyAdapter, prepareServer } from './platform/http/server.js';
import { Sockets } from './platform/http/sockets.js';
import { Jobs } from './platform/jobs/jobs.js';
import type { PlatformOptions } from './platform/platform.module.js';
import { PermissionGuard } from './policy/permission.guard.js';
import { DecisionJobs } from './policy/decisions.job.js';
import { RefusalRecord } from './platform/http/problem.filter.js';
import { assertEveryRouteNamesItsAction } from './policy/coverage.js';

/**
 * The service, ready to listen: every handler proved to name its action, documentation made of the contracts.
 * @throws Error when a handler names none, or a policy is not strictly valid
 */
export async function createApp(options: PlatformOptions): Promise<NestFastifyApplication> {
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.register(options),
    fastifyAdapter(options.settings),
    {
      bufferLogs: true,
      abortOnError: false,
      forceCloseConnections: true,
    },
  );
  app.useLogger(app.get(Logger));
  app.enableShutdownHooks(['SIGTERM', 'SIGINT']);
  const [guard, record, limits] = [app.get(PermissionGuard), app.get(RefusalRecord), app.get(RateLimits)];
  const gate = {
    admit: guard.admit.bind(guard),
    again: guard.again.bind(guard),
    countAddress: limits.countAddress.bind(limits),
    refused: record.refused.bind(record),
  };
  const sockets = app.get(Sockets);
  sockets.serve({
    gate,
    schema: () => app.get(GraphQLSchemaHost, { strict: false }).schema,
    greeting: async () => ({ sequence: await app.get(AuditFeed).last() }),
  });
  await prepareServer(app, options.settings, gate, sockets);
  assertEveryRouteNamesItsAction(app);
  const document = await openApi(app);
  SwaggerModule.setup('docs', app, document, { jsonDocumentUrl: 'openapi.json', customSiteTitle: 'Usher' });
  await app.init();
  return app;
}

/** Begins the work in the background: reconcile, drift, expiry, seals, sampling. */
export async function startWork(app: NestFastifyApplication): Promise<void> {
  await app.get(Jobs).start();
  await app.get(GrantJobs).start();
  await app.get(DriftJobs).start();
  await app.get(DiscoveryService).startJobs();
  await app.get(TrustMirrorService).startJobs();
  await app.get(LogReaderJobs).start();
  await app.get(LogExpiryJobs).start();
  await app.get(RequestJobs).start();
  await app.get(IdempotencyJobs).start();
  await app.get(DecisionJobs).start();
  await app.get(MonthJobs).start();
  await app.get(Sealer).start();
  await app.get(SigningRounds).start();
  await app.get(NotificationJobs).start();
  app.get(Sampler).start();
}
