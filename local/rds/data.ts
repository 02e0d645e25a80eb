/** What becomes of the data directory of a server: its log files, and its copy for a standby. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** As RDS sets it: a file an hour, with all connections. */
export const collected = (destination: string): Record<string, string> => ({
  ...{ logging_collector: 'on', log_destination: destination, log_directory: 'log' },
  ...{ log_filename: 'postgresql.log.%Y-%m-%d-%H', log_rotation_age: '60', log_truncate_on_rotation: 'off' },
  ...{ log_connections: 'on', log_disconnections: 'on' },
});

/** @param from the data directory of a server that is stopped */
export async function coldCopy(from: string, to: string): Promise<void> {
  if (existsSync(to)) await rm(to, { recursive: true });
  await run('cp', ['-a', from, to]);
  await rm(join(to, 'log'), { recursive: true, force: true }); // each server's log is its own
  const signal = join(to, 'standby.signal');
  await writeFile(signal, '', { mode: 0o600, flag: 'wx' });
  const { uid, gid } = await stat(from);
  if (process.getuid?.() === 0) await chown(signal, uid, gid);
}
