/** How fast the record leaves in each form, beside the same lines read and thrown away; and what memory that takes. */
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type * as queries from '../src/audit/audit.queries.ts';
import type * as forms from '../src/audit/export-forms.ts';
import type * as texts from '../src/audit/export-text.ts';
import type * as search from '../src/audit/search.ts';
import type * as database from '../src/platform/state/database.ts';
import { openRecord } from './audit-record.ts';
import { path } from './processes.ts';

const { readSealed, sealedSize } = (await import(path('dist/audit/audit.queries.js'))) as typeof queries;
const { exportForms } = (await import(path('dist/audit/export-forms.js'))) as typeof forms;
const { textOf, STEP } = (await import(path('dist/audit/export-text.js'))) as typeof texts;
const { waysTo } = (await import(path('dist/audit/search.js'))) as typeof search;
const { Database } = (await import(path('dist/platform/state/database.js'))) as typeof database;

const megabytes = (): number => process.memoryUsage().rss / 2 ** 20;

export async function measureExport(events: number): Promise<void> {
  const record = await openRecord(events, { sealed: true });
  const db = new Database({ url: record.url, poolSize: 4 });
  try {
    const last = await sealedSize(db.pool);
    const ways = waysTo({}, { all: true, personId: null, targetIds: [] });
    const read = (after: number, upTo: number) => readSealed(db.pool, ways, after, upTo);
    const floor = await rate(last, async () => {
      for (let from = 0; from < last; from += STEP) await read(from, from + STEP);
    });
    console.log(`export   read alone ${floor.toFixed(0)} lines/s`);
    for (const [name, form] of Object.entries(exportForms)) {
      let [bytes, early, most] = [0, 0, 0];
      const sink = new Writable({
        highWaterMark: 2 ** 20,
        write(chunk: Buffer, _encoding, done) {
          bytes += chunk.length;
          most = Math.max(most, megabytes());
          if (early === 0 && bytes > (last * 500) / 10) early = most; // a tenth, by lines of some 500 bytes
          setImmediate(done);
        },
      });
      const text = Readable.from(textOf(form, { after: 0, last }, { step: STEP, read }), { objectMode: false });
      const cpu = process.cpuUsage();
      const found = await rate(last, () => pipeline(text, sink));
      const { user, system } = process.cpuUsage(cpu);
      console.log(
        `export   ${name.padEnd(7)} ${found.toFixed(0)} lines/s (${(found / floor).toFixed(2)} of reading), ${((user + system) / last).toFixed(1)} µs of CPU and ${(bytes / last).toFixed(0)} bytes a line, memory ${early.toFixed(0)} MB after a tenth, at most ${most.toFixed(0)} MB`,
      );
    }
  } finally {
    await db.onApplicationShutdown();
    await record.close();
  }
}

async function rate(lines: number, work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return lines / ((performance.now() - start) / 1_000);
}
