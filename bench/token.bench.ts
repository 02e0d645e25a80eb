/** `npm run bench -- token`: how many login tokens a second, beside what they cannot cost less than in the same run. */
import { parseArgs } from 'node:util';
import { startWorker } from './processes.ts';
import { timeOfAwsCli } from './token-cli.ts';
import { openStage } from './token-stage.ts';

const help = `npm run bench -- token [--seconds 4] [--rounds 4] [--connections 16]

Asks POST /v1/grants/{id}/tokens over loopback and, in turns with it, its floor: a bare Fastify route that verifies the
same access token, asks Cedar once, writes one row of the same size to the same PostgreSQL (fsync on) and signs.
usher asks for the token alone, as a program does; recipes is the same with the recipes of every client, as a person gets them.
All run on this machine: compare the ratio, not the numbers, with those of other runs. Beside them: one token of the AWS CLI.`;

interface Round {
  requests: number;
  seconds: number;
  errors: number;
  times: number[];
}
interface Ask {
  [name: string]: string | number;
  url: string;
  authorization: string;
  body: string;
  connections: number;
}
type Side = 'floor' | 'usher' | 'recipes';
const sides: readonly Side[] = ['floor', 'usher', 'recipes'];
/** What each is asked. */
const bodies: Record<Side, string> = { floor: '{}', usher: '{"clients":[]}', recipes: '{}' };

/** Calls before anything is measured: the compiler of V8 works by how often a function ran, not by how long. */
const WARM_UP = 4_000;

const positive = (name: string, text: string): number => {
  const number = Number(text);
  if (!(number > 0)) throw new Error(`--${name} must be a number above 0`);
  return number;
};

function readOptions() {
  const string = (text: string) => ({ type: 'string', default: text }) as const;
  const { values } = parseArgs({
    options: {
      seconds: string('4'),
      rounds: string('4'),
      connections: string('16'),
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const { seconds, rounds, connections } = values;
  return {
    help: values.help,
    seconds: positive('seconds', seconds),
    rounds: Math.ceil(positive('rounds', rounds)),
    connections: Math.ceil(positive('connections', connections)),
  };
}

async function measure({
  seconds,
  rounds,
  connections,
}: ReturnType<typeof readOptions>): Promise<Record<Side, Round[]>> {
  const stage = await openStage();
  const load = startWorker<Ask, Round>('bench/load.mjs');
  const run = (side: Side, much: { seconds: number } | { amount: number }): Promise<Round> =>
    load.ask({
      url: side === 'floor' ? stage.urls.floor : stage.urls.service,
      authorization: stage.authorization,
      body: bodies[side],
      connections,
      ...much,
    });
  try {
    for (const side of sides) await run(side, { amount: WARM_UP });
    const found: Record<Side, Round[]> = { floor: [], usher: [], recipes: [] };
    for (let round = 0; round < rounds; round += 1)
      // turned round each time: what the machine does beside us should meet both
      for (const side of round % 2 === 0 ? sides : sides.toReversed()) found[side].push(await run(side, { seconds }));
    return found;
  } finally {
    await load.stop();
    await stage.close();
  }
}

function sum(rounds: readonly Round[]) {
  const times = rounds.flatMap((round) => round.times).sort((a, b) => a - b);
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? NaN;
  const total = (of: 'requests' | 'seconds' | 'errors'): number => rounds.reduce((all, round) => all + round[of], 0);
  return { rate: total('requests') / total('seconds'), p50: at(0.5), p99: at(0.99), errors: total('errors') };
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options.help) {
    console.log(help);
    return;
  }
  const rounds = await measure(options);
  const [floor, usher, recipes] = [sum(rounds.floor), sum(rounds.usher), sum(rounds.recipes)];
  const line = (name: string, { rate, p50, p99 }: typeof floor): string =>
    `${name.padEnd(8)}${rate.toFixed(0).padStart(6)} tokens/s   p50 ${p50.toFixed(1).padStart(6)} ms   p99 ${p99.toFixed(1).padStart(6)} ms`;
  const { connections, seconds } = options;
  console.log(`${connections} connections, ${options.rounds} × ${seconds} s each, in turns`);
  console.log([line('floor', floor), line('usher', usher), line('recipes', recipes)].join('\n'));
  const ratio = (of: typeof floor): string =>
    `${(of.rate / floor.rate).toFixed(2)} of the floor, p99 ${(of.p99 / floor.p99).toFixed(2)} of the floor's`;
  console.log(`ratio   ${ratio(usher)}; with all recipes ${ratio(recipes)}`);
  console.log(`aws cli ${await timeOfAwsCli()}`);
  const errors = floor.errors + usher.errors + recipes.errors;
  if (errors > 0) throw new Error(`${errors} calls failed: the numbers mean nothing`);
}

await main();
