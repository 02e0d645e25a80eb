/** `npm run bench -- audit`: what the sealed record costs those who write it, how fast it is sealed, and how fast verified. */
import { createPublicKey, generateKeyPairSync, hash, randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { PinoLogger } from 'nestjs-pino';
import { v7 } from 'uuid';
import type * as keys from '../src/audit/record-key.ts';
import type * as lines from '../src/audit/sealed-lines.ts';
import type * as sealers from '../src/audit/sealer.ts';
import type * as verifying from '../src/audit/verification.ts';
import type * as clocks from '../src/platform/clock.ts';
import type * as config from '../src/platform/config.ts';
import type * as secrets from '../src/platform/secret.ts';
import type * as databases from '../src/platform/state/database.ts';
import { measureExport } from './audit-export.ts';
import { measureSearch } from './audit-search.ts';
import { auditStage, COLUMNS, madeLines, type AuditStage } from './audit-stage.ts';
import { path } from './processes.ts';

const help = `npm run bench -- audit [--part seal|search|export] [--lines 100000] [--seconds 3] [--rounds 3] [--writers 8] [--events 300000] [--pages 1000]

Writes single lines by so many writers, in turns into the record while it is sealed and into a bare table with the same columns
and indexes; seals so many lines that wait; verifies the export of them. Each beside its floor in the same run.

search and export have a record of so many events: a year, 2,000 people, 500 targets, forty lines a grant. Pages of it are read by person,
target and grant, in turns with the same lines by statements written for them, so many rounds; all of it is exported in each form, beside
reading it. Ten million events take some 7 minutes and 12 GB of disk to make.

CPU is that of this process alone, which stays the same where others have the machine too.`;

const load = (file: string): Promise<unknown> => import(path(`dist/${file}.js`));
const { RecordKey } = (await load('audit/record-key')) as typeof keys;
const { Sealer } = (await load('audit/sealer')) as typeof sealers;
const { sealedLines } = (await load('audit/sealed-lines')) as typeof lines;
const { Verification } = (await load('audit/verification')) as typeof verifying;
const { Database } = (await load('platform/state/database')) as typeof databases;
const { SystemClock } = (await load('platform/clock')) as typeof clocks;
const { readSettings } = (await load('platform/config')) as typeof config;
const { Secret } = (await load('platform/secret')) as typeof secrets;

const option = (text: string) => ({ type: 'string', default: text }) as const;
const { values } = parseArgs({
  options: {
    ...{ lines: option('100000'), seconds: option('3'), rounds: option('3'), writers: option('8') },
    ...{ part: { type: 'string' }, events: option('300000'), pages: option('1000') },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const whole = (name: 'lines' | 'seconds' | 'rounds' | 'writers' | 'events' | 'pages'): number => {
  const number = Number(values[name]);
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} must be a whole number above 0`);
  return number;
};

const { privateKey } = generateKeyPairSync('ed25519');
const key = { name: 'bench/audit', key: createPublicKey(privateKey) };

function sealing(url: string) {
  const db = new Database({ url, poolSize: 4 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const read = readSettings({ OIDC_ISSUER: 'https://idp.example' });
  const settings = { ...read, audit: { ...read.audit, origin: key.name, key: new Secret(pem) } };
  const log = new PinoLogger({ pinoHttp: { level: 'warn' } });
  return { db, sealer: new Sealer(settings, db, new SystemClock(), new RecordKey(settings), log) };
}

/** Lines in a second, one by one, each in its own transaction. */
async function insertRate({ pool }: AuditStage, table: string): Promise<number> {
  const until = performance.now() + whole('seconds') * 1_000;
  const text = `INSERT INTO ${table} (${COLUMNS}) VALUES ($1, now(), 'person', $2, 'Ana', $2, 'connection.seen', 'success', $3, '192.0.2.7', 'c')`;
  const actor = randomUUID();
  const details = JSON.stringify({ database: 'orders', login: 'u_ana', tls: 'TLSv1.3' });
  const write = async (): Promise<number> => {
    const session = await pool.connect();
    let written = 0;
    for (; performance.now() < until; written += 1)
      await session.query({ name: table, text, values: [v7(), actor, details] });
    session.release();
    return written;
  };
  const counts = await Promise.all(Array.from({ length: whole('writers') }, write));
  return counts.reduce((sum, count) => sum + count, 0) / whole('seconds');
}

const rate = (count: number, since: number): number => count / ((performance.now() - since) / 1_000);
/** Of this process, in µs for each. */
function cpuOf(count: number, since: NodeJS.CpuUsage): string {
  const { user, system } = process.cpuUsage(since);
  return `${((user + system) / count).toFixed(1)} µs of CPU each`;
}
const shown = (perSecond: number): string => `${Math.round(perSecond).toLocaleString('en')}/s`;
const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;

async function main(): Promise<void> {
  const stage = await auditStage();
  const { db, sealer } = sealing(stage.url);
  try {
    await sealer.start();
    const found = { bare: [] as number[], record: [] as number[] };
    for (const table of ['bare_event', 'audit_event']) await insertRate(stage, table); // warm
    for (let round = 0; round < whole('rounds'); round += 1) {
      found.bare.push(await insertRate(stage, 'bare_event'));
      found.record.push(await insertRate(stage, 'audit_event'));
    }
    const [bare, record] = [median(found.bare), median(found.record)];
    console.log(
      `insert   bare ${shown(bare)}, record ${shown(record)} while it is sealed: ratio ${(record / bare).toFixed(2)}`,
    );
    await sealer.onModuleDestroy();
    while ((await sealer.seal()) > 0);

    const count = whole('lines');
    await stage.pool.query(madeLines('audit_event', count));
    await stage.pool.query('ANALYZE audit_event');
    let since = performance.now();
    const cpu = process.cpuUsage();
    let sealed = 0;
    for (let some = -1; some !== 0; sealed += some) some = await sealer.seal();
    const [perSecond, cpuOfSealing] = [rate(sealed, since), cpuOf(sealed, cpu)];
    since = performance.now();
    await stage.pool.query(
      `INSERT INTO bare_seal SELECT row_number() OVER (ORDER BY ordinal), id, sha256(convert_to(e::text, 'UTF8')) FROM audit_event e ORDER BY ordinal DESC LIMIT ${sealed}`,
    );
    console.log(
      `seal     ${shown(perSecond)} of ${sealed}, ${cpuOfSealing}; floor, one INSERT of as many hashes: ${shown(rate(sealed, since))}`,
    );
    await verify(db);
  } finally {
    await sealer.onModuleDestroy();
    await db.onApplicationShutdown();
    await stage.stop();
  }
}

async function verify(db: InstanceType<typeof Database>): Promise<void> {
  const text: string[] = [];
  for await (const line of sealedLines(db.pool)) if ('text' in line) text.push(line.text);
  for (const turn of ['warm', 'measured']) {
    let since = performance.now();
    for (const line of text) hash('sha256', line);
    const floor = rate(text.length, since);
    since = performance.now();
    const cpu = process.cpuUsage();
    const verification = new Verification([key], []);
    for (const line of text) verification.read(line);
    const { bad, proved } = verification.verdict();
    const [verified, cpuOfVerifying] = [rate(text.length, since), cpuOf(text.length, cpu)];
    if (bad) throw new Error(`entry ${bad.seq} is ${bad.why}: the numbers mean nothing`);
    if (turn === 'measured')
      console.log(
        `verify   ${shown(verified)} of ${proved}, ${cpuOfVerifying}; floor, one hash of each line: ${shown(floor)}`,
      );
  }
}

const parts: Record<string, () => Promise<void>> = {
  seal: main,
  search: () => measureSearch(whole('events'), whole('pages'), whole('rounds')),
  export: () => measureExport(whole('events')),
};

if (values.help) console.log(help);
else
  for (const name of values.part === undefined ? Object.keys(parts) : [values.part]) {
    const measure = Object.hasOwn(parts, name) ? parts[name] : undefined;
    if (!measure) throw new Error(`--part is one of ${Object.keys(parts).join(', ')}`);
    await measure();
  }
