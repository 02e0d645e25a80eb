import type { TokenOverrides } from '../../local/oidc/server.ts';
import type { SignOptions } from '../../local/oidc/signing.ts';
import type { Registration } from '../../local/stand-in-targets.ts';
import type { Client, Usher } from './usher.ts';

/** Long enough for tests that move the clock by days. */
const LONG_SECONDS = 90 * 86_400;
let made = 0;

/** A name that no other test has: login roles stay on the shared targets. */
export const newName = (prefix = 'person'): string => `${prefix}${process.pid}n${++made}`;

/** Claims of a made-up person with a login role of their own. */
export function claimsOf(
  usher: Usher,
  name: string,
  groups: readonly string[],
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  const own = {
    sub: `sub-${name}`,
    preferred_username: name,
    email: `${name}@example.com`,
    groups,
    aws_principal: undefined,
  };
  return usher.standIn.oidc.claimsOf('alice', { expiresIn: LONG_SECONDS, claims: { ...own, ...more } });
}

/** Somebody who was made up for this test; `more` are further claims. */
export const someone = (
  usher: Usher,
  groups: readonly string[],
  more: Record<string, unknown> = {},
  name = newName(),
): Client => usher.withToken(usher.standIn.oidc.signWith(claimsOf(usher, name, groups, more)));

/** One of the four with a token that outlives moved clocks. */
export const known = async (usher: Usher, name: string, overrides: TokenOverrides = {}): Promise<Client> =>
  usher.withToken(await usher.standIn.oidc.tokenFor(name, { expiresIn: LONG_SECONDS, ...overrides }));

/** A token of alice's claims that was made another way than the provider makes it. */
export const forged = (usher: Usher, overrides: TokenOverrides, how: SignOptions = {}): string =>
  usher.standIn.oidc.signWith(usher.standIn.oidc.claimsOf('alice', overrides), how);

export interface Registered {
  targetId: string;
  /** By name. */
  profiles: Record<string, string>;
}

/** Registers a target of the stand-in with its profiles, as an administrator, with what the test wants otherwise. */
export async function register(
  usher: Usher,
  name: 'orders' | 'billing',
  target: Record<string, unknown> = {},
  profile: Partial<Registration['profiles'][number]> = {},
): Promise<Registered> {
  const admin = await known(usher, 'dave');
  const { registration } = usher.standIn.targets[name];
  const created = await admin.post<{ id: string }>('/v1/targets', { ...registration.target, ...target });
  if (created.status !== 201) throw new Error(`the target was refused: ${JSON.stringify(created.body)}`);
  const profiles: Record<string, string> = {};
  for (const one of registration.profiles) {
    const { status, body } = await admin.post<{ id: string }>(`/v1/targets/${created.body.id}/profiles`, {
      ...one,
      ...profile,
    });
    if (status !== 201) throw new Error(`the profile was refused: ${JSON.stringify(body)}`);
    profiles[one.name] = body.id;
  }
  return { targetId: created.body.id, profiles };
}

export interface Asked {
  id: string;
  state: string;
  personId: string;
  grantId: string | null;
  plan: { login: string };
}

/** The body of a request that a made-up engineer may make. */
export const askFor = (
  { targetId, profiles }: Registered,
  more: Record<string, unknown> = {},
): Record<string, unknown> => ({
  targetId,
  profileId: profiles['reporting-read'] ?? profiles['invoices-read'],
  durationMinutes: 30,
  reason: 'to look something up',
  ...more,
});

export async function ask(client: Client, target: Registered, more: Record<string, unknown> = {}): Promise<Asked> {
  const { status, body } = await client.post<Asked>('/v1/requests', askFor(target, more));
  if (status !== 201) throw new Error(`the request was refused: ${JSON.stringify(body)}`);
  return body;
}

/** Asks, lets bob agree, and reconciles: an active grant without any job. */
export async function open(
  usher: Usher,
  client: Client,
  target: Registered,
  more: Record<string, unknown> = {},
): Promise<Asked & { grantId: string }> {
  const asked = await ask(client, target, more);
  const bob = await known(usher, 'bob');
  const { status, body } = await bob.post<Asked>(`/v1/requests/${asked.id}/approve`, {});
  if (status !== 200 || body.grantId === null) throw new Error(`it was not opened: ${JSON.stringify(body)}`);
  await usher.reconciler.reconcile({ targetId: target.targetId, login: asked.plan.login });
  return { ...body, grantId: body.grantId };
}

const counted = [
  'target',
  'endpoint',
  'profile',
  'request',
  'vote',
  'access_grant',
  'login_name',
  'idempotent_answer',
] as const;

/** How many rows there are of everything that a call could change, read past the application. */
export async function rowCounts(usher: Usher): Promise<Record<string, number>> {
  const columns = counted.map((table) => `(SELECT count(*)::int FROM ${table}) AS ${table}`).join(', ');
  const { rows } = await usher.database.owner.query<Record<string, number>>(`SELECT ${columns}`);
  return rows[0] ?? {};
}

export interface AuditLine {
  id: string;
  at: Date;
  action: string;
  outcome: string;
  code: string | null;
  actor_kind: string;
  actor_name: string;
  correlation_id: string;
  details: Record<string, unknown>;
}

/** Lines of one call, or all, oldest first, read past the application. */
export async function auditLines(usher: Usher, correlationId?: string): Promise<AuditLine[]> {
  const { rows } = await usher.database.owner.query<AuditLine>(
    'SELECT * FROM audit_event WHERE $1::text IS NULL OR correlation_id = $1 ORDER BY id',
    [correlationId ?? null],
  );
  return rows;
}
