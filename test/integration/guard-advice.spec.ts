import { describe, expect, test } from 'vitest';
import { DomainError } from '../../src/platform/errors.ts';
import { faultBehind, isTransient, toDomainError } from '../../src/postgres/advice.ts';
import { poolOf } from '../../src/postgres/session.ts';
import { hold } from '../support/held.ts';
import { majors } from '../support/majors.ts';
import { until } from '../support/until.ts';
import { guardPair, kinds } from './guard-pair.ts';
import { scramVerifier } from './guard-target.ts';

const lease = (login: string) => ({
  ...{ login, person: 'person-advice', profile: 'read', groups: ['app_read'], connectionLimit: 5 },
  ...{ grantId: `grant-${login}-1`, endsAt: new Date(Date.now() + 600_000), method: 'iam' as const },
});

const told = async (attempt: Promise<unknown>): Promise<DomainError> => {
  const error: unknown = await attempt.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (!(error instanceof DomainError)) throw new Error(`it was not refused: ${String(error)}`);
  const everything = JSON.stringify([error, error.message, error.advice, error.stack, error.cause]);
  expect(everything).not.toMatch(/SCRAM-SHA-256\$|ALTER ROLE|permission denied for|wrong-secret/);
  return error;
};
const expectAdvice = (error: DomainError, fault: string, advice: RegExp, transient: boolean, reason?: string): void => {
  expect(faultBehind(error)).toMatchObject({ fault, reason });
  expect(error.message).toContain(fault);
  expect(error.advice).toMatch(advice);
  expect(isTransient(error)).toBe(transient);
};

