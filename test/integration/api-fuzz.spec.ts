import { Agent, request } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { faultsOf, type Answered } from '../fuzz/answers.ts';
import { graphqlShots, readTypes } from '../fuzz/graphql.ts';
import { restShots, type Document, type Shot } from '../fuzz/rest.ts';
import type { World } from '../fuzz/values.ts';
import { ask, forged, known, open, register, someone } from '../support/people.ts';
import { startUsher, type Usher } from '../support/usher.ts';

/** `USHER_FUZZ_SEED` and `USHER_FUZZ_RUNS` make the same cases again; they are printed with each run. */
const seed = Number(process.env['USHER_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const runs = Number(process.env['USHER_FUZZ_RUNS'] ?? 10_000);
const AT_ONCE = 16;
/** So many kinds of calls are tried again by themselves. */
const SLOWEST = 60;
/** That the later three quarters of the calls may leave behind. */
const MOST_HELD_MB = 50;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

let usher: Usher;
let world: World;
const tokens: Record<string, string | undefined> = {};
const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  const orders = await register(usher, 'orders');
  const billing = await register(usher, 'billing', {}, { approvalsNeeded: 1 });
  const engineer = someone(usher, ['engineers']);
  const [granted, pending] = [await open(usher, engineer, orders), await ask(engineer, billing)];
  const { body: account } = await (
    await known(usher, 'dave')
  ).post<{ id: string }>('/v1/accounts', {
    ...{ accountId: '111122223333', name: 'spare', partition: 'aws', regions: ['eu-west-1'] },
  });
  world = worldOf({
    target: [orders.targetId, billing.targetId],
    profile: [...Object.values(orders.profiles), ...Object.values(billing.profiles)],
    grant: [granted.grantId],
    request: [granted.id, pending.id],
    person: [granted.personId],
    account: [account.id],
  });
  for (const name of ['alice', 'bob', 'carol', 'dave'])
    tokens[name] = await usher.standIn.oidc.tokenFor(name, { expiresIn: 86_400 });
  tokens['stranger'] = await usher.standIn.oidc.tokenFor('alice', {
    expiresIn: 86_400,
    claims: { sub: 'stranger', groups: [] },
  });
  tokens['forger'] = forged(usher, {}, { alg: 'none' });
});
afterAll(async () => {
  agent.destroy();
  await usher?.close();
});

/** Hosts are on this machine, at ports where nobody listens: what a call makes up must not be looked for elsewhere. */
const worldOf = (ids: World['ids']): World => ({
  ids,
  texts: {
    ...{ connectHost: ['127.0.0.1', 'localhost'], tokenHost: ['db.example.com'], port: [1, 2, 3] },
    ...{ region: ['eu-west-1', 'eu-west-9', 'us-gov-west-1'], regions: ['eu-west-1', 'us-east-1'] },
    ...{ partition: ['aws', 'aws-cn', 'aws-moon'], accountId: ['111122223333', '123456789012'] },
    ...{
      resourceId: ['cluster-FUZZ', 'db-FUZZ', 'prx-0fuzz'],
      environment: ['dev', 'prod'],
      caIdentifier: ['rds-ca-rsa2048-g1'],
    },
    ...{
      name: ['orders', 'fuzz', 'fuzz-two', 'reporting-read'],
      groups: ['orders_read'],
      databases: ['orders', 'postgres'],
    },
    ...{ rds: ['https://localhost:1'], sts: ['https://localhost:1'], iam: ['https://localhost:1'], wait: ['none'] },
    ...{ secretsmanager: ['https://localhost:1'], logs: ['https://localhost:1'], logPlace: ['/var/log', '/aws/rds/x'] },
    ...{ brokerRoleArn: ['arn:aws:iam::111122223333:role/usher'] },
  },
});

const send = ({ who, method, path, headers, body }: Shot): Promise<Answered> =>
  new Promise((resolve, reject) => {
    const authorization = tokens[who] === undefined ? {} : { authorization: `Bearer ${tokens[who]}` };
    const { hostname, port } = new URL(usher.url);
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const call = request(
      { agent, hostname, port, method, path, headers: { ...headers, ...authorization, ...length } },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            type: answer.headers['content-type'] ?? '',
            text: Buffer.concat(chunks).toString(),
          }),
        );
      },
    );
    call.on('error', reject);
    call.end(body);
  });

interface Found {
  fault: string;
  shot: Shot;
  answer: string;
}

interface Timed {
  shot: Shot;
  /** Milliseconds, with what the fifteen others cost the same process. */
  took: number;
}

interface Fired {
  found: Found[];
  timed: Timed[];
  statuses: Record<number, number>;
}

