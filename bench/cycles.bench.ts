/** `npm run bench -- cycles`: whether the twenty thousandth grant on a target costs more, or leaves more, than the first. */
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { createAuthority } from '../local/rds/authority.ts';
import { postgresMajors } from '../src/platform/embedded-postgres.ts';
import type * as service from '../src/postgres/postgres.service.ts';
import { startGuardTarget } from '../test/integration/guard-target.ts';
import { drift, runCycles } from './cycles.ts';
import { path } from './processes.ts';

const { PostgresService } = (await import(path('dist/postgres/postgres.service.js'))) as typeof service;

const help = `npm run bench -- cycles [--cycles 20000] [--logins 20] [--postgres 17]

Opens and closes a grant on a target, over and over, through the client that the service uses: TLS, the guard, fsync off.
Access lists and memberships must be the same afterwards. The ratio of the last thousand to the first shows whether the
time grew; the control, a call that changes nothing, what the machine itself did meanwhile.`;

const { values } = parseArgs({
  options: {
    cycles: { type: 'string', default: '20000' },
    logins: { type: 'string', default: '20' },
    postgres: { type: 'string', default: '17' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

async function main(): Promise<void> {
  const [cycles, logins] = [Number(values.cycles), Number(values.logins)];
  const major = postgresMajors.find((one) => String(one) === values.postgres);
  if (!(cycles >= 2) || !(logins >= 1) || major === undefined) throw new Error(help);
  const target = await startGuardTarget(major, createAuthority('cycles'));
  const postgres = new PostgresService();
  try {
    await target.asMaster(`UPDATE usher.setting SET value = '1000000' WHERE name = 'max_opens_per_hour'`);
    const guard = await postgres.connect('cycles', target.address, target.broker);
    const since = performance.now();
    const found = await runCycles(guard, target.rdsadmin, { cycles, logins });
    const seconds = (performance.now() - since) / 1_000;
    console.log(`PostgreSQL ${major}: ${cycles} cycles on ${logins} logins in ${seconds.toFixed(0)} s`);
    for (const name of ['open', 'close', 'control'] as const) {
      const { first, last, ratio } = drift(found[name]);
      console.log(
        `${name.padEnd(8)} p50 of the first thousand ${first.toFixed(2)} ms, of the last ${last.toFixed(2)} ms: ratio ${ratio.toFixed(2)}`,
      );
    }
    const { before, after } = found;
    console.log(
      `access lists ${Object.keys(after.accessLists).length}, memberships ${after.memberships}, roles ${after.logins}`,
    );
    if (!isDeepStrictEqual(before, after)) throw new Error(`it left something: ${JSON.stringify({ before, after })}`);
    console.log('the same as before');
  } finally {
    await postgres.onApplicationShutdown();
    await target.stop();
  }
}

if (values.help) console.log(help);
else await main();
