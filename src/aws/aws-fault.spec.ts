import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { DomainError } from '../platform/errors.js';
import { askAws, awsFault } from './aws-fault.js';

const call = { action: 'sts:AssumeRole', on: 'arn:aws:iam::123456789012:role/usher-connect' };
const named = (name: string, message = 'message with X-Amz-Security-Token:IQoJhidden AKIAHIDDEN'): Error =>
  Object.assign(new Error(message), { name });

test.each([
  ['AccessDenied', 'unavailable', 'aws_denied', /sts:SetSourceIdentity and sts:TagSession/],
  ['ExpiredTokenException', 'unavailable', 'aws_denied', /expired/],
  ['ExpiredToken', 'unavailable', 'aws_denied', /expired/],
  ['InvalidClientTokenId', 'unavailable', 'aws_denied', /access key/],
  ['SignatureDoesNotMatch', 'unavailable', 'aws_denied', /secret access key/],
  ['Throttling', 'unavailable', 'aws_unavailable', /throttling/],
  ['ThrottlingException', 'unavailable', 'aws_unavailable', /throttling/],
  ['RequestLimitExceeded', 'unavailable', 'aws_unavailable', /throttling/],
  ['PackedPolicyTooLargeException', 'invalid', 'policy_too_large', /packed|limit/],
  ['LimitExceeded', 'invalid', 'policy_too_large', /inline policies/],
  ['MalformedPolicyDocumentException', 'unavailable', 'aws_denied', /policy document/],
  ['NoSuchEntityException', 'invalid', 'invalid_input', /ARN/],
  ['UnmodifiableEntityException', 'invalid', 'mode_not_supported', /session mode/],
  ['DisabledException', 'unavailable', 'aws_denied', /Enable the key/],
  ['KMSInvalidStateException', 'unavailable', 'aws_denied', /deletion/],
  ['NotFoundException', 'unavailable', 'aws_denied', /no such key/],
  ['UnsupportedOperationException', 'invalid', 'invalid_input', /ECC_NIST_EDWARDS25519/],
  ['CredentialsProviderError', 'unavailable', 'aws_denied', /credentials/],
  ['TimeoutError', 'unavailable', 'aws_unavailable', /endpoint/],
  ['InternalFailure', 'unavailable', 'aws_unavailable', /fault of its own/],
  ['constructor', 'unavailable', 'aws_unavailable', /fault of its own/],
])('%s → %s/%s', (name, kind, code, advice) => {
  const fault = awsFault(named(name), call);
  expect(fault).toMatchObject({ kind, code });
  expect(fault.advice).toMatch(advice);
  expect(inspect(fault, { depth: 9, showHidden: true })).not.toMatch(/hidden/i);
  expect(fault.cause).toBeUndefined();
});

test('who may not use a key is told of its policy too', () => {
  const fault = awsFault(named('AccessDeniedException'), { action: 'kms:Sign', on: 'arn:aws:kms:…:key/1' });
  expect(fault).toMatchObject({
    code: 'aws_denied',
    advice: expect.stringMatching(/kms:Sign on this key, in the key's policy/),
  });
});

test('a refused connection says so', () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  expect(awsFault(refused, call)).toMatchObject({
    code: 'aws_unavailable',
    message: expect.stringMatching(/ECONNREFUSED/),
  });
});

test('whatever is thrown, its text does not get through', () => {
  for (const thrown of ['hidden', { hidden: 1 }, undefined, named('hidden '.repeat(20))]) {
    const fault = awsFault(thrown, call);
    expect(`${fault.message} ${fault.advice}`).not.toMatch(/hidden/);
  }
});

test('a refusal of our own passes as it is', async () => {
  const own = new DomainError('invalid', 'policy_too_large', 'too large');
  await expect(askAws(call, () => Promise.reject(own))).rejects.toBe(own);
});
