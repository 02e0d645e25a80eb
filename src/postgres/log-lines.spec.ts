import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readLog } from './log-lines.js';
import type { ServerLogEvent, ServerLogFormat, ServerLogPlace } from './server-log.contract.js';

const start: ServerLogPlace = { offset: 0, within: null };
const read = (text: string, format: ServerLogFormat = 'stderr') =>
  readLog(Buffer.from(text), start, { format, state: 'quiet' });
const kinds = (text: string, format?: ServerLogFormat) => read(text, format).events.map(({ kind }) => kind);

const MOMENT = '2026-03-01 10:00:00';
const at = new Date('2026-03-01T10:00:00Z');
const line = (message: string, who = 'jane@app', remote = '10.0.1.5(45032)', pid = 1234): string =>
  `${MOMENT} UTC:${remote}:${who}:[${pid}]:${message}\n`;
const TLS = 'SSL enabled (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)';

const common = { at, toTheMillisecond: false, pid: 1234, sessionId: null, startedAt: null, offset: 0 };
const client = { ...common, address: '10.0.1.5', port: 45032 };
const jane = { ...client, login: 'jane', database: 'app' };

describe('the text log with the prefix of RDS', () => {
  test.each<[string, string, ServerLogEvent]>([
    [
      'received',
      line('LOG:  connection received: host=10.0.1.5 port=45032', '[unknown]@[unknown]'),
      { ...client, kind: 'received' },
    ],
    [
      'authenticated by token, on RDS',
      line('LOG:  connection authenticated: identity="jane" method=pam (/rdsdbdata/config/pg_hba.conf:13)'),
      {
        ...jane,
        kind: 'authenticated',
        identity: 'jane',
        method: 'pam',
        hbaFile: '/rdsdbdata/config/pg_hba.conf',
        hbaLine: 13,
      },
    ],
    [
      'authorized over TLS, with an application name',
      line(`LOG:  connection authorized: user=jane database=app application_name=psql ${TLS}`),
      {
        ...jane,
        kind: 'authorized',
        applicationName: 'psql',
        tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', certain: false },
      },
    ],
    [
      'authorized over TLS, as 13 tells it',
      line(
        'LOG:  connection authorized: user=jane database=app SSL enabled (protocol=TLSv1.2, cipher=ECDHE-RSA-AES256-GCM-SHA384, bits=256, compression=off)',
      ),
      {
        ...jane,
        kind: 'authorized',
        applicationName: null,
        tls: { version: 'TLSv1.2', cipher: 'ECDHE-RSA-AES256-GCM-SHA384', certain: true },
      },
    ],
    [
      'authorized without TLS',
      line('LOG:  connection authorized: user=jane database=app'),
      { ...jane, kind: 'authorized', applicationName: null, tls: null },
    ],
    [
      'disconnected after more than four days',
      line('LOG:  disconnection: session time: 100:01:02.003 user=jane database=app host=10.0.1.5 port=45032'),
      { ...jane, kind: 'disconnected', durationMs: 360_062_003 },
    ],
    [
      'refused by PAM',
      line('FATAL:  PAM authentication failed for user "jane"'),
      { ...jane, kind: 'failed', failure: 'authentication', sqlstate: null },
    ],
    [
      'refused, where the server is verbose',
      line('FATAL:  28000: no pg_hba.conf entry for host "10.0.1.5", user "jane", database "app", no encryption'),
      { ...jane, kind: 'failed', failure: 'rejected', sqlstate: '28000' },
    ],
    [
      'a statement on record, without its text',
      line(
        'LOG:  AUDIT: SESSION,3,1,WRITE,INSERT,TABLE,"public.odd,""name""","ALTER ROLE x PASSWORD \'y\'",<not logged>',
      ),
      {
        ...jane,
        ...{ kind: 'statement', auditType: 'SESSION', statementId: 3, substatementId: 1, statementClass: 'WRITE' },
        ...{ command: 'INSERT', objectType: 'TABLE', objectName: 'public.odd,"name"' },
      },
    ],
  ])('%s', (_, text, event) => {
    expect(read(text)).toEqual({
      events: [event],
      next: { offset: Buffer.byteLength(text), within: null },
      counts: { records: 1, foreign: 0, doubtful: 0 },
    });
  });

  test.each([
    ['28000 role "x" does not exist', 'role'],
    ['role "jane" is not permitted to log in', 'role'],
    ['database "app" does not exist', 'database'],
    ['permission denied for database "app"', 'database'],
    ['too many connections for role "jane"', 'limit'],
    ['sorry, too many clients already', 'limit'],
    ['the database system is starting up', 'unavailable'],
    ['canceling authentication due to timeout', 'timeout'],
    ['password authentication failed for user "jane"', 'authentication'],
    ['pg_hba.conf rejects connection for host "10.0.1.5", user "jane", database "app", no encryption', 'rejected'],
  ])('%s is a failure of kind %s', (message, failure) => {
    expect(read(line(`FATAL:  ${message.replace(/^28000 /, '28000: ')}`)).events).toMatchObject([{ failure }]);
  });

  test('an end by an administrator is no failure of a login, and other records are counted', () => {
    const text = line('FATAL:  terminating connection due to administrator command') + line('ERROR:  division by zero');
    expect(read(text)).toMatchObject({ events: [], counts: { records: 2, foreign: 0, doubtful: 0 } });
  });

  test('lines that are none are counted and passed over: fragments of RDS, other formats, zones that mean two things', () => {
    const text = [
      '* Connected to rdsauthproxy (127.0.0.1) port 1108\n< HTTP/1.1 403 Forbidden\n',
      line('LOG:  connection authorized: user=jane database=app'),
      '2026-03-01 10:00:00 CST:10.0.1.5(1):jane@app:[7]:LOG:  connection authorized: user=jane database=app\n',
    ].join('');
    expect(read(text)).toMatchObject({ events: [{ pid: 1234 }], counts: { foreign: 3 } });
  });

  test('a line that is not complete is read when it is', () => {
    const whole = line('LOG:  connection authorized: user=jane database=app application_name=psql');
    for (let cut = 0; cut < whole.length; cut++) {
      const { events, next } = read(whole.slice(0, cut));
      expect([events, next]).toEqual([[], start]);
    }
    expect(read(whole).events).toHaveLength(1);
  });

  test('what no table could hold is not an event', () => {
    const lost = line('LOG:  connection authorized: user=jane database=app application_name=a\0b');
    const many = line('LOG:  connection authorized: user=jane database=app', 'jane@app', '10.0.0.1(1)', 9_999_999_999);
    expect(read(lost + many)).toMatchObject({ events: [], counts: { records: 2, doubtful: 2 } });
  });

  test('what a crash tore is not what the next server went on behind it', () => {
    const torn = line('LOG:  connection authorized: user=jane database=app application_name=ps').trimEnd();
    expect(read(torn + line('LOG:  database system was interrupted', '@', ''))).toMatchObject({
      events: [],
      counts: { doubtful: 1 },
    });
  });
  test('a statement is told of, whatever its text looks like', () => {
    const other = line('LOG:  connection authorized: user=root database=app').trimEnd();
    const audited = `LOG:  AUDIT: SESSION,1,1,DDL,DROP TABLE,TABLE,public.x,"DROP TABLE x /* ${other} */",<none>`;
    expect(read(line(audited))).toMatchObject({
      events: [{ kind: 'statement', login: 'jane', command: 'DROP TABLE', objectName: 'public.x' }],
      counts: { doubtful: 1 },
    });
    const within = `LOG:  AUDIT: SESSION,1,1,DDL,DROP TABLE,TABLE,"public.""${other}""","DROP TABLE x",<none>`;
    expect(read(line(within)).events).toEqual([]);
  });
});

