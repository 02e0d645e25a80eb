import { BadRequestException, NotFoundException } from '@nestjs/common';
import { describe, expect, test } from 'vitest';
import { runCall } from '../call.js';
import { DomainError, errorCodes, type ErrorCode, type ErrorKind, type StepUp } from '../errors.js';
import { challenge, toDomainError, toProblem } from './problem.js';

/** A kind without a status does not compile. */
function statusOf(kind: ErrorKind): number {
  switch (kind) {
    case 'invalid':
      return 422;
    case 'unauthenticated':
      return 401;
    case 'forbidden':
      return 403;
    case 'not_found':
      return 404;
    case 'conflict':
      return 409;
    case 'quota':
      return 429;
    case 'unavailable':
      return 503;
  }
}
const kinds = [
  'invalid',
  'unauthenticated',
  'forbidden',
  'not_found',
  'conflict',
  'quota',
  'unavailable',
] as const satisfies readonly ErrorKind[];
const everyKind: Record<ErrorKind, true> = {
  invalid: true,
  unauthenticated: true,
  forbidden: true,
  not_found: true,
  conflict: true,
  quota: true,
  unavailable: true,
};

/** Refusals of the message itself. */
const special: Partial<Record<ErrorCode, number>> = {
  invalid_input: 400,
  invalid_id: 400,
  invalid_cursor: 400,
  payload_too_large: 413,
  internal: 500,
};

describe('every code', () => {
  test('all kinds are in the table', () => expect([...kinds].sort()).toEqual(Object.keys(everyKind).sort()));
  test('is there once, in one form', () => {
    expect(new Set(errorCodes).size).toBe(errorCodes.length);
    for (const code of errorCodes) expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
  });
  test.each(errorCodes)('%s has a status for each kind, and keeps it', (code) => {
    for (const kind of kinds) {
      const problem = toProblem(new DomainError(kind, code, 'detail'));
      expect(problem).toMatchObject({
        type: `urn:usher:problem:${code}`,
        code,
        status: special[code] ?? statusOf(kind),
        detail: 'detail',
      });
      expect(problem.title).not.toBe('');
    }
  });
});

describe('a problem', () => {
  test('holds advice, fields and the correlation id, and nothing of the cause', () => {
    const error = new DomainError('invalid', 'invalid_input', 'detail', 'do this', {
      cause: new Error('hidden'),
      fields: [{ field: 'a.b', message: 'wrong' }],
      retryAfterSeconds: 3,
    });
    const call = { correlationId: 'call-1234', address: undefined, subject: {} };
    const problem = runCall(call, () => toProblem(error));
    expect(problem).toEqual({
      type: 'urn:usher:problem:invalid_input',
      title: 'The input cannot be used',
      status: 400,
      detail: 'detail',
      code: 'invalid_input',
      advice: 'do this',
      fields: [{ field: 'a.b', message: 'wrong' }],
      correlationId: 'call-1234',
    });
  });
  test('leaves out what there is not', () => {
    expect(Object.keys(toProblem(new DomainError('conflict', 'grant_closed', 'over')))).toEqual([
      'type',
      'title',
      'status',
      'detail',
      'code',
      'correlationId',
    ]);
  });
});

describe('a challenge', () => {
  const refusal = (message: string, stepUp?: StepUp): DomainError =>
    new DomainError('unauthenticated', stepUp ? 'step_up_required' : 'token_invalid', message, 'do this', {
      ...(stepUp && { stepUp }),
    });
  test('of a token that is no good says no more than where it is for', () =>
    expect(challenge(refusal('no'))).toBe('Bearer realm="usher"'));
  test('says which sign-in would do, as RFC 9470 has it', () => {
    const error = refusal('Sign in.', { maxAgeSeconds: 900, acrValues: ['urn:a', 'urn:b'] });
    expect(challenge(error)).toBe(
      'Bearer realm="usher", error="insufficient_user_authentication", error_description="Sign in.", max_age="900", acr_values="urn:a urn:b"',
    );
    expect(toProblem(error)).toMatchObject({
      status: 401,
      stepUp: { maxAgeSeconds: 900, acrValues: ['urn:a', 'urn:b'] },
    });
    expect(challenge(refusal('', { maxAgeSeconds: 0 }))).toContain('max_age="0"');
    expect(challenge(refusal('', { maxAgeSeconds: 0 }))).not.toContain('acr_values');
  });
  test('cannot be broken out of', () =>
    expect(challenge(refusal('a "b\\"\r\nX: é', { maxAgeSeconds: 1 }))).toContain('error_description="a  b    X:  "'));
});

describe('any error', () => {
  const own = new DomainError('conflict', 'grant_closed', 'over');
  test.each<[string, unknown, string, number]>([
    ['one of ours stays itself', own, 'grant_closed', 409],
    ['an unknown route', new NotFoundException('Cannot GET /x'), 'route_not_found', 404],
    ['a body that is no JSON', new BadRequestException('Unexpected token s3cret'), 'invalid_input', 400],
    ['a body of another type', Object.assign(new Error('s3cret'), { statusCode: 415 }), 'invalid_input', 400],
    ['a body that is too large', Object.assign(new Error('s3cret'), { statusCode: 413 }), 'payload_too_large', 413],
    ['a fault of ours', new Error('s3cret'), 'internal', 500],
    ['a thrown text', 's3cret', 'internal', 500],
    ['nothing', null, 'internal', 500],
  ])('%s', (_, thrown, code, status) => {
    const problem = toProblem(toDomainError(thrown));
    expect(problem).toMatchObject({ code, status });
    expect(JSON.stringify(problem)).not.toContain('s3cret');
  });
  test('is the same refusal, not a copy', () => expect(toDomainError(own)).toBe(own));
});
