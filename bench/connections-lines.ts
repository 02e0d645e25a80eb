/** Lines of a server's log a second, beside the floor of splitting the same bytes. */
import type * as parser from '../src/postgres/log-lines.ts';
import type { ServerLogFormat } from '../src/postgres/server-log.contract.ts';
import { path } from './processes.ts';

const PIECE = 1_048_576;
const TLS = 'SSL enabled (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)';

/** What one session leaves: five lines, of which one is a statement that is nobody's business. */
function sessionLines(format: ServerLogFormat, at: number): string[] {
  const [pid, port, login] = [1_000 + (at % 30_000), 1_024 + (at % 60_000), `person_${at % 500}`];
  const who = `user=${login} database=orders`;
  const messages = [
    `connection received: host=10.0.1.5 port=${port}`,
    `connection authenticated: identity="${login}" method=pam (/rdsdbdata/config/pg_hba.conf:13)`,
    `connection authorized: ${who} application_name=psql ${TLS}`,
    `duration: 0.123 ms  statement: SELECT id, total_cents FROM shop.orders WHERE customer_id = ${at}`,
    `disconnection: session time: 0:00:00.024 ${who} host=10.0.1.5 port=${port}`,
  ];
  return messages.map((message, index) => {
    const names = index === 0 ? undefined : { login, database: 'orders' };
    return lineOf(format, { pid, port, message, ...(names && { names }) });
  });
}

function lineOf(
  format: ServerLogFormat,
  {
    pid,
    port,
    message,
    names,
  }: { pid: number; port: number; message: string; names?: { login: string; database: string } },
): string {
  const [moment, remote] = ['2026-03-01 10:00:00', '10.0.1.5'];
  if (format === 'stderr')
    return `${moment} UTC:${remote}(${port}):${names ? `${names.login}@${names.database}` : '[unknown]@[unknown]'}:[${pid}]:LOG:  ${message}`;
  if (format === 'csv')
    return `${moment}.250 UTC,${names ? `"${names.login}","${names.database}"` : ','},${pid},"${remote}:${port}",65e1a2b3.${pid.toString(16)},1,"idle",${moment} UTC,3/1,0,LOG,00000,"${message.replaceAll('"', '""')}",,,,,,,,,"psql","client backend",,0`;
  const head = { timestamp: `${moment}.250 UTC`, ...(names && { user: names.login, dbname: names.database }), pid };
  const more = { remote_host: remote, remote_port: port, session_id: `65e1a2b3.${pid.toString(16)}`, line_num: 1 };
  return JSON.stringify({ ...head, ...more, error_severity: 'LOG', message, backend_type: 'client backend' });
}

/** The floor: whoever reads a log has at least to find its lines. */
function split(bytes: Buffer): number {
  let lines = 0;
  for (let at = 0; at < bytes.length; at += PIECE)
    lines += bytes.toString('utf8', at, at + PIECE).split('\n').length - 1;
  return lines;
}

function readAll(readLog: typeof parser.readLog, bytes: Buffer, format: ServerLogFormat): number {
  let events = 0;
  for (let [place, end] = [{ offset: 0, within: null } as Parameters<typeof readLog>[1], 0]; end < bytes.length;) {
    end = Math.min(place.offset + PIECE, bytes.length);
    const reading = readLog(bytes.subarray(place.offset, end), place, {
      format,
      state: end === bytes.length ? 'quiet' : 'growing',
    });
    events += reading.events.length;
    place = reading.next;
  }
  return events;
}

const median = (numbers: number[]): number => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;

function linesASecond(lines: number, work: () => number, expected: number): number {
  const start = performance.now();
  const found = work();
  const seconds = (performance.now() - start) / 1_000;
  if (found !== expected) throw new Error(`${found} were found where ${expected} are: the numbers mean nothing`);
  return lines / seconds;
}

export async function measureLines(count: number, rounds: number): Promise<void> {
  const { readLog } = (await import(path('dist/postgres/log-lines.js'))) as typeof parser;
  const sessions = Math.ceil(count / 5);
  const lines = sessions * 5;
  for (const format of ['stderr', 'csv', 'json'] as const) {
    const all = Array.from({ length: sessions }, (_, at) => sessionLines(format, at)).flat();
    const bytes = Buffer.from(`${all.join('\n')}\n`);
    const sides = {
      floor: () => linesASecond(lines, () => split(bytes), lines),
      parsed: () => linesASecond(lines, () => readAll(readLog, bytes, format), sessions * 4),
    };
    const found: Record<keyof typeof sides, number[]> = { floor: [], parsed: [] };
    for (const side of Object.values(sides)) side(); // warm
    for (let round = 0; round < rounds; round++)
      for (const side of ['floor', 'parsed'] as const) found[side].push(sides[side]());
    const [floor, parsed] = [median(found.floor), median(found.parsed)];
    const size = (bytes.length / PIECE).toFixed(0);
    console.log(`${format}: ${lines} lines, ${size} MB, ${rounds} rounds, in turns with the floor`);
    console.log(`  split    ${Math.round(floor).toLocaleString('en')} lines/s`);
    console.log(
      `  parsed   ${Math.round(parsed).toLocaleString('en')} lines/s, ${(floor / parsed).toFixed(1)} times the floor`,
    );
  }
}
