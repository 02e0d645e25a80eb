import { describe, expect, test } from 'vitest';
import { iamRegion, parsePrincipal } from './principal.js';

describe('parsePrincipal', () => {
  test.each([
    ['arn:aws:iam::123456789012:user/alice', 'user', 'alice', 'aws'],
    ['arn:aws:iam::123456789012:user/people/eu/alice@example.com', 'user', 'alice@example.com', 'aws'],
    ['arn:aws-cn:iam::123456789012:role/team/reader', 'role', 'reader', 'aws-cn'],
    ['arn:aws-us-gov:iam::123456789012:role/reader', 'role', 'reader', 'aws-us-gov'],
  ])('%s', (arn, kind, name, partition) => {
    expect(parsePrincipal(arn)).toEqual({ arn, kind, name, partition, accountId: '123456789012' });
  });

  test.each([
    'alice',
    'arn:aws:iam::123456789012:root',
    'arn:aws:iam::123456789012:group/x',
    'arn:aws:sts::123456789012:assumed-role/reader/alice',
    'arn:aws:iam:123456789012:user/alice',
    'arn:aws:iam::123456789012:user/*',
    'arn:aws:iam::123456789012:user/alice\n',
    `arn:aws:iam::123456789012:user/${'p/'.repeat(400)}alice`,
  ])('refuses %s', (arn) => {
    expect(() => parsePrincipal(arn)).toThrow(expect.objectContaining({ code: 'invalid_input' }));
  });

  test.each([
    'arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Reader_0123456789abcdef',
    'arn:aws:iam::123456789012:role/AWSReservedSSO_Reader_0123456789abcdef',
    'arn:aws:iam::123456789012:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS',
  ])('refuses %s with the way out', (arn) => {
    expect(() => parsePrincipal(arn)).toThrow(
      expect.objectContaining({ code: 'mode_not_supported', advice: expect.stringMatching(/session mode/) }),
    );
  });
});

test('IAM is signed for in its own region of each partition', () => {
  expect(iamRegion('aws-cn')).toBe('cn-north-1');
  expect(() => iamRegion('aws-iso')).toThrow(expect.objectContaining({ code: 'unknown_partition' }));
});
