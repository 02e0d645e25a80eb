import { PinoLogger } from 'nestjs-pino';
import { refuseSecrets } from './secrets.ts';

const lines: string[] = [];

/**
 * What every Usher of this process has logged since the last search: one for all, since the logger of the first is that of the
 * others, too. No stream: one that somebody ended would swallow what is written, and nothing would be found. With
 * `USHER_TEST_LOG`, a level, it is shown as well.
 */
export const keptLog = {
  write(line: string): void {
    lines.push(line);
    if (process.env['USHER_TEST_LOG'] !== undefined) process.stdout.write(line);
  },
};

/** From now on, of every Usher of this process: the level of the first would be that of all. */
export function logAt(level: string): void {
  PinoLogger.root.level = level;
}

/** @throws Error when a secret was written; the lines are forgotten either way */
export function searchLog(): void {
  const text = lines.splice(0).join('');
  refuseSecrets('the log', text);
}
