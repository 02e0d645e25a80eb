import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freshDatabase, type TestDatabase } from '../support/state.ts';

let database: TestDatabase;
/** As the service works: as the role that owns nothing. */
let app: pg.Pool;
const [holder, other, target, profile] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];

beforeAll(async () => {
  database = await freshDatabase();
  app = new pg.Pool({ connectionString: database.url, max: 2, options: '-c role=usher_app' });
  app.on('error', () => undefined);
  for (const id of [holder, other])
    await app.query(
      `INSERT INTO person (id, issuer, subject, name, first_seen_at, last_seen_at) VALUES ($1::uuid, 'https://idp.example', $1::text, 'Ana', now(), now())`,
      [id],
    );
  await app.query(
    `INSERT INTO target (id, name, kind, partition, region, account_id, resource_id, engine_version, environment, owner_group, databases, ca_identifier, guard_database, broker_login, created_at, updated_at)
     VALUES ($1, 'orders', 'rds-instance', 'aws', 'eu-west-1', '123456789012', 'db-ABC', '17', 'dev', 'owners', '{orders}', 'rds-ca-rsa2048-g1', 'postgres', 'usher_broker', now(), now())`,
    [target],
  );
  await app.query(
    `INSERT INTO profile (id, target_id, name, groups, max_minutes, approvals_needed, read_only, connection_limit, methods, created_at, updated_at)
     VALUES ($1, $2, 'read', '{readers}', 60, 0, true, 5, '{iam}', now(), now())`,
    [profile, target],
  );
});
afterAll(async () => {
  await app?.end();
  await database?.drop();
});

/** SQLSTATEs, appendix A of the PostgreSQL manual. */
const FORBIDDEN = '42501';
const BROKEN_RULE = '23514';
const outcome = (work: Promise<unknown>): Promise<string | undefined> =>
  work.then(
    () => 'done',
    (error: unknown) => (error instanceof pg.DatabaseError ? error.code : String(error)),
  );

async function ask(more: Record<string, unknown> = {}): Promise<{ id: string; grantId: string }> {
  const [id, grantId] = [randomUUID(), randomUUID()];
  const row = {
    ...{ id, kind: 'open', grant_id: grantId, target_id: target, profile_id: profile, person_id: holder },
    ...{ login: 'ana', database: 'orders', duration_minutes: 30, reason: 'why', method: 'iam', mode: 'session' },
    ...{ state: 'approved', approvals_needed: 0, plan: {}, break_glass: true },
    ...{ created_at: new Date(), decide_by: new Date(), decided_at: new Date(), ...more },
  };
  const places = Object.keys(row).map((_, index) => `$${index + 1}`);
  await app.query(
    `INSERT INTO request (${Object.keys(row).join(', ')}) VALUES (${places.join(', ')})`,
    Object.values(row),
  );
  return { id, grantId };
}

async function grantOf(more: Record<string, unknown> = {}): Promise<string> {
  const { id, grantId } = await ask(more);
  await app.query(
    `INSERT INTO access_grant (id, request_id, target_id, profile_id, person_id, login, database, guard_profile, groups, connection_limit, method, mode, state, starts_at, ends_at, created_at)
     VALUES ($1, $2, $3, $4, $5, 'ana', 'orders', 'read', '{readers}', 5, 'iam', 'session', 'opening', now(), now() + interval '30 min', now())`,
    [grantId, id, target, profile, holder],
  );
  return grantId;
}

describe('an emergency', () => {
  test.each<[string, Record<string, unknown>, string]>([
    ['is decided already', {}, 'done'],
    ['waits for nobody', { state: 'pending', decided_at: null }, BROKEN_RULE],
    ['needs no approval', { approvals_needed: 1 }, BROKEN_RULE],
    ['is now', { starts_at: new Date() }, BROKEN_RULE],
  ])('%s', async (_, more, expected) => {
    expect(await outcome(ask(more))).toBe(expected);
  });

  test('stays one, and nothing else becomes one', async () => {
    for (const [was, now] of [
      [true, false],
      [false, true],
    ]) {
      const { id } = await ask({ break_glass: was });
      for (const pool of [app, database.owner])
        expect(await outcome(pool.query('UPDATE request SET break_glass = $2 WHERE id = $1', [id, now]))).toBe(
          BROKEN_RULE,
        );
    }
  });

  test('has a review from the moment that it has a grant, and only an emergency has one', async () => {
    const [broken, ordinary] = [await grantOf(), await grantOf({ break_glass: false })];
    const { rows } = await app.query('SELECT id, person_id, closed_at FROM break_glass_review WHERE id IN ($1, $2)', [
      broken,
      ordinary,
    ]);
    expect(rows).toEqual([{ id: broken, person_id: holder, closed_at: null }]);
  });
});

describe('a review', () => {
  const close = (id: string, by: string | null, comment: string | null, at: Date | null = new Date()) =>
    outcome(
      app.query('UPDATE break_glass_review SET closed_by = $2, comment = $3, closed_at = $4 WHERE id = $1', [
        ...[id, by, comment, at],
      ]),
    );

  test('is closed by another person, whole and once', async () => {
    const id = await grantOf();
    expect(await close(id, holder, 'all is well')).toBe(BROKEN_RULE);
    const halves: [by: string | null, comment: string | null, at: Date | null][] = [
      [null, 'all is well', new Date()],
      [other, null, new Date()],
      [other, 'all is well', null],
      [other, '', new Date()],
    ];
    for (const half of halves) expect(await close(id, ...half)).toBe(BROKEN_RULE);
    expect(await close(id, other, 'all is well')).toBe('done');
    expect(await close(id, other, 'it was not')).toBe(BROKEN_RULE);
    expect(await close(id, null, null, null)).toBe(BROKEN_RULE);
  });

  test.each(['id', 'target_id', 'person_id'])('keeps its %s', async (column) => {
    const id = await grantOf();
    const change = `UPDATE break_glass_review SET ${column} = gen_random_uuid() WHERE id = $1`;
    for (const pool of [app, database.owner]) expect(await outcome(pool.query(change, [id]))).toBe(BROKEN_RULE);
  });

  test.each([
    'INSERT INTO break_glass_review SELECT * FROM break_glass_review',
    'DELETE FROM break_glass_review',
    'TRUNCATE break_glass_review',
    'DROP FUNCTION break_glass_begins() CASCADE',
    'ALTER TABLE break_glass_review DISABLE TRIGGER ALL',
  ])("is not the service's to begin or to lose: %s", async (sql) => {
    expect(await outcome(app.query(sql))).toBe(FORBIDDEN);
  });
});

test('a target is locked for a reason, and has none otherwise', async () => {
  const set = (at: Date | null, why: string | null) =>
    outcome(app.query('UPDATE target SET locked_at = $2, lock_reason = $3 WHERE id = $1', [target, at, why]));
  expect(await set(new Date(), null)).toBe(BROKEN_RULE);
  expect(await set(null, 'it leaks')).toBe(BROKEN_RULE);
  expect(await set(new Date(), 'it leaks')).toBe('done');
  expect(await set(null, null)).toBe('done');
});
