import type { InspectedLogin } from '../postgres/postgres.contract.js';
import { mendable, type Finding, type Given, type GrantToCompare } from './drift-finding.js';

/** Access that nobody agreed to, or that nobody here knows of any more. */
export function orphans(login: InspectedLogin, { live, moving }: Given): Finding[] {
  const known = new Set([...live, ...moving].map(({ id }) => id));
  const name = login.login;
  const leases = login.leases
    .filter(({ grantId }) => !known.has(grantId))
    .map(({ grantId, profile, endsAt }) =>
      mendable(
        { login: name, grantId },
        {
          kind: 'orphan_lease',
          subject: `${name} ${grantId}`,
          message: `${name} has a lease for profile ${profile} until ${endsAt.toISOString()} under ${grantId}, which is no live grant here.`,
          remedy: 'The lease is closed, and what only it gave is taken back, sessions included.',
        },
      ),
    );
  if (!login.exists || !login.canLogin || login.leases.length > 0 || known.size > 0) return leases;
  const without = mendable(
    { login: name },
    {
      kind: 'orphan_login',
      subject: name,
      message: `${name} may log in, although it has neither a lease nor a live grant.`,
      remedy: 'The role is made what its leases say: NOLOGIN, without password and groups. Its sessions are ended.',
    },
  );
  return [without];
}

/** Sessions that no grant explains; DROP ROLE ends none either. */
export const sessions = (login: InspectedLogin, { live, moving }: Given): Finding[] =>
  live.length + moving.length > 0
    ? []
    : login.backends.map(({ pid, database, clientAddress, backendStart }) =>
        mendable(
          { login: login.login },
          {
            kind: 'unknown_session',
            subject: `${login.login} ${pid} ${backendStart?.toISOString() ?? ''}`.trimEnd(),
            message: `${login.login} has a session (process ${pid}, database ${database ?? 'unknown'}, from ${clientAddress ?? 'an address that may not be seen'}) without a live grant.`,
            remedy: 'The session is ended.',
          },
        ),
      );

/** What a live grant should give and does not. */
export function lost(login: InspectedLogin, { live }: Given): Finding[] {
  const held = new Set(login.memberships.map(({ role }) => role));
  const found: Finding[] = [];
  for (const grant of live) {
    const lease = login.leases.find(({ grantId }) => grantId === grant.id);
    if (!lease) {
      found.push(missingLease(grant, 'its lease is gone from the target'));
      continue;
    }
    const moved = lease.endsAt.getTime() !== grant.endsAt.getTime();
    if (moved && grant.nextAttemptAt === null) found.push(leaseEnd(grant, lease.endsAt));
    if (!login.canLogin) found.push(lostLogin(grant));
    const roles = [...grant.groups, ...(grant.method === 'iam' ? ['rds_iam'] : [])];
    found.push(...roles.filter((role) => !held.has(role)).map((role) => lostMembership(grant, role)));
  }
  return found;
}

export function loginGone({ login }: InspectedLogin, { live }: Given): Finding[] {
  const [first] = live;
  if (!first) return [];
  const grants = live.length === 1 ? 'grant' : 'grants';
  const gone = mendable(
    { login, grantId: first.id },
    {
      kind: 'login_gone',
      subject: login,
      message: `${login} was dropped while it has ${live.length} live ${grants}.`,
      remedy: 'The login is made anew with the same leases. What it owned is not given back to it.',
    },
  );
  return [gone];
}

/** Of a login that the target has never heard of. */
export const unheardOf = (grant: GrantToCompare): Finding => missingLease(grant, 'the target does not know its login');

const missingLease = (grant: GrantToCompare, why: string): Finding =>
  mendable(of(grant), {
    kind: 'missing_lease',
    subject: `${grant.login} ${grant.id}`,
    message: `${grant.login} should have access until ${grant.endsAt.toISOString()}, but ${why}.`,
    remedy: 'The lease is opened again, unless it was closed there: a closed one is never opened again.',
  });

const leaseEnd = (grant: GrantToCompare, endsAt: Date): Finding =>
  mendable(of(grant), {
    kind: 'lease_end',
    subject: `${grant.login} ${grant.id}`,
    message: `The lease of ${grant.login} ends at ${endsAt.toISOString()} on the target, its grant at ${grant.endsAt.toISOString()}.`,
    remedy: 'The lease is given the end of the grant.',
  });

const lostLogin = (grant: GrantToCompare): Finding =>
  mendable(of(grant), {
    kind: 'lost_login',
    subject: grant.login,
    message: `${grant.login} has a live grant and may not log in.`,
    remedy: 'The right to log in is given again.',
  });

const lostMembership = (grant: GrantToCompare, role: string): Finding =>
  mendable(of(grant), {
    kind: 'lost_membership',
    subject: `${grant.login} ${role}`,
    message: `${grant.login} is no member of ${role}, which its grant gives.`,
    remedy: "The membership is given again, unless the target's allow-list says otherwise by now.",
  });

const of = ({ login, id }: GrantToCompare): { login: string; grantId: string } => ({ login, grantId: id });
