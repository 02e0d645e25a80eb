import { Database } from '../platform/state/database.js';
import { openState } from '../platform/state/state.js';
import { commandSettings } from './broker-login.js';

/**
 * Works on Usher's own state without the service: the one in DATABASE_URL as it is, not migrated; without that the embedded one,
 * which the running service must not hold then.
 */
export async function withState<T>(work: (db: Database) => Promise<T>): Promise<T> {
  const settings = commandSettings();
  const state =
    settings.databaseUrl === undefined
      ? await openState(settings)
      : { url: settings.databaseUrl.reveal(), stop: () => Promise.resolve() };
  const db = new Database({ url: state.url, poolSize: 4 });
  try {
    return await work(db);
  } finally {
    await db.onApplicationShutdown();
    await state.stop();
  }
}
