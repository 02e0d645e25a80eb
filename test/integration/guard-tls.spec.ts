import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { DomainError } from '../../src/platform/errors.ts';
import { isTransient } from '../../src/postgres/advice.ts';
import type { BrokerLogin, TargetAddress } from '../../src/postgres/postgres.contract.ts';
import { PostgresService } from '../../src/postgres/postgres.service.ts';
import { createAuthority } from '../../local/rds/authority.ts';
import { anyMajor } from '../support/majors.ts';
import { startGuardTarget, until, type GuardTarget } from './guard-target.ts';

const service = new PostgresService();
let target: GuardTarget;
let foreignCa: string;
let asked = 0;

/** Counts how often the broker's secret was fetched: it must not be while the server is not proved. */
const login = (): BrokerLogin => ({
  ...target.broker,
  password: () => {
    asked += 1;
    return target.broker.password();
  },
});
const refusal = async (more: Partial<TargetAddress>, as = login()): Promise<DomainError> => {
  const error: unknown = await service
    .connect(`try-${Math.random()}`, { ...target.address, ...more }, as)
    .catch((e: unknown) => e);
  if (!(error instanceof DomainError)) throw new Error('it was not refused');
  return error;
};
const listening = async (answer: string): Promise<Server> => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.write(answer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
};

beforeAll(async () => {
  foreignCa = createAuthority('foreign').caPem;
  target = await startGuardTarget(anyMajor, createAuthority('ours'));
});
afterAll(async () => {
  await service.onApplicationShutdown();
  await target.stop();
});

test('the session of the broker is named, encrypted, and has its limits', async () => {
  const guard = await service.connect('orders', target.address, login());
  await guard.hello();
  const { rows } = await target.rdsadmin.query(
    `SELECT a.application_name, s.ssl, s.version FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid) WHERE a.usename = 'usher_broker'`,
  );
  expect(rows).toEqual([{ application_name: 'usher', ssl: true, version: 'TLSv1.3' }]);
});

test('a kept session is used again; forgetting the target ends it', async () => {
  const before = asked;
  const again = await service.connect('orders', target.address, login());
  await again.profiles();
  expect(asked).toBe(before);
  await service.forget('orders');
  await until('the broker has no session', async () => {
    const { rows } = await target.rdsadmin.query(`SELECT 1 FROM pg_stat_activity WHERE usename = 'usher_broker'`);
    return rows.length === 0;
  });
});