/** Sends all, so many at a time, and tells what was wrong with which answer. */
async function fire(shots: readonly Shot[], atOnce = AT_ONCE): Promise<Fired> {
  const [found, timed, statuses]: [Found[], Timed[], Record<number, number>] = [[], [], {}];
  const left = shots.values();
  const worker = async (): Promise<void> => {
    for (const shot of left) {
      const since = performance.now();
      const answer = await send(shot).catch((error: unknown) => ({ status: 0, type: '', text: String(error) }));
      timed.push({ shot, took: performance.now() - since });
      statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
      const graphql = shot.path.split('?')[0] === '/graphql';
      const faults = answer.status === 0 ? [answer.text] : faultsOf(answer, { graphql, method: shot.method });
      found.push(...faults.map((fault) => ({ fault, shot, answer: answer.text.slice(0, 600) })));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return { found, timed: timed.sort((a, b) => a.took - b.took), statuses };
}

/** Megabytes that are still held when all that nobody needs was given back. */
async function held(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    collectGarbage();
    await nextTurn(); // what was waiting for the collection ends here
  }
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}

/** One of each fault, with what was sent: the first is enough to begin with. */
function firstOfEach(found: readonly Found[]): string[] {
  const kinds = new Map<string, Found>();
  for (const one of found)
    if (!kinds.has(`${one.fault} ${one.shot.path.slice(0, 14)}`))
      kinds.set(`${one.fault} ${one.shot.path.slice(0, 14)}`, one);
  return [...kinds.values()].slice(0, 20).map(({ fault, shot, answer }) => {
    const body = shot.body === undefined ? '' : shot.body.toString().slice(0, 600);
    return `${fault}: ${shot.who} ${shot.method} ${shot.path.slice(0, 300)} ${JSON.stringify(shot.headers)} ${body} → ${answer}`;
  });
}

/** A route or an operation, whatever it is called with. */
const kindOf = ({ method, path, body }: Shot): string =>
  path === '/graphql'
    ? (body?.toString().slice(0, 60) ?? '')
    : `${method} ${path.split('?')[0]?.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '{id}')}`;

/** The slowest of each kind once more, one after the other: what each costs by itself, and not what waited with it for the same processor. */
async function alone({ timed }: Fired): Promise<Timed | undefined> {
  const slowest = new Map<string, Shot>();
  for (const { shot } of timed.toReversed())
    if (slowest.size < SLOWEST && !slowest.has(kindOf(shot))) slowest.set(kindOf(shot), shot);
  return (await fire([...slowest.values()], 1)).timed.at(-1);
}

async function holds(name: string, shots: readonly Shot[]): Promise<void> {
  const memory = [await held()];
  const all: Fired = { found: [], timed: [], statuses: {} };
  const delay = monitorEventLoopDelay({ resolution: 5 });
  const since = performance.now();
  for (let quarter = 0; quarter < 4; quarter++) {
    const part = (at: number): number => Math.floor((shots.length * at) / 4);
    delay.enable();
    const { found, timed, statuses } = await fire(shots.slice(part(quarter), part(quarter + 1)));
    delay.disable();
    all.found.push(...found);
    all.timed.push(...timed);
    for (const [status, times] of Object.entries(statuses))
      all.statuses[Number(status)] = (all.statuses[Number(status)] ?? 0) + times;
    memory.push(await held());
  }
  const took = Math.round(performance.now() - since);
  all.timed.sort((a, b) => a.took - b.took);
  const slowest = await alone(all);
  const at = (share: number): number => Math.round(all.timed[Math.floor((shots.length - 1) * share)]?.took ?? 0);
  console.log(
    `${name}: ${shots.length} calls in ${took} ms, sixteen at once: p99 ${at(0.99)} ms, longest ${at(1)} ms, ` +
      `longest pause of the event loop ${Math.round(delay.max / 1e6)} ms; the slowest by itself ${Math.round(slowest?.took ?? 0)} ms ` +
      `(${slowest?.shot.method} ${slowest?.shot.path.slice(0, 100)}); MB held, after each quarter ${memory.map((mb) => mb.toFixed(1)).join(' → ')}; ` +
      `answers ${JSON.stringify(all.statuses)}; again with USHER_FUZZ_SEED=${seed} USHER_FUZZ_RUNS=${runs}`,
  );
  expect(firstOfEach(all.found)).toEqual([]);
  expect((await usher.withToken(undefined).get('/health/ready')).status).toBe(200);
  // the first quarter fills what is kept on purpose; a call that left ten kilobytes behind would show in the others
  expect((memory[4] ?? 0) - (memory[1] ?? 0)).toBeLessThan(MOST_HELD_MB);
}

describe('whatever is sent, the answer is one of ours', () => {
  test('to REST', { timeout: 300_000 }, async () => {
    const { body } = await usher.withToken(undefined).get<Document & Record<string, unknown>>('/openapi.json');
    await holds('REST', fc.sample(restShots(body, world), { seed, numRuns: Math.ceil(runs * 0.7) }));
  });

  test('to GraphQL', { timeout: 300_000 }, async () => {
    const types = await readTypes(await known(usher, 'carol'));
    await holds('GraphQL', fc.sample(graphqlShots(types, world), { seed, numRuns: Math.floor(runs * 0.3) }));
  });
});
