import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority } from '../../local/rds/authority.ts';
import { startRdsInstance, type Endpoint, type RdsInstance } from '../../local/rds/instance.ts';
import type { TargetSession } from '../../src/postgres/postgres.contract.ts';
import { PostgresService } from '../../src/postgres/postgres.service.ts';
import { targetSql } from '../../src/postgres/target-sql.ts';
import { majors } from '../support/majors.ts';
import { until } from '../support/until.ts';
import { inMinutes, lease, refused } from './guard-stage.ts';

/** In place of a signed token, as in guard-rds.spec.ts. */
const token = randomBytes(24).toString('base64url');
const HIDDEN_S = 5;

describe.each(majors)('on a reader, PostgreSQL %i', (major) => {
  const service = new PostgresService();
  let cluster: RdsInstance;
  let writer: TargetSession;
  let reader: TargetSession;

  const portOf = (kind: Endpoint['kind']): number => cluster.endpoints.find((one) => one.kind === kind)?.port ?? 0;
  const connect = async (kind: Endpoint['kind'], config: pg.ClientConfig): Promise<pg.Client> => {
    const at = { host: 'localhost', port: portOf(kind), database: 'postgres', ssl: { ca: cluster.caPem } };
    const client = new pg.Client({ ...at, ...config });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };
  const guardOf = (kind: Endpoint['kind']): Promise<TargetSession> =>
    service.connect(
      kind,
      { host: 'localhost', port: portOf(kind), database: 'postgres', servername: 'localhost', ca: cluster.caPem },
      { user: 'usher_broker', password: () => Promise.resolve(token) },
    );
  const onReader = async (sql: string): Promise<number> => {
    const admin = new pg.Client({ ...cluster.admin('reader'), database: 'postgres' });
    await admin.connect();
    const { rows } = await admin.query<{ n: number }>(sql).finally(() => admin.end());
    return rows[0]?.n ?? 0;
  };

  beforeAll(async () => {
    cluster = await startRdsInstance({
      ...{ name: `reader-${major}`, resourceId: 'cluster-GUARDTEST', major, ephemeral: true, replica: true },
      ...{ dataDir: join(tmpdir(), `usher-guard-reader-${randomBytes(4).toString('hex')}`), databases: [] },
      authority: createAuthority('guard on a reader'),
      verify: (attempt) => Promise.resolve(attempt.token === token ? { ok: true } : { ok: false, reason: 'no' }),
    });
    const master = await connect('writer', cluster.master);
    await master.query(targetSql());
    await master.query(
      `SELECT usher.broker_auth('iam'); CREATE ROLE app_read NOLOGIN; SELECT usher.allow('read', '{app_read}', 60)`,
    );
    await master.end();
    writer = await guardOf('writer');
    reader = await until('the reader has the guard', () => guardOf('reader').catch(() => undefined));
  });
  afterAll(async () => {
    await service.onApplicationShutdown();
    await cluster?.close();
  });

  test('sessions end when the right to end them has arrived, those too that hide', async () => {
    await writer.open(lease('rhea', 'grant-rhea-1', { endsAt: inMinutes(10) }));
    const rhea = { user: 'rhea', password: token };
    const session = await until('the login is on the reader', () => connect('reader', rhea).catch(() => undefined));
    const cut = new Promise<void>((resolve) => session.once('end', resolve));
    const hidden = connect('reader', { ...rhea, options: `-c post_auth_delay=${HIDDEN_S}` })
      .then((client) => client.query(`SELECT 'ran'`).then(() => 'ran'))
      .catch((error: unknown) => (error instanceof Error ? error.message : 'no error'));
    const asleep = `SELECT count(*)::int AS n FROM pg_locks k LEFT JOIN pg_stat_activity a USING (pid)
      WHERE k.locktype = 'object' AND k.classid = 'pg_database'::regclass AND a.usesysid IS NULL`;
    await until('it sleeps behind its login', async () => (await onReader(asleep)) === 1);

    await writer.close({ login: 'rhea', grantId: 'grant-rhea-1', why: 'revoked' });
    await expect(reader.endHere('rhea')).rejects.toMatchObject(refused('not_reached'));
    await writer.reach('rhea', true);
    const ended = await until('the membership is on the reader', () => reader.endHere('rhea').catch(() => undefined));
    expect(ended).toBe(2);
    await cut;
    expect(await hidden).toBe('terminating connection due to administrator command');
    await writer.reach('rhea', false);
    expect(await reader.activity()).toEqual([]);
    await expect(reader.close({ login: 'rhea', grantId: 'grant-rhea-1', why: 'test' })).rejects.toMatchObject({
      cause: { fault: '25006' },
    });
    expect(await reader.survey()).toMatchObject({ logins: [{ login: 'rhea', canLogin: false }] });
    expect(await reader.hello()).toMatchObject({ inRecovery: true });
  });
});
