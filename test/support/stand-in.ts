import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRdsAuthority } from '../../local/rds/authority.ts';
import { startStandIn } from '../../local/stand-in.ts';
import type { StandIn } from '../../local/stand-in.ts';
import { standInMajors } from './majors.ts';
import { keepLoginToken, keepSecret } from './secrets.ts';

let running: Promise<StandIn> | undefined;

/**
 * One stand-in for all test files of this process. Nobody needs to close it: its processes and their data end with ours.
 * Who stops a database starts it again.
 */
export function standIn(): Promise<StandIn> {
  running ??= startStandIn({ directory: ownDirectory(), ephemeral: true, majors: standInMajors }).then(overheard);
  return running;
}

/** What passes between it and Usher that is secret: all of it is looked for in what Usher writes. */
function overheard(outside: StandIn): StandIn {
  const { aws, env, targets } = outside;
  keepSecret('the key of the service', env['AWS_SECRET_ACCESS_KEY'] ?? '');
  for (const { master } of Object.values(targets)) keepSecret('the password of a master', master.password);
  const { credentials } = aws.iam;
  const create = credentials.createSessionKey.bind(credentials);
  credentials.createSessionKey = (...session) => {
    const key = create(...session);
    keepSecret('the key of a session', key.secretAccessKey);
    keepSecret('a session token', key.sessionToken);
    return key;
  };
  const verify = aws.verifyToken;
  aws.verifyToken = (token, expected) => {
    keepLoginToken(token);
    return verify(token, expected);
  };
  return outside;
}

const prefix = 'usher-tests-';

/** Removed at the end of this process, which for a worker of vitest is a signal, at which nothing else would be run. */
function ownDirectory(): string {
  removeThoseOfTheKilled();
  const directory = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`));
  const remove = (): void => rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
  process.once('exit', remove);
  process.once('SIGTERM', () => {
    remove();
    // others may listen too, and end us in their own way; else this is the default again
    if (process.listenerCount('SIGTERM') === 0) process.kill(process.pid, 'SIGTERM');
  });
  return directory;
}

/** vitest kills a worker that is busy for half a second at its end; its servers end with it, the bundle file stays. */
function removeThoseOfTheKilled(): void {
  for (const name of readdirSync(tmpdir()).filter((one) => one.startsWith(prefix))) {
    const pid = Number(name.slice(prefix.length).split('-')[0]);
    if (!Number.isInteger(pid) || isAlive(pid)) continue;
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** A bundle like the right one, with the root of somebody else under the same name. */
export const wrongCa = createRdsAuthority('eu-west-1').caPem;
