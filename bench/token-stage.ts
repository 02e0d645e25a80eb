/** All that minting needs around it: the stand-in, a durable PostgreSQL, the built service and a live grant of alice's. */
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startStandIn } from '../local/stand-in.ts';
import { binariesOf, startPostgres } from '../src/platform/embedded-postgres.ts';
import { startServer } from './processes.ts';

export interface Stage {
  /** Of the two routes that are compared; both are asked by POST. */
  urls: { service: string; floor: string };
  authorization: string;
  close(): Promise<void>;
}

export async function openStage(): Promise<Stage> {
  const closers: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const one of closers.splice(0).reverse()) await one();
  };
  try {
    return { ...(await open(closers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function open(closers: (() => Promise<unknown>)[]): Promise<Omit<Stage, 'close'>> {
  const outside = await startStandIn();
  closers.push(() => outside.close());
  const databaseUrl = await startDatabase(closers);
  // the limits are asked as ever, and let all pass
  const limit = { USHER_TOKENS_PER_SECOND: '1000000', USHER_CALLS_PER_MINUTE: '1000000' };
  const env = { ...outside.env, ...limit, DATABASE_URL: databaseUrl, USHER_PORT: '0', USHER_SAMPLE_SECONDS: '0' };
  const service = await startServer('dist/main.js', env);
  closers.push(() => service.stop());
  const call = caller(service.url);
  const tokens = { dave: await outside.oidc.tokenFor('dave'), alice: await outside.oidc.tokenFor('alice') };
  const { registration } = outside.targets.billing;
  const target = await call<{ id: string }>(tokens.dave, 'POST', '/v1/targets', registration.target);
  const profile = await call<{ id: string }>(
    tokens.dave,
    'POST',
    `/v1/targets/${target.id}/profiles`,
    registration.profiles[0],
  );
  const ask = { targetId: target.id, profileId: profile.id, durationMinutes: 120, reason: 'measure' };
  const { grantId } = await call<{ grantId: string }>(tokens.alice, 'POST', '/v1/requests', ask);
  const grant = await call<{ state: string; lastError: string | null }>(
    tokens.alice,
    'GET',
    `/v1/grants/${grantId}?wait=active`,
  );
  if (grant.state !== 'active') throw new Error(`the grant is ${grant.state}: ${grant.lastError ?? 'no reason given'}`);
  const minted = await call<{ token: string }>(tokens.alice, 'POST', `/v1/grants/${grantId}/tokens`, {});
  const sessionToken = new URLSearchParams(minted.token.split('?')[1]).get('X-Amz-Security-Token') ?? '';
  await createFloorTable(databaseUrl);
  const floor = await startServer('bench/token-floor.ts', {
    ...env,
    SESSION_TOKEN_LENGTH: String(sessionToken.length),
  });
  closers.push(() => floor.stop());
  const route = `/v1/grants/${grantId}/tokens`;
  return { urls: { service: service.url + route, floor: floor.url + route }, authorization: `Bearer ${tokens.alice}` };
}

/** With fsync: a token is on record before it leaves, and that is part of its cost. */
async function startDatabase(closers: (() => Promise<unknown>)[]): Promise<string> {
  const superuserPassword = randomBytes(18).toString('base64url');
  const postgres = await startPostgres({
    binaries: binariesOf(),
    dataDir: join(tmpdir(), `usher-bench-${process.pid}`),
    superuser: 'usher',
    superuserPassword,
    settings: { fsync: 'on', synchronous_commit: 'on', max_connections: '200' },
    ephemeral: true,
  });
  closers.push(() => postgres.stop());
  return `postgresql://usher:${superuserPassword}@${postgres.host}:${postgres.port}/postgres`;
}

/** The columns of an audit line with nothing but its key: not our indexes, which are our own cost. */
async function createFloorTable(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('CREATE TABLE floor_event (LIKE audit_event, PRIMARY KEY (id))'); // the order of the record is our own cost, too
  await client.query('ALTER TABLE floor_event DROP COLUMN ordinal');
  await client.end();
}

const caller =
  (url: string) =>
  async <T>(token: string, method: string, route: string, body?: unknown): Promise<T> => {
    const response = await fetch(`${url}${route}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (!response.ok)
      throw new Error(`${method} ${route.replace(/[0-9a-f-]{36}/, '…')}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  };
