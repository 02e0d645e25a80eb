/** `npm run bench -- discovery`: a look at thousands of clusters, beside what reading them cannot cost less than. */
import { parseArgs } from 'node:util';
import { DiscoveryStage } from './discovery-stage.ts';
import type { Look } from './discovery-stage.ts';

const help = `npm run bench -- discovery [--clusters 2000] [--instances 3] [--throttle 10]

Looks at a region of that many clusters, from POST /v1/discoveries to the end of the run: first when all are new, then
again when none is, then with one in so many calls throttled. The floor reads the same pages with the plain SDK and keeps
nothing. A region with a tenth of the clusters is looked at first: what memory grows with would show between the two.
Memory is the service's resident peak (Linux). Fails when a second look writes a row, or a look takes over 60 s.`;

const { values } = parseArgs({
  options: {
    clusters: { type: 'string', default: '2000' },
    instances: { type: 'string', default: '3' },
    throttle: { type: 'string', default: '10' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const LIMIT_SECONDS = 60;
const [SMALL, LARGE] = ['eu-central-1', 'us-east-1'] as const;

const line = (name: string, { seconds, found, calls, throttled, rows, peakMiB }: Look): string =>
  `${name.padEnd(22)}${seconds.toFixed(2).padStart(6)} s  ${String(found.databases).padStart(5)} found  ${String(calls).padStart(4)} calls, ` +
  `${String(throttled).padStart(2)} throttled  ${String(rows).padStart(5)} rows written  peak ${peakMiB.toFixed(0)} MiB`;

async function main(): Promise<void> {
  const [clusters, instances, oneIn] = [Number(values.clusters), Number(values.instances), Number(values.throttle)];
  if (!(clusters >= 10) || !(instances >= 1) || !(oneIn >= 2)) throw new Error(help);
  const fleets = new Map([
    [SMALL, Math.round(clusters / 10)],
    [LARGE, clusters],
  ]);
  const stage = await DiscoveryStage.open(fleets, instances);
  const looks: [string, Look][] = [];
  const look = async (name: string, region: string): Promise<Look> => {
    const seen = await stage.look(region);
    console.log(line(name, seen));
    looks.push([name, seen]);
    return seen;
  };
  try {
    console.log(`${clusters} clusters with ${instances} instances each`);
    await look('a tenth of them, new', SMALL);
    const floor = await stage.floor(LARGE);
    if (floor.clusters !== clusters || floor.instances !== clusters * instances)
      throw new Error(`the floor saw ${JSON.stringify(floor)}`);
    console.log(`${'floor'.padEnd(22)}${floor.seconds.toFixed(2).padStart(6)} s`);
    const first = await look('all new', LARGE);
    const second = await look('nothing new', LARGE);
    stage.throttle(oneIn);
    const throttled = await look(`one in ${oneIn} throttled`, LARGE);
    console.log(
      `ratio   the first look ${(first.seconds / floor.seconds).toFixed(1)} of the floor's time, the second ${(second.seconds / floor.seconds).toFixed(1)}`,
    );
    const again = [second, throttled].filter(({ rows }) => rows > 0);
    if (again.length > 0) throw new Error('a look that found nothing new wrote rows');
    if (looks.slice(1).some(([, { found }]) => found.databases !== clusters)) throw new Error('databases are missing');
    const slow = looks.find(([, { seconds }]) => seconds > LIMIT_SECONDS);
    if (slow) throw new Error(`${slow[0]}: over ${LIMIT_SECONDS} s`);
  } finally {
    await stage.close();
  }
}

if (values.help) console.log(help);
else await main();
