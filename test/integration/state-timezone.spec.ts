import { afterAll, beforeAll, expect, test } from 'vitest';
import { freshDatabase } from '../support/state.ts';
import { known, open, register, someone } from '../support/people.ts';
import { startUsher, type Usher } from '../support/usher.ts';

let usher: Usher;

beforeAll(async () => {
  const database = await freshDatabase();
  await database.owner.query(
    `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'America/New_York'); END $$`,
  );
  usher = await startUsher({ database, settings: { jobs: false } });
});
afterAll(() => usher?.close());

test('instants are the same wherever the server of the state lives', async () => {
  const orders = await register(usher, 'orders');
  const holder = someone(usher, ['engineers']);
  const before = Date.now();
  const grant = await open(usher, holder, orders);
  const { body } = await holder.get<{ startsAt: string; endsAt: string }>(`/v1/grants/${grant.grantId}`);
  expect(Math.abs(Date.parse(body.startsAt) - before)).toBeLessThan(60_000);
  const { rows } = await usher.database.owner.query<{ ends: Date }>('SELECT ends_at AS ends FROM access_grant');
  expect(rows[0]?.ends.toISOString()).toBe(body.endsAt);
  expect((await holder.post(`/v1/grants/${grant.grantId}/tokens`, {})).status).toBe(201);
  const carol = await known(usher, 'carol');
  const lines = await carol.get<{ items: { at: string }[] }>('/v1/audit/events?limit=5');
  for (const { at } of lines.body.items) expect(Math.abs(Date.parse(at) - Date.now())).toBeLessThan(60_000);
});
