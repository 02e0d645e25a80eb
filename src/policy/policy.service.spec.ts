import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { systemActor, type PersonActor, type PersonId, type ServiceActor, type ServiceId } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { defaultPolicyFile, PolicyEngine } from './engine.js';
import { actions, PolicyService, type GrantFacts, type ProfileFacts, type RequestFacts } from './policy.service.js';

class FixedClock extends Clock {
  at = new Date('2026-03-10T10:00:00Z');
  now(): Date {
    return this.at;
  }
}
const clock = new FixedClock();
const policy = new PolicyService(PolicyEngine.load(), clock);

const person = (id: string, groups: string[] = [], locked = false): PersonActor => ({
  kind: 'person',
  id: id as PersonId,
  name: id,
  issuer: 'https://idp.example',
  subject: id,
  groups,
  locked,
  authenticatedAt: undefined,
  address: undefined,
  correlationId: 'c',
});
const target = { id: 't', environment: 'staging', ownerGroup: 'owners', enabled: true } as const;
const profile: ProfileFacts = {
  id: 'p',
  target,
  readOnly: true,
  sensitivity: 'internal',
  approvalsNeeded: 1,
  maxMinutes: 60,
  managesPasswords: false,
};
const request: RequestFacts = {
  id: 'r',
  requesterId: 'bob',
  profile,
  approverIds: [],
  stageGroups: [],
  stagePeople: [],
};
const grant: GrantFacts = {
  id: 'g',
  holderId: 'ana',
  profile,
  live: true,
  expiresAt: new Date('2026-03-10T11:00:00Z'),
};
const access = { durationMinutes: 30, method: 'iam', mode: 'session', hasTicket: false } as const;

