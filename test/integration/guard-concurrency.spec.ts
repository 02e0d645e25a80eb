import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAuthority } from '../../local/rds/authority.ts';
import type { TargetSession } from '../../src/postgres/postgres.contract.ts';
import { PostgresService } from '../../src/postgres/postgres.service.ts';
import { anyMajor } from '../support/majors.ts';
import { lease, refused, write } from './guard-stage.ts';
import { startGuardTarget, type GuardTarget } from './guard-target.ts';

const service = new PostgresService();
let target: GuardTarget;
let sessions: TargetSession[];

beforeAll(async () => {
  target = await startGuardTarget(anyMajor, createAuthority('concurrency'));
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
      await sessionOf(n).open(lease(nameOf(n), `grant-crowd-${n}`, { endsAt, ...(n < 16 ? {} : write) }));
      if (n >= 16) await close(n);
    }),
    ...sessions.map((session) => session.sweep()),
  ]);
  expect(await states()).toEqual(logins.map((login) => [login, true, 2, ['app_read', 'rds_iam']]));

  await Promise.all(numbers.slice(0, 16).map(close));
  expect(await states()).toEqual(logins.map((login) => [login, false, 0, []]));
});

test('a membership that a DBA keeps locked keeps nobody in: the door is shut, and the rest is taken later', async () => {
  const [session] = sessions as [TargetSession];
  const close = () => session.close({ login: 'locked_out', grantId: 'grant-locked_out', why: 'test' });
  const look = async () => (await session.inspect(['locked_out']))[0];
  await session.open(lease('locked_out', 'grant-locked_out'));
  const holder = await target.rdsadmin.connect();
  try {
    // a change that somebody has not committed yet
    await holder.query('BEGIN');
    await holder.query(`REVOKE app_read FROM locked_out ${target.major >= 16 ? 'GRANTED BY usher_owner' : ''}`);
    expect(await close()).toMatchObject({ live: 0, leftover: ['app_read'] });
    expect(await look()).toMatchObject({ canLogin: false, leases: [] });
    // an opening gives all or nothing
    const opening = session.open(lease('goes_in', 'grant-goes_in'));
    if (target.major >= 16) await expect(opening).rejects.toMatchObject(refused('role_locked'));
    else await opening;
  } finally {
    await holder.query('ROLLBACK');
    holder.release();
  }
  expect(await close()).toMatchObject({ live: 0, leftover: [] });
  expect(await look()).toMatchObject({ canLogin: false, leases: [], memberships: [] });
});
