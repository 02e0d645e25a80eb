/**
 * What a token cannot cost less than: a bare route that verifies the same access token, asks Cedar once, writes one row of
 * the size of an audit line and signs. No framework beside Fastify, no rows read, no recipe, no trust advice.
 */
import { randomUUID } from 'node:crypto';
import { Signer } from '@aws-sdk/rds-signer';
import fastify from 'fastify';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import pg from 'pg';
import type * as engine from '../src/policy/engine.ts';
import { path } from './processes.ts';

const { PolicyEngine } = (await import(path('dist/policy/engine.js'))) as typeof engine;

const setting = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
};
const [issuer, audience] = [setting('OIDC_ISSUER'), setting('OIDC_AUDIENCE')];
const { jwks_uri: jwksUri } = (await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()) as {
  jwks_uri: string;
};
const keys = createRemoteJWKSet(new URL(jwksUri));
const policy = PolicyEngine.load();
const pool = new pg.Pool({ connectionString: setting('DATABASE_URL'), max: 20 });

const target = { id: randomUUID(), environment: 'dev', ownerGroup: 'billing-owners', enabled: true } as const;
const profile = {
  id: randomUUID(),
  target,
  readOnly: true,
  sensitivity: 'internal',
  approvalsNeeded: 0,
  maxMinutes: 240,
  managesPasswords: false,
} as const;
const personId = randomUUID();
const host = 'billing.abcdefghijkl.eu-west-1.rds.amazonaws.com';
/** As long as those of AssumeRole. */
const credentials = {
  accessKeyId: 'ASIAEXAMPLEEXAMPLE00',
  secretAccessKey: 'x'.repeat(40),
  sessionToken: 't'.repeat(Number(setting('SESSION_TOKEN_LENGTH'))),
};

const INSERT = {
  name: 'insert',
  text: `INSERT INTO floor_event (id, at, actor_kind, actor_id, actor_name, subject_id, action, outcome, target_id, request_id, grant_id, code, details, address, correlation_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
};

const app = fastify({ logger: false });
app.post<{ Params: { id: string } }>('/v1/grants/:id/tokens', async (request) => {
  const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
  const { payload } = await jwtVerify(token, keys, { issuer, audience, algorithms: ['RS256', 'ES256', 'EdDSA'] });
  const now = new Date();
  const { id } = request.params;
  const expiresAt = new Date(now.getTime() + 900_000);
  const resource = { id, holderId: personId, profile, live: true, expiresAt };
  const actor = { id: personId, groups: payload['groups'] as string[], locked: false };
  if (!policy.decide({ actor, action: 'mintToken', resource, context: { now } }).allowed) throw new Error('denied');
  const details = {
    endpoint: 'instance',
    host,
    port: 5432,
    login: 'alice',
    issuedAt: now,
    expiresAt,
    principalArn: 'arn:aws:sts::123456789012:assumed-role/usher-connect/alice',
  };
  const ids = [target.id, randomUUID(), id];
  const line = [
    randomUUID(),
    now,
    'person',
    personId,
    'alice@example.com',
    personId,
    'token.mint',
    'success',
    ...ids,
    null,
    JSON.stringify(details),
    request.ip,
    randomUUID(),
  ];
  const signer = new Signer({ hostname: host, port: 5432, region: 'eu-west-1', username: 'alice', credentials });
  const login = await signer.getAuthToken();
  await pool.query({ ...INSERT, values: line });
  return { token: login, expiresAt };
});
console.log(await app.listen({ port: 0, host: '127.0.0.1' }));
process.once('SIGTERM', () => void Promise.all([app.close(), pool.end()]).then(() => process.exit()));