function refusalOf(ask: () => unknown): DomainError {
  try {
    ask();
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
  throw new Error('it was allowed');
}

describe('a floor below every policy', () => {
  const lax = new PolicyService(new PolicyEngine('@id("all") permit (principal, action, resource);', 'lax'), clock);
  const service: ServiceActor = {
    ...{
      kind: 'service',
      id: 's' as ServiceId,
      name: 'portal',
      keyId: 'k',
      scopes: actions,
      groups: [],
      locked: false,
    },
    ...{ actsForAnybody: true, actsFor: [], address: undefined, correlationId: 'c' },
  };
  const through = (proof: 'named' | 'token'): PersonActor => ({ ...person('ana'), via: { service, proof } });

  test('a name opens nothing, whatever is permitted', () => {
    for (const action of ['mintToken', 'issuePassword', 'revoke'] as const) {
      expect(lax.decide(through('named'), action, grant).allowed).toBe(false);
      expect(lax.foresee(through('named'), action, grant).allowed).toBe(false);
      expect(lax.decide(through('token'), action, grant).allowed).toBe(true);
    }
    expect(lax.decide(through('named'), 'administerTargets').allowed).toBe(false);
    expect(lax.decide(through('named'), 'request', profile, access).allowed).toBe(true);
  });
});

describe('authorize', () => {
  test('answers the decision when allowed', () => {
    const decision = policy.authorize(person('ana', ['engineers']), 'request', profile, access);
    expect(decision).toMatchObject({ allowed: true, policies: ['engineers-read'], approvals: 0 });
    expect(policy.authorize(person('ana'), 'viewTargets').allowed).toBe(true);
  });

  test('what nothing permits has advice too', () => {
    const refusal = refusalOf(() => policy.authorize(person('eve'), 'request', profile, access));
    expect(refusal).toMatchObject({ kind: 'forbidden', code: 'policy_denied' });
    expect(refusal.message).toBe('Policy does not allow you to request this access.');
    expect(refusal.advice).toContain('ask the owner');
  });

  test('a forbid gives its own advice and its name', () => {
    const late = { ...access, durationMinutes: 61 };
    const refusal = refusalOf(() => policy.authorize(person('ana', ['engineers']), 'request', profile, late));
    expect(refusal.code).toBe('policy_denied');
    expect(refusal.message).toContain('(duration-within-profile)');
    expect(refusal.advice).toContain('at most what the profile allows');
  });

  test("one's own request and somebody else's grant have their own codes", () => {
    const own = refusalOf(() => policy.authorize(person('bob', ['owners']), 'approve', request));
    expect(own).toMatchObject({ kind: 'forbidden', code: 'own_request' });
    for (const action of ['mintToken', 'issuePassword'] as const) {
      const other = refusalOf(() => policy.authorize(person('eve', ['owners']), action, grant));
      expect(other).toMatchObject({ kind: 'forbidden', code: 'not_your_grant' });
      const stranger = refusalOf(() => policy.authorize(person('zoe', ['others']), action, grant));
      expect(stranger).toMatchObject({ kind: 'not_found', code: 'grant_not_found' });
      expect(stranger.onRecord).toMatchObject({ kind: 'forbidden', code: 'not_your_grant' });
    }
    const dead = refusalOf(() => policy.authorize(person('ana'), 'mintToken', { ...grant, live: false }));
    expect(dead.code).toBe('policy_denied');
  });

  test('time is the clock’s', () => {
    expect(policy.decide(person('ana'), 'mintToken', grant).allowed).toBe(true);
    const later = new FixedClock();
    later.at = grant.expiresAt;
    const then = new PolicyService(PolicyEngine.load(), later);
    expect(then.decide(person('ana'), 'mintToken', grant)).toMatchObject({
      allowed: false,
      policies: ['use-needs-live-grant'],
    });
  });

  test('a job may not ask', () => {
    const job = systemActor('reconcile', 'c');
    expect(() => policy.authorize(job, 'revoke', grant)).toThrow(/job reconcile asked/);
    expect(() => policy.visible(job, 'viewGrants')).toThrow(/job reconcile asked/);
  });

  test('a fault is kept as the cause, for the log, and not told', () => {
    const broken = { ...profile, maxMinutes: 1.5 };
    const refusal = refusalOf(() => policy.authorize(person('ana', ['engineers']), 'request', broken, access));
    expect(refusal.cause).toBeInstanceOf(Error);
    expect(`${refusal.message} ${refusal.advice}`).not.toContain('1.5');
  });
});

describe('another sign-in', () => {
  const fresh = (who: PersonActor): PersonActor => ({ ...who, authenticatedAt: clock.at });
  const asking = new PolicyService(
    new PolicyEngine(
      `${readFileSync(defaultPolicyFile, 'utf8')}
      @id("see-fresh") @advice("Sign in again.") @max_age("60") forbid (principal, action, resource)
      unless { context has authAgeSeconds && context.authAgeSeconds <= 60 };`,
      'company.cedar',
    ),
    clock,
  );

  test('is asked for where it is all that is missing', () => {
    const refusal = refusalOf(() => asking.authorize(person('ana'), 'mintToken', grant));
    expect(refusal).toMatchObject({ kind: 'unauthenticated', code: 'step_up_required', advice: 'Sign in again.' });
    expect(refusal.stepUp).toEqual({ maxAgeSeconds: 60 });
    expect(refusal.message).toContain('(see-fresh)');
    expect(asking.authorize(fresh(person('ana')), 'mintToken', grant).allowed).toBe(true);
  });

  test('is asked for before a list, of whoever may see anything of it', () => {
    expect(refusalOf(() => asking.visible(person('ana'), 'viewGrants')).code).toBe('step_up_required');
    expect(asking.visible(fresh(person('ana')), 'viewGrants')).toEqual(['own', 'owned']);
    expect(refusalOf(() => asking.visible(person('ana', [], true), 'viewGrants')).code).toBe('policy_denied');
  });

  test('tells nobody that there is something which is not theirs', () => {
    const stranger = refusalOf(() => asking.authorize(fresh(person('zoe')), 'mintToken', grant));
    expect(stranger).toMatchObject({ kind: 'not_found', code: 'grant_not_found' });
    const stale = refusalOf(() => asking.authorize(person('zoe'), 'mintToken', grant));
    expect(stale).toMatchObject({ kind: 'not_found', code: 'grant_not_found' });
  });
});

test('visible: everybody his own and owned, auditors all, a locked person nothing', () => {
  expect(policy.visible(person('ana'), 'viewAudit')).toEqual(['own', 'owned']);
  expect(policy.visible(person('carol', ['auditors']), 'viewAudit')).toEqual(['own', 'owned', 'all']);
  const refusal = refusalOf(() => policy.visible(person('carol', ['auditors'], true), 'viewAudit'));
  expect(refusal.advice).toContain('locked');
});

test('the clock is the one on the wall, in every kind of question', () => {
  const early = new FixedClock();
  early.at = new Date('2026-03-10T23:30:00Z'); // Wednesday in Berlin
  const wednesdays = new PolicyEngine(
    '@id("wed") permit (principal, action, resource) when { context.local.weekday == 3 && context.local.minute == 30 };',
    'wednesdays',
  );
  const [berlin, utc] = ['Europe/Berlin', undefined].map((zone) => new PolicyService(wednesdays, early, zone));
  const ask = (asked = utc) => [
    asked?.decide(person('ana'), 'mintToken', grant).allowed,
    asked?.foresee(person('ana'), 'request', profile, access).allowed,
    asked?.decide(person('ana'), 'viewTargets').allowed,
  ];
  expect(ask(berlin)).toEqual([true, true, true]);
  expect(berlin?.visible(person('ana'), 'viewGrants')).toEqual(['own', 'owned', 'all']);
  expect(ask()).toEqual([false, false, false]);
  expect(refusalOf(() => utc?.visible(person('ana'), 'viewGrants')).code).toBe('policy_denied');
});

test('wasAsked knows the very actor and action, refused or not', () => {
  const ana = person('ana');
  expect(policy.wasAsked(ana, 'viewGrants')).toBe(false);
  policy.visible(ana, 'viewGrants');
  policy.decide(ana, 'administerTargets');
  expect([policy.wasAsked(ana, 'viewGrants'), policy.wasAsked(ana, 'administerTargets')]).toEqual([true, true]);
  expect([policy.wasAsked(ana, 'viewAudit'), policy.wasAsked(person('ana'), 'viewGrants')]).toEqual([false, false]);
});
