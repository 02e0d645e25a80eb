import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Observer } from '../../src/connections/observer.service.js';
import { until } from '../support/until.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { known, logIn, mint, opened, person, setStage, type Grant, type Person, type Stage } from './stage.ts';

interface Seen {
  id: string;
  targetId: string;
  endpointId: string;
  login: string;
  database: string;
  clientAddress: string;
  tls: boolean;
  tlsVersion: string;
  applicationName: string;
  personId: string;
  grantId: string | null;
  startedAt: string;
  endedAt: string | null;
}

let usher: Usher;
let stage: Stage;
let nina: Person;
let grant: Grant & { personId: string };

beforeAll(async () => {
  usher = await startUsher();
  stage = await setStage(usher);
  nina = person(stage, 'nina', ['engineers']);
  grant = (await opened(stage, nina, { target: 'orders' })) as typeof grant;
});
afterAll(() => usher?.close());

const look = (): Promise<void> => usher.app.get(Observer, { strict: false }).sampleAll();
const list = async (who: Person, query = ''): Promise<Seen[]> => {
  const { status, body } = await who.get<{ items: Seen[] }>(`/v1/connections${query}`);
  expect(status).toBe(200);
  return body.items;
};

describe('sessions', () => {
  test('are seen on writer and reader, with person, grant and TLS, until they are gone', async () => {
    const writer = await logIn(stage, await mint(nina, grant.id, { endpoint: 'writer' }));
    const token = await mint(nina, grant.id, { endpoint: 'reader' });
    const reader = await until('the reader has the login', () => logIn(stage, token).catch(() => undefined));
    expect((await reader.query<{ it: boolean }>('SELECT pg_is_in_recovery() AS it')).rows).toEqual([{ it: true }]);
    await look();
    const seen = await list(nina, '?open=true');
    expect(seen).toHaveLength(2);
    expect(new Set(seen.map(({ endpointId }) => endpointId)).size).toBe(2);
    for (const session of seen)
      expect(session).toMatchObject({
        ...{
          targetId: stage.targets.orders.id,
          login: grant.login,
          database: 'orders',
          personId: grant.personId,
          grantId: grant.id,
        },
        ...{ tls: true, tlsVersion: 'TLSv1.3', endedAt: null },
      });
    await look();
    expect(await list(nina)).toHaveLength(2); // another look is no other session

    await writer.end();
    await until('the writer says goodbye', async () => {
      await look();
      return (await list(nina, '?open=true')).length === 1;
    });
    const [ended] = await list(nina, '?open=false');
    expect(ended).toMatchObject({ grantId: grant.id, endedAt: expect.any(String) as string });
    await reader.end();
    await until('the reader says goodbye', async () => {
      await look();
      return (await list(nina, '?open=true')).length === 0;
    });
    expect(await list(nina)).toHaveLength(2);
  });

  test('that last from one look to the next are all seen, however many come and go', async () => {
    const petra = person(stage, 'petra', ['engineers']);
    const own = await opened(stage, petra, { target: 'orders' });
    const token = await mint(petra, own.id);
    const pids: number[] = [];
    let staying = await logIn(stage, token);
    for (let step = 0; step < 10; step += 1) {
      const next = await logIn(stage, token);
      for (const one of [staying, next]) {
        const { rows } = await one.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
        pids.push(rows[0]?.pid ?? 0);
      }
      await look();
      await staying.end();
      staying = next;
    }
    await staying.end();
    const seen = await usher.db.client.connection.findMany({ where: { grantId: own.id }, select: { pid: true } });
    expect(seen.map(({ pid }) => pid).toSorted()).toEqual([...new Set(pids)].toSorted());
  });

  test('are named by the client, and only believed where it fits', async () => {
    const oskar = person(stage, 'oskar', ['engineers']);
    const own = await opened(stage, oskar, { target: 'orders' });
    const token = await mint(oskar, own.id);
    const client = await logIn(stage, token);
    await client.query(`SET application_name = 'usher:${grant.id}'`); // somebody else's
    await look();
    const [seen] = await list(oskar, '?open=true');
    expect(seen).toMatchObject({ grantId: own.id, applicationName: `usher:${grant.id}` });
    await client.end();
  });

  test('of the DBA and of Usher itself are nobody’s', async () => {
    await look();
    const all = await list(await known(stage, 'carol'));
    expect(
      all
        .filter(({ login }) => login === 'usher_broker' || login === 'rdsmaster')
        .map(({ personId, grantId }) => [personId, grantId]),
    ).toEqual([]);
  });
});

describe('GET /v1/connections', () => {
  test('shows a person their own, an owner those of the target, an auditor all, and others nothing', async () => {
    const [bob, carol] = [await known(stage, 'bob'), await known(stage, 'carol')];
    const stranger = person(stage, 'stranger', ['engineers', 'billing-owners']);
    const mine = (await list(nina)).map(({ id }) => id);
    expect(mine).toHaveLength(2);
    expect((await list(bob)).map(({ id }) => id)).toEqual(expect.arrayContaining(mine));
    expect((await list(carol)).map(({ id }) => id)).toEqual(expect.arrayContaining(mine));
    expect(await list(stranger)).toEqual([]);
    expect(await list(stranger, `?grant=${grant.id}`)).toEqual([]);
  });

  test('filters', async () => {
    const carol = await known(stage, 'carol');
    const all = await list(carol);
    expect(all.length).toBeGreaterThan(2);
    const of = (wanted: (seen: Seen) => boolean): string[] => all.filter(wanted).map(({ id }) => id);
    const ids = async (query: string): Promise<string[]> => (await list(carol, query)).map(({ id }) => id);
    expect(await ids(`?grant=${grant.id}`)).toEqual(of(({ grantId }) => grantId === grant.id));
    expect(await ids(`?person=${grant.personId}`)).toEqual(of(({ personId }) => personId === grant.personId));
    expect(await ids(`?target=${stage.targets.orders.id}`)).toEqual(
      of(({ targetId }) => targetId === stage.targets.orders.id),
    );
    expect(await ids(`?target=${stage.targets.billing.id}`)).toEqual([]);
    expect(await ids('?open=false')).toEqual(of(({ endedAt }) => endedAt !== null));
    const first = await carol.get<{ items: Seen[]; nextCursor: string }>('/v1/connections?limit=1');
    expect(first.body.items.map(({ id }) => id)).toEqual(all.slice(0, 1).map(({ id }) => id));
    expect(await ids(`?cursor=${first.body.nextCursor}`)).toEqual(all.slice(1).map(({ id }) => id));
    expect((await carol.get('/v1/connections?grant=x')).body).toMatchObject({ status: 400, code: 'invalid_input' });
  });
});