describe('what SQL writes into the log is not what the server says', () => {
  const raised = 'connection authorized: user=jane database=app';
  test('RAISE LOG, known by what follows it', () => {
    const text = [
      line(`LOG:  ${raised}`),
      line('CONTEXT:  PL/pgSQL function inline_code_block line 1 at RAISE'),
      line('STATEMENT:  DO $$ … $$'),
      line('LOG:  disconnection: session time: 0:00:01.000 user=jane database=app host=10.0.1.5 port=45032'),
    ].join('');
    expect(kinds(text)).toEqual(['disconnected']);
    expect(read(text).counts.doubtful).toBe(1);
  });
  test('so long that what follows is out of sight', () => {
    const who = 'disconnection: session time: 0:00:01.000 user=jane database=app';
    for (const [message, state] of [
      [`${who} host=${'x'.repeat(1_100_000)}`, 'growing'],
      [`${who} host=${'x'.repeat(300)}`, 'ended'],
      [`${raised} application_name=${'x'.repeat(1_100_000)}`, 'growing'],
    ] as const)
      expect(readLog(Buffer.from(line(`LOG:  ${message}`)), start, { format: 'stderr', state })).toMatchObject({
        events: [],
      });
  });
  test('of a terse server by its statement alone', () => {
    expect(kinds(line(`LOG:  ${raised}`) + line('STATEMENT:  DO $$ … $$'))).toEqual([]);
  });
  test('until what follows is there, the record waits', () => {
    const bytes = Buffer.from(line(`LOG:  ${raised}`));
    expect(readLog(bytes, start, { format: 'stderr', state: 'growing' })).toMatchObject({ events: [], next: start });
  });
  test('for other people, databases or pids it says nothing at all', () => {
    for (const message of [
      'connection authorized: user=bob database=app',
      'connection authorized: user=jane database=other',
      'connection received: host=10.0.1.5 port=45032',
      'disconnection: session time: 0:00:01.000 user=bob database=app host=10.0.1.5 port=45032',
    ])
      expect(read(line(`LOG:  ${message}`))).toMatchObject({ events: [], counts: { doubtful: 1 } });
  });
  test('in csv and json the record itself says so', () => {
    const csv = `${MOMENT}.123 UTC,"jane","app",1234,"10.0.1.5:45032",65e1a2b3.4d2,3,"DO",${MOMENT} UTC,3/1,0,LOG,00000,"${raised}",,,,,"PL/pgSQL function at RAISE","DO $$ $$",,,"psql","client backend",,0\n`;
    expect(read(csv, 'csv')).toMatchObject({ events: [], counts: { records: 1, doubtful: 1 } });
    const json = { timestamp: `${MOMENT}.123 UTC`, user: 'jane', dbname: 'app', pid: 1234, error_severity: 'LOG' };
    const text = `${JSON.stringify({ ...json, message: raised, context: 'at RAISE', statement: 'DO' })}\n`;
    expect(read(text, 'json')).toMatchObject({ events: [], counts: { records: 1, doubtful: 1 } });
  });
});

