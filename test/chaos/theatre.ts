import { isDeepStrictEqual } from 'node:util';
import type pg from 'pg';
import { vi } from 'vitest';
import { hold, holdGuard, type Held } from '../support/held.ts';
import { startService, type Service } from '../support/service.ts';
import { freshDatabase } from '../support/state.ts';
import { until } from '../support/until.ts';
import { asAdmin, holdings, nothing } from '../e2e/holdings.ts';
import { setStage, type Stage } from '../e2e/stage.ts';

/** The real service on a database of its own, and all it takes to stop it at a chosen moment. Its address stays the same. */
export interface Theatre {
  stage: Stage;
  kill(): Promise<void>;
  start(): Promise<void>;
  until<T>(what: string, see: () => Promise<T | undefined | false>): Promise<T>;
  /** Nothing is opened, closed or ended on `orders` until `releaseGuard` or `release`. */
  holdGuard(): Promise<void>;
  /** Lets those through who wait for the guard already, and holds it again behind them. */
  passGuardOn(): Promise<void>;
  releaseGuard(): Promise<void>;
  /** Locks a row of Usher's state until `release`. */
  holdRow(table: 'access_grant' | 'request', id: string): Promise<void>;
  /** Gives back everything that is held. */
  release(): Promise<void>;
  /** So many calls of the broker wait for the guard. */
  waiting(call: 'open' | 'close' | 'terminate' | 'any', calls: number): Promise<void>;
  /** So many statements of Usher wait for rows of its state. */
  waitingForRows(statements: number): Promise<void>;
  /** Ends what a dead service left running on the target. */
  endBrokerSessions(): Promise<void>;
  /** IAM takes so long for this call from now on; `iamHas` looks from here. */
  slowIam(milliseconds: number, action?: string): void;
  /** Such a call is with IAM, or was. */
  iamHas(action: string): Promise<void>;
  /** The end of the grant was a second ago. */
  passTime(grantId: string): Promise<void>;
  /** Grants that are neither open nor over. */
  unfinished(): Promise<string[]>;
  /** Logins of this theatre that hold anything on the target without a live grant. */
  strays(): Promise<string[]>;
  /** Gives back, heals, and starts the service where it is dead. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

/** A start of the whole service on a machine with other things to do. */
export const PATIENCE_MS = 60_000;

export async function openTheatre(): Promise<Theatre> {
  const database = await freshDatabase();
  const service = await restartable(database.url);
  const stage = await setStage(service);
  const { aws } = stage.standIn;
  const slowed = vi.spyOn(aws.faults, 'slow');
  const target = guardOf(stage);
  const rows: Held[] = [];
  const release = async (): Promise<void> => {
    await target.releaseGuard();
    for (const row of rows.splice(0)) await row.release();
  };
  return {
    stage,
    ...service,
    ...target,
    ...stateOf(stage, database.owner),
    until: (what, see) => until(what, see, PATIENCE_MS),
    release,
    holdRow: async (table, id) => {
      rows.push(
        await hold({ connectionString: database.url }, `SELECT 1 FROM ${table} WHERE id = $1 FOR UPDATE`, [id]),
      );
    },
    slowIam: (milliseconds, action) => {
      aws.faults.delay(milliseconds, { service: 'iam', ...(action !== undefined && { action }) });
      slowed.mockClear();
    },
    iamHas: (action) =>
      look(`${action} is with IAM`, async () => slowed.mock.calls.some(([, called]) => called === action)),
    clear: async () => {
      await release();
      aws.faults.clear();
      await service.start();
    },
    close: async () => {
      slowed.mockRestore();
      await service.end();
      await database.drop();
    },
  };
}

const look = async (what: string, at: () => Promise<boolean>): Promise<void> => {
  await until(what, at, PATIENCE_MS);
};

/** A service that comes back at the same address. */
export async function restartable(databaseUrl: string) {
  let running: Service | undefined = await startService({ databaseUrl });
  const { url, standIn } = running;
  return {
    url,
    standIn,
    kill: async (): Promise<void> => {
      await running?.kill();
      running = undefined;
    },
    start: async (): Promise<void> => {
      running ??= await startService({ databaseUrl, env: { USHER_PORT: new URL(url).port } });
    },
    end: async (): Promise<void> => {
      await running?.stop();
    },
    /** What it has said since its last start. */
    log: (): string => running?.log() ?? '',
  };
}

/** The guard of `orders`, and who waits for it. */
function guardOf({ standIn }: Stage) {
  const admin = () => standIn.targets.orders.rds.admin();
  const count = async (sql: string, values: unknown[] = []): Promise<number> => {
    const { rows } = await asAdmin(standIn, 'orders', (client) => client.query<{ n: number }>(sql, values));
    return rows[0]?.n ?? 0;
  };
  let guard: Held | undefined;
  const releaseGuard = async (): Promise<void> => {
    await guard?.release();
    guard = undefined;
  };
  return {
    releaseGuard,
    holdGuard: async (): Promise<void> => {
      guard = await holdGuard(admin());
    },
    passGuardOn: async (): Promise<void> => {
      const waiters = `SELECT count(*)::int AS n FROM pg_locks WHERE relation = 'usher.mutex'::regclass AND NOT granted`;
      const before = await count(waiters);
      const next = await holdGuard(admin(), true);
      await look('the next holder is in the queue', async () => (await count(waiters)) > before);
      await releaseGuard();
      guard = next;
    },
    waiting: (call: string, calls: number): Promise<void> => {
      const sql = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = 'usher_broker' AND wait_event_type = 'Lock' AND query LIKE $1`;
      return look(
        `${calls} usher.${call} wait`,
        async () => (await count(sql, [call === 'any' ? '%usher.%' : `%usher.${call}(%`])) === calls,
      );
    },
    endBrokerSessions: async (): Promise<void> => {
      await count(
        `SELECT count(pg_terminate_backend(pid, 5000))::int AS n FROM pg_stat_activity WHERE usename = 'usher_broker'`,
      );
    },
  };
}

/** Usher's own state, past Usher. */
function stateOf({ standIn }: Stage, owner: pg.Pool) {
  return {
    waitingForRows: (statements: number): Promise<void> => {
      const sql = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event IN ('transactionid', 'tuple')`;
      return look(
        `${statements} statements wait for rows`,
        async () => (await owner.query(sql)).rowCount === statements,
      );
    },
    passTime: async (grantId: string): Promise<void> => {
      const sql = `UPDATE access_grant SET starts_at = starts_at - interval '1 day', ends_at = clock_timestamp() - interval '1 s' WHERE id = $1`;
      await owner.query(sql, [grantId]);
    },
    unfinished: async (): Promise<string[]> => {
      const { rows } = await owner.query<{ id: string }>(
        `SELECT id FROM access_grant WHERE state IN ('opening', 'closing')`,
      );
      return rows.map(({ id }) => id);
    },
    strays: async (): Promise<string[]> => {
      const sql = `SELECT login, bool_or(state = 'active') AS live FROM access_grant GROUP BY 1`;
      const { rows } = await owner.query<{ login: string; live: boolean }>(sql);
      const dead = rows.filter(({ live }) => !live).map(({ login }) => login);
      const found = await Promise.all(
        dead.map(async (login) => [login, await holdings({ standIn }, 'orders', login)] as const),
      );
      return found.filter(([, has]) => !isDeepStrictEqual(has, nothing)).map(([login]) => login);
    },
  };
}
