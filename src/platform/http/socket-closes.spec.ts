import { describe, expect, test } from 'vitest';
import { DomainError, type ErrorKind } from '../errors.js';
import { closeOf } from './socket-closes.js';

describe('a refusal closes with a code that clients of the protocol know what to do about', () => {
  test.each<[ErrorKind, refused: number, ended: number]>([
    ['unauthenticated', 4401, 4403],
    ['forbidden', 4403, 4403],
    ['conflict', 4403, 4403],
    ['quota', 1013, 1013],
    ['unavailable', 1013, 1013],
    ['invalid', 4400, 4400],
    ['not_found', 4400, 4400],
  ])('%s', (kind, refused, ended) => {
    const error = new DomainError(kind, 'token_expired', 'The token has expired.');
    expect(closeOf(error, 'refused')).toEqual({ code: refused, reason: 'token_expired: The token has expired.' });
    expect(closeOf(error, 'ended').code).toBe(ended);
  });
});

test.each(['x', 'ü', '\u{1f511}'])('a reason fits into a frame, whole characters of it: %s', (character) => {
  const { reason } = closeOf(new DomainError('forbidden', 'policy_denied', character.repeat(200)), 'ended');
  expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
  expect(Buffer.byteLength(reason)).toBeGreaterThan(119);
  expect(reason).toBe(`policy_denied: ${character.repeat([...reason].length - 15)}`);
});
