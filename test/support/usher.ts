import { generateKeyPairSync } from 'node:crypto';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApp, startWork } from '../../src/app.js';
import { readSettings, type Settings } from '../../src/platform/config.js';
import { Database } from '../../src/platform/state/database.js';
import { Reconciler } from '../../src/grants/reconciler.js';
import { MovedClock } from './clock.ts';
import { keptLog, logAt, searchLog } from './kept-log.ts';
import { keepAnswered, keepCredential, keepSecret, refuseSecrets } from './secrets.ts';
import { standIn } from './stand-in.ts';
import { freshDatabase, type TestDatabase } from './state.ts';
import type { StandIn } from '../../local/stand-in.ts';

export type PersonName = 'alice' | 'bob' | 'carol' | 'dave';

/** An answer as it came: status, headers and the parsed body. */
export interface Answer<T = Record<string, unknown>> {
  status: number;
  headers: Headers;
  body: T;
}

/** One person's way to call the API over real HTTP. */
export interface Client {
  /** The headers that say who calls. */
  readonly credentials: Readonly<Record<string, string>>;
  get<T = Record<string, unknown>>(path: string): Promise<Answer<T>>;
  post<T = Record<string, unknown>>(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<T>>;
  patch<T = Record<string, unknown>>(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer<T>>;
  put<T = Record<string, unknown>>(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer<T>>;
  delete<T = Record<string, unknown>>(path: string): Promise<Answer<T>>;
  graphql<T = Record<string, unknown>>(
    query: string,
    variables?: Record<string, unknown>,
    headers?: Record<string, string>,
  ): Promise<{ data: T | null; errors?: { message: string; extensions: Record<string, unknown> }[] }>;
}

export interface Usher {
  app: NestFastifyApplication;
  url: string;
  clock: MovedClock;
  database: TestDatabase;
  db: Database;
  reconciler: Reconciler;
  standIn: StandIn;
  /** With a token of the provider's own making. */
  as(person: PersonName): Promise<Client>;
  /** With any token, or none; and with headers that go with every call. */
  withToken(token: string | undefined, always?: Record<string, string>): Client;
  /** Stops the service but not its database, as a crash would leave it. @throws Error when a secret is in its log */
  stop(): Promise<void>;
  /** @throws Error when a secret is in its log or its database */
  close(): Promise<void>;
}

/** One address and a handful of people make all calls of a file, and many tests look for the line of each refusal. */
export const UNLIMITED = { USHER_CALLS_PER_MINUTE: '0', USHER_ANONYMOUS_CALLS_PER_MINUTE: '0' } as const;

const auditKey = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

export interface UsherOptions {
  /** Jobs and sampling run by themselves; false when a test calls them. */
  work?: boolean;
  settings?: Partial<Settings>;
  env?: Record<string, string>;
  database?: TestDatabase;
  clock?: MovedClock;
}

/** A whole Usher on a database of its own, listening on loopback, with the stand-in for AWS and the OIDC provider. */
export async function startUsher(options: UsherOptions = {}): Promise<Usher> {
  const outside = await standIn();
  for (const [name, value] of Object.entries(outside.env)) if (name.startsWith('AWS_')) process.env[name] = value; // the SDK's own chain reads them
  const database = options.database ?? (await freshDatabase());
  const env = {
    ...outside.env,
    USHER_LOG_LEVEL: process.env['USHER_TEST_LOG'] ?? 'info',
    USHER_SAMPLE_SECONDS: '0',
    USHER_AUDIT_KEY: auditKey, // else one would be made beside a state that is not there
    USHER_WEBHOOK_KEY: Buffer.alloc(32, 'only for this run').toString('base64'), // or one would be made beside a state
    ...UNLIMITED,
    USHER_DRIFT_MINUTES: '0', // files share targets: one file's look would end what another's Usher gave
    ...options.env,
  };
  for (const [name, value] of Object.entries(options.env ?? {})) if (name.includes('SECRET')) keepSecret(name, value);
  const settings = { ...readSettings(env), ...options.settings };
  const clock = options.clock ?? new MovedClock();
  const app = await createApp({ settings, databaseUrl: database.url, clock, log: keptLog });
  logAt(settings.logLevel);
  if (options.work ?? true) await startWork(app);
  await app.listen(0, '127.0.0.1');
  const url = (await app.getUrl()).replace('[::1]', '127.0.0.1');
  const stop = async (): Promise<void> => {
    await app.close();
    searchLog();
  };
  return {
    app,
    url,
    clock,
    database,
    db: app.get(Database),
    reconciler: app.get(Reconciler, { strict: false }),
    standIn: outside,
    as: async (person) => clientOf(url, await outside.oidc.tokenFor(person)),
    withToken: (token, always) => clientOf(url, token, always),
    stop,
    close: async () => {
      try {
        await stop();
      } finally {
        await database.drop();
      }
    },
  };
}

/** @throws Error, at a call, when the answer is a refusal or metrics and holds a secret */
export function clientOf(url: string, token: string | undefined, always: Record<string, string> = {}): Client {
  for (const credential of [token ?? '', ...Object.values(always)]) keepCredential(credential);
  const credentials = { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...always };
  const call = async <T>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer<T>> => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...credentials,
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const json = /\bjson\b/.test(response.headers.get('content-type') ?? ''); // not x-ndjson
    if (json) keepAnswered(text);
    if (!response.ok || path === '/metrics' || text.includes('"errors":[{')) refuseSecrets(`${method} ${path}`, text);
    return {
      status: response.status,
      headers: response.headers,
      body: (json && text !== '' ? JSON.parse(text) : { text }) as T,
    };
  };
  return {
    credentials,
    get: (path) => call('GET', path),
    post: (path, body, headers) => call('POST', path, body, headers),
    patch: (path, body, headers) => call('PATCH', path, body, headers),
    put: (path, body, headers) => call('PUT', path, body, headers),
    delete: (path) => call('DELETE', path),
    graphql: async (query, variables, headers) =>
      (await call<never>('POST', '/graphql', { query, variables }, headers)).body,
  };
}
