import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { binariesOf, startPostgres, type PostgresServer } from '../embedded-postgres.js';
import type { Settings } from '../config.js';
import { installJobs } from '../jobs/jobs.js';
import { migrate } from './migrate.js';
import { prepareMonths } from './months.js';
import { prepareServerLogs } from './retention.js';

/** Usher's own database, ready to work in. */
export interface State {
  /** A secret: it may hold a password. */
  url: string;
  /** What to tell the operator about where it is; no secret. */
  where: string;
  stop(): Promise<void>;
}

/** `prisma/migrations` of this package, from `src/platform/state` and from `dist/platform/state` alike. */
export const migrationsDirectory = join(import.meta.dirname, '../../../prisma/migrations');

/** Opens Usher's state: the PostgreSQL that DATABASE_URL names, else an embedded one; then brings its schema up to date. */
export async function openState(
  settings: Pick<Settings, 'databaseUrl' | 'stateDirectory' | 'retentionMonths' | 'serverLogRetentionDays'>,
): Promise<State> {
  const state =
    settings.databaseUrl === undefined
      ? await embedded(settings.stateDirectory)
      : external(settings.databaseUrl.reveal());
  try {
    await migrate(state.url, migrationsDirectory, async () => {
      await installJobs(state.url);
      await prepareMonths(state.url, settings.retentionMonths);
      await prepareServerLogs(state.url, settings.serverLogRetentionDays);
    });
    return state;
  } catch (error) {
    await state.stop();
    throw error;
  }
}

const external = (url: string): State => ({
  url,
  where: 'the PostgreSQL that DATABASE_URL names',
  stop: async () => undefined,
});

async function embedded(directory: string): Promise<State> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const password = await keptPassword(join(directory, 'password'));
  const server = await startPostgres({
    binaries: binariesOf(),
    dataDir: join(directory, 'postgres'),
    superuser: 'usher',
    superuserPassword: password,
  });
  return {
    url: urlOf(server, password),
    where: `an embedded PostgreSQL in ${server.dataDir}`,
    stop: () => server.stop('fast'),
  };
}

const urlOf = (server: PostgresServer, password: string): string =>
  `postgresql://usher:${encodeURIComponent(password)}@${server.host}:${server.port}/postgres`;

/** Made once, readable by us alone: the data directory outlives the process. */
async function keptPassword(file: string): Promise<string> {
  try {
    await writeFile(file, randomBytes(24).toString('base64url'), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return (await readFile(file, 'utf8')).trim();
}
