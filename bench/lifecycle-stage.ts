/** The whole service on a durable PostgreSQL beside the stand-in, with people who ask for access and use it. */
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startStandIn } from '../local/stand-in.ts';
import type { StandIn } from '../local/stand-in.ts';
import { binariesOf, startPostgres } from '../src/platform/embedded-postgres.ts';
import { startServer } from './processes.ts';

export interface Grant {
  id: string;
  state: string;
  login: string;
  lastError: string | null;
}
export interface Held {
  token: string;
  grant: Grant;
}

const TOKEN_SECONDS = 7_200;

export class LifeStage {
  readonly outside: StandIn;
  /** Of the service's own state. */
  readonly state: pg.Pool;
  private readonly url: string;
  private readonly closers: (() => Promise<unknown>)[];
  private readonly target: 'orders' | 'billing';
  private ids = { targetId: '', profileId: '' };

  private constructor(
    { outside, state, url, target }: { outside: StandIn; state: pg.Pool; url: string; target: 'orders' | 'billing' },
    closers: (() => Promise<unknown>)[],
  ) {
    this.outside = outside;
    this.state = state;
    this.url = url;
    this.target = target;
    this.closers = closers;
  }

  /** @param sessions that will be open on the target at the same time */
  static async open(target: 'orders' | 'billing', sessions: number): Promise<LifeStage> {
    const closers: (() => Promise<unknown>)[] = [];
    try {
      const outside = await startStandIn({ settings: { max_connections: String(sessions + 60) } });
      closers.push(() => outside.close());
      const databaseUrl = await startDatabase(closers);
      const env = { ...outside.env, DATABASE_URL: databaseUrl, USHER_PORT: '0', USHER_SAMPLE_SECONDS: '0' };
      const service = await startServer('dist/main.js', { ...env, USHER_LOG_LEVEL: 'error' });
      closers.push(() => service.stop());
      const state = new pg.Pool({ connectionString: databaseUrl, max: 2 });
      state.on('error', () => undefined);
      closers.push(() => state.end());
      const stage = new LifeStage({ outside, state, url: service.url, target }, closers);
      await stage.register();
      return stage;
    } catch (error) {
      for (const close of closers.reverse()) await close();
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const close of this.closers.splice(0).reverse()) await close();
  }

  /** Somebody new. */
  person(name: string): string {
    const { oidc } = this.outside;
    const own = { sub: `sub-${name}`, preferred_username: name, email: `${name}@example.com`, groups: ['engineers'] };
    const claims = { ...own, aws_principal: undefined };
    return oidc.signWith(oidc.claimsOf('alice', { expiresIn: TOKEN_SECONDS, claims }));
  }

  async ask(token: string): Promise<Held> {
    const asked = await this.call<{ id: string; grantId: string | null }>(token, 'POST', '/v1/requests', {
      ...this.ids,
      durationMinutes: 60,
      reason: 'measure',
    });
    const bob = await this.outside.oidc.tokenFor('bob', { expiresIn: TOKEN_SECONDS });
    const { grantId } =
      asked.grantId === null
        ? await this.call<{ grantId: string }>(bob, 'POST', `/v1/requests/${asked.id}/approve`, {})
        : asked;
    return { token, grant: await this.call<Grant>(token, 'GET', `/v1/grants/${grantId ?? ''}`) };
  }

  async reached({ token, grant }: Held, state: 'active' | 'closed'): Promise<Grant> {
    for (;;) {
      const found = await this.call<Grant>(token, 'GET', `/v1/grants/${grant.id}?wait=${state}`);
      if (found.state === state) return found;
      if (found.state === 'failed') throw new Error(`the grant is failed: ${found.lastError ?? 'no reason given'}`);
    }
  }

  revoke({ token, grant }: Held): Promise<Grant> {
    return this.call<Grant>(token, 'POST', `/v1/grants/${grant.id}/revoke`);
  }

  shorten({ token, grant }: Held, endsAt: Date): Promise<Grant> {
    return this.call<Grant>(token, 'POST', `/v1/grants/${grant.id}/shorten`, { endsAt: endsAt.toISOString() });
  }

  /** A session of the person's, by a token of the service. */
  async logIn({ token, grant }: Held): Promise<pg.Client> {
    const login = await this.call<{ token: string; host: string; port: number; user: string; database: string }>(
      token,
      'POST',
      `/v1/grants/${grant.id}/tokens`,
      {},
    );
    const { host, port, user, database } = login;
    const ca = this.outside.targets[this.target].rds.caPem;
    const client = new pg.Client({ host, port, user, database, password: login.token, ssl: { ca } });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  /** The stand-in's own look at the target, past Usher and past its guard. */
  async onTarget<Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> {
    const admin = new pg.Client({ ...this.outside.targets[this.target].rds.admin(), database: 'postgres' });
    await admin.connect();
    try {
      return (await admin.query<Row>(sql)).rows;
    } finally {
      await admin.end();
    }
  }

  private async register(): Promise<void> {
    const dave = await this.outside.oidc.tokenFor('dave');
    const { registration } = this.outside.targets[this.target];
    const { id: targetId } = await this.call<{ id: string }>(dave, 'POST', '/v1/targets', registration.target);
    const route = `/v1/targets/${targetId}/profiles`;
    const { id: profileId } = await this.call<{ id: string }>(dave, 'POST', route, registration.profiles[0]);
    this.ids = { targetId, profileId };
  }

  private async call<T>(token: string, method: string, route: string, body?: unknown): Promise<T> {
    const response = await fetch(`${this.url}${route}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (!response.ok)
      throw new Error(`${method} ${route.replace(/[0-9a-f-]{36}/, '…')}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }
}

/** With fsync: what is intended is on disk before anything is done. */
async function startDatabase(closers: (() => Promise<unknown>)[]): Promise<string> {
  const superuserPassword = randomBytes(18).toString('base64url');
  const postgres = await startPostgres({
    binaries: binariesOf(),
    dataDir: join(tmpdir(), `usher-lifecycle-${process.pid}`),
    superuser: 'usher',
    superuserPassword,
    settings: { fsync: 'on', synchronous_commit: 'on', max_connections: '200' },
    ephemeral: true,
  });
  closers.push(() => postgres.stop());
  return `postgresql://usher:${superuserPassword}@${postgres.host}:${postgres.port}/postgres`;
}

/** So many at a time. */
export async function inParallel<T, R>(all: readonly T[], width: number, work: (one: T) => Promise<R>): Promise<R[]> {
  const found: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < all.length; i = next++) found[i] = await work(all[i] as T);
  };
  await Promise.all(Array.from({ length: width }, worker));
  return found;
}
