import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { asAdmin, holdings, nothing } from './holdings.ts';
import { closed, grantOf, logIn, mint, opened, person, revoke, setStage, story, type Stage } from './stage.ts';

let usher: Usher;
let stage: Stage;

beforeAll(async () => {
  usher = await startUsher();
  stage = await setStage(usher);
});
afterAll(() => usher?.close());

test('a session on a reader ends with its grant, and only then is it closed', async () => {
  const rita = person(stage, 'rita', ['engineers']);
  const grant = await opened(stage, rita, { target: 'orders' });
  const session = await logIn(stage, await mint(rita, grant.id, { endpoint: 'reader' }));
  expect((await session.query('SELECT pg_is_in_recovery() AS reader')).rows).toEqual([{ reader: true }]);
  const cut = session.query('SELECT pg_sleep(600)').then(
    () => 'went on',
    (error: unknown) => String(error),
  );
  await revoke(rita, grant.id);
  expect(await cut).toMatch(/terminat|closed|ECONNRESET/i);
  await closed(rita, grant.id);
  expect(await holdings(stage, 'orders', grant.login)).toEqual(nothing);
  const ended = (await story(stage, grant.id)).find(({ action }) => action === 'grant.sessionsEnded');
  expect(ended?.details).toEqual({ sessions: 1 });
  await until('what was borrowed to reach the reader is given back', async () => {
    return asAdmin(stage.standIn, 'orders', async (client) => {
      const { rowCount } = await client.query(
        `SELECT 1 FROM pg_auth_members WHERE roleid = $1::regrole AND member = 'usher_owner'::regrole AND grantor = 'usher_owner'::regrole`,
        [grant.login],
      );
      return rowCount === 0;
    });
  });
});

test('a reader that is behind keeps a grant from being called closed, until it has caught up', async () => {
  const sven = person(stage, 'sven', ['engineers']);
  const grant = await opened(stage, sven, { target: 'orders' });
  const session = await logIn(stage, await mint(sven, grant.id, { endpoint: 'reader' }));
  const onReader = async (sql: string): Promise<void> => {
    const reader = new pg.Client({ ...stage.standIn.targets.orders.rds.admin('reader'), database: 'postgres' });
    await reader.connect();
    await reader.query(sql).finally(() => reader.end());
  };
  await onReader('SELECT pg_wal_replay_pause()');
  try {
    await revoke(sven, grant.id);
    const late = await until('it was tried', async () => {
      const found = await grantOf(sven, grant.id);
      return found.attempts > 0 && found;
    });
    expect(late).toMatchObject({
      state: 'closing',
      lastError: expect.stringContaining('replication is behind') as string,
    });
    // the writer is shut all the same
    expect(await holdings(stage, 'orders', grant.login)).toMatchObject({
      canLogin: false,
      memberships: [],
      leases: [],
    });
    expect((await session.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  } finally {
    await onReader('SELECT pg_wal_replay_resume()');
  }
  await closed(sven, grant.id);
  await expect(session.query('SELECT 1')).rejects.toThrow();
});