describe('no secret is even fetched for a server that does not prove itself', () => {
  const refusedBeforeLogin = async (more: Partial<TargetAddress>, fault: string): Promise<void> => {
    const before = asked;
    const error = await refusal(more);
    expect(error).toMatchObject({ kind: 'unavailable', code: 'target_untrusted' });
    expect(error.message).toContain(fault);
    expect(isTransient(error)).toBe(false);
    expect(asked).toBe(before);
  };

  test('a certificate of another authority', () =>
    refusedBeforeLogin({ ca: foreignCa }, 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'));
  test('a certificate for another name, dialled by address', () =>
    refusedBeforeLogin({ servername: 'billing.test' }, 'ERR_TLS_CERT_ALTNAME_INVALID'));
  test('a certificate for another name, dialled by host', () =>
    refusedBeforeLogin({ servername: 'localhost', hostaddr: undefined }, 'ERR_TLS_CERT_ALTNAME_INVALID'));
  test('an empty bundle trusts nobody, not the whole web', () => refusedBeforeLogin({ ca: '' }, 'NO_CA'));
  test('a bundle that cannot be read', () =>
    refusedBeforeLogin(
      { ca: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' },
      'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    ));
  test('a server without TLS', async () => {
    const plain = await listening('N');
    await refusedBeforeLogin({ port: (plain.address() as AddressInfo).port }, 'NO_TLS');
    plain.close();
  });
  test('a server that answers in clear text', async () => {
    const plain = await listening('R\0\0\0\u0008\0\0\0\0');
    await refusedBeforeLogin({ port: (plain.address() as AddressInfo).port }, 'NO_TLS');
    plain.close();
  });
});

test('the name is checked against servername, not against the host that is dialled', async () => {
  const guard = await service.connect('by-host', { ...target.address, hostaddr: undefined }, login());
  expect((await guard.hello()).inRecovery).toBe(false);
});

test('without TLS the server itself refuses the broker', async () => {
  await expect(target.connect('usher_broker', await target.broker.password(), { ssl: false })).rejects.toMatchObject({
    code: '28000',
  });
});

describe('what stands in the way is told', () => {
  test('a wrong password', async () => {
    const error = await refusal({}, { ...target.broker, password: () => Promise.resolve('wrong-secret') });
    expect(error).toMatchObject({ code: 'target_refused', message: expect.stringContaining('28P01') as string });
    expect(JSON.stringify([error, error.stack, error.cause])).not.toContain('wrong-secret');
  });
  test('a database that does not exist', async () => {
    expect(await refusal({ database: 'nowhere' })).toMatchObject({ code: 'target_not_ready' });
  });
  test('a database without the guard', async () => {
    const guard = await service.connect('elsewhere', { ...target.address, database: 'template1' }, login());
    const error: unknown = await guard.hello().catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'target_not_ready', advice: expect.stringContaining('target-sql') as string });
    await service.forget('elsewhere');
  });
  test('nothing listens', async () => {
    const closed = await listening('');
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    const error = await refusal({ port });
    expect(error).toMatchObject({ code: 'target_unreachable' });
    expect(isTransient(error)).toBe(true);
  });
  test('the secret could not be had: its own refusal is kept', async () => {
    const denied = new DomainError('unavailable', 'aws_denied', 'no token for the broker');
    expect(await refusal({}, { ...target.broker, password: () => Promise.reject(denied) })).toBe(denied);
  });
});

describe('a session that the server ends while it is at work', () => {
  const pids = async (): Promise<number[]> => {
    const { rows } = await target.rdsadmin.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE usename = 'usher_broker' AND application_name = 'usher'`,
    );
    return rows.map(({ pid }) => pid);
  };
  const end = async (): Promise<void> => {
    for (const pid of await pids()) await target.rdsadmin.query('SELECT pg_terminate_backend($1)', [pid]);
  };

  test.each(['sweep', 'prove'] as const)('fails in %s, and this process goes on', async (call) => {
    await service.onApplicationShutdown(); // no other session is there
    const guard = await service.connect('ended', target.address, login());
    const holder = await target.rdsadmin.connect();
    await holder.query('BEGIN; LOCK TABLE usher.mutex IN EXCLUSIVE MODE');
    try {
      const failing = guard[call]().then(
        () => 'done',
        (error: unknown) => error,
      );
      await until('it waits for the guard', async () => {
        const { rowCount } = await target.rdsadmin.query(
          `SELECT 1 FROM pg_stat_activity WHERE usename = 'usher_broker' AND wait_event_type = 'Lock'`,
        );
        return rowCount === 1;
      });
      await end();
      const failed = await failing;
      if (call === 'sweep') expect(failed).toBeInstanceOf(DomainError);
    } finally {
      await holder.query('ROLLBACK');
      holder.release();
    }
    await expect(guard.hello()).resolves.toMatchObject({ paused: false });
  });

  test('fails in the question whether it is still there, and this process goes on', async () => {
    await service.onApplicationShutdown(); // no other session is there
    await service.connect('heard', target.address, login());
    const [pid = 0] = await pids();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 }); // so long unheard that it is asked
    process.kill(pid, 'SIGSTOP'); // it cannot answer
    try {
      const asking = service.connect('heard', target.address, login());
      asking.catch(() => undefined);
      await new Promise(setImmediate); // the question is on its way
      await end();
      process.kill(pid, 'SIGCONT');
      await expect(asking).rejects.toMatchObject({ code: 'target_unreachable' });
    } finally {
      vi.useRealTimers();
    }
    await expect(service.connect('heard', target.address, login())).resolves.toBeDefined();
  });
});
