import { Global, Module, type DynamicModule } from '@nestjs/common';
import { LoggerModule } from 'nestjs-pino';
import type pino from 'pino';
import { Clock, SystemClock } from './clock.js';
import { SETTINGS, type Settings } from './config.js';
import { currentCall } from './call.js';
import { Jobs } from './jobs/jobs.js';
import { Database, DATABASE_URL } from './state/database.js';
import { Notifications } from './state/notifications.js';

export interface PlatformOptions {
  settings: Settings;
  /** Of the state, from `openState`. */
  databaseUrl: string;
  clock?: Clock;
  /** Where the lines of the log go; absent: to stdout. */
  log?: pino.DestinationStream;
}

/** Framework and environment, for everybody: settings, clock, log, database, jobs. Knows no word of the domain. */
@Global()
@Module({})
export class PlatformModule {
  static register(options: PlatformOptions): DynamicModule {
    return {
      module: PlatformModule,
      imports: [logger(options.settings.logLevel, options.log)],
      providers: [
        { provide: SETTINGS, useValue: options.settings },
        { provide: Clock, useValue: options.clock ?? new SystemClock() },
        {
          provide: Database,
          useFactory: () => new Database({ url: options.databaseUrl, poolSize: options.settings.databasePoolSize }),
        },
        { provide: DATABASE_URL, useValue: options.databaseUrl },
        Jobs,
        Notifications,
      ],
      exports: [SETTINGS, Clock, Database, Jobs, Notifications],
    };
  }
}

/** No header, no body, no query is ever logged: what is not written cannot leak. */
const logger = (level: string, stream?: pino.DestinationStream): DynamicModule =>
  LoggerModule.forRoot({
    // the lines of single calls are for debugging alone, and their making for each call costs as much as a small answer
    ...(!['debug', 'trace'].includes(level) && { forRoutes: [] }),
    pinoHttp: {
      level,
      ...(stream && { stream }),
      quietReqLogger: true,
      serializers: {
        req: (req: { method: string; url: string }) => ({ method: req.method, path: req.url.split('?')[0] }),
        res: (res: { statusCode: number }) => ({ status: res.statusCode }),
      },
      hooks: { logMethod: withoutChatter },
      mixin: () => ({ correlationId: currentCall()?.correlationId }),
      customLogLevel: (_req, res, error) => (error || res.statusCode >= 500 ? 'error' : 'debug'),
    },
  });

/** Contexts under which the framework lists what it wired, at every start: that tells an operator nothing. */
const CHATTER = new Set<unknown>([
  'InstanceLoader',
  'RoutesResolver',
  'RouterExplorer',
  'NestFactory',
  'GraphQLModule',
]);

function withoutChatter(this: pino.Logger, args: Parameters<pino.LogFn>, write: pino.LogFn): void {
  const [first] = args as [unknown];
  if (typeof first === 'object' && first !== null && 'context' in first && CHATTER.has(first.context)) return;
  write.apply(this, args);
}
