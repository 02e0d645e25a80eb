import { describe, expect, test } from 'vitest';
import { DomainError } from '../platform/errors.js';
import { attempt, missing, ok, quoted, type Ground } from './proof-line.js';
import { problemLines } from './proof-problems.js';
import type { GuardProblem, Proof } from './target-session.js';

const ground = (problems: GuardProblem[], major = 17): Ground => ({
  hello: {
    serverVersion: major * 10_000,
    guardVersion: '1.1',
    paused: false,
    inRecovery: false,
    sweptAt: new Date('2026-01-02T03:04:05Z'),
    sweptBy: 'dba',
    problems,
  },
  profiles: [],
  major,
});
const line = (right: string, problems: GuardProblem[], major?: number): Proof | undefined =>
  problemLines(ground(problems, major), []).find((proof) => proof.right === right);

describe('what the guard says of itself', () => {
  test('nothing found is all well, each by name', () => {
    const lines = problemLines(ground([]), []);
    expect(lines.length).toBeGreaterThan(5);
    expect(lines.filter(({ verdict, remedy }) => verdict !== 'ok' || remedy !== null)).toEqual([]);
    expect(line('leases sweep themselves', [])?.finding).toBe('last by dba at 2026-01-02T03:04:05.000Z');
  });

  test.each([
    [15, 'GRANT rds_iam TO usher_owner WITH ADMIN OPTION;'],
    [16, 'GRANT rds_iam TO usher_owner WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;'],
  ])('on %i the statement is the one of that version', (major, remedy) => {
    const problems = [{ code: 'rds_iam_not_grantable', message: 'no ADMIN' }];
    expect(line('grant rds_iam', problems, major)).toEqual(missing('grant rds_iam', 'no ADMIN', remedy));
  });

  test('advice that the guard gives itself stands on the line below', () => {
    const message = 'nobody swept. As the master: SELECT cron.schedule(1.5)';
    expect(line('leases sweep themselves', [{ code: 'no_self_sweep', message }])).toMatchObject({
      ...{ verdict: 'warn', finding: 'nobody swept', remedy: 'As the master: SELECT cron.schedule(1.5)' },
    });
  });

  test('a code of a newer guard is passed on in its own words', () => {
    expect(line('moon is full', [{ code: 'moon_is_full', message: 'wait a day' }])).toMatchObject({
      ...{ verdict: 'warn', finding: 'wait a day' },
    });
  });

  test('a group is told once: by the trial of its profile, or where that was not made by the guard', () => {
    const problems = [{ code: 'group_refused', message: 'profile read: group app_read reaches rds_superuser' }];
    const told = (trials: Proof[]): number =>
      problemLines(ground(problems), trials).filter(({ verdict }) => verdict === 'missing').length;
    expect(told([missing('open iam read', 'refused', 'REVOKE')])).toBe(0);
    expect(told([missing('open iam bread', 'refused', 'REVOKE')])).toBe(1);
    expect(told([])).toBe(1);
  });
});

test('a refusal is a missing right in its own words; a fault of ours is not taken for one', async () => {
  const refusal = new DomainError('unavailable', 'target_refused', 'It is refused.', 'Grant it.');
  expect(await attempt('x', () => Promise.reject(refusal))).toEqual([missing('x', 'It is refused.', 'Grant it.')]);
  expect(await attempt('x', () => Promise.resolve(ok('x', 'fine')))).toEqual([ok('x', 'fine')]);
  await expect(attempt('x', () => Promise.reject(new TypeError('a bug')))).rejects.toThrow('a bug');
});

test('names stand in a statement as PostgreSQL would read them', () => {
  expect(['app_ro', 'App', 'a"b', '1a', 'a b', 'user', 'current_user', 'team2'].map(quoted)).toEqual([
    ...['app_ro', '"App"', '"a""b"', '"1a"', '"a b"', '"user"', '"current_user"', 'team2'],
  ]);
});
