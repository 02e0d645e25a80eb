/** Logs that real servers wrote, in each format, of people who logged in by token through the stand-in. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readLog } from '../../src/postgres/log-lines.ts';
import type { ServerLogEvent, ServerLogFormat } from '../../src/postgres/server-log.contract.ts';
import { majors } from '../support/majors.ts';
import { until } from '../support/until.ts';
import { hostile, startLoggingServer, type Held, type LoggingServer } from './server-log-stage.ts';

const forged = `connection authorized: user=root database=app application_name=x SSL enabled (protocol=TLSv1.3, cipher=X, bits=256)`;

/**
 * What text alone cannot tell: where a prefix ends that holds another, which of two @ parts the names, or whether what looks like
 * a record in a record was written by the client. It is counted, and not believed.
 */
function illegible(format: ServerLogFormat, { login, application }: Held): readonly string[] {
  if (format !== 'stderr') return [];
  if (login === hostile.login) return ['authenticated', 'authorized', 'disconnected'];
  if (login === hostile.quoted) return ['authenticated']; // by certificate, whose subject is not the login
  return application === hostile.application ? ['authorized'] : [];
}

describe.each(majors)('PostgreSQL %i', (major) => {
  const formats: readonly ServerLogFormat[] = major >= 15 ? ['stderr', 'csv', 'json'] : ['stderr', 'csv'];
  let server: LoggingServer;
  const held: Held[] = [];
  const contents = new Map<ServerLogFormat, Buffer>();

  const suffix = { stderr: /postgresql\.log\.[\d-]+$/, csv: /\.csv$/, json: /\.json$/ };
  const content = (format: ServerLogFormat): Buffer => {
    const names = readdirSync(server.directory).filter((name) => suffix[format].test(name));
    return Buffer.concat(names.sort().map((name) => readFileSync(join(server.directory, name))));
  };
  const eventsIn = (format: ServerLogFormat) =>
    readLog(contents.get(format) ?? Buffer.alloc(0), { offset: 0, within: null }, { format, state: 'quiet' });

  beforeAll(async () => {
    server = await startLoggingServer(major, `stderr,csvlog${major >= 15 ? ',jsonlog' : ''}`);
    held.push(await server.session('ana', 'app', { application: 'psql' }));
    held.push(await server.session('ben'));
    held.push(await server.session('ana', 'app', { application: hostile.application }));
    held.push(await server.session(hostile.quoted));
    held.push(await server.session('ben', hostile.database));
    held.push(await server.session(hostile.login));
    // what SQL can write into a log, by a function and in statements that fail
    held.push(await server.session('ana', 'app', { sql: `DO $$ BEGIN RAISE LOG '%', $m$${forged}$m$; END $$` }));
    const text = `SELECT 1 AS "\n2026-03-01 10:00:00 UTC:1.2.3.4(5):root@app:[7]:LOG:  ${forged}"`;
    held.push(await server.session('ana', 'app', { sql: text }));
    await server.refused('nobody');
    await server.refused(hostile.login.replace('eve', 'mallory'));
    const last = await server.session('ben');
    held.push(last);
    for (const format of formats)
      await until(`the last session is over in ${format}`, () => {
        contents.set(format, content(format));
        const { events } = eventsIn(format);
        return Promise.resolve(events.some(({ kind, pid }) => kind === 'disconnected' && pid === last.pid));
      });
  });
  afterAll(() => server?.close());

  const of = (events: readonly ServerLogEvent[], { pid }: Held) => events.filter((event) => event.pid === pid);

  test.each(formats)('%s: each session is seen, from its first word to its end', (format) => {
    const { events, counts } = eventsIn(format);
    for (const session of held) {
      const { login, database } = session;
      const all = [
        { kind: 'received', address: '127.0.0.1' },
        { kind: 'authenticated', method: 'cert', login, database },
        { kind: 'authorized', login, database, tls: { version: 'TLSv1.3' } },
        { kind: 'disconnected', login, database },
      ];
      expect(of(events, session)).toMatchObject(all.filter(({ kind }) => !illegible(format, session).includes(kind)));
    }
    if (format === 'stderr') expect(counts.doubtful).toBeGreaterThan(0);
  });

  test.each(formats)('%s: nothing is seen that was not', (format) => {
    const { events } = eventsIn(format);
    const pids = new Set(held.map(({ pid }) => pid));
    for (const event of events) {
      if (event.kind === 'received') continue;
      expect([event.login === 'root', event.pid === 7, event.address === '1.2.3.4']).toEqual([false, false, false]);
      if (event.kind === 'failed' || event.login === 'rdsadmin') continue;
      expect(event.kind === 'authorized' ? pids.has(event.pid) || event.login === 'rdsmaster' : true).toBe(true);
    }
    const failed = events.filter(({ kind }) => kind === 'failed');
    expect(failed).toContainEqual(expect.objectContaining({ login: 'nobody', failure: 'authentication' }));
  });

  test('every format tells the same of the same sessions', () => {
    const told = (format: ServerLogFormat) =>
      held
        .filter((session) => illegible('stderr', session).length === 0)
        .flatMap((session) => of(eventsIn(format).events, session))
        .map(({ kind, pid, port }) => ({ kind, pid, port }));
    for (const format of formats) expect(told(format)).toEqual(told('csv'));
  });

  test('csv and json say which process it was, and when it began', () => {
    for (const event of of(eventsIn('csv').events, held[0] ?? { login: '', database: '', pid: 0 })) {
      expect(event.sessionId).toMatch(new RegExp(`^[0-9a-f]+\\.${event.pid.toString(16)}$`));
      expect(event.startedAt?.getTime()).toBe(parseInt(event.sessionId ?? '', 16) * 1000);
    }
  });
});
