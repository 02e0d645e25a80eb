/** First half of the demo: registered, asked for, approved, logged in. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { decodeJwt } from 'jose';
import { problemOf } from './demo-api.ts';
import type { AccessRequest, LoginToken, PersonName, Preview, Profile, Target } from './demo-api.ts';
import { logIn, psqlVersion, runPsql, until, whyRefused } from './demo-login.ts';
import { activeGrant, ask, mint } from './demo-stage.ts';
import type { Opened, Registered, Stage } from './demo-stage.ts';
import { createRdsAuthority } from './rds/authority.ts';
import type { Registration } from './stand-in-targets.ts';

export async function signedIn({ report, nobody }: Stage, tokens: Readonly<Record<PersonName, string>>): Promise<void> {
  report.table(
    Object.entries(tokens).map(([person, token]) => {
      const { sub, aud, groups } = decodeJwt<{ groups: string[] }>(token);
      return { person, sub, audience: aud, groups: groups.join(', ') };
    }),
  );
  const anonymous = await problemOf(nobody.get('/v1/targets'));
  assert.equal(anonymous.status, 401);
  report.refused('nobody looks at the targets', `401 ${anonymous.code}`);
}

export async function registered({ report, standIn, as }: Stage): Promise<{ orders: Registered; billing: Registered }> {
  const { orders, billing } = standIn.targets;
  const refusal = await problemOf(as.alice.post('/v1/targets', orders.registration.target));
  assert.equal(refusal.status, 403);
  report.refused('alice registers a database', `403 ${refusal.code}`);
  const register = async ({ target, profiles }: Registration): Promise<Registered> => {
    const made = await as.dave.post<Target>('/v1/targets', target);
    const offered: Profile[] = [];
    for (const one of profiles) offered.push(await as.dave.post<Profile>(`/v1/targets/${made.id}/profiles`, one));
    const where = target.endpoints.map(({ kind, connectHost, port }) => `${kind} ${connectHost}:${port}`).join(', ');
    report.fact(target.name, `${target.kind}, PostgreSQL ${target.engineVersion}, ${where}`);
    report.fact('', `profiles ${profiles.map(({ name, groups }) => `${name} (${groups.join(', ')})`).join(', ')}`);
    return { ...made, profiles: offered };
  };
  return { orders: await register(orders.registration), billing: await register(billing.registration) };
}

const reason = 'Report on returned orders for the quarterly review';

export async function previewed({ report, as }: Stage, orders: Registered): Promise<void> {
  const { decision, plan } = await as.alice.post<Preview>(
    '/v1/requests/preview',
    ask(orders, 'reporting-read', 30, reason),
  );
  assert.ok(decision.allowed && plan, 'policy lets alice ask');
  assert.equal(decision.approvalsNeeded, 1);
  report.fact('policy', `allowed by ${decision.policies.join(', ')}; approvals needed: ${decision.approvalsNeeded}`);
  for (const { call, sql, parameters, effects } of plan.statements) {
    report.fact(call, sql);
    report.fact('', parameters.map(({ name, value }) => `${name} = ${value}`).join(', '));
    for (const effect of effects) report.fact('', `-- ${effect}`);
  }
  report.fact('IAM policy', JSON.stringify(plan.policy));
  report.fact('', `for ${plan.policyAppliesTo}`);
}

export async function requested({ report, as }: Stage, orders: Registered): Promise<AccessRequest> {
  const key = randomUUID();
  const body = ask(orders, 'reporting-read', 30, reason);
  const request = await as.alice.post<AccessRequest>('/v1/requests', body, key);
  assert.equal(request.state, 'pending');
  assert.equal(request.reason, reason);
  report.fact('request', `${request.id} is ${request.state}: "${request.reason}"`);
  const again = await as.alice.post<AccessRequest>('/v1/requests', body, key);
  assert.equal(again.id, request.id);
  report.fact('sent twice', 'the same Idempotency-Key gives the same request');
  const own = await problemOf(as.alice.post(`/v1/requests/${request.id}/approve`));
  assert.deepEqual([own.status, own.code], [403, 'own_request']);
  report.refused('alice approves her own request', `403 ${own.code}: ${own.advice ?? own.message}`);
  return request;
}

export async function approved({ report, as }: Stage, { id }: AccessRequest): Promise<Opened> {
  const since = performance.now();
  const request = await as.bob.post<AccessRequest>(`/v1/requests/${id}/approve`, { comment: 'Fine, read only' });
  const grant = await activeGrant(as.alice, request);
  const took = Math.round(performance.now() - since);
  report.fact('grant', `${grant.id} is ${grant.state} ${took} ms after the yes, until ${grant.endsAt}`);
  report.fact('login role', grant.login);
  return { request, grant };
}

export async function minted(stage: Stage, { grant }: Opened): Promise<LoginToken> {
  const token = await mint(stage, grant);
  const { report } = stage;
  const seconds = Math.round((Date.parse(token.expiresAt) - Date.now()) / 1000);
  assert.ok(token.token.length === token.tokenLength && seconds <= 900 && seconds > 800, 'a token for 15 minutes');
  report.fact('token', `${token.token.slice(0, 40)}… (${token.tokenLength} characters)`);
  report.fact('expires at', `${token.expiresAt} (in ${seconds} s)`);
  report.fact('TLS', `${token.tls.mode}, certificate for ${token.tls.servername}, ${token.tls.caBundleUrl}`);
  report.fact('recipes', token.recipes.map(({ client }) => client).join(', '));
  return token;
}

const who = `SELECT current_user AS "user", s.version AS tls, s.cipher, current_setting('server_version') AS postgresql,
                    pg_is_in_recovery() AS reader
               FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid()`;
const sales = `SELECT c.name AS customer, c.country, count(*)::int AS returned, sum(o.total_cents)::int AS cents
                 FROM shop.orders o JOIN shop.customers c ON c.id = o.customer_id WHERE o.status = 'returned'
                GROUP BY c.id ORDER BY cents DESC LIMIT 3`;

export async function connected(stage: Stage, { grant }: Opened, token: LoginToken): Promise<void> {
  const { report } = stage;
  const writer = await logIn(token);
  const identity = (await writer.query<Record<string, unknown>>(who)).rows;
  assert.equal(identity[0]?.['user'], grant.login);
  assert.equal(identity[0]['tls'], 'TLSv1.3');
  report.table(identity);
  const { rows } = await writer.query<Record<string, unknown>>(sales);
  assert.equal(rows.length, 3);
  report.table(rows);
  const write = await writer.query('DELETE FROM shop.orders').catch((error: unknown) => error);
  await writer.end();
  assert.ok(write instanceof Error && 'code' in write, 'a write is refused');
  assert.equal(write.code, '42501');
  report.refused('DELETE FROM shop.orders', `42501 ${write.message}`);

  const forReader = await mint(stage, grant, { endpoint: 'reader' });
  // the standby hears of the new role a moment after the writer
  const reader = await until('the login at the reader', () => logIn(forReader).catch(() => undefined));
  const there = (await reader.query<Record<string, unknown>>(who)).rows;
  await reader.end();
  assert.equal(there[0]?.['reader'], true);
  report.fact('reader', `${forReader.host}:${forReader.port}`);
  report.table(there);
}

export async function keptOut({ report }: Stage, token: LoginToken): Promise<void> {
  const last = token.token.at(-1) === '0' ? '1' : '0';
  const stranger = createRdsAuthority('eu-west-1').caPem;
  const attempts = {
    'the token, one character altered': logIn(token, { password: token.token.slice(0, -1) + last }),
    "the token, with the broker's name": logIn(token, { user: 'usher_broker' }),
    'a password instead of a token': logIn(token, { password: 'correct horse battery staple' }),
    'no TLS': logIn(token, { ssl: false }),
    'an authority of the same name': logIn(token, { ssl: { ca: stranger, servername: token.tls.servername } }),
    'another host name': logIn(token, {
      host: '127.0.0.1',
      ssl: { ca: await (await fetch(token.tls.caBundleUrl)).text(), servername: 'orders.example.com' },
    }),
  };
  for (const attempt of Object.values(attempts)) attempt.catch(() => undefined);
  for (const [what, attempt] of Object.entries(attempts)) report.refused(what, await whyRefused(attempt));
}

export async function ranPsql({ report, directory }: Stage, { grant }: Opened, token: LoginToken): Promise<void> {
  const version = psqlVersion();
  if (version === undefined) {
    report.fact('psql', 'is not on this machine (with curl): left out');
    return;
  }
  const recipe = token.recipes.find(({ client }) => client === 'psql')?.text ?? '';
  const query = 'select current_user, ssl, version from pg_stat_ssl where pid = pg_backend_pid()';
  const output = await runPsql(recipe, `-At -c "${query}"`, directory);
  assert.equal(output, `${grant.login}|t|TLSv1.3`);
  report.fact(version, output);
}
