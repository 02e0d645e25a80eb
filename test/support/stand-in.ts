import { createRdsAuthority } from '../../local/rds/authority.ts';
import { startStandIn } from '../../local/stand-in.ts';
import type { StandIn } from '../../local/stand-in.ts';

let running: Promise<StandIn> | undefined;

/**
 * One stand-in for all test files of this process. Nobody needs to close it: its processes and their data end with ours.
 * Who stops a database starts it again.
 */
export function standIn(): Promise<StandIn> {
  if (running === undefined) {
    // vitest ends its workers by this signal, and without a listener nothing at all is cleared up
    process.once('SIGTERM', () => process.exit(0));
    running = startStandIn();
  }
  return running;
}

/** A bundle like the right one, with the root of somebody else under the same name. */
export const wrongCa = createRdsAuthority('eu-west-1').caPem;
