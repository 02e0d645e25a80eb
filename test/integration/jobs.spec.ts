import { randomUUID } from 'node:crypto';
import { PinoLogger } from 'nestjs-pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Jobs, queues, type Queue } from '../../src/platform/jobs/jobs.js';
import { Database } from '../../src/platform/state/database.js';
import { freshDatabase, type TestDatabase } from '../support/state.ts';
import { until } from '../support/until.ts';

let database: TestDatabase;
let db: Database;
const running: Jobs[] = [];
beforeAll(async () => {
  database = await freshDatabase();
  db = new Database({ url: database.url, poolSize: 4 });
});
afterEach(async () => {
  for (const jobs of running.splice(0)) await jobs.onModuleDestroy();
  await database.owner.query('DELETE FROM pgboss.job');
});
afterAll(async () => {
  await db?.onApplicationShutdown();
  await database?.drop();
});

interface Piece {
  name: string;
}

/** One process's engine. */
async function engine(): Promise<Jobs> {
  const jobs = new Jobs(database.url, new PinoLogger({ pinoHttp: { level: 'silent' } }));
  running.push(jobs);
  await jobs.start();
  return jobs;
}

const enqueue = (jobs: Jobs, name: string, startAfter?: Date, queue: Queue = 'reconcile'): Promise<void> =>
  db.tx((tx) => jobs.enqueue(tx, queue, { name }, startAfter));

const states = async (name: string): Promise<string[]> =>
  (
    await database.owner.query<{ state: string }>(`SELECT state::text FROM pgboss.job WHERE data->>'name' = $1`, [name])
  ).rows.map(({ state }) => state);
const completed = (name: string) =>
  until(`${name} is completed`, async () => (await states(name)).includes('completed'));

describe('a job', () => {
  test('of a committed change runs, once', async () => {
    const jobs = await engine();
    const ran: string[] = [];
    await jobs.work<Piece>('reconcile', 2, ({ name }) => Promise.resolve(void ran.push(name)));
    await enqueue(jobs, 'committed');
    await completed('committed');
    expect(ran).toEqual(['committed']);
  });

  test('of a change that is rolled back does not run', async () => {
    const jobs = await engine();
    const ran: string[] = [];
    await jobs.work<Piece>('reconcile', 2, ({ name }) => Promise.resolve(void ran.push(name)));
    const change = db.tx(async (tx) => {
      await jobs.enqueue(tx, 'reconcile', { name: 'rolled back' });
      throw new Error('no');
    });
    await expect(change).rejects.toThrow('no');
    await enqueue(jobs, 'afterwards');
    await completed('afterwards');
    expect([ran, await states('rolled back')]).toEqual([['afterwards'], []]);
  });

  test('is not begun before its change is committed', async () => {
    const jobs = await engine();
    const person = randomUUID();
    const seen = Promise.withResolvers<number>();
    await jobs.work<Piece>('reconcile', 2, async () => {
      seen.resolve(await db.client.person.count({ where: { id: person } }));
    });
    await db.tx(async (tx) => {
      await jobs.enqueue(tx, 'reconcile', { name: 'reads the change' });
      const [issuer, subject, name] = ['https://idp.example', person, 'Ana'];
      await tx.person.create({
        data: { id: person, issuer, subject, name, firstSeenAt: new Date(), lastSeenAt: new Date() },
      });
    });
    expect(await seen.promise).toBe(1);
  });

  test('that was enqueued while nobody worked is found by who works next', async () => {
    const first = await engine();
    await enqueue(first, 'left behind');
    await first.onModuleDestroy();
    const ran = Promise.withResolvers<string>();
    await (
      await engine()
    ).work<Piece>('reconcile', 2, async ({ name }) => {
      ran.resolve(name);
    });
    expect(await ran.promise).toBe('left behind');
  });

  test('that fails is tried again, and does not take its batch along', async () => {
    const jobs = await engine();
    const ran: string[] = [];
    await enqueue(jobs, 'fails once');
    await enqueue(jobs, 'is fine');
    await jobs.work<Piece>('reconcile', 1, ({ name }) => {
      ran.push(name);
      const first = ran.filter((one) => one === name).length === 1;
      return name === 'fails once' && first ? Promise.reject(new Error('not yet')) : Promise.resolve();
    });
    await completed('is fine');
    await completed('fails once');
    expect(ran.sort()).toEqual(['fails once', 'fails once', 'is fine']);
  });

  test('that was put off waits for its time, by the clock of the database', async () => {
    const jobs = await engine();
    const startAfter = new Date(Date.now() + 1_500);
    await enqueue(jobs, 'tomorrow', new Date(Date.now() + 86_400_000));
    await enqueue(jobs, 'soon', startAfter);
    await jobs.work<Piece>('reconcile', 2, () => Promise.resolve());
    await completed('soon');
    const { rows } = await database.owner.query<{ early: boolean }>(
      `SELECT started_on < $1::timestamptz AS early FROM pgboss.job WHERE data->>'name' = 'soon'`,
      [startAfter.toISOString()],
    );
    expect([rows, await states('tomorrow')]).toEqual([[{ early: false }], ['created']]);
  });

  test('that is put off by seconds has them counted by the database, whatever the clock of the process says', async () => {
    const jobs = await engine();
    await jobs.enqueueAll(db.client, 'reconcile', [{ data: { name: 'in a while' }, startAfter: 90.5 }]);
    const { rows } = await database.owner.query<{ seconds: number }>(
      `SELECT extract(epoch FROM start_after - created_on)::float8 AS seconds FROM pgboss.job WHERE data->>'name' = 'in a while'`,
    );
    expect(rows[0]?.seconds).toBeCloseTo(90.5, 1);
  });
});

describe('several workers', () => {
  test('share the work, and nothing is done twice', async () => {
    const names = Array.from({ length: 12 }, (_, index) => `piece ${index}`);
    const ran: string[] = [];
    const workers = new Set<Jobs>();
    const both = Promise.withResolvers<void>();
    const [one, other] = [await engine(), await engine()];
    for (const jobs of [one, other])
      await jobs.work<Piece>('reconcile', 1, async ({ name }) => {
        ran.push(name);
        workers.add(jobs);
        if (workers.size === 2) both.resolve();
        await both.promise; // nobody can do it all: the first waits for the second
      });
    for (const name of names) await enqueue(one, name);
    for (const name of names) await completed(name);
    expect(ran.sort()).toEqual(names.sort());
  });

  test("queues do not get each other's work", async () => {
    const jobs = await engine();
    const ran: string[] = [];
    for (const queue of queues)
      await jobs.work<Piece>(queue, 1, ({ name }) => Promise.resolve(void ran.push(`${queue}: ${name}`)));
    for (const queue of queues) await enqueue(jobs, `for ${queue}`, undefined, queue);
    for (const queue of queues) await completed(`for ${queue}`);
    expect(ran.sort()).toEqual(queues.map((queue) => `${queue}: for ${queue}`).sort());
  });

  test('what one is at when it is stopped is finished first', async () => {
    const jobs = await engine();
    const [begun, may] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await jobs.work<Piece>('reconcile', 1, async () => {
      begun.resolve();
      await may.promise;
    });
    await enqueue(jobs, 'long');
    await begun.promise;
    const stopped = jobs.onModuleDestroy();
    may.resolve();
    await stopped;
    expect(await states('long')).toEqual(['completed']);
  });
});
