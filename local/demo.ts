/**
 * The whole path on one machine, told step by step: `node local/demo.ts [--once]`, after `npm run build`.
 * Everything is made anew at each run under .usher/demo/<process id>, and ends with this process.
 */
import { existsSync, rmSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { clientOf } from './demo-api.ts';
import type { PersonName } from './demo-api.ts';
import {
  approved,
  connected,
  keptOut,
  minted,
  previewed,
  ranPsql,
  registered,
  requested,
  signedIn,
} from './demo-ask.ts';
import { attached, overlapping, proved, revoked, seen } from './demo-end.ts';
import { keepDemoFile, tellHowToGoOn } from './demo-stay.ts';
import { createReport } from './demo-report.ts';
import type { Report } from './demo-report.ts';
import { portNear, startService, startStateDatabase } from './demo-service.ts';
import type { Service } from './demo-service.ts';
import type { Registered, Stage } from './demo-stage.ts';
import { startStandIn } from './stand-in.ts';
import type { StandIn } from './stand-in.ts';

const base = join(import.meta.dirname, '../.usher');
const directory = join(base, 'demo', String(process.pid));

type Closers = (() => Promise<unknown>)[];

interface Play {
  readonly report: Report;
  readonly once: boolean;
  readonly closers: Closers;
  /** Everything was shown, and stays for a person to look at. */
  up: boolean;
}

interface Running {
  standIn: StandIn;
  service: Service;
  tokens: Record<PersonName, string>;
}

/** As far as they are free, the ports that people expect; the tokens live as long as one looks at the demo. */
async function surroundings(): Promise<StandIn> {
  const [aws, oidc, writer, reader, billing] = await Promise.all([4566, 4567, 5432, 5433, 5434].map(portNear));
  const ports = {
    ...(aws && { aws }),
    ...(oidc && { oidc }),
    ...(writer && { writer }),
    ...(reader && { reader }),
    ...(billing && { billing }),
  };
  return startStandIn({ directory, ephemeral: true, accessTokenSeconds: 12 * 3600, ports });
}

async function start(report: Report, closers: Closers): Promise<Running> {
  await removeLeftovers();
  await mkdir(directory, { recursive: true });
  closers.push(() => rm(directory, { recursive: true, force: true }));
  const starting = [
    surroundings().then((standIn) => (closers.push(() => standIn.close()), standIn)),
    startStateDatabase(directory).then((state) => (closers.push(() => state.server.stop('immediate')), state)),
  ] as const;
  await Promise.allSettled(starting); // of two, one may come up while the other fails: both are closed then
  const [standIn, state] = [await starting[0], await starting[1]];
  const service = await startService(directory, {
    ...standIn.env,
    DATABASE_URL: state.url,
    USHER_STATE_DIR: join(directory, 'none'),
    USHER_SAMPLE_SECONDS: '1',
  });
  closers.push(() => service.stop());
  const { orders, billing } = standIn.targets;
  report.fact('Usher', `${service.api} (log: ${service.logFile})`);
  report.fact('AWS', `${standIn.aws.url}: STS, IAM, RDS, Secrets Manager of account ${standIn.aws.accountId}`);
  report.fact('OpenID', standIn.oidc.issuer);
  for (const { database, endpoints } of [orders, billing])
    report.fact(database, endpoints.map(({ kind, host, port }) => `${kind} ${host}:${port}`).join(', '));
  const { oidc } = standIn;
  const [alice, bob, carol, dave] = [
    await oidc.tokenFor('alice'),
    await oidc.tokenFor('bob'),
    await oidc.tokenFor('carol'),
    await oidc.tokenFor('dave'),
  ];
  return { standIn, service, tokens: { alice, bob, carol, dave } };
}

/** Of runs that were killed: their directories, and the file for scripts. Their processes ended with them. */
async function removeLeftovers(): Promise<void> {
  const runs = await readdir(join(base, 'demo')).catch((): string[] => []);
  for (const run of runs.filter((name) => /^\d+$/.test(name) && !isAlive(Number(name))))
    await rm(join(base, 'demo', run), { recursive: true, force: true });
  await rm(join(base, 'demo-failed.log'), { force: true });
  const file = join(base, 'demo.json');
  const text = await readFile(file, 'utf8').catch(() => undefined);
  const caFile = text === undefined ? undefined : /"caFile": "([^"]+)"/.exec(text)?.[1];
  if (caFile === undefined || !existsSync(caFile)) await rm(file, { force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return pid !== process.pid;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function walk(stage: Stage, tokens: Running['tokens']): Promise<{ orders: Registered; billing: Registered }> {
  const { report } = stage;
  await report.step('Four people sign in at their OpenID provider', () => signedIn(stage, tokens));
  const targets = await report.step('Dave registers two databases and what may be asked for', () => registered(stage));
  const { orders, billing } = targets;
  await report.step('Alice looks at what a request would come to', () => previewed(stage, orders));
  const request = await report.step('Alice asks for 30 minutes of reporting-read on orders', () =>
    requested(stage, orders),
  );
  const opened = await report.step('Bob, who owns orders, agrees', () => approved(stage, request));
  const token = await report.step('Alice gets a login token', () => minted(stage, opened));
  await report.step('Alice logs in over verified TLS, and reads', () => connected(stage, opened, token));
  await report.step('Nobody gets in any other way', () => keptOut(stage, token));
  await report.step('The psql recipe, as the API gave it', () => ranPsql(stage, opened, token));
  await report.step('Carol, the auditor, sees who is connected', () => seen(stage, opened, token));
  await report.step('Bob revokes while Alice is in the middle of a statement', () => revoked(stage, opened, token));
  await report.step('Two overlapping grants are counted', () => overlapping(stage, orders));
  await report.step('Alice signs a token herself, with her own AWS keys', () => attached(stage, billing));
  await report.step('Carol reads the record of the first grant', () => proved(stage, opened));
  return targets;
}

async function run(play: Play): Promise<void> {
  const { report, closers } = play;
  const running = await report.step('AWS, an OpenID provider, two databases and Usher start', () =>
    start(report, closers),
  );
  const { standIn, service, tokens } = running;
  const { api } = service;
  const as = {
    alice: clientOf(api, tokens.alice),
    bob: clientOf(api, tokens.bob),
    carol: clientOf(api, tokens.carol),
    dave: clientOf(api, tokens.dave),
  };
  const stage: Stage = { report, standIn, api, directory, as, nobody: clientOf(api, undefined) };
  const died = service.died.then((tail) => Promise.reject(new Error(`the service ended by itself:\n${tail}`)));
  died.catch(() => undefined);
  const targets = await Promise.race([walk(stage, tokens), died]);
  if (play.once) return;
  const remove = await keepDemoFile(join(base, 'demo.json'), {
    stage,
    targets: [targets.orders, targets.billing],
    tokens,
  });
  closers.push(async () => remove());
  await tellHowToGoOn(stage, targets.orders);
  play.up = true;
  await died;
}

const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
/** One Ctrl-C may come several times, from the terminal and from npm. */
const IMPATIENT_MS = 1_000;

/** Settles at the first signal with the exit code for it. At one more we end at once, and what we started with us. */
function interrupted(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  let since: number | undefined;
  for (const [signal, number] of Object.entries(signals))
    process.on(signal, () => {
      if (since !== undefined && performance.now() - since > IMPATIENT_MS) process.exit(128 + number);
      since ??= performance.now();
      resolve(128 + number);
    });
  process.stdout.on('error', () => resolve(1)); // the reader of a pipe is gone
  return promise;
}

/** What the service had to say is wanted when something failed, and only then. */
async function failed(report: Report, error: unknown): Promise<number> {
  const [summary] = String(error).split('\n');
  const why = error instanceof Error && process.env['DEBUG'] !== undefined ? error.stack : summary;
  report.line(`\ndemo: failed after ${report.passed} steps: ${why}`);
  const kept = join(base, 'demo-failed.log');
  await rename(join(directory, 'usher.log'), kept).then(
    () => report.line(`demo: the log of the service is in ${kept}`),
    () => undefined, // it never came so far
  );
  return 1;
}

async function main(args: readonly string[]): Promise<number> {
  if (args.some((arg) => arg !== '--once')) {
    console.error('usage: npm run demo [-- --once]');
    return 2;
  }
  const report = createReport(process.stdout);
  const play: Play = { report, once: args.includes('--once'), closers: [], up: false };
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const since = performance.now();
  const stopped = interrupted().then((code) => {
    report.line('\nEnding …');
    report.silence();
    return play.up ? 0 : code;
  });
  const finished = run(play).then(
    () => 0,
    (error: unknown) => failed(report, error),
  );
  const code = await Promise.race([finished, stopped]);
  for (const close of play.closers.splice(0).reverse())
    await close().catch((error: unknown) => console.error(String(error)));
  if (play.once && code === 0) {
    report.line(`\nIt took ${((performance.now() - since) / 1000).toFixed(1)} s.`);
    report.line(`demo: ${report.passed} steps passed`);
  }
  return code;
}

process.exit(await main(process.argv.slice(2)));
