import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { createAuthority } from '../../local/rds/authority.ts';
import { startRdsInstance, type RdsInstance } from '../../local/rds/instance.ts';
import type { PostgresMajor } from '../../src/platform/embedded-postgres.ts';
import type { BrokerLogin, TargetAddress, TargetSession } from '../../src/postgres/postgres.contract.ts';
import { PostgresService } from '../../src/postgres/postgres.service.ts';
import { targetSql } from '../../src/postgres/target-sql.ts';
import { hold, type Held } from '../support/held.ts';
import { until } from '../support/until.ts';

/** In place of a signed token: what the verifier of these tests takes for one. */
const token = randomBytes(24).toString('base64url');
export type Kind = 'writer' | 'reader';
export const kinds = ['writer', 'reader'] as const;

/** A writer and a reader with token logins as on RDS and the guard installed, for one `describe`. */
export function guardPair(major: PostgresMajor) {
  const service = new PostgresService();
  let started: RdsInstance | undefined;
  const there = (): RdsInstance => {
    if (started === undefined) throw new Error('the pair is started by beforeAll');
    return started;
  };
  let made = 0;
  const held: Held[] = [];

  const addressOf = (kind: Kind, more: Partial<TargetAddress> = {}): TargetAddress => {
    const port = there().endpoints.find((endpoint) => endpoint.kind === kind)?.port ?? 0;
    return { host: 'localhost', port, database: 'postgres', servername: 'localhost', ca: there().caPem, ...more };
  };
  const broker: BrokerLogin = { user: 'usher_broker', password: () => Promise.resolve(token) };
  const connect = (kind: Kind, more: Partial<TargetAddress> = {}, login = broker): Promise<TargetSession> =>
    service.connect(`try-${++made}`, addressOf(kind, more), login);

  const admin = async <T extends pg.QueryResultRow>(sql: string, kind: Kind = 'writer'): Promise<T[]> => {
    const client = new pg.Client({ ...there().admin(kind), database: 'postgres' });
    await client.connect();
    return (await client.query<T>(sql).finally(() => client.end())).rows;
  };
  const asMaster = async (sql: string): Promise<void> => {
    const { user, password } = there().master;
    const client = new pg.Client({ ...addressOf('writer'), user, password, ssl: { ca: there().caPem } });
    await client.connect();
    await client.query(sql).finally(() => client.end());
    await replayed();
  };
  /** What was done on the writer is known to the reader. */
  const replayed = async (): Promise<void> => {
    const [writer] = await admin<{ at: string }>('SELECT pg_current_wal_lsn() AS at');
    await until('the reader has heard of it', async () => {
      const [row] = await admin<{ done: boolean }>(
        `SELECT pg_last_wal_replay_lsn() >= '${writer?.at}' AS done`,
        'reader',
      );
      return row?.done;
    });
  };
  /** Keeps everybody away from the settings of the guard: an ACCESS EXCLUSIVE lock is the only one that reaches readers. */
  const lockSettings = async (): Promise<void> => {
    const sql = 'LOCK TABLE usher.setting IN ACCESS EXCLUSIVE MODE';
    held.push(await hold({ ...there().admin('writer'), database: 'postgres' }, sql));
    // nothing commits, so nothing would send it for seconds
    await admin('SELECT pg_switch_wal()');
    const found = `SELECT 1 FROM pg_locks WHERE relation = 'usher.setting'::regclass AND mode = 'AccessExclusiveLock'`;
    await until('the reader has the lock too', async () => (await admin(found, 'reader')).length > 0);
  };
  const waits = (kind: Kind): Promise<{ pid: number }> =>
    until('the broker waits for the lock', async () => {
      const found = `SELECT pid FROM pg_stat_activity WHERE usename = 'usher_broker' AND wait_event_type = 'Lock'`;
      return (await admin<{ pid: number }>(found, kind))[0];
    });
  beforeAll(async () => {
    started = await startRdsInstance({
      ...{
        name: `advice-${major}`,
        resourceId: 'cluster-ADVICE',
        major,
        databases: [],
        replica: true,
        ephemeral: true,
      },
      dataDir: join(tmpdir(), `usher-advice-${randomBytes(4).toString('hex')}`),
      authority: createAuthority('advice'),
      verify: (login) =>
        Promise.resolve(login.token === token ? { ok: true } : { ok: false, reason: 'not the token of this test' }),
    });
    await asMaster(targetSql());
    await asMaster(`SELECT usher.broker_auth('iam'); CREATE ROLE app_read NOLOGIN;
      SELECT usher.allow('read', '{app_read}', 60, 5, '{iam,password}')`);
  });
  const unlock = async (): Promise<void> => {
    for (const one of held.splice(0)) await one.release();
  };
  afterEach(unlock);
  afterAll(async () => {
    await service.onApplicationShutdown();
    await started?.close();
  });

  return {
    get instance() {
      return there();
    },
    ...{ admin, addressOf, asMaster, broker, connect, lockSettings, unlock, replayed, waits },
  };
}
