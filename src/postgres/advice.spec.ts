import { describe, expect, test } from 'vitest';
import { DomainError } from '../platform/errors.js';
import { reasons } from './reasons.js';
import { targetSql } from './target-sql.js';
import { faultBehind, isTransient, TargetFault, toDomainError } from './advice.js';

const endsWell = expect.stringMatching(/\.$/) as string;
const failure = (code: string, more: object = {}): Error =>
  Object.assign(new Error('ALTER ROLE jane PASSWORD $$SCRAM-SHA-256$4096:secret$$'), {
    code,
    detail: 'secret detail',
    where: 'SQL statement "ALTER ROLE jane PASSWORD secret"',
    internalQuery: 'secret query',
    ...more,
  });

describe('each failure is one refusal, with advice and no secret', () => {
  test.each([
    ['42501', 'target_refused', false],
    ['2BP01', 'target_refused', false],
    ['42704', 'target_refused', false],
    ['55P03', 'target_refused', true],
    ['53200', 'target_refused', true],
    ['53300', 'target_refused', true],
    ['XX000', 'target_refused', true],
    ['40P01', 'target_refused', true],
    ['28000', 'target_refused', false],
    ['28P01', 'target_refused', false],
    ['57P01', 'target_unreachable', true],
    ['57P03', 'target_unreachable', true],
    ['08006', 'target_unreachable', true],
    ['3D000', 'target_not_ready', false],
    ['3F000', 'target_not_ready', false],
    ['42883', 'target_not_ready', false],
    ['25006', 'target_not_ready', true],
    ['ECONNREFUSED', 'target_unreachable', true],
    ['ECONNRESET', 'target_unreachable', true],
    ['ETIMEDOUT', 'target_unreachable', true],
    ['ENOTFOUND', 'target_unreachable', true],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'target_untrusted', false],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'target_untrusted', false],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'target_untrusted', false],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'target_untrusted', false],
    ['CERT_HAS_EXPIRED', 'target_untrusted', false],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'target_untrusted', false],
    ['42601', 'target_refused', false],
  ])('%s → %s', (code, expected, transient) => {
    const refusal = toDomainError(failure(code));
    expect(refusal).toMatchObject({ kind: 'unavailable', code: expected });
    expect(refusal.message).toContain(code);
    expect(refusal.advice).toMatch(/\.$/);
    expect(isTransient(refusal)).toBe(transient);
    expect(isTransient(failure(code))).toBe(transient);
    const everything = JSON.stringify([refusal, { ...refusal }, refusal.message, refusal.stack, refusal.cause]);
    expect(everything).not.toMatch(/secret|SCRAM|ALTER ROLE/);
    expect(Object.keys(refusal.cause as object)).not.toContain('detail');
  });

  test('a missing guard says how to install it', () => {
    expect(toDomainError(failure('3F000')).advice).toContain('npm run usher -- target-sql');
  });
});

test.each([
  ['paused', 'target_not_ready', 'unavailable'],
  ['profile', 'target_refused', 'unavailable'],
  ['ends_at', 'target_refused', 'unavailable'],
  ['login_name', 'invalid_login_name', 'invalid'],
  ['plan', 'plan_changed', 'conflict'],
  ['person', 'target_refused', 'unavailable'],
  ['no_such_lease', 'target_refused', 'unavailable'],
])('the guard refusing for %s is told as %s', (reason, code, kind) => {
  const refusal = toDomainError(failure('42501', { schema: 'usher', constraint: reason }));
  expect(refusal).toMatchObject({ kind, code });
  expect(faultBehind(refusal)).toMatchObject({ fault: '42501', reason });
  expect(refusal.message).not.toBe(toDomainError(failure('42501')).message);
});

test('every reason that the guard can name has its own advice, and none is kept for nothing', () => {
  const named = [...targetSql().matchAll(/_refuse\('([a-z_]+)'/g)].map(([, reason]) => reason);
  expect([...reasons.keys()].sort()).toEqual([...new Set(named)].sort());
  for (const { message, advice } of reasons.values()) expect([message, advice]).toEqual([endsWell, endsWell]);
});

test('the restriction of password commands, which RDS tells by its words alone', () => {
  const told = failure('42501', { message: 'must be a member of rds_password to alter passwords' });
  const refusal = toDomainError(told);
  expect(refusal).toMatchObject({ kind: 'unavailable', code: 'target_refused' });
  expect(refusal.advice).toContain('GRANT rds_password TO usher_owner');
  expect(isTransient(refusal)).toBe(false);
  expect(faultBehind(refusal)).toMatchObject({ fault: '42501', reason: 'rds_password' });
});

test('a reason is believed only in the guard’s own form', () => {
  const plain = toDomainError(failure('42501')).message;
  expect(toDomainError(failure('42501', { schema: 'app', constraint: 'paused' })).message).toBe(plain);
  expect(toDomainError(failure('42501', { schema: 'usher', constraint: 'SELECT secret' })).message).toBe(plain);
  expect(toDomainError(failure('42501', { schema: 'usher', constraint: 'constructor' }))).toMatchObject({
    code: 'target_refused',
  });
});

test.each([
  ['The server does not support SSL connections', 'target_untrusted', false],
  ['There was an error establishing an SSL connection', 'target_untrusted', false],
  ['timeout exceeded when trying to connect', 'target_unreachable', true],
  ['Connection terminated unexpectedly', 'target_unreachable', true],
  ['Query read timeout', 'target_unreachable', true],
  ['something else with a secret', 'target_refused', false],
])('without a code, by its words: %s', (message, code, transient) => {
  const refusal = toDomainError(new Error(message));
  expect(refusal.code).toBe(code);
  expect(refusal.message).not.toContain('secret');
  expect(isTransient(refusal)).toBe(transient);
});

test('both addresses of a name refused is one refusal', () => {
  expect(toDomainError(new AggregateError([failure('ECONNREFUSED'), failure('ECONNREFUSED')])).code).toBe(
    'target_unreachable',
  );
});

test('a refusal that is one already stays itself, and is not tried again', () => {
  const refusal = new DomainError('unavailable', 'aws_denied', 'no token');
  expect(toDomainError(refusal)).toBe(refusal);
  expect(isTransient(refusal)).toBe(false);
  expect(faultBehind(refusal)).toBeUndefined();
  expect(faultBehind(new TargetFault('42501'))).toBeUndefined();
});