/** What a DBA may cause, provoked on real servers and met through the client that the service uses. */
describe.each(majors)('what a failure of PostgreSQL %i is turned into', (major) => {
  const pair = guardPair(major);
  const { admin, addressOf, asMaster, broker, connect, lockSettings, replayed, waits } = pair;

  describe.each(kinds)('on the %s', (kind) => {
    test('42501: a right was taken away', async () => {
      await asMaster('REVOKE USAGE ON SCHEMA usher FROM usher_broker');
      const error = await told(connect(kind).then((guard) => guard.hello()));
      await asMaster('GRANT USAGE ON SCHEMA usher TO usher_broker');
      expectAdvice(error, '42501', /target-sql` again \(it repairs rights\)/, false);
      expect(error.code).toBe('target_refused');
    });

    test('28000: the token is refused', async () => {
      const error = await told(connect(kind, {}, { ...broker, password: () => Promise.resolve('wrong-secret') }));
      expectAdvice(error, '28000', /broker_auth\('iam'\).*rds-db:connect/, false);
    });

    test('28000: the login was taken away', async () => {
      await admin('ALTER ROLE usher_broker NOLOGIN');
      await replayed();
      const error = await told(connect(kind));
      await admin('ALTER ROLE usher_broker LOGIN');
      await replayed();
      expectAdvice(error, '28000', /broker_auth\('iam'\)/, false);
    });

    test('28P01: the password is wrong', async () => {
      await asMaster(`SELECT usher.broker_auth('${scramVerifier('right-secret')}')`);
      const error = await told(connect(kind, {}, { ...broker, password: () => Promise.resolve('wrong-secret') }));
      await asMaster(`SELECT usher.broker_auth('iam')`);
      expectAdvice(error, '28P01', /broker_auth\('iam'\)/, false);
    });

    test('3D000: there is no such database', async () => {
      const error = await told(connect(kind, { database: 'nowhere' }));
      expectAdvice(error, '3D000', /Correct the database of the target/, false);
      expect(error.code).toBe('target_not_ready');
    });

    test('53300: no connection is left', async () => {
      await admin('ALTER ROLE usher_broker CONNECTION LIMIT 0');
      await replayed();
      const error = await told(connect(kind));
      await admin('ALTER ROLE usher_broker CONNECTION LIMIT 20');
      await replayed();
      expectAdvice(error, '53300', /max_connections.*usher_broker \(20\)/, true);
    });

    test('57P01: the session was ended from outside', async () => {
      await lockSettings();
      const guard = await connect(kind);
      const [error] = await Promise.all([
        told(guard.hello()),
        waits(kind).then(({ pid }) => admin(`SELECT pg_terminate_backend(${pid})`, kind)),
      ]);
      expectAdvice(error, '57P01', /tried again: a restart, a failover/, true);
      expect(error.code).toBe('target_unreachable');
      await pair.unlock();
      // the next call finds a session again
      await until('it answers', () => guard.hello().then(Boolean, () => false));
    });
  });

  test('55P03: somebody keeps a lock, on the writer and on the reader', async () => {
    await lockSettings();
    const errors = await Promise.all(kinds.map(async (kind) => told((await connect(kind)).hello())));
    for (const error of errors)
      expectAdvice(error, '55P03', /a long transaction that holds a role or usher\.mutex/, true);
  });

  test('25006: a reader is asked to open', async () => {
    const error = await told((await connect('reader')).open(lease('on_reader')));
    expectAdvice(error, '25006', /Register the writer endpoint/, true);
    expect(error.code).toBe('target_not_ready');
  });

  test('42501 of a reader that has not heard yet is said as what it is', async () => {
    const writer = await connect('writer');
    await writer.open(lease('far_away'));
    await replayed();
    const error = await told((await connect('reader')).endHere('far_away'));
    expectAdvice(error, '42501', /replication lag/, true, 'not_reached');
    await writer.close({ ...lease('far_away'), why: 'test' });
  });

  test('XX000: two change a role in the same moment; the guard itself tries again', async () => {
    const guard = await connect('writer');
    await guard.open(lease('contended'));
    const attempt = async <T>(work: () => Promise<T>): Promise<T> => {
      const other = await hold(
        { ...pair.instance.admin('writer'), database: 'postgres' },
        'ALTER ROLE contended CONNECTION LIMIT 1',
      );
      const [outcome] = await Promise.all([work(), waits('writer').then(() => other.commit())]);
      return outcome;
    };
    expect(await attempt(() => guard.repair('contended'))).toMatchObject({ live: 1 });
    // a command on the role beside the guard, as the DBA or a script of theirs gives it
    await admin('ALTER ROLE usher_broker CREATEROLE; GRANT contended TO usher_broker WITH ADMIN OPTION');
    const pool = poolOf(addressOf('writer'), broker);
    const command = (): Promise<unknown> =>
      pool.query('ALTER ROLE contended CONNECTION LIMIT 2').catch((failure: unknown) => {
        throw toDomainError(failure);
      });
    const error = await attempt(() => told(command()));
    await pool.end();
    await admin('REVOKE contended FROM usher_broker; ALTER ROLE usher_broker NOCREATEROLE');
    expectAdvice(error, 'XX000', /tried again; if it lasts, look at the PostgreSQL log/, true);
    await guard.close({ ...lease('contended'), why: 'test' });
  });

  test('2BP01: the DBA drops a login that owns something', async () => {
    const guard = await connect('writer');
    await guard.open(lease('collector'));
    await guard.close({ ...lease('collector'), why: 'test' });
    await admin('CREATE TABLE public.collected (); ALTER TABLE public.collected OWNER TO collector');
    const { user, password } = pair.instance.master;
    const pool = poolOf(addressOf('writer'), { user, password: () => Promise.resolve(password) });
    // as the master, by the same client: the broker may not drop
    const attempt = pool.query(`SELECT usher.drop('collector')`).catch((failure: unknown) => {
      throw toDomainError(failure);
    });
    const error = await told(attempt);
    await pool.end();
    expectAdvice(error, '2BP01', /usher\.retire\(login\), which parks them/, false);
  });

  describe('passwords where only members of rds_password may set them', () => {
    const withPassword = { ...lease('pat_pw'), method: 'password' as const };
    const set = { login: 'pat_pw', grantId: withPassword.grantId, verifier: scramVerifier('Correct-horse-battery-5') };

    test('the guard knows the restriction before it opens', async () => {
      await admin(`ALTER DATABASE postgres SET rds.restrict_password_commands = 'on'`);
      await asMaster('REVOKE rds_password FROM usher_owner');
      const error = await told(connect('writer').then((guard) => guard.open(withPassword)));
      await asMaster('GRANT rds_password TO usher_owner');
      await admin('ALTER DATABASE postgres RESET rds.restrict_password_commands');
      expectAdvice(error, '42501', /GRANT rds_password TO usher_owner/, false, 'rds_password');
    });

    test('the refusal of RDS itself, which has words only', async () => {
      const guard = await connect('writer');
      await guard.open(withPassword);
      // what RDS raises inside ALTER ROLE, where a stock server has no hook for it
      await admin(`ALTER FUNCTION usher.set_password(text, text, text) RENAME TO set_password_kept;
        CREATE FUNCTION usher.set_password(login text, grant_id text, scram_verifier text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS
          $$ BEGIN RAISE EXCEPTION 'must be a member of rds_password to alter passwords' USING ERRCODE = '42501'; END $$`);
      const error = await told(guard.setPassword(set));
      await admin(`DROP FUNCTION usher.set_password(text, text, text);
        ALTER FUNCTION usher.set_password_kept(text, text, text) RENAME TO set_password`);
      expectAdvice(error, '42501', /GRANT rds_password TO usher_owner/, false, 'rds_password');
      await guard.setPassword(set);
      await guard.close({ ...withPassword, why: 'test' });
    });
  });

  test('a list that changed after the approval is a conflict, to be asked again', async () => {
    const error = await told(
      connect('writer').then((guard) => guard.open({ ...lease('planner'), connectionLimit: 7 })),
    );
    expect(error).toMatchObject({ kind: 'conflict', code: 'plan_changed' });
    expectAdvice(error, '55000', /Ask again/, false, 'plan');
  });

  test('a name is for one person', async () => {
    const guard = await connect('writer');
    await guard.open(lease('taken'));
    const error = await told(guard.open({ ...lease('taken'), person: 'person-another', grantId: 'grant-taken-2' }));
    expectAdvice(error, '42501', /another login name/, false, 'person');
    await guard.close({ ...lease('taken'), why: 'test' });
  });
});
