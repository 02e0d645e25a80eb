import pg from 'pg';

/** A lock in an open transaction. */
export interface Held {
  /** What was changed in the transaction is taken back. */
  release(): Promise<void>;
  /** What was changed stays. */
  commit(): Promise<void>;
}

/**
 * Runs a statement that takes locks and keeps them.
 * @param queued waits for nothing: the lock is taken when those before it have given it back
 */
export async function hold(
  connection: pg.ClientConfig,
  sql: string,
  values: unknown[] = [],
  queued = false,
): Promise<Held> {
  const client = new pg.Client(connection);
  client.on('error', () => undefined);
  await client.connect();
  await client.query('BEGIN');
  const taken = client.query(sql, values);
  taken.catch(() => undefined);
  if (!queued) await taken;
  const commit = async (): Promise<void> => {
    await client.query('COMMIT');
    await client.end();
  };
  return { release: () => client.end(), commit };
}

/** The guard's own mutex: while it is held, nothing is opened, closed or ended on the target. */
export const holdGuard = (admin: pg.ClientConfig, queued = false): Promise<Held> =>
  hold({ ...admin, database: 'postgres' }, 'LOCK TABLE usher.mutex IN EXCLUSIVE MODE', [], queued);
