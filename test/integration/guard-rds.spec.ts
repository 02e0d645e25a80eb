import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority } from '../../local/rds/authority.ts';
import { startRdsInstance, type RdsInstance } from '../../local/rds/instance.ts';
import type { TargetSession } from '../../src/postgres/postgres.contract.ts';
import { PostgresService } from '../../src/postgres/postgres.service.ts';
import { targetSql } from '../../src/postgres/target-sql.ts';
import { majors } from '../support/majors.ts';
import { inMinutes, lease } from './guard-stage.ts';
import { until } from './guard-target.ts';

/** In place of a signed token: what the verifier of this test takes for one. The real one has tests of its own. */
const token = randomBytes(24).toString('base64url');

describe.each(majors)('with token logins as on RDS, PostgreSQL %i', (major) => {
  const service = new PostgresService();
  let instance: RdsInstance;
  let guard: TargetSession;

  const connect = async (user: string, password: string): Promise<pg.Client> => {
    const [endpoint] = instance.endpoints;
    const client = new pg.Client({
      host: endpoint?.host ?? '',
      port: endpoint?.port ?? 0,
      database: 'postgres',
      user,
      password,
      ssl: { ca: instance.caPem },
    });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };
  const asMaster = async (sql: string): Promise<void> => {
    const master = await connect(instance.master.user, instance.master.password);
    await master.query(sql).finally(() => master.end());
  };

  beforeAll(async () => {
    instance = await startRdsInstance({
      name: `guard-${major}`,
      resourceId: 'db-GUARDTEST',
      major,
      dataDir: join(tmpdir(), `usher-guard-rds-${randomBytes(4).toString('hex')}`),
      ephemeral: true,
      authority: createAuthority('guard on RDS'),
      databases: [],
      verify: (attempt) =>
        Promise.resolve(attempt.token === token ? { ok: true } : { ok: false, reason: 'not the token of this test' }),
    });
    await asMaster(targetSql());
    await asMaster(
      `SELECT usher.broker_auth('iam'); CREATE ROLE app_read NOLOGIN; SELECT usher.allow('read', '{app_read}', 60)`,
    );
    const [endpoint] = instance.endpoints;
    guard = await service.connect(
      `rds-${major}`,
      {
        host: 'localhost',
        port: endpoint?.port ?? 0,
        database: 'postgres',
        servername: 'localhost',
        ca: instance.caPem,
      },
      { user: 'usher_broker', password: () => Promise.resolve(token) },
    );
  });
  afterAll(async () => {
    await service.onApplicationShutdown();
    await instance.close();
  });

  test('the broker logs in by token, the master still by password, also after an upgrade', async () => {
    await asMaster(targetSql());
    await asMaster('CALL usher.sweep()');
    const { problems, ...hello } = await guard.hello();
    expect(hello).toMatchObject({ paused: false, inRecovery: false });
    expect(problems.map(({ code }) => code)).toEqual(major < 15 ? ['public_schema_writable', 'old_server'] : []);
    await asMaster('SELECT 1');
    await expect(connect('usher_broker', 'not the token')).rejects.toMatchObject({ code: '28000' });
  });

  test('a person logs in by token while the lease lives; closing cuts the session, and the same token is refused', async () => {
    const wanted = lease('jane_doe', 'grant-jane-1', { endsAt: inMinutes(10) });
    await expect(connect('jane_doe', token)).rejects.toThrow();
    await guard.open(wanted);
    const session = await connect('jane_doe', token);
    const cut = new Promise<void>((resolve) => session.once('end', resolve));
    expect((await guard.activity()).map(({ login, tls }) => ({ login, tls }))).toEqual([
      { login: 'jane_doe', tls: true },
    ]);

    const everybody = await guard.sessions();
    const jane = everybody.sessions.find(({ login }) => login === 'jane_doe');
    expect(jane).toMatchObject({ managed: true, iam: true, administrator: false, replication: false, tls: true });
    const master = await connect(instance.master.user, instance.master.password);
    const seen = (await guard.sessions()).sessions.find(({ login }) => login === instance.master.user);
    expect(seen).toMatchObject({ managed: false, administrator: true, tlsVersion: 'TLSv1.3' });
    expect(seen?.backendStart).not.toBeNull();
    expect(everybody.sessions.map(({ login }) => login)).not.toContain('usher_broker');
    expect(Math.abs(everybody.clock.getTime() - Date.now())).toBeLessThan(60_000);
    await master.end();

    const sleeping = session.query('SELECT pg_sleep(600)').catch((error: unknown) => error);
    await until('it sleeps', async () => (await guard.activity())[0]?.state === 'active');
    expect(await guard.close({ login: 'jane_doe', grantId: wanted.grantId, why: 'revoked' })).toMatchObject({
      live: 0,
    });
    expect(await guard.terminate(['jane_doe'])).toBe(1);
    await cut;
    expect(await sleeping).toBeInstanceOf(Error);
    await until('no backend is left', async () => (await guard.activity()).length === 0);
    await expect(connect('jane_doe', token)).rejects.toThrow();
    await asMaster('SELECT 1');
  });

  test('a target that was down is used again when it is back', async () => {
    await instance.stop();
    await expect(guard.hello()).rejects.toMatchObject({ code: 'target_unreachable' });
    await instance.start();
    expect((await guard.inspect(['jane_doe'])).map(({ canLogin }) => canLogin)).toEqual([false]);
  });
});
