import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DomainError, type ErrorCode } from '../platform/errors.js';
import { connectPolicy, countedLength, type DbUser, dbUserArn } from './connect-policy.js';

const jane: DbUser = {
  partition: 'aws',
  region: 'eu-west-1',
  accountId: '123456789012',
  resourceId: 'cluster-ABC',
  user: 'jane_doe',
};

const codeOf = (run: () => unknown): ErrorCode | undefined => {
  try {
    run();
    return undefined;
  } catch (thrown) {
    if (thrown instanceof DomainError && thrown.kind === 'invalid') return thrown.code;
    throw thrown;
  }
};

describe('dbUserArn', () => {
  test.each<[Partial<DbUser>, string]>([
    [{}, 'arn:aws:rds-db:eu-west-1:123456789012:dbuser:cluster-ABC/jane_doe'],
    [
      { partition: 'aws-cn', region: 'cn-north-1' },
      'arn:aws-cn:rds-db:cn-north-1:123456789012:dbuser:cluster-ABC/jane_doe',
    ],
    [
      { partition: 'aws-us-gov', region: 'us-gov-west-1', resourceId: 'db-ABCDEFGHIJKL01234' },
      'arn:aws-us-gov:rds-db:us-gov-west-1:123456789012:dbuser:db-ABCDEFGHIJKL01234/jane_doe',
    ],
    [
      { partition: 'aws-eusc', region: 'eusc-de-east-1' },
      'arn:aws-eusc:rds-db:eusc-de-east-1:123456789012:dbuser:cluster-ABC/jane_doe',
    ],
    [{ resourceId: 'prx-0a1b2c3d' }, 'arn:aws:rds-db:eu-west-1:123456789012:dbuser:prx-0a1b2c3d/jane_doe'],
    [{ user: '_' }, 'arn:aws:rds-db:eu-west-1:123456789012:dbuser:cluster-ABC/_'],
  ])('%j', (change, arn) => {
    expect(dbUserArn({ ...jane, ...change })).toBe(arn);
  });

  test.each<[Partial<DbUser>, ErrorCode]>([
    [{ partition: 'azure' }, 'unknown_partition'],
    [{ partition: '*' }, 'unknown_partition'],
    [{ region: 'eu-west' }, 'unknown_region'],
    [{ region: '*' }, 'unknown_region'],
    [{ region: 'eu-west-1:1' }, 'unknown_region'],
    [{ accountId: '12345678901' }, 'invalid_input'],
    [{ accountId: '*' }, 'invalid_input'],
    [{ resourceId: '*' }, 'invalid_input'],
    [{ resourceId: 'cluster-*' }, 'invalid_input'],
    [{ resourceId: 'cluster-abc' }, 'invalid_input'],
    [{ resourceId: 'prx-endpoint-0a1b' }, 'invalid_input'],
    [{ resourceId: 'prx-endpoint0a1b' }, 'invalid_input'],
    [{ resourceId: 'db-A/B' }, 'invalid_input'],
    [{ user: '*' }, 'invalid_login_name'],
    [{ user: 'jane*' }, 'invalid_login_name'],
    [{ user: 'jan?' }, 'invalid_login_name'],
    [{ user: '${aws:username}' }, 'invalid_login_name'],
    [{ user: 'Jane' }, 'invalid_login_name'],
    [{ user: 'jane\n' }, 'invalid_login_name'],
    [{ user: '' }, 'invalid_login_name'],
    [{ user: 'j'.repeat(64) }, 'invalid_login_name'],
    [{ user: 'pg_monitor' }, 'reserved_login_name'],
    [{ user: 'rdsadmin' }, 'reserved_login_name'],
    [{ user: 'public' }, 'reserved_login_name'],
  ])('refuses %j', (change, code) => {
    expect(codeOf(() => dbUserArn({ ...jane, ...change }))).toBe(code);
  });

  test('no user name at all gets a wildcard or a second resource into an ARN', () => {
    const hostile = fc.string({ unit: fc.constantFrom('*', '?', '$', '{', '}', '/', ':', '"', 'a', '\n', ' ', 'A') });
    fc.assert(
      fc.property(hostile, (user) => {
        if (codeOf(() => dbUserArn({ ...jane, user })) === undefined) expect(user).toMatch(/^a{1,63}$/);
      }),
    );
  });
});

describe('connectPolicy', () => {
  const arbitraryUser = fc.stringMatching(/^[a-m_][a-z0-9_]{0,20}$/);
  const arn = arbitraryUser.map((user) => dbUserArn({ ...jane, user }));

  test('allows rds-db:connect on the named users and nothing else', () => {
    expect(connectPolicy([dbUserArn(jane)])).toEqual({
      Version: '2012-10-17',
      Statement: [{ Sid: 'UsherConnect', Effect: 'Allow', Action: 'rds-db:connect', Resource: [dbUserArn(jane)] }],
    });
  });

  test('is the same text for the same users, in any order and number', () => {
    fc.assert(
      fc.property(fc.array(arn, { minLength: 1 }), (arns) => {
        const text = JSON.stringify(connectPolicy(arns));
        expect(JSON.stringify(connectPolicy([...arns].reverse().concat(arns)))).toBe(text);
        expect(connectPolicy(arns).Statement[0].Resource).toEqual([...new Set(arns)].sort());
      }),
    );
  });

  test.each([
    [[]],
    [['*']],
    [['arn:aws:rds-db:eu-west-1:123456789012:dbuser:*/*']],
    [['arn:aws:rds-db:eu-west-1:123456789012:dbuser:cluster-ABC/*']],
    [['arn:aws:rds-db:eu-west-1:123456789012:dbuser/cluster-ABC/jane']],
    [['arn:aws:rds-db:*:123456789012:dbuser:cluster-ABC/jane']],
    [['arn:aws:s3:::bucket']],
    [['arn:aws:rds-db:eu-west-1:123456789012:dbuser:cluster-ABC/jane/x']],
    [[`${dbUserArn(jane)}\n`]],
  ])('refuses %j', (arns) => {
    expect(codeOf(() => connectPolicy(arns))).toBeDefined();
  });

  test('white space is not counted, as IAM does not', () => {
    const document = connectPolicy([dbUserArn(jane)]);
    expect(countedLength(JSON.stringify(document, null, 4))).toBe(JSON.stringify(document).length);
  });
});
