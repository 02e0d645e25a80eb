/** `npm run bench -- lifecycle`: what opening and closing cost, beside the same SQL by hand; and how fast a thousand end. */
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import type pg from 'pg';
import { createAuthority } from '../local/rds/authority.ts';
import { postgresMajors, type PostgresMajor } from '../src/platform/embedded-postgres.ts';
import type * as service from '../src/postgres/postgres.service.ts';
import { scramVerifier, startGuardTarget, type GuardTarget } from '../test/integration/guard-target.ts';
import { compareCalls } from './lifecycle-calls.ts';
import { measureFlood, measureWay } from './lifecycle-flood.ts';
import { LifeStage } from './lifecycle-stage.ts';
import { measureSurvey } from './lifecycle-survey.ts';
import { path } from './processes.ts';

const { PostgresService } = (await import(path('dist/postgres/postgres.service.js'))) as typeof service;

const help = `npm run bench -- lifecycle [--part calls|survey|way|flood] [--pairs 500] [--grants 1000] [--logins 5000] [--postgres 17] [--target billing]

calls    usher.open and usher.close with usher.terminate, in turns with the plain statements that they stand for, sent by hand
         over one kept connection of the DBA; both over TLS to the same server. Two times by hand, at p50, is the limit.
survey   one look at all logins of a target.
way      from a person's request to active, and from revoke to closed, through the whole service. For information.
flood    grants that end in the same second, each with a session: until the last session is dead. Ten seconds is the limit.
         The target is billing (PostgreSQL 15) or orders (17, with a reader).
All run on this machine, clients included: compare the ratios, not the numbers, with those of other runs.`;

const text = (value: string) => ({ type: 'string', default: value }) as const;
const { values } = parseArgs({
  options: {
    part: { type: 'string', multiple: true, default: ['calls', 'survey', 'way', 'flood'] },
    pairs: text('500'),
    grants: text('1000'),
    logins: text('5000'),
    postgres: text('17'),
    target: text('billing'),
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const number = (name: 'pairs' | 'grants' | 'logins'): number => {
  const value = Number(values[name]);
  if (!(value >= 1)) throw new Error(`--${name} must be a number of at least 1`);
  return Math.ceil(value);
};
const percentile = (times: readonly number[], share: number): number =>
  times.toSorted((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * share))] ?? NaN;
const line = (name: string, times: readonly number[]): string => {
  const rate = (times.length / times.reduce((sum, time) => sum + time, 0)) * 1_000;
  const [p50, p99] = [percentile(times, 0.5), percentile(times, 0.99)].map((ms) => ms.toFixed(2).padStart(8));
  return `${name.padEnd(14)} p50 ${p50} ms   p99 ${p99} ms   ${rate.toFixed(0).padStart(5)} grants/s`;
};

/** A DBA who may hand out both groups; logged in before that, for with rds_iam nobody is let in by password. */
async function connectDba(target: GuardTarget): Promise<pg.Client> {
  const password = randomBytes(18).toString('base64url');
  await target.rdsadmin.query(`CREATE ROLE by_hand LOGIN CREATEROLE PASSWORD '${scramVerifier(password)}'`);
  const dba = await target.connect('by_hand', password);
  await target.rdsadmin.query('GRANT rds_iam, app_read TO by_hand WITH ADMIN OPTION');
  return dba;
}

async function onTarget(major: PostgresMajor, parts: readonly string[]): Promise<void> {
  const target = await startGuardTarget(major, createAuthority('lifecycle'), { settings: { fsync: 'on' } });
  const postgres = new PostgresService();
  try {
    await target.asMaster(
      `UPDATE usher.setting SET value = '1000000' WHERE name IN ('max_opens_per_hour', 'max_logins')`,
    );
    const guard = await postgres.connect('lifecycle', target.address, target.broker);
    if (parts.includes('calls')) {
      const sizes = { pairs: number('pairs'), logins: 20, since16: major >= 16 };
      const { hand, guard: ours } = await compareCalls(guard, await connectDba(target), sizes);
      console.log(`PostgreSQL ${major}, ${sizes.pairs} pairs, in turns`);
      for (const what of ['open', 'close'] as const) {
        console.log([line(`${what} by hand`, hand[what]), line(`${what} by usher`, ours[what])].join('\n'));
        console.log(`ratio          ${(percentile(ours[what], 0.5) / percentile(hand[what], 0.5)).toFixed(2)} at p50`);
      }
    }
    if (parts.includes('survey')) {
      const { logins, leases, fastest, slowest } = await measureSurvey(guard, target.rdsadmin, number('logins'));
      console.log(
        `survey         ${logins} logins, ${leases} live leases: ${fastest.toFixed(0)} to ${slowest.toFixed(0)} ms in one query`,
      );
    }
  } finally {
    await postgres.onApplicationShutdown();
    await target.stop();
  }
}

async function throughService(name: 'orders' | 'billing', parts: readonly string[]): Promise<void> {
  const stage = await LifeStage.open(name, number('grants'));
  try {
    if (parts.includes('way')) {
      const { open, close } = await measureWay(stage, Math.min(100, number('pairs')));
      console.log([line('request→active', open), line('revoke→closed', close)].join('\n'));
    }
    if (parts.includes('flood')) {
      const tell = (what: string): void => console.error(`… ${what}`);
      const { grants, opened, half, last, closed } = await measureFlood(stage, number('grants'), tell);
      console.log(`opened         ${opened.toFixed(0)} grants/s, ${grants} people at once`);
      console.log(
        `flood          ${grants} ended in one second: half of the sessions dead after ${half.toFixed(1)} s, the last after ${last.toFixed(1)} s, all closed after ${closed.toFixed(1)} s`,
      );
    }
  } finally {
    await stage.close();
  }
}

async function main(): Promise<void> {
  const { part: parts, target } = values;
  const major = postgresMajors.find((one) => String(one) === values.postgres);
  if (major === undefined || (target !== 'orders' && target !== 'billing')) throw new Error(help);
  if (parts.some((part) => ['calls', 'survey'].includes(part))) await onTarget(major, parts);
  if (parts.some((part) => ['way', 'flood'].includes(part))) await throughService(target, parts);
}

if (values.help) console.log(help);
else await main();