/** A log as PostgreSQL writes it, with what each record truly says. */
interface Session {
  user: string;
  database: string;
  application: string;
  pid: number;
  port: number;
  tls: boolean;
}
type Kind = 'received' | 'authenticated' | 'authorized' | 'disconnected' | 'failed' | 'other';

function messageOf({ user, database, application, port, tls }: Session, kind: Kind): [string, string] {
  switch (kind) {
    case 'received':
      return ['LOG', `connection received: host=10.0.0.9 port=${port}`];
    case 'authenticated':
      return ['LOG', `connection authenticated: identity="${user}" method=pam (/etc/pg_hba.conf:3)`];
    case 'authorized':
      return [
        'LOG',
        `connection authorized: user=${user} database=${database}${application && ` application_name=${application}`}${tls ? ` ${TLS}` : ''}`,
      ];
    case 'disconnected':
      return [
        'LOG',
        `disconnection: session time: 0:00:01.500 user=${user} database=${database} host=10.0.0.9 port=${port}`,
      ];
    case 'failed':
      return ['FATAL', `password authentication failed for user "${user}"`];
    case 'other':
      return ['ERROR', `relation "${application}" does not exist at character 15`];
  }
}

const write: Record<ServerLogFormat, (session: Session, kind: Kind) => string> = {
  stderr: (session, kind) => {
    const [level, message] = messageOf(session, kind);
    const who = kind === 'received' ? '[unknown]@[unknown]' : `${session.user}@${session.database}`;
    const text = message.replaceAll('\n', '\n\t');
    return `${MOMENT} UTC:10.0.0.9(${session.port}):${who}:[${session.pid}]:${level}:  ${text}\n`;
  },
  csv: (session, kind) => {
    const [level, message] = messageOf(session, kind);
    const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
    const who = kind === 'received' ? ',' : `${quoted(session.user)},${quoted(session.database)}`;
    return `${MOMENT}.250 UTC,${who},${session.pid},"10.0.0.9:${session.port}",65e1a2b3.${session.pid.toString(16)},1,"x",${MOMENT} UTC,1/1,0,${level},28P01,${quoted(message)},,,,,,,,,"","client backend",,0\n`;
  },
  json: (session, kind) => {
    const [level, message] = messageOf(session, kind);
    const who = kind === 'received' ? {} : { user: session.user, dbname: session.database };
    const head = { timestamp: `${MOMENT}.250 UTC`, ...who, pid: session.pid };
    return `${JSON.stringify({ ...head, remote_host: '10.0.0.9', remote_port: session.port, error_severity: level, message })}\n`;
  },
};

