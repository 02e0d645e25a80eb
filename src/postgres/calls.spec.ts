import { describe, expect, test } from 'vitest';
import { openParameters, planCalls, statements } from './calls.js';
import type { PlanInput } from './target-session.js';

const plan: PlanInput = {
  login: 'jane_doe',
  person: 'person-0001',
  profile: { name: 'reporting-read', groups: ['app_ro'], connectionLimit: 5 },
  method: 'iam',
  grantId: 'grant-0001',
  endsAt: new Date('2026-01-02T03:04:05.678Z'),
  serverMajor: 17,
};
const effects = (more: Partial<PlanInput> = {}): string[] => planCalls({ ...plan, ...more })[0]?.effects ?? [];

test('the plan shows the statement that is executed, with its parameters in its order', () => {
  const [open, close, terminate] = planCalls(plan);
  expect([open?.sql, close?.sql, terminate?.sql]).toEqual([statements.open, statements.close, statements.terminate]);
  const executed = openParameters({
    login: 'jane_doe',
    person: 'person-0001',
    profile: 'reporting-read',
    groups: ['app_ro'],
    connectionLimit: 5,
    grantId: 'grant-0001',
    endsAt: new Date('2026-01-02T03:04:05.678Z'),
    method: 'iam',
  });
  expect(open?.parameters.map(({ value }) => value)).toEqual(
    executed.map((value) => (Array.isArray(value) ? `{${value.join(',')}}` : String(value))),
  );
  for (const call of [open, close, terminate]) {
    call?.parameters.forEach(({ name }, i) => expect(call.sql).toMatch(new RegExp(`${name} => \\$${i + 1}::`)));
  }
});

describe('the effects are the statements the guard runs', () => {
  test('opening by token on 17', () => {
    expect(effects()).toEqual([
      'CREATE ROLE "jane_doe" NOLOGIN; -- when the role is new',
      'GRANT usher_managed TO "jane_doe"; -- when the role is new',
      'GRANT "app_ro" TO "jane_doe" WITH INHERIT TRUE, SET FALSE;',
      'GRANT "rds_iam" TO "jane_doe" WITH INHERIT TRUE, SET FALSE;',
      `ALTER ROLE "jane_doe" LOGIN CONNECTION LIMIT 5 VALID UNTIL '2026-01-02T03:04:05.678Z' PASSWORD NULL;`,
    ]);
  });
  test('before 16 memberships have no options', () => {
    expect(effects({ serverMajor: 15 }).join()).not.toContain('WITH INHERIT');
  });
  test('a password grant gets no rds_iam, which would shut the password out, and no password before one is asked for', () => {
    const [open, set, ...rest] = planCalls({ ...plan, login: 'jane_doe_pw', method: 'password' });
    expect(JSON.stringify([open, set])).not.toContain('rds_iam');
    expect(open?.effects.at(-1)).toMatch(/^ALTER ROLE "jane_doe_pw" LOGIN [^']* VALID UNTIL '[^']*';$/);
    expect(set).toMatchObject({ call: 'set_password', sql: statements.setPassword });
    expect(set?.parameters.map(({ value }) => value)).toEqual([
      'jane_doe_pw',
      'grant-0001',
      '<verifier of a fresh random password>',
    ]);
    expect(rest.map(({ call }) => call)).toEqual(['close', 'terminate']);
    expect(planCalls(plan).map(({ call }) => call)).not.toContain('set_password');
  });
  test('who manages passwords gets CREATEROLE only where the profile says so, and loses it with the login', () => {
    const profile = { name: 'passwords', groups: ['rds_password'], connectionLimit: 5 };
    const [open, close] = planCalls({ ...plan, profile: { ...profile, createsRoles: true } });
    expect(open?.effects.at(-1)).toMatch(/ LOGIN CREATEROLE /);
    expect(close?.effects[0]).toMatch(/ NOLOGIN NOCREATEROLE /);
    expect(JSON.stringify(planCalls({ ...plan, profile }))).not.toContain('CREATEROLE');
  });
  test('closing shuts the door before it takes rights', () => {
    const [first, ...rest] = planCalls(plan)[1]?.effects ?? [];
    expect(first).toMatch(/^ALTER ROLE "jane_doe" NOLOGIN PASSWORD NULL;/);
    expect(rest.map((line) => line.split(' FROM')[0])).toEqual(['REVOKE "app_ro"', 'REVOKE "rds_iam"']);
  });
  test('names are quoted, and what is not known yet is said so', () => {
    const shown = JSON.stringify(
      planCalls({
        ...plan,
        login: 'order',
        profile: { ...plan.profile, groups: ['a"b'] },
        grantId: null,
        endsAt: null,
      }),
    );
    expect(shown).toContain('<grant id>');
    expect(shown).toContain('<end of the grant>');
    expect(JSON.parse(shown)[0].effects[2]).toBe('GRANT "a""b" TO "order" WITH INHERIT TRUE, SET FALSE;');
  });
});
