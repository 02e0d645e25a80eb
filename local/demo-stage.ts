/** What every step of the demo has at hand. */
import assert from 'node:assert/strict';
import type { AccessRequest, Client, Grant, LoginToken, PersonName, Profile, Target } from './demo-api.ts';
import type { Report } from './demo-report.ts';
import type { StandIn } from './stand-in.ts';

export type Registered = Target & { profiles: Profile[] };

export interface Stage {
  readonly report: Report;
  readonly standIn: StandIn;
  readonly api: string;
  /** For what a step writes. */
  readonly directory: string;
  readonly as: Readonly<Record<PersonName, Client>>;
  readonly nobody: Client;
}

/** An access that is open. */
export interface Opened {
  request: AccessRequest;
  grant: Grant;
}

export function profileOf(target: Registered, name: string): Profile {
  const found = target.profiles.find((profile) => profile.name === name);
  assert.ok(found, `${target.name} has a profile ${name}`);
  return found;
}

export const ask = (target: Registered, profile: string, durationMinutes: number, reason: string) => ({
  targetId: target.id,
  profileId: profileOf(target, profile).id,
  durationMinutes,
  reason,
});

/** Alice asks, somebody agrees where that is needed, and the access is open. */
export async function open({ as }: Stage, body: ReturnType<typeof ask> & { mode?: 'attached' }): Promise<Opened> {
  let request = await as.alice.post<AccessRequest>('/v1/requests', body);
  if (request.state === 'pending') request = await as.bob.post<AccessRequest>(`/v1/requests/${request.id}/approve`);
  return { request, grant: await activeGrant(as.alice, request) };
}

export async function activeGrant(person: Client, request: AccessRequest): Promise<Grant> {
  assert.equal(request.state, 'approved');
  const grant = await person.get<Grant>(`/v1/grants/${request.grantId}?wait=active`);
  assert.equal(grant.state, 'active', `the grant is ${grant.state}: ${grant.lastError}`);
  return grant;
}

/** Ends a grant and waits until it is closed. */
export async function end(person: Client, { id }: Grant): Promise<Grant> {
  await person.post(`/v1/grants/${id}/revoke`);
  const grant = await person.get<Grant>(`/v1/grants/${id}?wait=closed`);
  assert.equal(grant.state, 'closed', `the grant is ${grant.state}: ${grant.lastError}`);
  return grant;
}

export const mint = ({ as }: Stage, { id }: Grant, body: { endpoint?: string } = {}): Promise<LoginToken> =>
  as.alice.post<LoginToken>(`/v1/grants/${id}/tokens`, body);