const fragments = fc.constantFrom(
  ...['\n', '\t', '@', '"', ',', '""', ' ', 'é', 'a', 'b@a', '[unknown]', `${MOMENT} UTC:`, `${MOMENT} UTC::`],
  ...[
    '1.2.3.4(5):',
    ':[9]:LOG:  ',
    ':[77]:FATAL:  ',
    'connection authorized: user=b database=a',
    'role "b" does not exist',
  ],
  ...[
    ' database=',
    'user=',
    ' application_name=',
    ' host=10.0.0.9 port=7',
    `" method=pam (x:1)`,
    'UTC',
    '\n2026',
    `\n${MOMENT} UTC:[local]:`,
  ],
);
/** 63 bytes of a name are kept. */
const name = (parts: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.array(parts, { minLength: 1, maxLength: 8 }).map((found) => {
    let text = found.join('');
    while (Buffer.byteLength(text) > 63) text = text.slice(0, -1);
    return text;
  });
const sessions = (names: fc.Arbitrary<string>): fc.Arbitrary<Session> =>
  fc.record({
    user: names,
    database: names,
    // PostgreSQL lets only printable ASCII through
    application: fc.oneof(
      fc.constant(''),
      names.map((text) => text.replace(/[^ -~]/g, '?')),
    ),
    pid: fc.constantFrom(9, 77, 1234),
    port: fc.constantFrom(5, 7, 45032),
    tls: fc.boolean(),
  });
const kind = fc.constantFrom<Kind>('received', 'authenticated', 'authorized', 'disconnected', 'failed', 'other');
const logs = (names: fc.Arbitrary<string>) => fc.array(fc.tuple(sessions(names), kind), { minLength: 1, maxLength: 8 });

type Written = readonly (readonly [Session, Kind])[];

/** What each record truly says, by its offset. */
function truthOf(written: Written, format: ServerLogFormat): Map<number, object> {
  const truth = new Map<number, object>();
  let offset = 0;
  for (const [session, kind] of written) {
    const { user: login, database, pid, port } = session;
    const who = kind === 'received' ? {} : { login, database };
    const application = session.application === '' ? null : session.application;
    // a name may end with what the server would write of TLS: then the log cannot tell, and says so
    const more = kind === 'authorized' && session.tls ? { applicationName: application } : {};
    if (kind !== 'other') truth.set(offset, { kind, pid, port, address: '10.0.0.9', ...who, ...more });
    offset += Buffer.byteLength(write[format](session, kind));
  }
  return truth;
}

const textOf = (written: Written, format: ServerLogFormat) =>
  written.map(([session, kind]) => write[format](session, kind)).join('');

describe.each<ServerLogFormat>(['stderr', 'csv', 'json'])('%s, whoever connects', (format) => {
  test('every event is one that the server wrote, about whom it wrote it', () => {
    fc.assert(
      fc.property(logs(name(fragments)), (written) => {
        const truth = truthOf(written, format);
        for (const event of read(textOf(written, format), format).events)
          expect(event).toMatchObject(truth.get(event.offset) ?? { kind: 'nothing was written there' });
      }),
      { numRuns: 3_000 },
    );
  });

  test('of people with ordinary names each is seen', () => {
    const plain = fc.stringMatching(/^[a-z_][a-z0-9_]{2,20}$/);
    fc.assert(
      fc.property(logs(plain), (written) => {
        const found = read(textOf(written, format), format);
        expect(found.events.map(({ offset }) => offset)).toEqual([...truthOf(written, format).keys()]);
        expect(found.counts).toEqual({ records: written.length, foreign: 0, doubtful: 0 });
      }),
      { numRuns: 500 },
    );
  });

  test('in whatever pieces it is read, the events and their offsets are the same', () => {
    fc.assert(
      fc.property(
        logs(name(fragments)),
        fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }),
        (written, sizes) => {
          const bytes = Buffer.from(textOf(written, format));
          const events: ServerLogEvent[] = [];
          let place: ServerLogPlace = start;
          for (let [step, seen] = [0, 0]; seen < bytes.length; step++) {
            seen = Math.min(seen + (sizes[step % sizes.length] ?? 1), bytes.length);
            const piece = bytes.subarray(place.offset, seen);
            const reading = readLog(piece, place, { format, state: seen === bytes.length ? 'quiet' : 'growing' });
            events.push(...reading.events);
            place = reading.next;
          }
          expect(events).toEqual(read(bytes.toString(), format).events);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('bytes of any kind break nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
        const { next, events } = readLog(bytes, start, { format, state: 'quiet' });
        expect(events).toEqual([]);
        expect(next.offset).toBeLessThanOrEqual(bytes.length);
      }),
    );
  });
});
