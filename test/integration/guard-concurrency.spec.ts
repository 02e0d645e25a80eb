import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAuthority } from '../../local/rds/authority.ts';
import type { TargetSession } from '../../src/postgres/postgres.contract.ts';
import { PostgresService } from '../../src/postgres/postgres.service.ts';
import { startGuardTarget, type GuardTarget } from './guard-target.ts';

const service = new PostgresService();
let target: GuardTarget;
let sessions: TargetSession[];

beforeAll(async () => {
  target = await startGuardTarget(17, createAuthority('concurrency'));
  sessions = await Promise.all(
    ['one', 'two', 'three'].map((key) => service.connect(key, target.address, target.broker)),
  );
});
afterAll(async () => {
  await service.onApplicationShutdown();
  await target.stop();
});

test('many openings and closings at once on few logins: no conflict, and each login is what its leases say', async () => {
  const numbers = Array.from({ length: 72 }, (_, n) => n);
  const nameOf = (n: number): string => `crowd_${n % 8}`;
  const sessionOf = (n: number): TargetSession => sessions[n % 3] as TargetSession;
  const close = (n: number): Promise<unknown> =>
    sessionOf(n).close({ login: nameOf(n), grantId: `grant-crowd-${n}`, why: 'test' });
  const endsAt = new Date(Date.now() + 20 * 60_000);
  const logins = numbers.slice(0, 8).map(nameOf);
  const states = async (): Promise<unknown[]> => {
    const found = await sessionOf(0).inspect(logins);
    return found.map((one) => [one.login, one.canLogin, one.leases.length, one.memberships.map(({ role }) => role)]);
  };

  await Promise.all([
    ...numbers.map(async (n) => {
      const profile = n < 16 ? 'read' : 'write';
      await sessionOf(n).open({ login: nameOf(n), profile, grantId: `grant-crowd-${n}`, endsAt, method: 'iam' });
      if (n >= 16) await close(n);
    }),
    ...sessions.map((session) => session.sweep()),
  ]);
  expect(await states()).toEqual(logins.map((login) => [login, true, 2, ['app_read', 'rds_iam']]));

  await Promise.all(numbers.slice(0, 16).map(close));
  expect(await states()).toEqual(logins.map((login) => [login, false, 0, []]));
});
