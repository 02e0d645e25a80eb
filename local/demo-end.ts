/** Second half of the demo: seen, cut off, counted, signed with one's own keys, and proved. */
import assert from 'node:assert/strict';
import { Signer } from '@aws-sdk/rds-signer';
import pg from 'pg';
import { problemOf } from './demo-api.ts';
import type { AuditEvent, Connection, Grant, LoginToken, Page } from './demo-api.ts';
import { bundleAt, logIn, until, whyRefused } from './demo-login.ts';
import { ask, end, mint, open } from './demo-stage.ts';
import type { Opened, Registered, Stage } from './demo-stage.ts';

export async function seen({ report, as }: Stage, { request, grant }: Opened, token: LoginToken): Promise<void> {
  const session = await logIn(token);
  const path = `/v1/connections?open=true&grant=${grant.id}`;
  const connection = await until('the session is seen', async () => {
    const { items } = await as.carol.get<Page<Connection>>(path);
    return items.find(({ applicationName }) => applicationName === 'demo');
  });
  await session.end();
  assert.equal(connection.personId, request.personId);
  const { login, database, tlsVersion, applicationName, startedAt } = connection;
  report.table([{ login, database, tlsVersion, applicationName, startedAt, grant: connection.grantId }]);
}

/** Alice, busy in a statement that would take ten minutes; `cut` settles when her session is gone. */
async function busySession(token: LoginToken): Promise<{ cut: Promise<string> }> {
  const session = await logIn(token);
  const { rows } = await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const cut = session.query('SELECT pg_sleep(600)').then(
    () => assert.fail('nobody cut the session'),
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  const watcher = await logIn(token);
  await until('she is inside pg_sleep', async () => {
    const sql = `SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'`;
    return (await watcher.query(sql, [rows[0]?.pid])).rows[0] as unknown;
  });
  await watcher.end();
  return { cut };
}

export async function revoked({ report, as }: Stage, { grant }: Opened, token: LoginToken): Promise<void> {
  const { cut } = await busySession(token);
  report.fact('alice', 'is inside SELECT pg_sleep(600)');
  const since = performance.now();
  await as.bob.post(`/v1/grants/${grant.id}/revoke`);
  const message = await cut;
  report.fact('cut off', `${Math.round(performance.now() - since)} ms after bob's call: ${message}`);
  assert.ok(Date.parse(token.expiresAt) > Date.now(), 'the token itself has not expired');
  report.refused('a new login with the same token', await whyRefused(logIn(token)));
  const closed = await as.alice.get<Grant>(`/v1/grants/${grant.id}?wait=closed`);
  assert.equal(closed.state, 'closed', `the grant is ${closed.state}: ${closed.lastError}`);
  report.fact('grant', `${closed.state} ${Math.round(performance.now() - since)} ms after the call`);
  const again = await problemOf(as.alice.post(`/v1/grants/${grant.id}/tokens`));
  report.refused('another token', `${again.status} ${again.code}`);
  assert.equal(again.status, again.code === 'policy_denied' ? 403 : 409);
}

/** What is left of a login role, asked by the master. */
async function remains({ standIn }: Stage, login: string): Promise<Record<string, unknown>> {
  const { endpoints, master, rds } = standIn.targets.orders;
  const client = new pg.Client({
    host: 'localhost',
    port: endpoints[0]?.port ?? 0,
    database: 'postgres',
    ...master,
    ssl: { ca: rds.caPem },
  });
  await client.connect();
  const { rows } = await client
    .query<Record<string, unknown>>(
      `SELECT rolcanlogin AS "may log in", (SELECT count(*)::int FROM pg_stat_activity a WHERE a.usename = rolname) AS sessions,
              array(SELECT m.roleid::regrole::text FROM pg_auth_members m WHERE m.member = r.oid ORDER BY 1) AS "member of"
         FROM pg_roles r WHERE rolname = $1`,
      [login],
    )
    .finally(() => client.end());
  assert.ok(rows[0], `${login} is known`);
  return rows[0];
}

export async function overlapping(stage: Stage, orders: Registered): Promise<void> {
  const { report, as } = stage;
  const first = await open(stage, ask(orders, 'reporting-read', 30, 'First of two overlapping grants'));
  const second = await open(stage, ask(orders, 'reporting-read', 60, 'Second of two overlapping grants'));
  const session = await logIn(await mint(stage, second.grant));
  const gone = new Promise<void>((resolve) => session.once('end', () => resolve()));
  await end(as.alice, first.grant);
  const { rows } = await session.query<{ n: number }>('SELECT count(*)::int AS n FROM shop.orders');
  assert.equal(rows[0]?.n, 600);
  const { login } = second.grant;
  report.fact('first ended', `the session goes on: ${rows[0].n} orders`);
  report.table([await remains(stage, login)]);
  await end(as.alice, second.grant);
  await gone;
  const left = await remains(stage, login);
  assert.deepEqual(left, { 'may log in': false, sessions: 0, 'member of': ['usher_managed'] });
  report.fact('second ended', 'the session is cut, and nothing is left but the marker of the role');
  report.table([left]);
}

export async function attached(stage: Stage, billing: Registered): Promise<void> {
  const { report, standIn, as } = stage;
  const { awsKeys, principalArn } = standIn.people.alice;
  const policies = (): string[] => [...standIn.aws.iam.user('alice').inline.values()].map(({ text }) => text);
  assert.deepEqual(policies(), []);
  const { request, grant } = await open(stage, {
    ...ask(billing, 'invoices-read', 30, 'Check invoice 2026-0042'),
    mode: 'attached',
  });
  assert.equal(grant.principalArn, principalArn);
  report.fact('request', `${request.state} at once: the profile asks for no approval`);
  report.fact('policy on', `${principalArn}: ${policies().join()}`);
  const refusal = await problemOf(as.alice.post(`/v1/grants/${grant.id}/tokens`));
  report.refused('a token from Usher', `${refusal.status} ${refusal.code}: ${refusal.advice ?? ''}`);

  const endpoint = billing.endpoints[0];
  assert.ok(endpoint, 'billing has an endpoint');
  const where = { hostname: endpoint.connectHost, port: endpoint.port, region: standIn.aws.region };
  const token = await new Signer({ ...where, username: grant.login, credentials: awsKeys }).getAuthToken();
  const login = async (): Promise<pg.Client> => {
    const client = new pg.Client({
      ...{ host: where.hostname, port: where.port, user: grant.login, password: token, database: 'billing' },
      ssl: { ca: await bundleAt(standIn.caUrl) },
    });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };
  const session = await login();
  const { rows } = await session.query<Record<string, unknown>>(
    `SELECT current_user AS "user", number, due::text, amount_cents, paid FROM invoices WHERE number = '2026-0042'`,
  );
  assert.equal(rows.length, 1);
  report.fact('her own token', `signed with ${awsKeys.accessKeyId}, ${token.length} characters`);
  report.table(rows);
  await session.end();
  await end(as.dave, grant);
  assert.deepEqual(policies(), []);
  report.refused('the same token after dave ended it', await whyRefused(login()));
  report.fact('policies left', policies().length);
}

/** In this order; other lines may stand between them. */
const story = [
  'request.create',
  'access.refused',
  'request.approve',
  'grant.create',
  'grant.active',
  'token.mint',
  'grant.revoke',
  'grant.closing',
  'grant.closed',
];

export async function proved({ report, as }: Stage, { request, grant }: Opened): Promise<void> {
  const events: AuditEvent[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const path = `/v1/audit/events?person=${request.personId}&limit=200${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
    const page: Page<AuditEvent> = await as.carol.get<Page<AuditEvent>>(path);
    events.push(...page.items);
    cursor = page.nextCursor;
  }
  const lines = events.reverse().filter((event) => event.requestId === request.id || event.grantId === grant.id);
  report.table(
    lines.map(({ at, actorName, action, outcome, code }) => ({ at, actorName, action, outcome, code: code ?? '' })),
  );
  let from = 0;
  for (const action of story) {
    const found = lines.findIndex((line, i) => i >= from && line.action === action);
    assert.ok(found >= 0, `${action} is on record, after ${story[story.indexOf(action) - 1] ?? 'nothing'}`);
    from = found + 1;
  }
  assert.ok(!JSON.stringify(events).includes('X-Amz-'), 'no token is on record');
  const refusal = await problemOf(as.carol.post(`/v1/grants/${grant.id}/revoke`));
  assert.equal(refusal.status, 403);
  report.refused('carol, who may see everything, ends a grant', `403 ${refusal.code}`);
}
