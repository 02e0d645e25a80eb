import { expect, test } from 'vitest';
import { advice, causeOf, type FailedLogin } from './login-failure.js';
import { LoginFailureCause } from './login-failures.contract.js';
import type { GrantPeriod, Mint, SeenAt } from './match.js';

const at = (minute: number): Date => new Date(Date.UTC(2026, 2, 10, 10, minute));
const failed = (more: Partial<FailedLogin> = {}): FailedLogin => ({
  ...{ login: 'ana', at: at(20), failure: 'authentication', isPersons: true },
  ...more,
});
const grant = (more: Partial<GrantPeriod> = {}): GrantPeriod => ({
  ...{ id: 'g', personId: 'ana', login: 'ana', method: 'iam', mode: 'session' },
  ...{ openedAt: at(0), endsAt: at(30), closedAt: null },
  ...more,
});
const mint = (minute: number, more: Partial<Mint> = {}): Mint => ({
  ...{ id: 'm', grantId: 'g', endpoint: 'writer', host: 'db.example', port: 5432 },
  ...{ at: at(minute), expiresAt: at(minute + 15) },
  ...more,
});
const writer: SeenAt = { kind: 'writer', tokenHost: 'db.example', port: 5432 };
const reader: SeenAt = { kind: 'reader', tokenHost: 'ro.example', port: 5432 };
const c = LoginFailureCause;

test.each<[LoginFailureCause, FailedLogin, GrantPeriod[], Mint[], SeenAt | undefined]>([
  [c.no_tls, failed({ failure: 'rejected' }), [grant()], [mint(10)], writer],
  [c.no_database, failed({ failure: 'database' }), [grant()], [mint(10)], writer],
  [c.too_many_connections, failed({ failure: 'limit' }), [grant()], [mint(10)], writer],
  [c.server_unavailable, failed({ failure: 'unavailable' }), [], [], writer],
  [c.too_slow, failed({ failure: 'timeout' }), [], [], writer],
  [c.unknown_login, failed({ isPersons: false }), [], [], writer],
  [c.unknown_login, failed({ isPersons: false, failure: 'role' }), [], [], writer],
  [c.no_grant, failed(), [], [], writer],
  [c.no_grant, failed(), [grant({ openedAt: null })], [], writer],
  [c.no_grant, failed({ at: at(-10) }), [grant()], [], writer],
  [c.grant_over, failed({ at: at(40) }), [grant()], [mint(35)], writer],
  [c.grant_over, failed({ failure: 'role', at: at(40) }), [grant()], [], writer],
  [c.wrong_password, failed(), [grant({ method: 'password' })], [], writer],
  [c.no_token, failed(), [grant()], [], writer],
  [c.no_token, failed(), [grant()], [mint(10, { grantId: 'other' })], writer],
  [c.token_expired, failed(), [grant()], [mint(2)], writer],
  [c.other_endpoint, failed(), [grant()], [mint(10)], reader],
  [c.token_refused, failed(), [grant()], [mint(10)], writer],
  [c.token_refused, failed(), [grant()], [mint(10)], undefined],
  [c.token_refused, failed(), [grant({ mode: 'attached' })], [], writer],
])('%s', (cause, attempt, grants, mints, seenAt) => {
  expect(causeOf(attempt, grants, mints, seenAt)).toBe(cause);
  expect(advice[cause]).toMatch(/\.$/);
});
